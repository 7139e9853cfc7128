"""Random numbers whose parameters are tensors, by rejection: Poisson, binomial, gamma and Dirichlet; and the incomplete
gamma functions, by which a gamma sample's rank is known.

Counts do not follow their parameters: their gradient is 0. A gamma or Dirichlet sample does, keeping its rank (Figurnov
et al. 2018).
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import wrap
from minigrad.kernels import incomplete_gamma, rejection
from minigrad.ops.checks import not_implemented
from minigrad.ops.elementwise import exp, log
from minigrad.ops.expand import broadcast_shape
from minigrad.ops.forms import forms
from minigrad.ops.rounding import no_slope
from minigrad.ops.special import lgamma
from minigrad.random import generator_for

__all__ = ["binomial", "igamma", "igammac", "poisson"]


# -- counts ------------------------------------------------------------------------------------------------------------


@Op(node="PoissonBackward0")
def _drawn(parameter, values: Any):
    """Counts that were drawn with a parameter."""
    return values


_drawn.derivative(parameter=lambda g: no_slope(g))


@forms(method=False, out=False)
def poisson(input: Any, generator: Any = None) -> Any:
    """Poisson numbers of mean `input`, in its dtype. Error: RuntimeError for a negative mean."""
    if input.array.dtype.kind != "f":
        not_implemented("poisson_cpu", input.array)
    return _drawn(input, rejection.poisson(generator_for(input.array, generator), input.array))


@forms(method=False, out=False)
def binomial(count: Any, prob: Any, generator: Any = None) -> Any:
    """How many of `count` trials succeed with probability `prob`; both floating, of one dtype, broadcast together."""
    for name, given in (("count", count), ("prob", prob)):
        if given.array.dtype.kind != "f":
            kind = backend.dtype_of(given.array).type_name
            raise ValueError(f"binomial only supports floating-point dtypes for {name}, got: {kind}")
    if count.array.dtype != prob.array.dtype:
        names = (backend.dtype_of(t.array).type_name for t in (prob, count))
        raise RuntimeError("Found dtype {} but expected {}".format(*names))
    shape = broadcast_shape(count.array.shape, prob.array.shape)
    engine = generator_for(count.array, generator)
    return wrap(rejection.binomial(engine, count.expand(shape).array, prob.expand(shape).array))


# -- gamma and Dirichlet -----------------------------------------------------------------------------------------------


@Op(node="StandardGammaBackward0")
def _standard_gamma(alpha, drawn: Any):
    return drawn


def standard_gamma(alpha: Any, generator: Any = None) -> Any:
    """Gamma numbers of shape `alpha` and rate 1."""
    return _standard_gamma(alpha, rejection.standard_gamma(generator_for(alpha.array, generator), alpha.array))


@Op
def _gamma_slope(alpha, drawn, *, xp):
    return incomplete_gamma.gamma_slope(_float64(alpha, xp), _float64(drawn, xp), xp).astype(alpha.dtype)


_standard_gamma.derivative(alpha=lambda g, alpha, out: g * _gamma_slope(alpha, out))


@Op(node="_DirichletBackward")
def _dirichlet(alpha, drawn: Any):
    return drawn


def sample_dirichlet(alpha: Any, generator: Any = None) -> Any:
    """Points of the simplex, of Dirichlet's distribution with parameters `alpha` along the last dimension."""
    return _dirichlet(alpha, rejection.dirichlet(generator_for(alpha.array, generator), alpha.array))


@Op
def _beta_slope(alpha, total, drawn, *, xp):
    a, x = _float64(alpha, xp), _float64(drawn, xp)
    whole = xp.broadcast_to(_float64(total, xp), a.shape)
    return incomplete_gamma.beta_slope(a, whole - a, x, xp).astype(alpha.dtype)


def _dirichlet_rule(g, alpha, out):
    """Each x_i is of Beta(a_i, total - a_i); what it grows by is taken from the others in proportion."""
    slope = _beta_slope(alpha, alpha.sum(-1, keepdims=True), out) / (1 - out)
    return slope * (g - (out * g).sum(-1, keepdims=True))


_dirichlet.derivative(alpha=_dirichlet_rule)


# -- the incomplete gamma functions ------------------------------------------------------------------------------------


def _float64(array: Any, xp: Any) -> Any:
    return xp.array(array, dtype=xp.float64)


def _regularized(input: Any, other: Any, xp: Any, which: int) -> Any:
    if input.dtype.kind != "f":
        not_implemented("igammac_cpu" if which else "igamma_cpu", input)
    a, x = xp.broadcast_arrays(input, other)
    both = incomplete_gamma.regularized(_float64(a, xp).reshape(-1), _float64(x, xp).reshape(-1), xp)
    return both[which].astype(input.dtype).reshape(a.shape)


@forms(in_place=True)
@Op(promote="common")
def igamma(input, other, *, xp):
    """The lower incomplete gamma function P(input, other), from 0 to 1; differentiable by `other`."""
    return _regularized(input, other, xp, 0)


@forms(in_place=True)
@Op(promote="common")
def igammac(input, other, *, xp):
    """The upper one, 1 - P(input, other)."""
    return _regularized(input, other, xp, 1)


def _refuse(name: str) -> Any:
    def rule(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}: input' is not implemented.")

    return rule


def _density(g, input, other):
    return g * exp((input - 1) * log(other) - other - lgamma(input))


igamma.derivative(input=_refuse("igamma"), other=_density)
igammac.derivative(input=_refuse("igammac"), other=lambda g, input, other: -_density(g, input, other))
