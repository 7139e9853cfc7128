"""torch's operations on complex numbers, for real ones: each is its own conjugate and its own real part."""

from __future__ import annotations

from typing import Any, NoReturn

from minigrad.ops.forms import forms

__all__ = ["conj", "conj_physical", "imag", "real", "resolve_conj", "resolve_neg"]


def real(input: Any) -> Any:
    """The tensor itself."""
    return input


@forms(out=False)
def conj(input: Any) -> Any:
    """The tensor itself."""
    return input


resolve_conj = resolve_neg = conj


@forms(in_place=True, out="exact")
def conj_physical(input: Any) -> Any:
    """The tensor itself."""
    return input


def imag(input: Any) -> NoReturn:
    """RuntimeError: only complex tensors have an imaginary part."""
    raise RuntimeError(f"imag is not implemented for tensors with non-complex dtypes.\nThis one is {input.dtype}.")
