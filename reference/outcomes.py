"""Running one small program on both engines, and comparing what it gives, raises and warns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch

import minigrad

Script = Callable[[ModuleType], Any]  # of torch or minigrad


@dataclass
class Outcome:
    """What a script gave on one engine: a value, or an error's type and first line; and its warnings."""

    value: Any = None
    error: str = ""
    line: str = ""
    warnings: list[str] = field(default_factory=list)


def outcome(script: Script, T: ModuleType) -> Outcome:
    """Run `script` on engine `T`."""
    result = Outcome()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result.value = script(T)
        except Exception as error:
            result.error = type(error).__name__
            result.line = str(error).partition("\n")[0].replace("minigrad.tensor.Tensor", "torch.Tensor")
    result.warnings = [f"{w.category.__name__}: {w.message}" for w in caught]
    return result


def assert_same_outcome(script: Script) -> None:
    """Equal outcomes; an error's line may go on after torch's, with shapes or the fix."""
    ours, theirs = outcome(script, minigrad), outcome(script, torch)
    assert (ours.value, ours.error, ours.warnings) == (theirs.value, theirs.error, theirs.warnings), (ours, theirs)
    assert ours.line.startswith(theirs.line.rstrip(".")), f"torch says {theirs.line!r}, here: {ours.line!r}"
