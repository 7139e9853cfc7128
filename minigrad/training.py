"""What `minigrad train` and `minigrad compare` run: networks, data and one epoch, written once against torch's API.

Each function takes the library as `T`, so the same lines run on minigrad and on torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from minigrad.backend import np
from minigrad.vision import embedded
from minigrad.vision.idx import read_idx_folder

__all__ = ["NETWORKS", "OPTIMIZERS", "Data", "Run", "Settings", "load_data"]


@dataclass
class Data:
    """Inputs float32 (n, ...), targets int64 classes (n,) or float32 values (n, 1); for training and for testing."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]

    @property
    def classes(self) -> int:
        return int(self.train[1].max()) + 1


@dataclass
class Settings:
    """What the command line chose."""

    network: str = "lenet"
    data: str = "fashion"
    optimizer: str = "adam"
    lr: float = 2e-3
    epochs: int = 20
    batch_size: int = 64
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 0


def load_data(name: str) -> Data:
    """The embedded sets `fashion` and `digits`, `line` (made: y = 2 a - 3.4 b + 4.2 + noise), or a folder of IDX files.

    Pixels are scaled to [-1, 1]. Raises FileNotFoundError and ValueError for a folder without whole files.
    """
    if name == "line":
        rng = np.random.default_rng(1)
        x = rng.normal(size=(1200, 2)).astype("float32")
        y = (x @ [[2.0], [-3.4]] + 4.2 + rng.normal(scale=0.01, size=(1200, 1))).astype("float32")
        return Data((x[:1000], y[:1000]), (x[1000:], y[1000:]))
    read: Callable[[bool], tuple[np.ndarray, np.ndarray]]
    if name in ("fashion", "digits"):
        read = embedded.fashion_mnist if name == "fashion" else embedded.digits
    else:
        read = lambda train: read_idx_folder(name, train)
    (images, labels), (test_images, test_labels) = read(True), read(False)
    brightest = np.float32(max(images.max(), 1))

    def scaled(pixels: np.ndarray) -> np.ndarray:
        return (pixels[:, None] / brightest * 2 - 1).astype("float32")

    return Data((scaled(images), labels), (scaled(test_images), test_labels))


# -- networks ----------------------------------------------------------------------------------------------------------


def lenet(T: Any, image: tuple[int, ...], classes: int) -> Any:
    """Two convolutions with pooling, three linear layers (LeCun et al. 1998, with ReLU and max-pooling)."""
    nn, (channels, height, width) = T.nn, image
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(6, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4) * (width // 4), 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, classes),
    )  # fmt: skip


def perceptron(*hidden: int) -> Callable[..., Any]:
    """A network of linear layers of these widths with ReLU between."""

    def make(T: Any, image: tuple[int, ...], classes: int) -> Any:
        nn, layers, width = T.nn, [T.nn.Flatten()], int(np.prod(image))
        for n in hidden:
            layers += [nn.Linear(width, n), nn.ReLU()]
            width = n
        return nn.Sequential(*layers, nn.Linear(width, classes))

    return make


def linear(T: Any, features: tuple[int, ...], outputs: int) -> Any:
    """Linear regression: one linear layer."""
    return T.nn.Linear(features[0], 1)


NETWORKS: dict[str, Callable[..., Any]] = {
    "lenet": lenet,
    "mnist-mlp": perceptron(128, 64),
    "fashion-mlp": perceptron(512, 512),
    "linear": linear,
}

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": lambda T, p, lr: T.optim.SGD(p, lr=lr),
    "momentum": lambda T, p, lr: T.optim.SGD(p, lr=lr, momentum=0.9),
    "adagrad": lambda T, p, lr: T.optim.Adagrad(p, lr=lr),
    "adadelta": lambda T, p, lr: T.optim.Adadelta(p, lr=lr),
    "rmsprop": lambda T, p, lr: T.optim.RMSprop(p, lr=lr),
    "adam": lambda T, p, lr: T.optim.Adam(p, lr=lr),
    "adamw": lambda T, p, lr: T.optim.AdamW(p, lr=lr),
}


# -- training ----------------------------------------------------------------------------------------------------------


class Run:
    """One network being trained on one library."""

    def __init__(self, T: Any, settings: Settings, data: Data) -> None:
        T.manual_seed(settings.seed)
        self.T, self.device, self.regression = T, settings.device, data.train[1].dtype.kind == "f"
        shape, classes = data.train[0].shape[1:], 1 if self.regression else data.classes
        self.dtype = getattr(T, settings.dtype)
        self.model = NETWORKS[settings.network](T, shape, classes).to(settings.device, self.dtype)
        self.criterion = T.nn.MSELoss() if self.regression else T.nn.CrossEntropyLoss()
        self.optimizer = OPTIMIZERS[settings.optimizer](T, self.model.parameters(), settings.lr)
        self.loader = self._loader(data.train, settings.batch_size, shuffle=True)
        self.test_loader = self._loader(data.test, 500, shuffle=False)
        self.seconds, self.loss = 0.0, 0.0  # of the epoch so far: time in training steps, mean loss

    def _loader(self, arrays: tuple[np.ndarray, np.ndarray], batch_size: int, shuffle: bool) -> Any:
        tensors = [self.T.from_numpy(a) for a in arrays]
        tensors = [t.to(self.dtype) if t.is_floating_point() else t for t in tensors]
        data = self.T.utils.data
        return data.DataLoader(data.TensorDataset(*tensors), batch_size=batch_size, shuffle=shuffle)

    def epoch(self) -> Iterator[int]:
        """Train on every batch once; after each step yields how many samples it has seen."""
        self.model.train()
        self.seconds, total, seen = 0.0, 0.0, 0
        for x, y in self.loader:
            start = time.perf_counter()
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(x)
            self.seconds += time.perf_counter() - start
            seen += len(x)
            self.loss = total / seen
            yield seen

    def evaluate(self) -> tuple[float, float]:
        """Mean loss on the test data, and the share of right answers (nan for a regression)."""
        self.model.eval()
        total, right, seen = 0.0, 0.0, 0
        with self.T.no_grad():
            for x, y in self.test_loader:
                x, y = x.to(self.device), y.to(self.device)
                out = self.model(x)
                total += self.criterion(out, y).item() * len(x)
                right += float("nan") if self.regression else (out.argmax(1) == y).type(self.T.float).sum().item()
                seen += len(x)
        return total / seen, right / seen
