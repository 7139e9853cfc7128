"""Dropout and other random masks, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.case import Case, Sample
from reference.strategies import Draw

F = "nn.functional."


def seeded(name: str) -> Callable[..., Any]:
    """Call the function after `manual_seed(3)`; draw one number more, to see that as much of the stream is used."""

    def call(T: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        T.manual_seed(3)
        x = x * 1  # an intermediate result, which may be overwritten
        return getattr(T.nn.functional, name)(x, *args, **kwargs), T.rand(1, device=x.device)

    return call


def dropping(min_dims: int, max_dims: int) -> Callable[[Draw], Sample]:
    def draw(d: Draw) -> Sample:
        x = d.floats(d.shape(min_dims=min_dims, max_dims=max_dims))
        return Sample(x, d.one_of(0.3, 0.5, 0.0, 1.0), d.one_of(True, True, False), inplace=d.flag())

    return draw


# The mask is drawn in the order of memory, which torch may choose otherwise for a strided input.
SKIP = {"layouts": "a mask is laid out in memory as its input is, but torch has no negative strides"}
COMPOSED = SKIP | {"grad_fn": "torch has other names for what it composes it of in place"}

CASES = [
    Case(F + "dropout", dropping(0, 4), call=seeded("dropout"), skip=SKIP),
    Case(F + "dropout1d", dropping(2, 3), call=seeded("dropout1d"), skip=COMPOSED),
    Case(F + "dropout2d", dropping(4, 4), call=seeded("dropout2d"), skip=SKIP),
    Case(F + "dropout3d", dropping(4, 5), call=seeded("dropout3d"), skip=COMPOSED),
    Case(F + "alpha_dropout", dropping(0, 4), call=seeded("alpha_dropout"), skip=COMPOSED),
    Case(F + "feature_alpha_dropout", dropping(2, 4), call=seeded("feature_alpha_dropout"), skip=COMPOSED),
]
