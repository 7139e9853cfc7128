"""Whole training steps of the tutorials' networks, written once against torch's API.

Each workload takes the library as `T` and a device, and returns a step: zero_grad, forward, backward and the
optimizer's update (`adam` the last alone). Those that are a chain of layers are declared as a `Chain`, so that engines
with other APIs can be given the same network, parameters and data (`other_engines.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

Step = Callable[[], Any]  # does one step and returns its loss


class Training:
    """One training step on a device. `forward` is an attribute, so that it can be compiled."""

    def __init__(self, model: Any, criterion: Any, optimizer: Any, x: Any, y: Any, device: str = "cpu") -> None:
        self.model = model.to(device)  # its parameters stay those that the optimizer has
        self.forward = lambda x, y: criterion(model(x), y)
        self.optimizer, self.x, self.y = optimizer, x.to(device), y.to(device)

    def __call__(self) -> Any:
        self.optimizer.zero_grad()
        loss = self.forward(self.x, self.y)
        loss.backward()
        self.optimizer.step()
        return loss


@dataclass(frozen=True)
class Chain:
    """Layers one after another, by torch's names for them, with how they are trained."""

    layers: tuple[tuple[Any, ...], ...]  # ("Linear", 784, 128), ("ReLU",)
    shape: tuple[int, ...]  # of the input, with its batch
    optimizer: tuple[str, dict[str, float]]  # "SGD", {"lr": 0.1}
    loss: str = "CrossEntropyLoss"

    def __call__(self, T: Any, device: str = "cpu") -> Training:
        model = T.nn.Sequential(*[getattr(T.nn, name)(*sizes) for name, *sizes in self.layers])
        model.load_state_dict(dict(zip(model.state_dict(), map(T.from_numpy, self.parameters()), strict=True)))
        name, settings = self.optimizer
        optimizer = getattr(T.optim, name)(model.parameters(), **settings)
        return Training(model, getattr(T.nn, self.loss)(), optimizer, *map(T.from_numpy, self.data()), device)

    def parameters(self) -> Iterator[np.ndarray]:
        """Weight and bias of each layer that has them, uniform within 1 / sqrt(fan in)."""
        rng = np.random.default_rng(1)
        for name, *sizes in self.layers:
            if name in ("Linear", "Conv2d"):
                inputs, outputs, *kernel = sizes
                shape = (outputs, inputs, *kernel * 2)
                bound = np.prod(shape[1:]) ** -0.5
                yield rng.uniform(-bound, bound, shape).astype("float32")
                yield rng.uniform(-bound, bound, outputs).astype("float32")

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """A batch of noise, with ten classes or, for the squared error, with one real target each."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=self.shape).astype("float32")
        if self.loss == "MSELoss":
            return x, rng.normal(size=(len(x), 1)).astype("float32")
        return x, rng.integers(0, 10, len(x))


def perceptron(*widths: int, batch: int, optimizer: tuple[str, dict[str, float]]) -> Chain:
    """Linear layers with ReLU between them, and cross-entropy."""
    layers: list[tuple[Any, ...]] = []
    for a, b in pairwise(widths):
        layers += [("Linear", a, b), ("ReLU",)]
    return Chain(tuple(layers[:-1]), (batch, widths[0]), optimizer)


# Linear(2, 1), batch 10, mean squared error, SGD.
linear_regression = Chain((("Linear", 2, 1),), (10, 2), ("SGD", {"lr": 0.03}), "MSELoss")

# 784-128-64-10 and 784-512-512-10 with ReLU, batch 64.
mnist_mlp = perceptron(784, 128, 64, 10, batch=64, optimizer=("SGD", {"lr": 0.003}))
fashion_mlp = perceptron(784, 512, 512, 10, batch=64, optimizer=("SGD", {"lr": 1e-3}))
fashion_mlp_adam = perceptron(784, 512, 512, 10, batch=64, optimizer=("Adam", {"lr": 1e-3}))

# The CIFAR LeNet (3x32x32), batch 64.
_lenet = partial(
    Chain,
    (
        ("Conv2d", 3, 6, 5), ("ReLU",), ("MaxPool2d", 2), ("Conv2d", 6, 16, 5), ("ReLU",), ("MaxPool2d", 2),
        ("Flatten",), ("Linear", 400, 120), ("ReLU",), ("Linear", 120, 84), ("ReLU",), ("Linear", 84, 10),
    ),
    (64, 3, 32, 32),
)  # fmt: skip
lenet = _lenet(("SGD", {"lr": 1e-3, "momentum": 0.9}))
lenet_adam = _lenet(("Adam", {"lr": 1e-3}))


def resnet18(T: Any, device: str = "cpu", batch: int = 32, width: int = 64, size: int = 32) -> Training:
    """ResNet-18 as it is trained on CIFAR (a 3x3 stem, no pooling before the end), batch 32, SGD with momentum."""
    nn = T.nn

    def conv(a: int, b: int, size: int, stride: int = 1) -> list[Any]:
        return [nn.Conv2d(a, b, size, stride, size // 2, bias=False), nn.BatchNorm2d(b)]

    class Block(nn.Module):
        def __init__(self, a: int, b: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(*conv(a, b, 3, stride), nn.ReLU(), *conv(b, b, 3))
            self.shortcut = nn.Sequential(*conv(a, b, 1, stride)) if stride > 1 else nn.Identity()
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.relu(self.body(x) + self.shortcut(x))

    widths = (width, width, 2 * width, 4 * width, 8 * width)
    stages = [[Block(a, b, 1 if a == b else 2), Block(b, b, 1)] for a, b in pairwise(widths)]
    model = nn.Sequential(
        *conv(3, width, 3), nn.ReLU(), *[block for stage in stages for block in stage],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10),
    )  # fmt: skip
    optimizer, rng = T.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), np.random.default_rng(0)
    x = T.from_numpy(rng.normal(size=(batch, 3, size, size)).astype("float32"))
    return Training(model, nn.CrossEntropyLoss(), optimizer, x, T.from_numpy(rng.integers(0, 10, batch)), device)


def bilstm(T: Any, device: str = "cpu", batch: int = 100, words: int = 10_000, width: int = 300) -> Training:
    """The BiLSTM classifier: 100 texts of 25 words out of 10,000, in 300 and 2 x 64 features, Adam."""
    nn = T.nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(words, width)
            self.lstm = nn.LSTM(width, 64, bidirectional=True, batch_first=True)
            self.linear = nn.Linear(4 * 64, 64)
            self.relu = nn.ReLU()
            self.dropout = nn.Dropout(0.1)
            self.out = nn.Linear(64, 1)

        def forward(self, x: Any) -> Any:
            h, _ = self.lstm(self.embedding(x))
            largest, _ = T.max(h, 1)
            features = T.cat((T.mean(h, 1), largest), 1)
            return self.out(self.dropout(self.relu(self.linear(features))))

    model, rng = Classifier(), np.random.default_rng(0)
    x = T.from_numpy(rng.integers(0, words, (batch, 25)))
    y = T.from_numpy(rng.integers(0, 2, (batch, 1)).astype("float32"))
    return Training(model, nn.BCEWithLogitsLoss(), T.optim.Adam(model.parameters()), x, y, device)


def char_transformer(
    T: Any, device: str = "cpu", batch: int = 12, context: int = 64, width: int = 128, layers: int = 4
) -> Training:
    """A transformer of 4 layers, width 128, 4 heads, on 12 texts of 64 out of 65 characters, AdamW."""
    nn, characters, heads = T.nn, 65, 4

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            n, t, c = x.size()
            q, k, v = (
                part.view(n, t, heads, c // heads).transpose(1, 2) for part in self.qkv(self.norm1(x)).split(c, dim=2)
            )
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).contiguous().view(n, t, c))
            return x + self.mlp(self.norm2(x))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(characters, width), nn.Embedding(context, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters, bias=False)

        def forward(self, x: Any) -> Any:
            x = self.tokens(x) + self.places(T.arange(x.size(1), device=x.device))
            return self.head(self.norm(self.blocks(x))).flatten(0, 1)

    model, rng = Transformer(), np.random.default_rng(0)
    x, y = (T.from_numpy(rng.integers(0, characters, shape)) for shape in ((batch, context), batch * context))
    return Training(model, nn.CrossEntropyLoss(), T.optim.AdamW(model.parameters(), lr=3e-4), x, y, device)


class Update:
    """The optimizer's part of a step alone."""

    def __init__(self, optimizer: Any, result: Any) -> None:
        self.optimizer, self.result = optimizer, result

    def __call__(self) -> Any:
        self.optimizer.step()
        return self.result


