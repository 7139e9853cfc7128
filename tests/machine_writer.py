"""What a program in the making knows: `Writer` chooses operands for `tests/machine_ops.py` by conditions on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tests.machine import Run, made_from

Condition = Callable[[Any], bool]

HALVES = (1.0, -0.5, 2.0, 0.0, 1.5, -1.0, 0.5, -2.0, 1.0, 2.5, -1.5)
NUMBERS = (2, -1, 0.5, 3, -1.5, 0)


class NotNow(Exception):
    """A rule has nothing to work on."""


class Writer:
    """A program in the making; `pick(n)` chooses a number below n."""

    def __init__(self, pick: Callable[[int], int], run: Run) -> None:
        self.pick, self.run = pick, run
        self.lines: list[str] = []
        self.made = 0

    # -- choices

    def one_of(self, options: Sequence[Any]) -> Any:
        if not options:
            raise NotNow
        return options[self.pick(len(options))] if len(options) > 1 else options[0]

    def chance(self, n: int) -> bool:
        """True once in n times."""
        return self.pick(n) == n - 1

    def number(self) -> Any:
        return self.one_of(NUMBERS)

    # -- tensors

    def __getitem__(self, name: str) -> Any:
        return self.run.names[name]

    def names(self, *conditions: Condition) -> list[str]:
        """The names of tensors that meet all the conditions. What has grown beyond measure is used no more."""
        return [n for n, t in self.run.tensors().items() if meets(t, (*conditions, tame))]

    def tensor(self, *conditions: Condition) -> str:
        return self.one_of(self.names(*conditions)[::-1])  # the simplest choice is the newest

    def target(self, *conditions: Condition) -> str:
        """A tensor to write into.

        Not a gradient that autograd.grad gave: its memory may be another gradient's too. Not an inference tensor
        outside of inference_mode: torch refuses, but after it has written.
        """
        shared = made_from(self.lines, "T.autograd.grad(")
        refused = [] if torch.is_inference_mode_enabled() else [lambda t: not t.is_inference()]
        return self.one_of([n for n in self.names(writable, *refused, *conditions) if n not in shared][::-1])

    def fresh(self) -> str:
        self.made += 1
        return f"t{self.made - 1}"

    def literal(self, shape: Sequence[int], values: Sequence[float] = HALVES, dtype: str = "") -> str:
        """A tensor of `values` written out."""
        size, start = int(np.prod(shape)), self.pick(len(values))
        flat = np.array([values[(start + i) % len(values)] for i in range(size)]).reshape(shape)
        if not size:
            return f"T.zeros({tuple(shape)}{', dtype=' + dtype if dtype else ''})"
        return f"T.tensor({flat.tolist()}{', dtype=' + dtype if dtype else ''})"

    def dim(self, name: str, least: int = 1) -> int:
        """A dim of the tensor, of `least` elements or more, from either end."""
        shape = self[name].shape
        dim = self.one_of([d for d, n in enumerate(shape) if n >= least])
        return dim - len(shape) if self.chance(3) else dim

    def index(self, name: str, dim: int) -> int:
        n = self[name].shape[dim]
        return self.pick(n) - (n if self.chance(3) else 0)

    def places(self, n: int, count: int, different: bool) -> str:
        """An int64 tensor of `count` places below n."""
        start, step = self.pick(n), 1 if different or self.chance(2) else 0
        return f"T.tensor({[(start + i * step) % n for i in range(count)]})"

    def key(self, name: str, different: bool = False, basic: bool = False) -> str:
        """What may stand between the brackets; `different`: which names no element twice."""
        t = self[name]
        parts = []
        kinds = ["slice", "number", "slice", "...", "None", "all", "step"] + ([] if basic else ["list", "mask"])
        for dim in range(1 + self.pick(t.dim()) if t.dim() else 0):
            n, kind = t.shape[dim], self.one_of(kinds)
            if kind == "number" and n:
                parts.append(str(self.index(name, dim)))
            elif kind == "list" and n:
                parts.append(self.places(n, 1 + self.pick(n), different))
                kinds = ["slice", "all"]
            elif kind == "mask" and dim == 0 and not parts and t.dim():
                return f"{name} > {self.number()}"
            elif kind == "...":
                parts.append("...")
                break
            elif kind == "None" and t.dim() < 3:
                parts.append("None")
                break
            elif kind == "step":
                parts.append("::2")
            elif kind == "slice":
                parts.append(self.one_of(("1:", ":1", ":-1", ":2")))
            else:
                parts.append(":")
        return ", ".join(parts) or "..."

    # -- statements

    def add(self, text: str) -> None:
        """Write a statement, and run it."""
        line = "    " * len(self.run.open) + text
        self.lines.append(line)
        self.run.step(line)

    def leave(self) -> None:
        """Go on outside of the innermost `with`."""
        self.run._leave(len(self.run.open) - 1)


def meets(t: Any, conditions: Sequence[Condition]) -> bool:
    try:
        return all(c(t) for c in conditions)
    except RuntimeError:  # a view whose history torch refuses to tell
        return False


def tame(t: Any) -> bool:
    return not t.numel() or bool(t.detach().abs().max() < 30)


def floating(t: Any) -> bool:
    return t.is_floating_point()


def wants(t: Any) -> bool:
    return t.requires_grad


def no_wish(t: Any) -> bool:
    return not t.requires_grad


def has_grad(t: Any) -> bool:
    return t.grad is not None


def leaf(t: Any) -> bool:
    return t.is_leaf and t.requires_grad and not t._is_view()


def result(t: Any) -> bool:
    return not t.is_leaf


def dims(*numbers: int) -> Condition:
    return lambda t: t.dim() in numbers


def has_dims(t: Any) -> bool:
    return t.dim() > 0


def filled(t: Any) -> bool:
    return t.numel() > 0


def small(t: Any) -> bool:
    return t.numel() <= 12


def below(limit: float) -> Condition:
    return lambda t: not t.numel() or bool(t.detach().max() < limit)


def above(limit: float) -> Condition:
    return lambda t: not t.numel() or bool(t.detach().min() > limit)


def away_from_zero(t: Any) -> bool:
    return not t.numel() or bool(t.detach().abs().min() > 0.2)


def shaped(shape: Sequence[int]) -> Condition:
    return lambda t: tuple(t.shape) == tuple(shape)


def typed(dtype: Any) -> Condition:
    return lambda t: t.dtype == dtype


def fits(shape: Sequence[int], into: bool = False) -> Condition:
    """Broadcasts with `shape`; or `into` it."""

    def test(t: Any) -> bool:
        try:
            both = np.broadcast_shapes(tuple(t.shape), tuple(shape))
        except ValueError:
            return False
        return both == tuple(shape) if into else int(np.prod(both)) <= 12

    return test


def elements(t: Any) -> np.ndarray:
    """The addresses of a tensor's elements, in elements of its dtype."""
    offsets = np.full(tuple(t.shape), t.data_ptr() // t.element_size() if t.numel() else 0)
    for dim, stride in enumerate(t.stride()):
        along = np.arange(t.shape[dim]) * stride
        offsets = offsets + along.reshape([-1] + [1] * (t.dim() - dim - 1))
    return offsets


def no_overlap(t: Any) -> bool:
    return len(np.unique(elements(t))) == t.numel()


def writable(t: Any) -> bool:
    """torch refuses most writes where one element stands for many by a stride of 0; where windows overlap otherwise
    (`unfold`, `as_strided`) it writes each in an order of its own."""
    return no_overlap(t) or any(s == 0 and n > 1 for s, n in zip(t.stride(), t.shape))


def apart(target: Any) -> Condition:
    """May be read while `target` is written. torch leaves undefined what a write gives that reads, at other places,
    what it overwrites; most such it refuses, but not where it finds the overlap too hard to see."""

    def test(t: Any) -> bool:
        if not t.numel() or not target.numel() or not np.intersect1d(elements(t), elements(target)).size:
            return True
        same_places = t.stride() == target.stride() and t.data_ptr() == target.data_ptr() and t.shape == target.shape
        return same_places or bool(t.is_contiguous() and target.is_contiguous())

    return test


def disjoint(target: Any) -> Condition:
    """Shares no element with `target`; of empty tensors torch refuses some, which share no more."""
    return lambda t: bool(t.numel()) and not np.intersect1d(elements(t), elements(target)).size
