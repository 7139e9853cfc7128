"""Single operations beside torch's: ten on ten elements, where the engine is what is timed, others on a million.

Each is written once against torch's API and returns a step, as `workloads` does: `calls` times forward alone, recorded,
or forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workloads import Step

Function = Callable[[Any, Any], Any]  # of T and x

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


def _step(function: Function, shape: tuple[int, ...], calls: int, backward: bool, T: Any) -> Step:
    x = T.from_numpy(np.random.default_rng(0).uniform(0.5, 2, shape).astype("float32")).requires_grad_()
    g = T.ones_like(function(T, x))

    def step() -> Any:
        for _ in range(calls):
            y = function(T, x)
            if backward:
                x.grad = None
                y.backward(g)
        return y.sum()

    return step


OPERATIONS: dict[str, Callable[[Any], Step]] = {
    **{
        f"small {name}{', backward' * backward}": partial(
            _step, function, (10, 10) if name == "matmul" else (10,), 100, backward
        )
        for name, function in SMALL.items()
        for backward in (False, True)
    },
    **{
        f"large {name}{', backward' * backward}": partial(_step, function, (1000, 1000), 1, backward)
        for name, function in LARGE.items()
        for backward in (False, True)
    },
}