def adam(T: Any, device: str = "cpu", size: int = 4_000_000) -> Update:
    """Adam's update alone, of one parameter of 4 million."""
    x = T.zeros(size, device=device, requires_grad=True)
    x.grad = T.from_numpy(np.random.default_rng(0).normal(size=size).astype("float32")).to(device)
    return Update(T.optim.Adam([x]), T.zeros((), device=device))


WORKLOADS: dict[str, Callable[..., Step]] = {
    "linear-regression": linear_regression,
    "mnist-mlp": mnist_mlp,
    "fashion-mlp": fashion_mlp,
    "fashion-mlp-adam": fashion_mlp_adam,
    "lenet": lenet,
    "lenet-adam": lenet_adam,
    "resnet18": resnet18,
    "bilstm": bilstm,
    "char-transformer": char_transformer,
    "adam-4M": adam,
}


def with_tf32(workload: Callable[..., Step]) -> Callable[..., Step]:
    """The workload with products and convolutions of float32 rounded to TF32; the others are computed in float32."""

    def build(T: Any, device: str = "cpu") -> Step:
        allow_tf32(T, True)
        return workload(T, device)

    return build


def allow_tf32(T: Any, allowed: bool) -> None:
    """The two switches at once: torch's own defaults are off for products and on for convolutions."""
    T.backends.cuda.matmul.allow_tf32 = T.backends.cudnn.allow_tf32 = allowed


_large = partial(resnet18, batch=128)
GPU_WORKLOADS: dict[str, Callable[..., Step]] = {
    **WORKLOADS,
    "resnet18, batch 128": _large,
    "char-transformer, batch 64 of 256": partial(char_transformer, batch=64, context=256),
    **{f"{name}, TF32": with_tf32(WORKLOADS[name]) for name in ("lenet", "lenet-adam", "resnet18", "char-transformer")},
    "resnet18, batch 128, TF32": with_tf32(_large),
}
