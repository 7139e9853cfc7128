"""Fourier transforms of which both sides are real: sums of cosines. There are no complex tensors here.

What torch.fft makes real of half a spectrum is, for a real one, linear in it,

    y[l, j] = scale * sum of w[k] x[p, k] cos(2 pi (p l / P + j k / n)) over p and k

with w[k] = 1 for k = 0 and k = n / 2, else 2. `cosines` and `cosine_coefficients` are each other's adjoint. A cosine
does not see the sign of its angle, in which hfft differs from irfft: here they differ by their scales alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.autograd.op import Op
from minigrad.ops.arrange import roll
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms
from minigrad.ops.pad import pad
from minigrad.ops.parts import narrow

__all__: list[str] = []

Dims = int | Sequence[int] | None


@Op(promote="float", node="FftC2RBackward0")
def cosines(input, sizes: tuple, dims: tuple, scale: float, *, xp):
    """The signal of `sizes` over `dims` whose spectrum is `input`, of which the last dim holds n // 2 + 1 entries."""
    return _like(xp.fft.irfftn(input, sizes, dims, "forward"), input) * scale


@Op(node="FftR2CBackward0")
def cosine_coefficients(input, sizes: tuple, dims: tuple, scale: float, *, xp):
    """What `cosines` takes from each element of the spectrum, summed with the elements of `input` as weights."""
    out = _like(xp.fft.rfftn(input, sizes, dims, "backward").real, input) * scale
    inner = [slice(None)] * out.ndim
    inner[dims[-1]] = slice(1, (sizes[-1] + 1) // 2)
    out[tuple(inner)] *= 2
    return out


def _like(array: Any, input: Any) -> Any:
    """An array in the dtype of `input`."""
    return array.astype(input.dtype, copy=False)


cosines.derivative(input=lambda g, sizes, dims, scale: cosine_coefficients(g, sizes, dims, scale))
cosine_coefficients.derivative(input=lambda g, sizes, dims, scale: cosines(g, sizes, dims, scale))


# -- transforms --------------------------------------------------------------------------------------------------------


def _transformed(input: Any, sizes: Sequence[int | None], dims: Sequence[int], norm: str | None, inverse: bool) -> Any:
    """`cosines` of the input, cut or filled up with zeros to what `sizes` of signal need; None and -1 keep a size."""
    if input.array.dtype == "float16":
        raise RuntimeError("Unsupported dtype Half\nconvert the tensor with .float()")
    if norm not in (None, "backward", "ortho", "forward"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    *outer, last = [input.shape[d] if n in (None, -1) else n for n, d in zip(sizes, dims, strict=True)]
    if sizes[-1] in (None, -1):
        last = 2 * (last - 1)
    full = (*outer, last)
    for n in full:
        if n < 1:
            raise RuntimeError(f"Invalid number of data points ({n}) specified")
    for d, n in zip(dims, (*outer, last // 2 + 1), strict=True):
        input = _resized(input, d, n)
    unscaled = "forward" if inverse else "backward"
    count = math.prod(full)
    scale = 1.0 if (norm or "backward") == unscaled else 1 / math.sqrt(count) if norm == "ortho" else 1 / count
    return cosines(input, full, tuple(dims), scale)


def _resized(input: Any, dim: int, n: int) -> Any:
    """The first `n` elements along `dim`, with zeros after them where there are fewer."""
    have = input.shape[dim]
    if have > n:
        return narrow(input, dim, 0, n)
    return input if have == n else pad(input, (*(0, 0) * (input.ndim - 1 - dim), 0, n - have))


def _axis(input: Any, dim: int) -> int:
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return normalize_dim(dim, input.ndim)


def _one(input: Any, n: int | None, dim: int, norm: str | None, inverse: bool) -> Any:
    dim = _axis(input, dim)
    if n is not None and n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return _transformed(input, (n,), (dim,), norm, inverse)


def _several(name: str, input: Any, s: Dims, dim: Dims, norm: str | None, inverse: bool) -> Any:
    sizes = None if s is None else [s] if isinstance(s, int) else [*s]
    given = None if dim is None else [dim] if isinstance(dim, int) else [*dim]
    if given is None:
        count = input.ndim if sizes is None else len(sizes)
        if count > input.ndim:
            raise RuntimeError(f"Got shape with {count} values but input tensor only has {input.ndim} dimensions.")
        given = list(range(input.ndim - count, input.ndim))
    dims = [_axis(input, d) for d in given]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"FFT dims must be unique\nthey are {given}")
    if sizes is not None and len(sizes) != len(dims):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    return _transformed(input, sizes or [None] * len(dims), dims, norm, inverse)


@forms(method=False)
def fft_irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The signal of `n` (by default an even number of) samples along `dim` with half of a real spectrum given."""
    return _one(input, n, dim, norm, True)


@forms(method=False)
def fft_hfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The spectrum of a signal that is symmetric about 0, of which half is given: `irfft` with the scale of `fft`."""
    return _one(input, n, dim, norm, False)


@forms(method=False)
def fft_irfft2(input: Any, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Any:
    """`irfftn` over two dims."""
    return _several("irfftn", input, s, dim, norm, True)


@forms(method=False)
def fft_hfft2(input: Any, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Any:
    """`hfftn` over two dims."""
    return _several("hfftn", input, s, dim, norm, False)


@forms(method=False)
def fft_irfftn(input: Any, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Any:
    """The signal of sizes `s` over several dims (the last ones, all by default); the last of them is halved."""
    return _several("irfftn", input, s, dim, norm, True)


@forms(method=False)
def fft_hfftn(input: Any, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Any:
    """`irfftn` with the scale of `fftn`."""
    return _several("hfftn", input, s, dim, norm, False)


# -- zero in the middle ------------------------------------------------------------------------------------------------


@forms(method=False, out=False)
def fft_fftshift(input: Any, dim: Dims = None) -> Any:
    """Rolled along `dim` (all by default) by half a length: frequency 0 goes from the front to the middle, n // 2."""
    dims = _all_or_some(input, dim)
    return roll(input, [input.size(d) // 2 for d in dims], dims)


@forms(method=False, out=False)
def fft_ifftshift(input: Any, dim: Dims = None) -> Any:
    """The inverse of `fftshift`: frequency 0 goes back to the front."""
    dims = _all_or_some(input, dim)
    return roll(input, [(input.size(d) + 1) // 2 for d in dims], dims)


def _all_or_some(input: Any, dim: Dims) -> list[int]:
    return list(range(input.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
