"""Windows for spectra, w[0] ... w[n-1], by x = k / (n - 1) of their length; a periodic one is the first n of n + 1.

hann      1/2 - 1/2 cos(2 pi x)            hamming   alpha - beta cos(2 pi x)
bartlett  1 - |2x - 1|                     blackman  0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x)
kaiser    i0(beta sqrt(1 - (2x - 1)**2)) / i0(beta)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.formats import strided
from minigrad.ops import create
from minigrad.ops.forms import forms
from minigrad.ops.ranges import arange
from minigrad.ops.special import i0

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]


def _window(
    name: str, shape: Callable[[Any, int], Any], length: int, periodic: bool, dtype: Any, device: Any, grad: bool
) -> Any:
    """`shape(k, n - 1)` of k = 0 ... n-1; a window of one number is 1."""
    kind = backend.numpy_dtype(dtype or backend.get_default_dtype())
    if kind.kind != "f":
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if length <= 1:
        return create.ones(length, dtype=dtype, device=device, requires_grad=grad)
    k = arange(length + bool(periodic), dtype=dtype or backend.get_default_dtype(), device=device)
    values = shape(k, k.array.size - 1).array[:length]
    return create.leaf(values.astype(kind, copy=False), grad)


@forms(method=False, out=False)
def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Half a period of cosine, raised to begin at 0."""
    return _raised_cosine("hann_window", 0.5, 0.5, window_length, periodic, dtype, device, requires_grad)


@forms(method=False, out=False)
def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None,
    layout: Any = strided, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The same, beginning at alpha - beta."""
    return _raised_cosine("hamming_window", alpha, beta, window_length, periodic, dtype, device, requires_grad)


def _raised_cosine(name: str, alpha: float, beta: float, *rest: Any) -> Any:
    return _window(name, lambda k, last: (k * (2 * math.pi / last)).cos() * -beta + alpha, *rest)


@forms(method=False, out=False)
def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """A triangle."""

    def shape(k: Any, last: int) -> Any:
        x = (k * (2 / last)).array
        return wrap(backend.module_of(x).minimum(x, 2 - x))

    return _window("bartlett_window", shape, window_length, periodic, dtype, device, requires_grad)


@forms(method=False, out=False)
def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """A sum of two cosines."""

    def shape(k: Any, last: int) -> Any:
        x = k * (math.pi / last)
        return (x * 4).cos() * 0.08 - (x * 2).cos() * 0.5 + 0.42

    return _window("blackman_window", shape, window_length, periodic, dtype, device, requires_grad)


@forms(method=False, out=False)
def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, layout: Any = strided,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """A Bessel function, the narrower the larger `beta`."""

    def shape(k: Any, last: int) -> Any:
        x = k.double() * (2 / last) - 1
        whole = i0(create.tensor(float(beta), dtype=backend.float64))
        return i0((1 - x * x).clamp(min=0).sqrt() * beta) / whole

    return _window("kaiser_window", shape, window_length, periodic, dtype, device, requires_grad)
