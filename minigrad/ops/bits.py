"""Integers: shifts of bits, the greatest common divisor and the least common multiple."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.op import Op
from minigrad.ops.checks import not_implemented
from minigrad.ops.compare import NUMBERS
from minigrad.ops.forms import forms

__all__ = ["bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm"]


def _need_integers(kernel: str, input: Any, other: Any) -> int:
    """How many bits the operands have. Error: NotImplementedError unless they are integers."""
    array = other if type(input) in NUMBERS else input
    if array.dtype.kind not in "iu":
        not_implemented(kernel, array)
    return array.dtype.itemsize * 8


@forms(in_place=True)
@Op(promote="common")
def bitwise_left_shift(input, other, *, xp):
    """input * 2**other, without the bits that do not fit; 0 where `other` is negative or as large as the dtype."""
    bits = _need_integers("lshift_cpu", input, other)
    outside = (other < 0) | (other >= bits)
    return xp.where(outside, 0, xp.left_shift(input, xp.where(outside, 0, other)))


@forms(in_place=True)
@Op(promote="common")
def bitwise_right_shift(input, other, *, xp):
    """floor(input / 2**other); what a shift by all bits gives where `other` is negative or larger."""
    bits = _need_integers("rshift_cpu", input, other)
    outside = (other < 0) | (other >= bits)
    shifted = xp.right_shift(input, xp.where(outside, bits - 1, other))
    return xp.where(outside, xp.right_shift(shifted, 1), shifted)


@forms(in_place=True)
@Op(promote="common", tensors=("input", "other"))
def gcd(input, other, *, xp):
    """The greatest common divisor, at least 0."""
    _need_integers("gcd_cpu", input, other)
    return xp.gcd(input, other)


@forms(in_place=True)
@Op(promote="common", tensors=("input", "other"))
def lcm(input, other, *, xp):
    """The least common multiple, at least 0."""
    _need_integers("lcm_cpu", input, other)
    return xp.lcm(input, other)
