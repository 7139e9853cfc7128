"""MixtureSameFamily: one of K distributions of one kind, chosen by a Categorical."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import ops
from minigrad.autograd.mode import no_grad
from minigrad.distributions import constraints
from minigrad.distributions.categorical import Categorical
from minigrad.distributions.distribution import Distribution

__all__ = ["MixtureSameFamily"]


class _Mixture(constraints.Constraint):
    """The support of the components, for values that lack the dimension of these."""

    def __init__(self, base: constraints.Constraint) -> None:
        self.base, self.is_discrete, self.event_dim = base, base.is_discrete, base.event_dim

    def check(self, value: Any) -> Any:
        valid = self.base.check(value.unsqueeze(-1 - self.event_dim))
        return valid.reshape(valid.shape[: value.dim() - self.event_dim] + (-1,)).all(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base!r})"


class MixtureSameFamily(Distribution):
    """The last dimension of the components' batch counts them; `mixture_distribution` has their probabilities."""

    arg_constraints: Any = {}

    def __init__(
        self, mixture_distribution: Categorical, component_distribution: Distribution, validate_args: bool | None = None
    ) -> None:
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an instance of torch.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution need to be an instance of torch.distributions.Distribution")
        batch = component_distribution.batch_shape
        for own, given in zip(reversed(mixture_distribution.batch_shape), reversed(batch[:-1])):
            if own != 1 and given != 1 and own != given:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixture_distribution.batch_shape}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch[:-1]})"
                )
        count = mixture_distribution.logits.shape[-1]
        if batch[-1] != count:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal `component_distribution.batch_shape[-1]` "
                f"({batch[-1]})"
            )
        self._dims = len(component_distribution.event_shape)
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    mixture_distribution = property(lambda self: self._mixture_distribution)
    component_distribution = property(lambda self: self._component_distribution)

    @constraints.dependent_property
    def support(self) -> Any:
        return _Mixture(self.component_distribution.support)

    def _weights(self) -> Any:
        probs = self.mixture_distribution.probs
        return probs.reshape(probs.shape + (1,) * self._dims)

    @property
    def mean(self) -> Any:
        return (self._weights() * self.component_distribution.mean).sum(-1 - self._dims)

    @property
    def variance(self) -> Any:
        """The mean of the variances, and the variance of the means."""
        means, dim = self.component_distribution.mean, -1 - self._dims
        within = (self._weights() * self.component_distribution.variance).sum(dim)
        return within + (self._weights() * (means - self.mean.unsqueeze(dim)).pow(2.0)).sum(dim)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            chosen = self.mixture_distribution.sample(sample_shape)
            all_of_them = self.component_distribution.sample(sample_shape)
            index = chosen.reshape(chosen.shape + (1,) * (self._dims + 1)).expand(
                chosen.shape + (1,) + self._event_shape
            )
            dim = len(sample_shape) + len(self._batch_shape)
            return ops.gather(all_of_them, dim, index).squeeze(dim)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        each = self.component_distribution.log_prob(value.unsqueeze(-1 - self._dims))
        return ops.logsumexp(each + ops.log_softmax(self.mixture_distribution.logits, dim=-1), dim=-1)

    def cdf(self, value: Any) -> Any:
        each = self.component_distribution.cdf(value.unsqueeze(-1 - self._dims))
        return (each * self.mixture_distribution.probs).sum(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
