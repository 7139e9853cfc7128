"""Whole training steps of the tutorials' networks, written once against torch's API.

Each workload takes the library as `T` and returns a function that does one step: zero_grad, forward, backward and the
optimizer's update.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

Step = Callable[[], Any]


def _images(T: Any, *shape: int, classes: int = 10) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("float32")
    return T.from_numpy(x), T.from_numpy(rng.integers(0, classes, shape[0]))


def _step(model: Any, criterion: Any, optimizer: Any, x: Any, y: Any) -> Step:
    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def linear_regression(T: Any) -> Step:
    """Linear(2, 1), batch 10, mean squared error, SGD."""
    rng = np.random.default_rng(0)
    x, y = (T.from_numpy(rng.normal(size=(10, n)).astype("float32")) for n in (2, 1))
    model = T.nn.Linear(2, 1)
    return _step(model, T.nn.MSELoss(), T.optim.SGD(model.parameters(), lr=0.03), x, y)


def _perceptron(T: Any, *widths: int) -> Any:
    layers: list[Any] = []
    for a, b in pairwise(widths):
        layers += [T.nn.Linear(a, b), T.nn.ReLU()]
    return T.nn.Sequential(*layers[:-1])


def mnist_mlp(T: Any) -> Step:
    """784-128-64-10 with ReLU, batch 64, cross-entropy, SGD."""
    model = _perceptron(T, 784, 128, 64, 10)
    return _step(model, T.nn.CrossEntropyLoss(), T.optim.SGD(model.parameters(), lr=0.003), *_images(T, 64, 784))


def fashion_mlp(T: Any) -> Step:
    """784-512-512-10 with ReLU, batch 64, cross-entropy, SGD."""
    model = _perceptron(T, 784, 512, 512, 10)
    return _step(model, T.nn.CrossEntropyLoss(), T.optim.SGD(model.parameters(), lr=1e-3), *_images(T, 64, 784))


def fashion_mlp_adam(T: Any) -> Step:
    """784-512-512-10 with ReLU, batch 64, cross-entropy, Adam."""
    model = _perceptron(T, 784, 512, 512, 10)
    return _step(model, T.nn.CrossEntropyLoss(), T.optim.Adam(model.parameters()), *_images(T, 64, 784))


def lenet(T: Any) -> Step:
    """The CIFAR LeNet (3x32x32), batch 64, cross-entropy, SGD with momentum."""
    nn = T.nn
    model = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = T.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    return _step(model, nn.CrossEntropyLoss(), optimizer, *_images(T, 64, 3, 32, 32))


WORKLOADS: dict[str, Callable[[Any], Step]] = {
    "linear-regression": linear_regression,
    "mnist-mlp": mnist_mlp,
    "fashion-mlp": fashion_mlp,
    "fashion-mlp-adam": fashion_mlp_adam,
    "lenet": lenet,
}
