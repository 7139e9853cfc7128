"""`torch.jit`: compiling to TorchScript. What is decorated stays the Python function or class that it is."""

from __future__ import annotations

from typing import Any

__all__ = ["export", "ignore", "is_scripting", "is_tracing", "script", "script_if_tracing", "trace", "unused"]


def script(obj: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The function, class or module itself."""
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The function or module itself, which is not called."""
    return func


def _itself(fn: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The decorated function."""
    return fn if callable(fn) else lambda function: function


export = ignore = unused = script_if_tracing = _itself


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False
