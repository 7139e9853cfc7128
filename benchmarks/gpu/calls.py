"""Microseconds on the host that one call takes, on arrays so small that the GPU's own time hides behind it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.gpu.bench import Bench, Call

SOURCE = """
extern "C" __global__ void add(const float* x, const float* y, float* out, long long n) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
"""


def section(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    flat, square, stack = (rng.standard_normal(shape).astype("float32") for shape in ((64,), (16, 16), (4, 16, 16)))
    calls = _arrays(bench, flat, square, stack)
    for name, (T, device) in bench.engines().items():
        calls |= _tensors(name, T, *(T.from_numpy(a).to(device) for a in (flat, square, stack)))
    for name, call in calls.items():
        bench.attempt(name, lambda name=name, call=call: bench.row(name, host_us=bench.host_microseconds(call)))


def _arrays(bench: Bench, flat: np.ndarray, square: np.ndarray, stack: np.ndarray) -> dict[str, Call]:
    """CuPy without minigrad, and minigrad's product of arrays."""
    cp = bench.cp
    x, a, b = (cp.asarray(array) for array in (flat, square, stack))
    out = cp.empty_like(x)
    kernel = cp.RawKernel(SOURCE, "add")
    calls: dict[str, Call] = {
        "cupy: empty": lambda: cp.empty(64, "float32"),
        "cupy: add": lambda: cp.add(x, x),
        "cupy: add with out": lambda: cp.add(x, x, out=out),
        "cupy: sum": lambda: cp.sum(x),
        "cupy: a RawKernel": lambda: kernel((1,), (64,), (x, x, out, 64)),
        "cupy: matmul of matrices": lambda: cp.matmul(a, a),
        "cupy: matmul of stacks": lambda: cp.matmul(b, b),
    }
    products = importlib.import_module("minigrad.kernels.products")
    return calls | {
        "minigrad's arrays: product of matrices": lambda: products.product(a, a),
        "minigrad's arrays: product of stacks": lambda: products.product(b, b),
    }


def _tensors(name: str, T: Any, x: Any, a: Any, b: Any) -> dict[str, Call]:
    """Whole operations, with their part in autograd."""
    weight = a.clone().requires_grad_()
    layer = T.nn.functional
    calls: dict[str, Call] = {
        "add": lambda: x + x,
        "mul by a number": lambda: x * 2,
        "add_": lambda: x.add_(0),
        "relu": lambda: layer.relu(x),
        "sum": lambda: x.sum(),
        "matmul of matrices": lambda: a @ a,
        "matmul of stacks": lambda: b @ b,
        "linear, recorded": lambda: layer.linear(a, weight),
        "softmax": lambda: T.softmax(a, -1),
        "linear and sum, forward and backward": lambda: T.autograd.grad(layer.linear(a, weight).sum(), weight),
    }
    return {f"{name}: {what}": call for what, call in calls.items()}
