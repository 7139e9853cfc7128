"""Random tensors from a seed: torch's own numbers. They have no derivative, so inputs are `Fixed`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.case import DERIVED, Case, Fixed, Sample
from reference.strategies import Draw

NEW = {
    "layouts": "numbers are drawn in the order of memory, and torch has no negative strides: see tests/test_random.py",
    "method": "torch has none, or one of another meaning",
    **dict.fromkeys((*DERIVED, "grad_fn"), "random numbers have no derivative"),
}
ON_CPU = NEW | {"device": "a new tensor is made on the CPU"}


def seeded(name: str) -> Callable[..., Any]:
    """Call the function after `manual_seed(3)`, and draw one number more: as much of the stream is used."""

    def call(T: Any, *args: Any, **kwargs: Any) -> Any:
        T.manual_seed(3)
        result = getattr(T, name)(*args, **kwargs)
        return result, T.rand(1, device=result.device)

    return call


def in_place(name: str) -> Callable[..., Any]:
    def call(T: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        T.manual_seed(3)
        return getattr(x, name)(*args, **kwargs), T.rand(1, device=x.device)

    return call


def new(name: str, draw: Callable[[Draw], Sample]) -> Case:
    return Case(name, draw, call=seeded(name), skip=ON_CPU)


def like(name: str, *options: tuple[Any, ...]) -> Case:
    draw = lambda d: Sample(Fixed(d.floats(d.shape())), *d.one_of(*options or ((),)))
    return Case(name, draw, call=seeded(name), skip=NEW)


def fill(name: str, *options: tuple[Any, ...]) -> Case:
    draw = lambda d: Sample(Fixed(d.floats(d.shape())), *d.one_of(*options or ((),)))
    return Case(f"Tensor.{name}", draw, call=in_place(name), skip=NEW)


def _chances(d: Draw, *shape: int) -> np.ndarray:
    return d.floats(shape, 0.1, 1)


def _multinomial(d: Draw) -> Sample:
    k = d.size(1, 5)
    shape = (d.size(1, 3), k) if d.flag() else (k,)
    replacement = d.flag()
    return Sample(Fixed(_chances(d, *shape)), d.size(1, 7 if replacement else k), replacement)


def _normal(d: Draw) -> Sample:
    mean, std = (Fixed(a) for a in d.float_arrays(d.broadcastable(2), 0.1, 2))
    return Sample(*d.one_of((mean, std), (mean, 0.5), (0.5, std), (0.5, 2.0, (2, 3)), (mean,)))


def _parameters(d: Draw) -> Sample:
    mean, std = d.float_arrays(d.broadcastable(2), 0.1, 2)
    return Sample(*d.one_of((mean, std), (mean, 0.5), (0.5, std)))


def _rates(d: Draw) -> Sample:
    return Sample(d.floats(d.shape(), 0, 30))


def _trials(d: Draw) -> Sample:
    counts, chances = d.broadcastable(2)
    return Sample(Fixed(np.floor(d.floats(counts, 0, 60))), Fixed(d.floats(chances, 0, 1)))


FOLLOWS = {k: NEW[k] for k in ("layouts", "method", "finite_difference")}
CASES = [
    new("rand", lambda d: Sample(*d.one_of((2, 3), ((4, 5),), ([17],), (0,)))),
    new("randn", lambda d: Sample(*d.one_of((2, 3), ((4, 5),), ([17],), (0,)))),
    new("randint", lambda d: Sample(*d.one_of((10, (3,)), (-3, 7, (2, 3)), (2**40, [5])))),
    new("randperm", lambda d: Sample(d.size(0, 20))),
    like("rand_like"),
    like("randn_like"),
    like("randint_like", (5,), (-3, 7)),
    new("normal", _normal),
    Case("normal", _parameters, "gradient", call=seeded("normal"), skip=FOLLOWS),
    Case("bernoulli", lambda d: Sample(_chances(d, *d.shape())), "gradient", call=seeded("bernoulli"), skip=FOLLOWS),
    Case("bernoulli", lambda d: Sample(Fixed(_chances(d, *d.shape()))), call=seeded("bernoulli"), skip=NEW),
    Case("multinomial", _multinomial, call=seeded("multinomial"), skip=NEW),
    Case("poisson", _rates, "gradient", call=seeded("poisson"), skip=FOLLOWS),
    Case("poisson", lambda d: Sample(Fixed(_rates(d).args[0])), call=seeded("poisson"), skip=NEW),
    Case("binomial", _trials, call=seeded("binomial"), skip=NEW),
    fill("uniform_", (), (-2.0, 3.0)),
    fill("normal_", (), (1.0, 0.5)),
    fill("bernoulli_", (), (0.3,)),
    fill("random_", (), (7,), (-5, 7)),
    fill("exponential_", (), (2.0,)),
    fill("cauchy_", (), (1.0, 2.0)),
    fill("log_normal_", (), (0.5, 0.5)),
    fill("geometric_", (0.3,)),
]
