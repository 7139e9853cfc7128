"""Activations with a learned slope, a random slope, a gate; and those that overwrite their input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.case import Case, Sample, Tolerance
from reference.strategies import Draw

F = "nn.functional."


def _prelu(*kinks: float) -> Callable[[Draw], Sample]:
    def draw(d: Draw) -> Sample:
        shape = d.shape(max_dims=4, min_side=1)
        weights = (d.one_of(1, shape[1] if len(shape) > 1 else 1),)
        return Sample(d.floats(shape, kinks=kinks), d.floats(weights))

    return draw


def _glu(d: Draw) -> Sample:
    shape = list(d.shape(min_dims=1, max_dims=3))
    dim = d.dim(len(shape))
    shape[dim] *= 2
    return Sample(d.floats(tuple(shape)), dim)


def _rrelu(d: Draw) -> Sample:
    return Sample(d.floats(d.shape(), kinks=[0]), d.one_of(0.1, 0.2), d.one_of(0.3, 0.2), d.flag(), d.flag())


def seeded(T: Any, x: Any, lower: float, upper: float, training: bool, inplace: bool) -> Any:
    T.manual_seed(3)
    rrelu = T.nn.functional.rrelu_ if inplace else T.nn.functional.rrelu
    return rrelu(x * 1, lower, upper, training), T.rand(1, device=x.device)


def overwriting(name: str) -> Callable[..., Any]:
    """f_(x), and f(x, inplace=True) where there is no f_."""

    def call(T: Any, x: Any, *args: Any) -> Any:
        functional = T.nn.functional
        x = x * 1  # an intermediate result, which may be overwritten
        if hasattr(functional, name + "_"):
            return getattr(functional, name + "_")(x, *args), getattr(functional, name)(x * 1, *args, inplace=True)
        return getattr(functional, name)(x, *args, inplace=True)

    return call


def in_place(name: str, *args: Any, kinks: tuple[float, ...] = (0,), covers: Any = True, **how: Any) -> Case:
    """The activation in place, for the values and slopes of which it has a case of its own."""
    draw = lambda d: Sample(d.floats(d.shape(), -5, 5, kinks=kinks), *args)
    skip = {"grad_fn": "torch has a second name for some of those in place"} | how.pop("skip", {})
    covers = (name + "_",) if covers else ()
    return Case(F + name, draw, "in place", call=overwriting(name), covers=covers, skip=skip, **how)


# torch's 1/6 is a float32 constant in its float64 kernel too.
SIXTH = Tolerance(1e-7, reason="torch multiplies by a 1/6 of single precision")

CASES = [
    Case(F + "prelu", _prelu(0), skip={"second_order": "at 0 torch's second derivative contradicts its first"}),
    Case(F + "prelu", _prelu(), "away from 0"),
    Case(F + "glu", _glu, skip={"grad_fn": "composed here of a product and a sigmoid"}),
    Case(
        F + "rrelu",
        _rrelu,
        call=seeded,
        covers=("rrelu_",),
        skip={"layouts": "slopes are drawn in another order", "grad_fn": "composed", "half": "torch has none"},
    ),
    in_place("relu"),
    in_place("leaky_relu", 0.2),
    in_place("threshold", 0.5, 20.0, kinks=(0.5,)),
    in_place("hardtanh", -1.0, 2.0, kinks=(-1, 2)),
    in_place("elu", 0.5),
    in_place("selu"),
    in_place("celu", 0.5),
    in_place("relu6", kinks=(0, 6), covers=False),
    in_place("hardswish", kinks=(-3, 3), covers=False),
    in_place("silu", covers=False),
    in_place("mish", covers=False),
    in_place(
        "hardsigmoid",
        kinks=(-3, 3),
        covers=False,
        tolerance=SIXTH,
        skip={"second_order": "torch has none"},
    ),
]
