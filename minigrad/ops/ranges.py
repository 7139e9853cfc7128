"""Tensors from ranges: numbers evenly spaced, powers of such, the identity, and the indices of triangles."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable
from minigrad.backend import np
from minigrad.formats import strided
from minigrad.ops.checks import not_implemented
from minigrad.ops.create import dtype_or_default, leaf, on_device
from minigrad.ops.forms import forms

__all__ = ["arange", "eye", "linspace", "logspace", "range", "tril_indices", "triu_indices"]


@forms(method=False, out="exact")
def arange(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """start, start + step, ... up to `end`, which is left out; `arange(end)` starts at 0. int64 if all are ints."""
    if end is None:
        start, end = 0, start
    start, end, step = (x.item() if isinstance(x, (Variable, np.generic)) else x for x in (start, end, step))  # type: ignore[union-attr]
    if not (step > 0 or step < 0):
        raise RuntimeError(f"step must be nonzero\ngot arange({start}, {end}, {step})")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: arange({start}, {end}, {step})")
    if dtype is None:
        dtype = backend.int64 if all(isinstance(x, int) for x in (start, end, step)) else backend.get_default_dtype()
    count = math.ceil((end - start) / step)
    kind = backend.numpy_dtype(dtype)

    def make(module: Any) -> Any:
        # In double precision, then rounded once, as torch computes it: NumPy's own float32 arange accumulates.
        wide = module.float64 if kind.kind == "f" else module.int64
        return (module.arange(count, dtype=wide) * step + start).astype(kind)

    return leaf(on_device(device, make), requires_grad)


@forms(method=False, out="exact")
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """`steps` values from `start` to `end`, both included, evenly spaced."""
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    start, end = (x.item() if isinstance(x, Variable) else x for x in (start, end))  # type: ignore[attr-defined]
    kind, steps = dtype_or_default(dtype), int(steps)
    return leaf(on_device(device, lambda module: _linspace(module, start, end, steps, kind)), requires_grad)


def _linspace(module: Any, start: float, end: float, steps: int, kind: Any) -> Any:
    """From both ends towards the middle, each product and sum rounded once, as torch's fused instruction does it."""
    if kind.kind != "f":
        return module.linspace(start, end, steps).astype(kind)
    if steps == 1:
        return module.full(1, start, dtype=kind)
    first, last, index = kind.type(start), kind.type(end), module.arange(steps, dtype=kind)
    if kind.name == "float16":
        step, wide = kind.type((end - start) / (steps - 1)), kind
    else:  # twice the digits of float32 hold its products; CuPy has none for float64
        step = (last - first) / kind.type(steps - 1)
        wide = np.dtype(np.longdouble if kind.name == "float64" and module is np else np.float64)
    step, places = wide.type(step), index.astype(wide)
    forwards, backwards = wide.type(first) + step * places, wide.type(last) - step * (steps - 1 - places)
    return module.where(index < steps // 2, forwards, backwards).astype(kind)


@forms(method=False, out="exact")
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, layout: Any = strided,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """`base` to the powers that `linspace` gives."""
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative\ngot {steps}")
    start, end = (x.item() if isinstance(x, Variable) else x for x in (start, end))  # type: ignore[attr-defined]
    kind = dtype_or_default(dtype)
    wide = kind if kind.kind == "f" else np.dtype(np.float64)

    def make(module: Any) -> Any:
        return module.power(wide.type(base), _linspace(module, start, end, int(steps), wide)).astype(kind)

    return leaf(on_device(device, make), requires_grad)


@forms(method=False)
def range(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """start, start + step, ... up to `end`, which is among them. torch deprecates it for `arange`."""
    warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end)."
    )
    if end is None:
        raise TypeError('range() missing 1 required positional arguments: "end"')
    if not (step > 0 or step < 0):
        raise RuntimeError(f"step must be nonzero\ngot range({start}, {end}, {step})")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: range({start}, {end}, {step})")
    last = start + math.floor((end - start) / step) * step
    kind = backend.get_default_dtype() if dtype is None else dtype
    return arange(start, last + step / 2, step, dtype=kind, device=device, requires_grad=requires_grad)


@forms(method=False, out="exact")
def eye(
    n: int, m: int | None = None, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The identity matrix, n x m."""
    for name, size in (("n", n), ("m", m)):
        if size is not None and size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    return leaf(on_device(device, lambda module: module.eye(n, m, dtype=dtype_or_default(dtype))), requires_grad)


# -- triangles ---------------------------------------------------------------------------------------------------------


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = backend.int64, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The places on and below a diagonal of a (row, col) matrix, row by row: their rows, and their columns."""
    return _places("tril", row, col, dtype, device, requires_grad, lambda i, j: j <= i + offset)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = backend.int64, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The places on and above a diagonal of a (row, col) matrix, row by row: their rows, and their columns."""
    return _places("triu", row, col, dtype, device, requires_grad, lambda i, j: j >= i + offset)


def _places(triangle: str, row: int, col: int, dtype: Any, device: Any, requires_grad: bool, inside: Any) -> Any:
    for name, n in (("row", row), ("col", col)):
        if n < 0:
            raise RuntimeError(f"{name} must be non-negative, got{n}")
    kind = backend.numpy_dtype(backend.int64 if dtype is None else dtype)
    if kind.kind not in "iu":
        not_implemented(f"{triangle}_indices", np.empty(0, kind))

    def make(module: Any) -> Any:
        places = inside(module.arange(row)[:, None], module.arange(col)[None, :])
        return module.stack(module.nonzero(places)).astype(kind)

    return leaf(on_device(device, make), requires_grad)
