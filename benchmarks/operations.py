"""Single operations beside torch's: on ten elements, where the engine is what is timed, on a million, and layers.

Each is written once against torch's API and returns a step, as `workloads` does: `calls` times forward alone, recorded,
or forward and backward, with the gradients of the parameters too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workloads import Step

Function = Callable[[Any, Any], Any]  # of T and x
Build = Callable[[Any], Callable[[Any], Any]]  # of T: a module, or a function of x

SMALL: dict[str, Function] = {
    "add": lambda T, x: x + x,
    "mul": lambda T, x: x * x,
    "exp": lambda T, x: x.exp(),
    "relu": lambda T, x: x.relu(),
    "sum": lambda T, x: x.sum(),
    "mean": lambda T, x: x.mean(-1),
    "matmul": lambda T, x: x @ x,
    "softmax": lambda T, x: T.softmax(x, -1),
    "slice": lambda T, x: x[2:8],
    "cat": lambda T, x: T.cat([x, x]),
}
LARGE: dict[str, Function] = {
    "add": lambda T, x: x + x,
    "mul": lambda T, x: x * x,
    "div": lambda T, x: 1 / x,
    "exp": lambda T, x: x.exp(),
    "log": lambda T, x: x.log(),
    "sqrt": lambda T, x: x.sqrt(),
    "tanh": lambda T, x: x.tanh(),
    "sigmoid": lambda T, x: x.sigmoid(),
    "relu": lambda T, x: x.relu(),
    "gelu": lambda T, x: T.nn.functional.gelu(x),
    "where": lambda T, x: T.where(x > 1, x, 0.0),
    "sum": lambda T, x: x.sum(),
    "mean of rows": lambda T, x: x.mean(-1),
    "var of rows": lambda T, x: x.var(-1),
    "max of rows": lambda T, x: x.max(-1).values,
    "cumsum": lambda T, x: x.cumsum(-1),
    "softmax": lambda T, x: T.softmax(x, -1),
    "log_softmax": lambda T, x: T.log_softmax(x, -1),
    "logsumexp": lambda T, x: x.logsumexp(-1),
}


def _embedding(T: Any) -> Callable[[Any], Any]:
    words = T.from_numpy(np.random.default_rng(0).integers(0, 10_000, (100, 25)))
    return lambda weight: T.nn.functional.embedding(words, weight)


def _cross_entropy(T: Any) -> Callable[[Any], Any]:
    labels = T.from_numpy(np.random.default_rng(0).integers(0, 1000, 512))
    return lambda x: T.nn.functional.cross_entropy(x, labels)


def _lstm(T: Any) -> Callable[[Any], Any]:
    class Outputs(T.nn.LSTM):
        def forward(self, x: Any) -> Any:
            return super().forward(x)[0]

    return Outputs(128, 128, batch_first=True)


LAYERS: dict[str, tuple[Build, tuple[int, ...]]] = {  # with the shape of x
    "conv2d 3-6, 5x5, 32x32": (lambda T: T.nn.Conv2d(3, 6, 5), (64, 3, 32, 32)),
    "conv2d 64-64, 3x3, 32x32": (lambda T: T.nn.Conv2d(64, 64, 3, padding=1), (8, 64, 32, 32)),
    "conv2d 512-512, 3x3, 4x4": (lambda T: T.nn.Conv2d(512, 512, 3, padding=1), (8, 512, 4, 4)),
    "max_pool2d": (lambda T: T.nn.MaxPool2d(2), (64, 16, 32, 32)),
    "linear": (lambda T: T.nn.Linear(512, 512), (64, 512)),
    "layer_norm": (lambda T: T.nn.LayerNorm(512), (1024, 512)),
    "batch_norm": (lambda T: T.nn.BatchNorm2d(64), (32, 64, 16, 16)),
    "cross_entropy": (_cross_entropy, (512, 1000)),
    "embedding": (_embedding, (10_000, 300)),
    "lstm": (_lstm, (32, 25, 128)),
    "attention": (lambda T: lambda x: T.nn.functional.scaled_dot_product_attention(x, x, x), (8, 8, 128, 64)),
}


def _step(build: Build, shape: tuple[int, ...], calls: int, backward: bool, T: Any) -> Step:
    function = build(T)
    x = T.from_numpy(np.random.default_rng(0).uniform(0.5, 2, shape).astype("float32")).requires_grad_()
    leaves = [x, *getattr(function, "parameters", tuple)()]
    g = T.ones_like(function(x))

    def step() -> Any:
        for _ in range(calls):
            y = function(x)
            if backward:
                for leaf in leaves:
                    leaf.grad = None
                y.backward(g)
        return y.sum()

    return step


def _of(function: Function) -> Build:
    return lambda T: partial(function, T)


_TABLE = [  # name, build, shape of x, calls
    *((f"small {name}", _of(f), (10, 10) if name == "matmul" else (10,), 100) for name, f in SMALL.items()),
    *((f"large {name}", _of(f), (1000, 1000), 1) for name, f in LARGE.items()),
    *((f"layer {name}", build, shape, 1) for name, (build, shape) in LAYERS.items()),
]
OPERATIONS: dict[str, Callable[[Any], Step]] = {
    f"{name}{', backward' * backward}": partial(_step, build, shape, calls, backward)
    for name, build, shape, calls in _TABLE
    for backward in (False, True)
}
