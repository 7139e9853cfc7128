"""Fourier transforms between real tensors."""

from __future__ import annotations

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw

NORMS = (None, "backward", "ortho", "forward")


def halved(d: Draw) -> Sample:
    """irfft(x, n, dim, norm), the spectrum cut, filled up, or as it is."""
    shape = d.shape(min_dims=1, max_dims=3, min_side=2)
    return Sample(d.floats(shape), d.one_of(None, 1, 4, 5), d.dim(len(shape)), d.one_of(*NORMS))


def several(d: Draw) -> Sample:
    """irfftn(x, s, dim, norm)."""
    shape = d.shape(min_dims=1, max_dims=3, min_side=2)
    dims = d.one_of(None, d.dims(len(shape)))
    count = len(shape) if dims is None else len(dims)
    sizes = d.one_of(None, tuple(d.one_of(2, 3, 5, -1) for _ in range(count)))
    return Sample(d.floats(shape), sizes, dims, d.one_of(*NORMS))


def of_matrices(d: Draw) -> Sample:
    shape = d.shape(min_dims=2, max_dims=3, min_side=2)
    return Sample(d.floats(shape), d.one_of(None, (3, 4), (2, -1)), norm=d.one_of(*NORMS))


def half_rolled(d: Draw) -> Sample:
    shape = d.shape(min_dims=1)
    return Sample(d.floats(shape), d.one_of(None, d.dim(len(shape)), d.dims(len(shape))))


CASES = [
    Case("fft.irfft", halved, tolerance=SUMS),
    Case("fft.hfft", halved, tolerance=SUMS),
    Case("fft.irfft2", of_matrices, tolerance=SUMS),
    Case("fft.hfft2", of_matrices, tolerance=SUMS),
    Case("fft.irfftn", several, tolerance=SUMS),
    Case("fft.hfftn", several, tolerance=SUMS),
    Case("fft.fftshift", half_rolled),
    Case("fft.ifftshift", half_rolled),
]
