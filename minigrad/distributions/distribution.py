"""Distribution: the base class. A subclass keeps its parameters as attributes and writes what it can of the methods."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from minigrad import ops
from minigrad.autograd.mode import no_grad
from minigrad.distributions import constraints
from minigrad.distributions.utils import (
    all_numbers,
    broadcast_all,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)
from minigrad.size import Size
from minigrad.tensor import Tensor

__all__ = ["Distribution"]


class Distribution:
    """Independent distributions of one kind, an array of them of shape `batch_shape`; a sample of each is an event.

    Parameters and samples are checked against `arg_constraints` and `support` unless `validate_args` is False.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    arg_constraints: Any = None  # a constraint for each parameter, by name
    support: Any = None  # a constraint for samples
    _validate_args: bool = __debug__

    def __init__(
        self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check their arguments."""
        if value not in (True, False):
            raise ValueError("validate_args is True or False")
        Distribution._validate_args = value

    batch_shape = property(lambda self: self._batch_shape, doc="The shape of the array of distributions.")
    event_shape = property(lambda self: self._event_shape, doc="The shape of one sample of one distribution.")

    # -- what a subclass writes ------------------------------------------------------------------------------------

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        """The value of the greatest density or probability."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Any:
        """The expected square of the distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        """Numbers drawn, of shape sample_shape + batch_shape + event_shape, without gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        """The same, as a differentiable function of the parameters."""
        raise NotImplementedError

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density or probability of `value`."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """The probability of at most `value`."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The number below which lies the probability `value`."""
        raise NotImplementedError

    def entropy(self) -> Any:
        """The expected -log_prob."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution, along a new first dimension."""
        raise NotImplementedError

    # -- what all have ---------------------------------------------------------------------------------------------

    def perplexity(self) -> Any:
        """exp of the entropy."""
        return ops.exp(self.entropy())

    def sample_n(self, n: int) -> Any:
        """`sample((n,))`. Deprecated."""
        warnings.warn("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2)
        return self.sample((n,))

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The distribution with its parameters expanded so that `batch_shape` is this."""
        new = object.__new__(type(self)) if _instance is None else _instance
        batch, own = Size(batch_shape), len(self._batch_shape)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                value = value.expand(batch + value.shape[own:])
            elif isinstance(value, Distribution):
                value = value.expand(batch + value.batch_shape[own:])
            setattr(new, name, value)
        new._batch_shape = batch
        return new

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        return Size(tuple(sample_shape) + self._batch_shape + self._event_shape)

    def _enumerated(self, values: Any, expand: bool) -> Any:
        """Values (n, *event_shape) as the answer of `enumerate_support`."""
        values = values.view(values.shape[:1] + (1,) * len(self._batch_shape) + values.shape[1:])
        return values.expand(values.shape[:1] + self._batch_shape + self._event_shape) if expand else values

    def _check_parameters(self) -> None:
        if self.arg_constraints is None:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize "
                f"the distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        for name, constraint in self.arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in vars(self) and isinstance(getattr(type(self), name), lazy_property):
                continue  # computed from one that is checked
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def _validate_sample(self, value: Any) -> None:
        """ValueError unless `value` has a shape that samples may have, and lies in the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, expected = value.shape, self._batch_shape + self._event_shape
        if shape[len(shape) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(f"The right-most size of value must match event_shape: {shape} vs {self._event_shape}.")
        if any(i != j and 1 not in (i, j) for i, j in zip(reversed(shape), reversed(expected))):
            raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {expected}.")
        if self.support is None:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please initialize the "
                f"distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
        elif not self.support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to be within the support "
                f"({self.support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        own = ((name, vars(self)[name]) for name in self.arg_constraints or () if name in vars(self))
        shown = ", ".join(f"{name}: {value if value.numel() == 1 else value.size()}" for name, value in own)
        return f"{type(self).__name__}({shown})"


class Scalar(Distribution):
    """A distribution of numbers, with parameters broadcast to one shape."""

    def _set(self, validate_args: bool | None, **parameters: Any) -> None:
        """Keep the parameters as attributes; with numbers alone it is a single distribution."""
        tensors = broadcast_all(*parameters.values())
        vars(self).update(zip(parameters, tensors))
        Distribution.__init__(
            self, () if all_numbers(*parameters.values()) else tensors[0].shape, validate_args=validate_args
        )


class LocScale(Scalar):
    """A distribution of real numbers, shifted by `loc` and stretched by `scale`."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    loc: Any
    scale: Any

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self._set(validate_args, loc=loc, scale=scale)


class WithLogits(Distribution):
    """A distribution given by either `probs` or `logits`; the other is computed when asked for."""

    _binary = True  # log odds of one probability, or logarithms of several

    def _one_of(self, probs: Any, logits: Any) -> str:
        """Which is given. Error: ValueError if both are, or none."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        self._given = "logits" if probs is None else "probs"
        return self._given

    @lazy_property
    def logits(self) -> Any:
        """Log odds, or logarithms of the probabilities."""
        return probs_to_logits(self.probs, is_binary=self._binary)

    @lazy_property
    def probs(self) -> Any:
        """Probabilities."""
        return logits_to_probs(self.logits, is_binary=self._binary)

    _param = property(lambda self: vars(self)[self._given])
