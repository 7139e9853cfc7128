"""Modules made without drawing initial values."""

from __future__ import annotations

import inspect
from typing import Any

from minigrad.nn.module import Module
from minigrad.random import fork_rng


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module whose parameters and buffers have values of no meaning: for those that are about to be overwritten.

    The state of the random numbers is as if nothing had been drawn. RuntimeError for what is no class of modules, or
    takes no `device`.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with fork_rng():
        return module_cls(*args, **kwargs)
