"""Runs a program, statement by statement, on torch and on minigrad, and says where the two come apart.

A program is a list of lines of Python in which `T` is the library: `t3 = t1[0]`, `t3.mul_(t2)`, `with T.no_grad():`
and, deeper, what runs inside. After every line what it raised is compared, and all that can be seen of every tensor.
`tests/machine_programs.py` writes such programs at random; one that fails is cut down to its shortest and printed.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch

import minigrad
from tests import shrink
from tests.lockstep import Raised, attempt

# What is known to differ, as patterns of a mismatch's text: a program that meets one of these ends there.
NOT_YET: dict[str, str] = {
    # For good: torch's own mistakes.
    r"torch:    .*INTERNAL ASSERT FAILED": "torch asks to report it",
    # What torch refuses for what its graph saves or frees, and ours has no need of.
    r"second time.*\n    minigrad: no error": "places of x[i] = v are freed",
    r"torch:    RuntimeError: (Out|one|Try).*\n    minigrad: RuntimeError: (Out|one|Try|uns|A v)": "both refuse",
    r"torch:    RuntimeError: leaf variable has been moved": "a leaf detached, then written",
    r"torch:    SubBackward0\n    minigrad: RsubBackward1": "3 - x of an inference tensor",
    r"appears to not have been used.*\n    minigrad: no error": "views made in inference mode want no gradient",
    r"detached in-place": "what was saved before its detach_()",
    # Rare, and without effect on numbers.
    r"unsupported operation: some.*\n    minigrad: no error": "x[::2] *= x of one element: strides differ",
    r"torch:    RuntimeError: a leaf Variable": "x = T.arange(6.0).view(2, 3); v = x[...]; x.mul_(needing); v *= 2",
    r"is_contiguous": "operands in different orders give NumPy's; as_strided of an expanded empty tensor",
    r"(inference|Inference|requires_grad\n    torch:    False)": "inference tensors outside of inference_mode",
    r"grad_fn\n    torch:    (Add|Mul|Sub|Div)Backward.*\n    minigrad: ToCopy": "in place on another dtype",
    r"no error\n    minigrad: RuntimeError: A view was": "retain_grad of a view made and written under no_grad",
    r"retain_grad\(\)`: outcome|retains_grad": "the same; and of what is then detached, or asked for under no_grad",
    r"no error\n    minigrad: RuntimeError: The size of tensor a": "a gradient retained, then t_()",
    r"_version": "counted although the operand is refused afterwards",
    r"as_strided\(.*`: t\d+\.values": "the memory of what is made of an expanded tensor",
    r"log\.length|\.grad\n": "hooks on views that are then written; gradients retained before a Function's mark_dirty",
    r"Double_.apply": "mark_dirty where nothing is recorded",
}

# Values are small and their gradients tame, so that rounding (float32 included) stays far below what a mistake shows.
RTOL = ATOL = 1e-4

# Functions of one's own, that programs may use.
FUNCTIONS = {
    "Square": """\
