"""What quantiles, differences, special functions, masks and transforms refuse: torch's exception, in torch's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad

BAD: dict[str, Callable[[Any], Any]] = {
    "largest of numbers": lambda T: T.max(2, 3),
    "dim of cummax": lambda T: T.cummax(T.ones(2), 1),
    "logcumsumexp of integers": lambda T: T.logcumsumexp(T.tensor([1]), 0),
    "aminmax of nothing": lambda T: T.aminmax(T.ones(0)),
    "fraction": lambda T: T.quantile(T.ones(2), 1.5),
    "fractions": lambda T: T.quantile(T.ones(2), T.tensor([1.5])),
    "fractions in a matrix": lambda T: T.quantile(T.ones(2), T.ones(1, 1)),
    "dtype of fractions": lambda T: T.quantile(T.ones(2), T.ones(1, dtype=T.float64)),
    "quantile of nothing": lambda T: T.quantile(T.ones(0), 0.5),
    "quantile of integers": lambda T: T.quantile(T.tensor([1]), 0.5),
    "interpolation": lambda T: T.quantile(T.ones(2), 0.5, interpolation="cubic"),
    "median of nothing": lambda T: T.nanmedian(T.ones(2, 0), 1),
    "mode of nothing": lambda T: T.mode(T.ones(0)),
    "difference of a number": lambda T: T.diff(T.tensor(1.0)),
    "negative order of differences": lambda T: T.diff(T.ones(2), -1),
    "dims of what is prepended": lambda T: T.diff(T.ones(2), prepend=T.tensor(1.0)),
    "shape of what is appended": lambda T: T.diff(T.ones(2, 2), append=T.ones(1, 2)),
    "integral of truth values": lambda T: T.trapezoid(T.ones(2) > 0),
    "integral over truth values": lambda T: T.trapezoid(T.ones(2), T.ones(2) > 0),
    "too few positions": lambda T: T.cumulative_trapezoid(T.ones(3), T.ones(2)),
    "integral of a number": lambda T: T.trapezoid(T.tensor(1.0)),
    "edge_order": lambda T: T.gradient(T.ones(4), edge_order=3),
    "too few samples": lambda T: T.gradient(T.ones(2), edge_order=2),
    "too many spacings": lambda T: T.gradient(T.ones(4), spacing=(1, 2)),
    "spacings and dims": lambda T: T.gradient(T.ones(4, 4), spacing=(1.0,), dim=(0, 1)),
    "slopes of bytes": lambda T: T.gradient(T.ones(4, dtype=T.uint8)),
    "matrix of a nuclear norm": lambda T: T.norm(T.ones(2, 2, 2), "nuc", dim=(0, 1, 2)),
    "vector of a nuclear norm": lambda T: T.norm(T.ones(2), "nuc"),
    "renorm of a vector": lambda T: T.renorm(T.ones(2), 2, 0, 1),
    "p of renorm": lambda T: T.renorm(T.ones(2, 2), 0, 0, 1),
    "maxnorm": lambda T: T.renorm(T.ones(2, 2), 2, 0, -1),
    "sign of a number": lambda T: T.copysign(2, T.ones(2)),
    "parts of integers": lambda T: T.frexp(T.tensor([1])),
    "exponent as a number": lambda T: T.ldexp(T.ones(2), 2),
    "neighbour of integers": lambda T: T.nextafter(T.tensor([1]), T.tensor([2])),
    "neighbour towards a number": lambda T: T.nextafter(T.ones(2), 2),
    "logaddexp2 of integers": lambda T: T.logaddexp2(T.tensor([1]), T.tensor([1])),
    "float_power of numbers": lambda T: T.float_power(2, 3),
    "float_power in float32": lambda T: T.ones(2).float_power_(2),
    "negative order of polygamma": lambda T: T.polygamma(-1, T.ones(2)),
    "order of polygamma": lambda T: T.polygamma(1.5, T.ones(2)),
    "p of mvlgamma": lambda T: T.mvlgamma(T.ones(2), 0),
    "mvlgamma of truth values": lambda T: T.mvlgamma(T.ones(2) > 0, 1),
    "xlog1py of numbers": lambda T: T.special.xlog1py(2, 3),
    "erfcx of halves": lambda T: T.special.erfcx(T.ones(2, dtype=T.float16)),
    "dims of a mask": lambda T: T.masked.sum(T.ones(2), mask=T.ones(1, 2) > 0),
    "shape of a mask": lambda T: T.masked.sum(T.ones(2), mask=T.ones(3) > 0),
    "masked mean of integers": lambda T: T.masked.mean(T.tensor([1])),
    "masked median of no integers": lambda T: T.masked.median(T.tensor([1]), 0, mask=T.zeros(1) > 0),
    "masked largest truth value": lambda T: T.masked.amax(T.ones(2) > 0, mask=T.ones(2) > 0),
    "signal of a number": lambda T: T.fft.irfft(T.tensor(1.0)),
    "samples of a signal": lambda T: T.fft.irfft(T.ones(2), 0),
    "signal of one coefficient": lambda T: T.fft.irfft(T.ones(1)),
    "normalisation of a signal": lambda T: T.fft.hfft(T.ones(2), norm="most"),
    "dims of a signal": lambda T: T.fft.irfftn(T.ones(2, 2), dim=(0, 0)),
    "sizes of a signal": lambda T: T.fft.irfftn(T.ones(2), s=(2, 2)),
    "sizes and dims of a signal": lambda T: T.fft.irfft2(T.ones(2, 2), s=(2,)),
    "no dims of a signal": lambda T: T.fft.hfftn(T.ones(2), dim=()),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_torchs_exception_in_torchs_words(call: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as theirs:
        call(torch)
    with pytest.raises(theirs.type) as ours:
        call(minigrad)
    words = str(theirs.value).split(" - got")[0].split("\n")[0]
    assert str(ours.value).startswith(words)


def test_methods_that_take_the_order_first() -> None:
    for T in (torch, minigrad):
        x = T.tensor([1.0, 2.5], requires_grad=True)
        out = x.polygamma(1)
        out.sum().backward()
        results = [out.detach().numpy(), x.grad.numpy(), T.tensor([1.0, 2.5]).polygamma_(2).numpy()]
        if T is torch:
            expected = results
    np.testing.assert_allclose(results, expected, rtol=1e-6)
