"""`torch.compiler`: nothing is compiled, so nothing has to be kept from it."""

from __future__ import annotations

from typing import Any

__all__ = ["allow_in_graph", "disable", "is_compiling", "reset"]


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself."""
    return (lambda function: function) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


def is_compiling() -> bool:
    """False."""
    return False


def reset() -> None:
    """There is nothing to forget."""
