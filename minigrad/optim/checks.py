"""Hyper-parameters refused, with torch's words."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.variable import Variable


def check(valid: bool, what: str, value: Any) -> None:
    """ValueError `Invalid <what>: <value>` unless `valid`."""
    if not valid:
        raise ValueError(f"Invalid {what}: {value}")


def check_not_negative(what: str, value: Any) -> None:
    """ValueError `Invalid <what>: <value>` for negative numbers and nan."""
    check(0.0 <= value, what, value)  # noqa: SIM300  what cannot be compared is refused with torch's words


def check_at_least(least: int, what: str, value: Any) -> None:
    """ValueError `<what> should be >= <least> but is: <value>` for numbers below `least` and nan."""
    if not float(least) <= value:
        raise ValueError(f"{what} should be >= {least} but is: {value}")


def check_betas(betas: Any) -> None:
    """ValueError unless both of Adam's betas, and those of its kin, are in [0, 1)."""
    for i in (0, 1):
        check(0.0 <= betas[i] < 1.0, f"beta parameter at index {i}", betas[i])


def check_tensor_lr(lr: Any) -> None:
    """ValueError for a learning rate that is a tensor of several elements."""
    if isinstance(lr, Variable) and lr.array.size != 1:
        raise ValueError(f"Tensor lr must be 1-element: it has shape {list(lr.array.shape)}")


def check_fused(defaults: dict[str, Any]) -> None:
    """RuntimeError for options that exclude each other in torch; `fused` changes nothing else here."""
    if defaults["fused"] and defaults["differentiable"]:
        raise RuntimeError("`fused` does not support `differentiable`")
    if defaults["fused"] and defaults["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