class Square(T.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x * 2
""",
    "Double_": """\
class Double_(T.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return g * 2
""",
    "Two": """\
class Two(T.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y, x + y

    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * y + h, g * x + h
""",
    "Same": """\
class Same(T.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g * 3
""",
}


class Mismatch(AssertionError):
    """The first difference: the line after which it was seen, what differs (`grad_fn`, ...), and both sides of it."""

    def __init__(self, line: str, subject: str, what: str, of_torch: Any, of_minigrad: Any) -> None:
        self.kind = what
        self.text = f"after `{line.strip()}`: {subject}{what}\n    torch:    {of_torch}\n    minigrad: {of_minigrad}"
        super().__init__(self.text)


class Run:
    """A program on one library: the names it has given so far, and the contexts it is inside of."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.names: dict[str, Any] = {"T": module, "np": np, "log": []}
        self.open: list[Any] = []
        for source in FUNCTIONS.values():
            exec(source, self.names)
        self.first_versions: dict[str, Any] = {}

    def __enter__(self) -> Run:
        self.outermost = self.module.enable_grad()
        self.outermost.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave(0)
        self.outermost.__exit__(None, None, None)

    def _leave(self, depth: int) -> None:
        while len(self.open) > depth:
            self.open.pop().__exit__(None, None, None)

    def step(self, line: str) -> Raised | None:
        """Run one line, after leaving the contexts that it is not inside of; returns what it raised."""
        text = line.lstrip()
        self._leave((len(line) - len(text)) // 4)
        if text.startswith("with "):
            self.open.append(eval(text[len("with ") : -1], self.names))
            self.open[-1].__enter__()
            return None
        outcome = attempt(lambda: exec(compiled(text), self.names))
        for name, t in self.tensors().items():
            if name not in self.first_versions:
                self.first_versions[name] = attempt(lambda t=t: t._version)
        return outcome

    def tensors(self) -> dict[str, Any]:
        """The tensors that have a name, in the order of their making."""
        return {n: v for n, v in self.names.items() if isinstance(v, self.module.Tensor)}


@functools.lru_cache(maxsize=4096)
def compiled(text: str) -> Any:
    return compile(text, "<program>", "exec")


def facts(t: Any, name_of: Callable[[Any], Any], first_version: Any) -> dict[str, Any]:
    """All that can be seen of a tensor; of its version how much it grew, as torch makes some results by writing."""

    def grad_fn() -> Any:
        return None if t.grad_fn is None else t.grad_fn.name()

    def values() -> Any:
        return t.numpy(force=True)

    seen = {
        "": lambda: name_of(t),
        ".type": lambda: type(t).__name__,
        ".dtype": lambda: str(t.dtype),
        ".shape": lambda: tuple(t.shape),
        ".is_contiguous()": lambda: t._is_view() and t.is_contiguous(),
        ".requires_grad": lambda: t.requires_grad,
        ".is_leaf": lambda: t.is_leaf,
        ".grad_fn": grad_fn,
        ".requires_grad now": lambda: t.requires_grad,  # torch brings a view's history up to date when grad_fn is asked
        "._version": lambda: t._version if isinstance(first_version, Raised) else t._version - first_version,
        "._is_view()": lambda: t._is_view(),
        "._base": lambda: name_of(t._base),
        ".retains_grad": lambda: t.retains_grad,
        ".is_inference()": lambda: t.is_inference(),
        ".values": values,
        ".grad": lambda: name_of(t.grad),
    }
    result = {what: attempt(look) for what, look in seen.items()}
    g = attempt(lambda: t.grad)
    if g is not None and not isinstance(g, Raised):
        result[".grad.values"] = attempt(lambda: g.numpy(force=True))
        result[".grad.requires_grad"] = g.requires_grad
    return result


def view_of(run: Run) -> dict[str, dict[str, Any]]:
    """The facts of all named tensors, and of what hooks have written to `log`.

    Tensors are told apart by the first way to reach them: `t1`, `t1._base`, `t1.grad`.
    """
    tensors = run.tensors()
    known = {id(t): name for name, t in reversed(tensors.items())}
    for name, t in tensors.items():
        known.setdefault(id(t._base), f"{name}._base")
    for name, t in tensors.items():
        known.setdefault(id(attempt(lambda t=t: t.grad)), f"{name}.grad")

    def name_of(x: Any) -> Any:
        return None if x is None else known.get(id(x), "another")

    seen = {name: facts(t, name_of, run.first_versions[name]) for name, t in tensors.items()}
    log = run.names["log"]
    seen["log"] = {".length": len(log)}
    for i, entry in enumerate(log[-3:]):
        is_tensor = isinstance(entry, run.module.Tensor)
        seen["log"][f"[{i}]"] = entry.numpy(force=True) if is_tensor else entry
        seen["log"][f"[{i}].requires_grad"] = is_tensor and entry.requires_grad
    seen[""] = {"names": sorted(n for n in run.names if n[0] != "_"), "grad enabled": run.module.is_grad_enabled()}
    return seen


def equal(got: Any, expected: Any) -> bool:
    """Equal values, or errors of one class whose text begins alike."""
    if isinstance(expected, Raised) or isinstance(got, Raised):
        if not (isinstance(expected, Raised) and isinstance(got, Raised)) or got.type is not expected.type:
            return False
        # Of what was written to, torch goes on to tell the type and the node, whose names differ between its releases.
        return got.text.startswith(
            re.split(r"\. |(?<=modified by an inplace operation):", expected.text)[0].rstrip(".")
        )
    if isinstance(expected, (np.ndarray, float)):
        got, expected = np.asarray(got), np.asarray(expected)
        return got.shape == expected.shape and np.allclose(got, expected, rtol=RTOL, atol=ATOL, equal_nan=True)
    return got == expected


# How a gradient came about is nobody's contract: which steps of a derivative's formula its history shows, whether it is
# a view, a sum made in place, or the very tensor that another input got too.
NOT_OF_GRADIENTS = {"", ".grad_fn", ".is_contiguous()", "._version", "._is_view()", "._base", ".grad"}


def compare(line: str, runs: Sequence[Run], gradients: set[str]) -> None:
    """Raise the first Mismatch among all facts."""
    expected, got = (view_of(run) for run in runs)
    for name, facts_of in expected.items():
        for what, value in facts_of.items():
            if name in gradients and what in NOT_OF_GRADIENTS:
                continue
            other = got.get(name, {}).get(what, "nothing")
            if not equal(other, value):
                raise Mismatch(line, name, what, value, other)


def made_from(program: Sequence[str], source: str) -> set[str]:
    """The names given to what comes from `source`, a part of a line, and to what was made from them (not by clone)."""
    found: set[str] = set()
    for line in program:
        names, made, of = line.strip().partition(" = ")
        if made and (source in of or (found.intersection(re.findall(r"t\d+", of)) and "clone" not in of)):
            found.update(re.findall(r"^t\d+|(?<=, )t\d+", names))
    return found


def difference(program: Sequence[str], modules: Sequence[ModuleType] = (torch, minigrad)) -> Mismatch | None:
    """Where the second library comes apart from the first, if it does.

    Programs run twice, as looking is not without effect (torch renews a view's history when it is asked for): once with
    a look after every line, and once with a look at the end.
    """
    for looks in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Run(modules[0]) as first, Run(modules[1]) as second:
                try:
                    for number, line in enumerate(program):
                        of_torch, of_minigrad = first.step(line), second.step(line)
                        if not equal(of_minigrad, of_torch):
                            raise Mismatch(line, "", "outcome", of_torch or "no error", of_minigrad or "no error")
                        if looks or number == len(program) - 1:
                            compare(line, (first, second), made_from(program, ".grad"))
                except Mismatch as mismatch:
                    return mismatch
    return None


def without(program: Sequence[str], i: int, n: int = 1) -> list[str]:
    """The program less `n` lines from `i` on; what was inside of a `with` that goes is so no longer."""
    lines = list(program)
    for _ in range(min(n, len(lines) - i)):
        gone = lines.pop(i)
        depth = len(gone) - len(gone.lstrip())
        for j in range(i, len(lines)):
            inner = len(lines[j]) - len(lines[j].lstrip()) > depth
            if not (inner and gone.lstrip().startswith("with ")):
                break
            lines[j] = lines[j][4:]
    return lines


def shortest(program: Sequence[str], like: Mismatch) -> list[str]:
    """The shortest program found with a mismatch of the same kind, excused or not as it was."""
    excused = excuse(program, like)

    def stays(fewer: list[str]) -> bool:
        mismatch = difference(fewer)
        return mismatch is not None and mismatch.kind == like.kind and excuse(fewer, mismatch) == excused

    return shrink.shortest(program, stays, without)


def script(program: Sequence[str]) -> str:
    """The program as it can be pasted and run, after `T = torch` or `T = minigrad`."""
    text = "\n".join(program)
    needed = [source for name, source in FUNCTIONS.items() if f"{name}." in text]
    if "log" in text:
        needed.append("log = []")
    lines = []
    for line, following in zip(program, [*program[1:], ""]):
        lines.append(line)
        depth = len(line) - len(line.lstrip())
        if line.lstrip().startswith("with ") and len(following) - len(following.lstrip()) <= depth:
            lines.append(" " * (depth + 4) + "pass")
    return "\n".join([*needed, *lines])


def excuse(program: Sequence[str], mismatch: Mismatch) -> str | None:
    """Why this mismatch is not yet, or cannot be, held against minigrad."""
    unchecked = (
        "torch:    RuntimeError: one of the variables" in mismatch.text and "minigrad: no error" in mismatch.text
    )
    if unchecked and re.search(r"\.gather\(|\.index_add_\(", "".join(program)):
        return "torch saves what is gathered from and what is added; our rules have no need of it"
    return next((reason for pattern, reason in NOT_YET.items() if re.search(pattern, mismatch.text, re.DOTALL)), None)


def check(program: Sequence[str]) -> None:
    """AssertionError, with the shortest program found, if the libraries differ."""
    mismatch = difference(program)
    if mismatch is None or excuse(program, mismatch):
        return
    short = shortest(program, mismatch)
    raise AssertionError(f"\n{script(short)}\n\n{difference(short)}")
