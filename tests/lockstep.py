"""Run one short program on torch and on minigrad, and hold values, warnings and errors of the second to the first."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import minigrad

torch.set_warn_always(True)  # torch gives some warnings once a process, whichever test comes first


class Raised:
    """An error that a program ended with: its type and its first line."""

    def __init__(self, error: BaseException) -> None:
        self.type, self.text = type(error), str(error).split("\n")[0]

    def __repr__(self) -> str:
        return f"{self.type.__name__}: {self.text}"


def leaf(T: Any, *values: float, requires_grad: bool = True) -> Any:
    """A vector to differentiate by."""
    return T.tensor(list(values), requires_grad=requires_grad)


def attempt(action: Callable[[], Any]) -> Any:
    """The result of `action`, or how it failed."""
    try:
        return action()
    except Exception as error:
        return Raised(error)


def same(program: Callable[[Any], Any], rtol: float = 1e-6) -> Any:
    """Hold `program(minigrad)` to `program(torch)`; returns what torch gave.

    The program gets the module as `T` and returns anything made of tensors, numbers, strings, containers and `Raised`.
    Our texts may go on where torch's end; warnings are compared by category and beginning.
    """
    outcomes = []
    for module in (torch, minigrad):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = attempt(lambda module=module: program(module))
        relevant = [w for w in caught if issubclass(w.category, (UserWarning, DeprecationWarning, FutureWarning))]
        outcomes.append((value, [(w.category, str(w.message)) for w in relevant]))
    (expected, expected_warnings), (got, got_warnings) = outcomes
    assert_same(got, expected, rtol)
    assert len(got_warnings) == len(expected_warnings), (got_warnings, expected_warnings)
    for (category, text), (torch_category, torch_text) in zip(got_warnings, expected_warnings, strict=True):
        assert category is torch_category
        assert text[:60] == torch_text[:60]
    return expected


def assert_same(got: Any, expected: Any, rtol: float) -> None:
    """Equal in structure, type, dtype, shape and value."""
    if isinstance(got, Raised):
        assert isinstance(expected, Raised), f"torch gave {expected!r}, minigrad raised {got}"
    if isinstance(expected, Raised):
        assert isinstance(got, Raised), f"torch raised {expected}, minigrad gave {got!r}"
        assert got.type is expected.type, f"torch: {expected}\nminigrad: {got}"
        sentence = expected.text.split(". ")[0].rstrip(".")
        assert got.text.startswith(sentence), f"torch: {expected}\nminigrad: {got}"
    elif isinstance(expected, torch.Tensor):
        assert isinstance(got, minigrad.Tensor), f"torch gave {expected!r}, minigrad {got!r}"
        assert str(got.dtype) == str(expected.dtype)
        assert tuple(got.shape) == tuple(expected.shape)
        assert got.requires_grad == expected.requires_grad
        np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), rtol=rtol, atol=rtol)
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected), (got, expected)
        for g, e in zip(got, expected, strict=True):
            assert_same(g, e, rtol)
    elif isinstance(expected, dict):
        assert list(got) == list(expected)
        for key in expected:
            assert_same(got[key], expected[key], rtol)
    elif isinstance(expected, float):
        np.testing.assert_allclose(got, expected, rtol=rtol)
    else:
        assert got == expected
