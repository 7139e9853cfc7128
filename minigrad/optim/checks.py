"""Hyper-parameters refused, with torch's words."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.trace import warn
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


def check_capture(optimizer: Any, capturing: bool) -> None:
    """What torch says before a step where there is a GPU: of one captured in a CUDA graph without `capturable`, an
    error; of one with `capturable` that is not captured, a warning, once."""
    capturable = [group["capturable"] for group in optimizer.param_groups]
    if capturing and not all(capturable):
        raise RuntimeError(
            f"Attempting CUDA graph capture of step() for an instance of {type(optimizer).__name__} but param_groups' "
            f"capturable is False."
        )
    if not capturing and all(capturable) and not getattr(optimizer, "_warned_capturable_if_run_uncaptured", False):
        warn(
            "This instance was constructed with capturable=True or some of all the param_groups came with "
            "capturable=True, but step() is running without CUDA graph capture. If you never intend to graph-capture "
            "this instance, capturable=True can impair performance, and you should set capturable=False."
        )
        optimizer._warned_capturable_if_run_uncaptured = True
