"""Arguments that elementwise operations refuse: torch's exception, beginning with torch's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad

BAD: dict[str, Callable[[Any], Any]] = {
    "shapes": lambda T: T.ones(2) + T.ones(3),
    "three shapes": lambda T: T.addcmul(T.ones(2), T.ones(1), T.ones(3)),
    "shapes of where": lambda T: T.where(T.ones(3) > 0, T.ones(2), T.ones(2)),
    "shapes of lerp": lambda T: T.lerp(T.ones(2), T.ones(3), 0.5),
    "difference of masks": lambda T: (T.ones(2) > 0) - (T.ones(2) > 0),
    "one less a mask": lambda T: 1 - (T.ones(2) > 0),
    "difference with a mask": lambda T: T.ones(2) - (T.ones(2) > 0),
    "difference with True": lambda T: T.ones(2) - True,
    "minus a mask": lambda T: -(T.ones(2) > 0),
    "plus a mask": lambda T: +(T.ones(2) > 0),
    "alpha of integers": lambda T: T.add(T.tensor([1]), T.tensor([1]), alpha=1.5),
    "integer // 0": lambda T: T.tensor([1]) // 0,
    "integer % 0": lambda T: T.tensor([1]) % T.tensor([0]),
    "integer fmod 0": lambda T: T.fmod(T.tensor([1]), 0),
    "rounding mode": lambda T: T.div(T.ones(2), 2, rounding_mode="up"),
    "integer ** -1": lambda T: T.tensor([1, 2]) ** -1,
    "mask ** mask": lambda T: (T.ones(2) > 0) ** (T.ones(2) > 0),
    "quotient of integers in addcdiv": lambda T: T.addcdiv(T.ones(1), T.tensor([1]), T.tensor([1])),
    "dtypes of lerp": lambda T: T.lerp(T.ones(2), T.ones(2).to(T.float64), 0.5),
    "lerp of integers": lambda T: T.lerp(T.tensor([1]), T.tensor([1]), 0.5),
    "abs of a mask": lambda T: T.abs(T.ones(2) > 0),
    "floor of a mask": lambda T: T.floor(T.ones(2) > 0),
    "decimals of integers": lambda T: T.round(T.tensor([1]), decimals=1),
    "clamp without bounds": lambda T: T.ones(2).clamp(),
    "condition of floats": lambda T: T.where(T.ones(2), T.ones(2), T.ones(2)),
    "mask of floats": lambda T: T.ones(2).masked_fill(T.ones(2), 1),
    "value of masked_fill": lambda T: T.ones(2).masked_fill(T.ones(2) > 0, T.ones(1)),
    "bits of floats": lambda T: T.bitwise_and(T.ones(2), 1),
    "not of floats": lambda T: ~T.ones(2),
    "dtypes of isclose": lambda T: T.isclose(T.ones(2), T.ones(2).to(T.float64)),
    "rtol": lambda T: T.isclose(T.ones(2), T.ones(2), rtol=-1),
    "equal to a number": lambda T: T.equal(T.ones(2), 2),
    "relu of a mask": lambda T: T.relu(T.ones(2) > 0),
    "gelu of integers": lambda T: T.nn.functional.gelu(T.tensor([1])),
    "approximation of gelu": lambda T: T.nn.functional.gelu(T.ones(2), approximate="cubic"),
    "limits of hardtanh": lambda T: T.nn.functional.hardtanh(T.ones(2), 1, -1),
    "lambd of softshrink": lambda T: T.nn.functional.softshrink(T.ones(2), -1),
    "alpha of celu": lambda T: T.nn.functional.celu(T.ones(2), 0),
    "softmax of integers": lambda T: T.softmax(T.tensor([1]), 0),
    "dim of softmax": lambda T: T.softmax(T.ones(2), 1),
    "dim of log_softmax": lambda T: T.nn.functional.log_softmax(T.ones(2), "last"),
    "derivative of heaviside": lambda T: T.heaviside(T.ones(2, requires_grad=True), T.ones(2)).sum().backward(),
    "dtypes of heaviside": lambda T: T.heaviside(T.ones(2), T.tensor([1])),
    "derivative of floor_divide": lambda T: (T.ones(2, requires_grad=True) // 2).sum().backward(),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_error_is_torchs(call: Callable[[Any], Any]) -> None:
    errors = []
    for T in (minigrad, torch):
        with pytest.raises(Exception) as caught:
            call(T)
        errors.append(caught.value)
    ours, theirs = errors
    assert type(ours) is type(theirs)
    assert str(ours).startswith(str(theirs).splitlines()[0].rstrip("."))


NUMBERS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ["maximum", "fmin", "atan2", "hypot", "logaddexp", "logical_and"], ((None, 2), (2.5, None), (2, 3))
    ),
    **dict.fromkeys(["fmod", "rsub", "clamp_min", "clamp_max", "eq", "lt"], ((2, None), (2, 3.5))),
    **dict.fromkeys(["pow", "remainder", "xlogy"], ((2, 3), (True, 2))),
    **dict.fromkeys(["exp", "abs", "sign", "relu", "isnan"], ((2,), (2.5,), (True,))),
    "addcmul": ((None, 2, None), (2, None, None)),
    "mm": ((None, 2), (2, None)),
    "heaviside": ((None, 2),),
}


def test_another_fault_beside_a_number_is_not_blamed_on_it() -> None:
    with pytest.raises(TypeError) as caught:
        minigrad.add(minigrad.ones(2), 2, alpha="much")
    assert "must be Tensor" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_no_tensors(name: str, dtype: str) -> None:
    """Where torch wants a tensor (None here), a number is refused, in whichever place and beside whichever dtype."""
    for args in NUMBERS[name]:
        errors = []
        for T in (minigrad, torch):
            with pytest.raises(TypeError) as caught:
                getattr(T, name)(*[T.ones(2, 2, dtype=getattr(T, dtype)) if x is None else x for x in args])
            errors.append(str(caught.value).splitlines()[0])
        assert errors[0] == errors[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.nn.functional.softmax(T.ones(2, 3)),
        lambda T: T.nn.functional.log_softmax(T.ones(2)),
        lambda T: T.nn.functional.softmin(T.ones(2, 3, 4)),
        lambda T: T.where(T.ones(2, dtype=T.uint8), T.ones(2), T.zeros(2)),
    ],
)
def test_warning_is_torchs(call: Callable[[Any], Any]) -> None:
    messages, values = [], []
    for T in (minigrad, torch):
        with pytest.warns(UserWarning, match="deprecated") as caught:
            values.append(call(T).numpy())
        messages.append(str(caught[0].message))
        if T is minigrad:
            assert caught[0].filename == __file__
    assert messages[1].startswith(messages[0])
    np.testing.assert_allclose(*values, rtol=1e-6)
