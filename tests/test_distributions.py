"""torch.distributions, each short program run on torch and on minigrad: seeded samples, densities and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lockstep import Raised, attempt, same

Make = Callable[[Any, Any], Any]  # T, and a function that makes a leaf of a list -> a distribution


# A distribution with parameters to differentiate by, and values of its support.
TABLE: dict[str, tuple[Make, list[Any]]] = {
    "Normal": (lambda D, p: D.Normal(p([0.5, -1.0]), p([1.0, 2.5])), [0.3, -4.0]),
    "LogNormal": (lambda D, p: D.LogNormal(p([0.5, -1.0]), p([1.0, 0.5])), [0.3, 4.0]),
    "HalfNormal": (lambda D, p: D.HalfNormal(p([1.0, 0.5])), [0.3, 4.0]),
    "Cauchy": (lambda D, p: D.Cauchy(p([0.5, -1.0]), p([1.0, 2.5])), [0.3, -4.0]),
    "Laplace": (lambda D, p: D.Laplace(p([0.5, -1.0]), p([1.0, 2.5])), [0.3, -4.0]),
    "Uniform": (lambda D, p: D.Uniform(p([0.5, -1.0]), p([1.0, 2.5])), [0.6, 0.0]),
    "Exponential": (lambda D, p: D.Exponential(p([0.5, 2.0])), [0.6, 1.0]),
    "Gamma": (lambda D, p: D.Gamma(p([0.5, 12.0]), p([1.0, 3.0])), [0.6, 4.5]),
    "Chi2": (lambda D, p: D.Chi2(p([3.0, 7.0])), [0.6, 4.5]),
    "Beta": (lambda D, p: D.Beta(p([0.5, 3.0]), p([1.5, 2.0])), [0.6, 0.2]),
    "Dirichlet": (lambda D, p: D.Dirichlet(p([[0.5, 3.0, 1.5], [2.0, 2.0, 5.0]])), [0.2, 0.3, 0.5]),
    "Dirichlet of corners": (lambda D, p: D.Dirichlet(p([0.5, 0.3, 0.6])), [0.2, 0.3, 0.5]),
    "Bernoulli": (lambda D, p: D.Bernoulli(p([0.2, 0.5])), [1.0, 0.0]),
    "Bernoulli of logits": (lambda D, p: D.Bernoulli(logits=p([-1.0, 3.0])), [1.0, 0.0]),
    "Geometric": (lambda D, p: D.Geometric(p([0.2, 0.7])), [3.0, 0.0]),
    "Geometric of logits": (lambda D, p: D.Geometric(logits=p([0.2, -0.7])), [3.0, 0.0]),
    "Binomial": (lambda D, p: D.Binomial(7, p([0.2, 0.7])), [3.0, 0.0]),
    "Binomial of logits": (lambda D, p: D.Binomial(7, logits=p([0.0, -0.7])), [3.0, 7.0]),
    "Poisson": (lambda D, p: D.Poisson(p([0.5, 14.0])), [3.0, 11.0]),
    "Categorical": (lambda D, p: D.Categorical(p([[0.2, 0.3, 0.9], [1.0, 1.0, 0.1]])), [2, 0]),
    "Categorical of logits": (lambda D, p: D.Categorical(logits=p([0.2, -0.3, 0.9])), [2, 0]),
    "OneHotCategorical": (lambda D, p: D.OneHotCategorical(p([0.2, 0.3, 0.9])), [0.0, 1.0, 0.0]),
    "OneHotCategoricalStraightThrough": (
        lambda D, p: D.OneHotCategoricalStraightThrough(logits=p([0.2, 0.3, 0.9])),
        [0.0, 1.0, 0.0],
    ),
    "Multinomial": (lambda D, p: D.Multinomial(5, p([0.2, 0.3, 0.9])), [1.0, 1.0, 3.0]),
    "MultivariateNormal": (
        lambda D, p: D.MultivariateNormal(p([[0.5, -1.0], [1.0, 0.0]]), p([[2.0, 0.3], [0.3, 1.0]])),
        [0.1, 0.2],
    ),
    "MultivariateNormal of a factor": (
        lambda D, p: D.MultivariateNormal(p([0.5, -1.0]), scale_tril=p([[2.0, 0.0], [0.3, 1.0]])),
        [0.1, 0.2],
    ),
    "MultivariateNormal of a precision": (
        lambda D, p: D.MultivariateNormal(p([0.5, -1.0]), precision_matrix=p([[2.0, 0.3], [0.3, 1.0]])),
        [0.1, 0.2],
    ),
    "Independent": (lambda D, p: D.Independent(D.Normal(p([[0.5, -1.0]]), p([[1.0, 2.5]])), 1), [0.3, -4.0]),
    "TransformedDistribution": (
        lambda D, p: D.TransformedDistribution(
            D.Normal(p([0.5, -1.0]), p([1.0, 0.5])), [D.AffineTransform(0.5, -2.0), D.TanhTransform(cache_size=1)]
        ),
        [0.3, -0.4],
    ),
    "TransformedDistribution of vectors": (
        lambda D, p: D.TransformedDistribution(
            D.Normal(p([0.5, -1.0]), p([1.0, 0.5])), [D.StickBreakingTransform()]
        ),
        [0.3, 0.4, 0.3],
    ),
    "MixtureSameFamily": (
        lambda D, p: D.MixtureSameFamily(
            D.Categorical(logits=p([0.2, 1.0])), D.Normal(p([0.5, -1.0]), p([1.0, 0.5]))
        ),
        [0.3, -0.4],
    ),
    "MixtureSameFamily of vectors": (
        lambda D, p: D.MixtureSameFamily(
            D.Categorical(p([0.2, 1.0])), D.Independent(D.Normal(p([[0.5, -1.0], [2.0, 1.0]]), p([[1.0], [0.5]])), 1)
        ),
        [0.3, -0.4],
    ),
}  # fmt: skip

# torch approximates how a gamma or beta sample moves with its parameters to three digits.
SLOPES = {"Gamma": 1e-3, "Chi2": 1e-3, "Beta": 2e-3, "Dirichlet": 2e-3, "Dirichlet of corners": 2e-3}


def leaves(T: Any, dtype: str = "float64") -> tuple[list[Any], Callable[[Any], Any]]:
    """A list to be filled, and a function that makes a leaf and appends it."""
    made: list[Any] = []

    def leaf(values: Any) -> Any:
        made.append(T.tensor(values, dtype=getattr(T, dtype), requires_grad=True))
        return made[-1]

    return made, leaf


def gradients(T: Any, result: Any, made: list[Any]) -> Any:
    if not result.requires_grad:
        return None
    weights = T.arange(1.0, 1 + result.numel(), dtype=result.dtype).reshape(result.shape).cos()
    return T.autograd.grad((result * weights).sum(), made, allow_unused=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TABLE)
def test_a_seed_gives_torchs_samples(name, dtype):
    def program(T):
        _, leaf = leaves(T, dtype)
        d = TABLE[name][0](T.distributions, leaf)
        T.manual_seed(4)
        return d.sample(), d.sample((3,)), d.sample(T.Size((2, 3))), d.sample_n(2), T.rand(1)

    same(program)


@pytest.mark.parametrize("name", TABLE)
def test_gradients_go_through_rsample(name):
    def program(T):
        made, leaf = leaves(T)
        d = TABLE[name][0](T.distributions, leaf)
        T.manual_seed(4)
        drawn = attempt(lambda: d.rsample((3,)))
        return d.has_rsample, drawn, gradients(T, drawn, made) if d.has_rsample else None

    same(program, rtol=SLOPES.get(name, 1e-9))


@pytest.mark.parametrize("method", ["log_prob", "cdf", "icdf"])
@pytest.mark.parametrize("name", TABLE)
def test_functions_of_a_value_and_their_gradients(name, method):
    def program(T):
        made, leaf = leaves(T)
        make, value = TABLE[name]
        d = make(T.distributions, leaf)
        value = T.tensor(value).to(T.float64) if d.support.is_discrete else leaf(value)
        if method == "icdf":
            value = leaf([0.3, 0.4])
        result = attempt(lambda: getattr(d, method)(value))
        return result, gradients(T, result, made) if hasattr(result, "shape") else None

    same(program, rtol=1e-8 if method == "cdf" else 1e-9)  # torch's igamma is right to nine digits


@pytest.mark.parametrize("what", ["mean", "mode", "variance", "stddev", "entropy", "perplexity", "enumerate_support"])
@pytest.mark.parametrize("name", TABLE)
def test_what_a_distribution_says_of_itself(name, what):
    def program(T):
        made, leaf = leaves(T)
        d = TABLE[name][0](T.distributions, leaf)
        result = attempt(lambda: getattr(d, what))
        if isinstance(result, Raised) and "<class" in result.text:
            return result.type, result.text.split(">")[1]  # what precedes names the module
        if callable(result):
            result = attempt(result)
        return result, gradients(T, result, made) if hasattr(result, "shape") else None

    same(program, rtol=1e-9)


@pytest.mark.parametrize("name", TABLE)
def test_shapes_and_representations(name):
    def program(T):
        _, leaf = leaves(T)
        d = TABLE[name][0](T.distributions, leaf)
        wider = d.expand((4, *d.batch_shape))
        T.manual_seed(1)
        return (
            repr(d), d.batch_shape, d.event_shape, repr(wider), wider.batch_shape, wider.event_shape,
            wider.sample((2,)), repr(d.support), d.support.event_dim, d.support.is_discrete, type(d).__name__,
            d.has_enumerate_support, getattr(d, "param_shape", None),
        )  # fmt: skip

    same(program)


@pytest.mark.parametrize("one", ["probs", "logits"])
def test_logits_and_probabilities_follow_from_each_other(one):
    def program(T):
        made, leaf = leaves(T)
        D = T.distributions
        results = []
        for kind in (D.Bernoulli, D.Categorical, D.Geometric, D.OneHotCategorical):
            d = kind(**{one: leaf([0.25, 0.75, 0.5])})
            results += [repr(d), d.logits, d.probs, repr(d), d.expand((2, *d.batch_shape)).logits]
        return results, gradients(T, sum(r.sum() for r in results if not isinstance(r, str)), made)

    same(program, rtol=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        lambda D, T: D.Normal(T.tensor([0.0, float("nan")]), 1.0),
        lambda D, T: D.Normal(0.0, -1.0),
        lambda D, T: D.Normal(T.zeros(2), T.ones(3)),
        lambda D, T: D.Normal("0", 1.0),
        lambda D, T: D.Uniform(1.0, 0.5),
        lambda D, T: D.Categorical(T.tensor(0.5)),
        lambda D, T: D.Categorical(T.tensor([-0.5, 1.0])),
        lambda D, T: D.Categorical(),
        lambda D, T: D.Categorical(T.ones(2), T.ones(2)),
        lambda D, T: D.Bernoulli(1.5),
        lambda D, T: D.Bernoulli(probs=None, logits=None),
        lambda D, T: D.Geometric(T.tensor([0.0, 0.5])),
        lambda D, T: D.Dirichlet(T.tensor(1.0)),
        lambda D, T: D.Multinomial(T.tensor([3]), T.ones(3)),
        lambda D, T: D.MultivariateNormal(T.zeros(2)),
        lambda D, T: D.MultivariateNormal(T.zeros(2), T.tensor([[1.0, 2.0], [2.0, 1.0]])),
        lambda D, T: D.MultivariateNormal(T.zeros(2), T.tensor([[1.0, 2.0], [0.0, 1.0]])),
        lambda D, T: D.MultivariateNormal(T.zeros(2), scale_tril=T.ones(2)),
        lambda D, T: D.Independent(D.Normal(T.zeros(2), 1.0), 2),
        lambda D, T: D.TransformedDistribution(D.Normal(T.zeros(2), 1.0), 3),
        lambda D, T: D.TransformedDistribution(D.Normal(T.zeros(2), 1.0), [3]),
        lambda D, T: D.TransformedDistribution(D.Normal(0.0, 1.0), D.StickBreakingTransform()),
        lambda D, T: D.MixtureSameFamily(D.Categorical(T.ones(3)), D.Normal(T.zeros(2), 1.0)),
        lambda D, T: D.Normal(0.0, 1.0).log_prob(1.0),
        lambda D, T: D.Normal(T.zeros(2), 1.0).log_prob(T.zeros(3)),
        lambda D, T: D.Exponential(1.0).log_prob(T.tensor([1.0, -1.0])),
        lambda D, T: D.Categorical(T.ones(3)).log_prob(T.tensor(3)),
        lambda D, T: D.Bernoulli(0.5).log_prob(T.tensor(0.5)),
        lambda D, T: D.Binomial(3, T.tensor([0.5])).log_prob(T.tensor([4.0])),
        lambda D, T: D.Dirichlet(T.ones(3)).log_prob(T.ones(3)),
        lambda D, T: D.Dirichlet(T.ones(3)).log_prob(T.ones(2)),
        lambda D, T: D.Normal(0.0, -1.0, validate_args=False).log_prob(T.tensor(0.5)),
        lambda D, T: D.Categorical(T.ones(3), validate_args=False).log_prob(T.tensor([1])),
        lambda D, T: D.kl_divergence(D.Laplace(0.0, 1.0), D.Bernoulli(0.5)),
        lambda D, T: D.kl_divergence(D.Binomial(3, T.tensor(0.5)), D.Binomial(4, T.tensor(0.5))),
        lambda D, T: D.Binomial(T.tensor([3, 4]), T.tensor([0.5, 0.5])).entropy(),
        lambda D, T: D.Distribution.set_default_validate_args("yes"),
        lambda D, T: T.poisson(T.tensor([1.0, -1.0])),
        lambda D, T: T.poisson(T.tensor([1])),
        lambda D, T: T.binomial(T.tensor([1]), T.tensor([0.5])),
        lambda D, T: T.binomial(T.tensor([1.0]), T.tensor([0.5], dtype=T.float64)),
    ],
)
def test_what_is_refused(make):
    def program(T):
        result = attempt(lambda: make(T.distributions, T))
        return result if not isinstance(result, T.distributions.Distribution) else repr(result)

    same(program)


def test_the_whole_text_of_an_invalid_parameter():
    def program(T):
        D, texts = T.distributions, []
        for action in (
            lambda: D.Normal(T.tensor([0.0, float("nan")]), 1.0),
            lambda: D.Normal(T.zeros(2), 1.0).log_prob(T.tensor([0.0, float("nan")])),
            lambda: D.Binomial(3, T.tensor([0.5])).log_prob(T.tensor([4.0])),
        ):
            with pytest.raises(ValueError) as caught:
                action()
            texts.append(str(caught.value))
        return texts

    same(program)


def test_checks_can_be_turned_off():
    def program(T):
        D = T.distributions.Distribution
        D.set_default_validate_args(False)
        try:
            return T.distributions.Normal(0.0, -1.0).scale, T.distributions.Normal(0.0, 1.0)._validate_args
        finally:
            D.set_default_validate_args(True)

    same(program)


def _pairs(D: Any, p: Any) -> list[tuple[Any, Any]]:
    normals = lambda: D.Normal(p([0.5, -1.0]), p([1.0, 2.5]))
    return [
        (normals(), D.Normal(p([0.1, 1.0]), p([2.0, 0.5]))),
        (D.Normal(0.0, 1.0), D.Normal(0.5, 2.0)),
        (D.LogNormal(p([0.5, -1.0]), p([1.0, 2.5])), D.LogNormal(p([0.1, 1.0]), p([2.0, 0.5]))),
        (D.HalfNormal(p([1.0, 2.5])), D.HalfNormal(p([2.0, 0.5]))),
        (D.Independent(normals(), 1), D.Independent(normals(), 1)),
        (normals(), D.Laplace(p([0.1, 1.0]), p([2.0, 0.5]))),
        (D.Laplace(p([0.1, 1.0]), p([2.0, 0.5])), D.Laplace(p([0.5, -1.0]), p([1.0, 2.5]))),
        (D.Cauchy(p([0.1, 1.0]), p([2.0, 0.5])), D.Cauchy(p([0.5, -1.0]), p([1.0, 2.5]))),
        (D.Uniform(p([0.1, 1.0]), p([2.0, 3.5])), D.Uniform(p([0.0, 2.0]), p([3.0, 3.5]))),
        (D.Uniform(p([0.1, 1.0]), p([2.0, 3.5])), normals()),
        (D.Exponential(p([0.1, 1.0])), D.Exponential(p([2.0, 0.5]))),
        (D.Exponential(p([0.1, 1.0])), normals()),
        (D.Gamma(p([0.5, 12.0]), p([1.0, 3.0])), D.Gamma(p([1.5, 10.0]), p([2.0, 3.5]))),
        (D.Beta(p([0.5, 3.0]), p([1.5, 2.0])), D.Beta(p([1.5, 2.0]), p([0.5, 4.0]))),
        (D.Dirichlet(p([0.5, 3.0, 1.0])), D.Dirichlet(p([1.5, 2.0, 1.0]))),
        (D.Bernoulli(p([0.2, 0.6])), D.Bernoulli(logits=p([0.3, -0.6]))),
        (D.Geometric(p([0.2, 0.6])), D.Geometric(p([0.3, 0.6]))),
        (D.Binomial(4, p([0.2, 0.6])), D.Binomial(4, p([0.3, 0.6]))),
        (D.Poisson(p([0.2, 6.0])), D.Poisson(p([0.3, 4.0]))),
        (D.Categorical(p([0.2, 0.6, 0.1])), D.Categorical(logits=p([0.2, 0.6, 0.1]))),
        (D.OneHotCategorical(p([0.2, 0.6, 0.1])), D.OneHotCategorical(logits=p([0.2, 0.6, 0.1]))),
        (
            D.MultivariateNormal(p([[0.5, -1.0]]), p([[2.0, 0.3], [0.3, 1.0]])),
            D.MultivariateNormal(p([0.0, 0.0]), scale_tril=p([[1.0, 0.0], [0.5, 2.0]])),
        ),
    ]


def test_divergences_and_their_gradients():
    def program(T):
        made, leaf = leaves(T)
        results = [T.distributions.kl_divergence(p, q) for p, q in _pairs(T.distributions, leaf)]
        finite = sum(T.where(T.isfinite(r), r, 0).sum() for r in results)
        return results, gradients(T, finite, made)

    same(program, rtol=1e-9)


def test_divergences_of_impossible_classes_are_infinite_or_nothing():
    def program(T):
        D, p = T.distributions, T.tensor([0.0, 0.5, 0.5])
        q = T.tensor([0.5, 0.5, 0.0])
        return [
            D.kl_divergence(kind(a), kind(b)) for kind in (D.Categorical, D.Bernoulli) for a in (p, q) for b in (p, q)
        ]

    same(program)


def test_a_divergence_of_ones_own():
    def program(T):
        D = T.distributions

        class Mine(D.Normal):
            pass

        before = D.kl_divergence(Mine(0.0, 1.0), D.Normal(1.0, 1.0))

        @D.register_kl(Mine, D.Normal)
        def mine(p, q):
            return T.tensor(42.0)

        after = D.kl_divergence(Mine(0.0, 1.0), D.Normal(1.0, 1.0))
        return before, after, D.kl_divergence(D.Normal(0.0, 1.0), Mine(1.0, 1.0))

    same(program)


TRANSFORMS: list[Callable[[Any, Any], Any]] = [
    lambda D, T: D.ExpTransform(),
    lambda D, T: D.SigmoidTransform(),
    lambda D, T: D.TanhTransform(),
    lambda D, T: D.SoftplusTransform(),
    lambda D, T: D.AffineTransform(1.0, -2.0),
    lambda D, T: D.AffineTransform(T.tensor([1.0, 2.0, 3.0]), T.tensor(2.0), event_dim=1),
    lambda D, T: D.PowerTransform(2.0),
    lambda D, T: D.AbsTransform(),
    lambda D, T: D.SoftmaxTransform(),
    lambda D, T: D.StickBreakingTransform(),
    lambda D, T: D.IndependentTransform(D.ExpTransform(), 1),
    lambda D, T: D.ReshapeTransform((3,), (1, 3)),
    lambda D, T: D.ExpTransform().inv,
    lambda D, T: D.ComposeTransform([D.AffineTransform(0.5, 2.0), D.SigmoidTransform(), D.PowerTransform(0.5)]),
    lambda D, T: D.ComposeTransform([D.ExpTransform(), D.AffineTransform(0.5, 2.0, event_dim=1)], cache_size=1),
    lambda D, T: D.transforms.identity_transform,
]


@pytest.mark.parametrize("make", TRANSFORMS)
def test_transforms(make):
    def program(T):
        t = make(T.distributions, T)
        x = T.tensor([[0.5, 1.0, 0.25], [0.1, 0.2, 0.3]], dtype=T.float64)
        y = t(x)
        return (
            repr(t), y, t.inv(y), attempt(lambda: t.log_abs_det_jacobian(x, y)), attempt(lambda: t.sign), t.bijective,
            t.domain.event_dim, t.codomain.event_dim, repr(t.domain), repr(t.codomain), tuple(t.forward_shape((2, 3))),
            tuple(t.inverse_shape(y.shape)), t == t, attempt(lambda: t.inv.inv(x)), repr(t.inv),
        )  # fmt: skip

    same(program)


def test_constraints():
    def program(T):
        c = T.distributions.constraints
        numbers = T.tensor([[-1.0, 0.0, 1.0], [0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [2.0, float("nan"), 3.0]])
        matrices = T.tensor([[[2.0, 0.0], [1.0, 1.0]], [[2.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]])
        some = [
            c.real, c.positive, c.nonnegative, c.boolean, c.unit_interval, c.interval(-1, 1),
            c.half_open_interval(0, 1),
            c.greater_than(0.2), c.greater_than_eq(0.2), c.less_than(0.2), c.integer_interval(0, 2),
            c.nonnegative_integer, c.positive_integer, c.simplex, c.one_hot, c.real_vector, c.multinomial(2),
            c.independent(c.positive, 1),
        ]  # fmt: skip
        shaped = [
            c.lower_triangular, c.lower_cholesky, c.corr_cholesky, c.symmetric, c.positive_definite, c.square,
            c.positive_semidefinite,
        ]  # fmt: skip
        return [(repr(k), k.event_dim, k.is_discrete, k.check(numbers)) for k in some] + [
            (repr(k), k.event_dim, k.is_discrete, k.check(matrices)) for k in shaped
        ]

    same(program)


def test_a_distribution_of_ones_own():
    def program(T):
        class Constant(T.distributions.Distribution):
            arg_constraints = {"value": T.distributions.constraints.real}
            support = T.distributions.constraints.real
            has_rsample = True

            def __init__(self, value, validate_args=None):
                self.value = value
                super().__init__(value.shape, validate_args=validate_args)

            def rsample(self, sample_shape=()):
                return self.value.expand(self._extended_shape(sample_shape))

        d = Constant(T.ones(2, requires_grad=True))
        bare = type("Bare", (T.distributions.Distribution,), {})
        return (
            repr(d),
            d.sample((3,)),
            d.rsample(),
            attempt(lambda: d.mean),
            attempt(lambda: d.mode),
            bare().batch_shape,
        )

    same(program)
