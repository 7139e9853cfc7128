"""What is said of an operation once, and all that is made from it reads."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MISSING: Any = object()  # in the place of a required parameter, which may yet come by another name


@dataclass(eq=False)
class Declaration:
    """What was said of one operation."""

    name: str
    forward: Callable[..., Any]
    params: list[inspect.Parameter]
    takes_xp: bool
    promotes: str | None  # None, "common" (to the operands' common dtype) or "float" (and to a floating one at least)
    among: tuple[str, ...]  # the operands that are promoted
    tensors: tuple[str, ...]  # the operands that must not be numbers, though one could be computed with
    view: bool
    cache: bool
    outputs: tuple[str, ...]
    many: bool
    node_name: str
    rules: dict[str, Rule] = field(default_factory=dict)  # by operand
    joint: Rule | None = None  # one rule that returns the gradients of all operands in `rules`
    write_out: Callable[..., Any] | None = None  # what a call with `out=` is handed to, if the op takes it
    by_other_names: Callable[..., Any] | None = None  # and with parameters by other names; it sees to `out` then, too

    @property
    def operands(self) -> list[str]:
        return [p.name for p in self.params if p.annotation is p.empty]

    @property
    def torch_name(self) -> str:
        """The function's name in torch; of a private overload, as its node has it."""
        if not self.name.startswith("_") or "Backward" not in self.node_name:
            return self.name.strip("_")
        return re.sub("(?<=[a-z])(?=[A-Z])", "_", self.node_name.partition("Backward")[0]).lower()

    @property
    def variadic(self) -> str | None:
        return next((p.name for p in self.params if p.kind is p.VAR_POSITIONAL), None)

    @property
    def required(self) -> list[str]:
        """The parameters that every call gives, but the first."""
        return [p.name for p in self.params[1:] if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]

    @property
    def differentiable_outputs(self) -> tuple[str, ...]:
        return tuple(name for name in self.outputs if name != "indices")

    def can_save(self, name: str) -> bool:
        """True if a rule may name `name`."""
        known = {p.name for p in self.params} | {f"{p}_shape" for p in self.operands} | set(self.outputs) | {"xp"}
        if name == "needs":
            return self.joint is not None or self.variadic is not None
        return name in known or (name == "cache" and self.cache)


class Rule:
    """A derivative: a function of `g` and of what its other parameters name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        first, *self.names = inspect.signature(function).parameters
        if first != "g":
            raise TypeError(f"a derivative rule's first parameter is the incoming gradient `g`, not `{first}`")
        self.function = function
