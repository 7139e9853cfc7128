"""Normal, and what is made of it by the exponential function and the absolute value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad import ops
from minigrad.autograd.mode import no_grad
from minigrad.distributions.distribution import LocScale

__all__ = ["Normal"]


def standard_normal(shape: Sequence[int], like: Any) -> Any:
    """Standard normal numbers of the dtype and device of `like`."""
    return ops.empty(shape, dtype=like.dtype, device=like.device).normal_()


class Normal(LocScale):
    """Density exp(-((x - loc) / scale)**2 / 2) / (scale sqrt(2 pi))."""

    mean = mode = property(lambda self: self.loc)
    stddev = property(lambda self: self.scale)
    variance = property(lambda self: self.stddev.pow(2))

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return ops.normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        return self.loc + standard_normal(self._extended_shape(sample_shape), self.loc) * self.scale

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        distance = (value - self.loc) ** 2
        return -distance / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return 0.5 * (1 + ops.erf((value - self.loc) * self.scale.reciprocal() / math.sqrt(2)))

    def icdf(self, value: Any) -> Any:
        return self.loc + self.scale * ops.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Any:
        return 0.5 + 0.5 * math.log(2 * math.pi) + ops.log(self.scale)
