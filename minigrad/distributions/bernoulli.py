"""Bernoulli: 1 or 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad import ops
from minigrad.autograd.mode import no_grad
from minigrad.distributions import constraints
from minigrad.distributions.distribution import Scalar, WithLogits
from minigrad.distributions.utils import broadcast_all
from minigrad.nn import functional as F

__all__ = ["Bernoulli"]


class Bernoulli(WithLogits, Scalar):
    """1 with probability `probs` = sigmoid(`logits`), else 0."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        name = self._one_of(probs, logits)
        self._set(validate_args, **{name: logits if probs is None else probs})

    param_shape = property(lambda self: self._param.size(), doc="The shape of the parameter that is given.")
    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))

    @property
    def mode(self) -> Any:
        """nan where both are as probable."""
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        mode[self.probs == 0.5] = math.nan
        return mode

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            return ops.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Any:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Any:
        return self._enumerated(ops.arange(2, dtype=self._param.dtype, device=self._param.device), expand)
