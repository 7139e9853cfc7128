"""Named tuples for operations with several results, printed as torch prints them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

__all__: list[str] = []


def return_type(name: str, *fields: str) -> Any:
    """A named tuple class whose instances print as `torch.return_types.<name>(...)`, one field a line."""

    class Result(namedtuple(name, fields)):  # type: ignore[misc]
        __slots__ = ()

        def __repr__(self) -> str:
            lines = ",\n".join(f"{field}={self[i]!r}" for i, field in enumerate(fields))
            return f"torch.return_types.{name}(\n{lines})"

    Result.__name__ = Result.__qualname__ = name
    return Result
