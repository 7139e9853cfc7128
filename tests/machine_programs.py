"""Rules about modes, hooks and walks, and whole programs of all the rules."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from tests.machine import Run
from tests.machine_ops import RULES, leaf_to_start_with, rule
from tests.machine_writer import NotNow, Writer, dims, floating, has_grad, leaf, no_wish, result, shaped, typed, wants

MODES = ("T.no_grad()", "T.no_grad()", "T.enable_grad()", "T.inference_mode()", "T.set_grad_enabled({flag})")


@rule(3)
def mode(w: Writer) -> str:
    if len(w.run.open) > 2 or torch.is_inference_mode_enabled():  # which has the last word
        raise NotNow
    if w.chance(6):
        return f"T.set_grad_enabled({w.chance(2)})"
    return "with " + w.one_of(MODES).format(flag=w.chance(2)) + ":"


@rule(4)
def hook(w: Writer) -> str:
    kinds = (
        "h{k} = {x}.register_hook(lambda g: g * 2)",
        "h{k} = {x}.register_hook(log.append)",
        "h{k} = {x}.register_hook(lambda g: log.append(g.sum().item()))",
        "h{k} = {leaf}.register_post_accumulate_grad_hook(lambda t: log.append(t.grad.sum().item()))",
        "h{k} = {leaf}.register_post_accumulate_grad_hook(lambda t: setattr(t, 'grad', t.grad * 2))",
        "{result}.retain_grad()",
        "{result}.retain_grad()",
        "{x}.retain_grad()",
    )
    text = w.one_of(kinds)
    words = {"k": sum("h" + str(k) in w.run.names for k in range(50))}
    for word, condition in (("x", wants), ("leaf", leaf), ("result", result)):
        if f"{{{word}}}" in text:
            words[word] = w.tensor(condition)
    # torch 2.13 crashes where a hook is registered on a view that was written through another, and not asked since.
    return ("{x}.grad_fn; " if "{x}.register" in text else "").format(**words) + text.format(**words)


@rule(1)
def unhook(w: Writer) -> str:
    return f"{w.one_of([n for n in w.run.names if n[0] == 'h' and n[1:].isdigit()])}.remove()"


def options(w: Writer) -> str:
    text = w.one_of(("", ", retain_graph=True", ", retain_graph=True", ", create_graph=True"))
    return text + (f", inputs=[{w.tensor(wants)}]" if w.chance(6) else "")


def outside_of_inference() -> None:
    """Walks are for elsewhere: there torch's gradients are inference tensors, which the next walk refuses to add to."""
    if torch.is_inference_mode_enabled():
        raise NotNow


@rule(8)
def backward(w: Writer) -> str:
    outside_of_inference()
    x = w.tensor(wants) if not w.chance(20) else w.tensor(floating)
    how = w.one_of(("sum", "gradient", "scalar", "several"))
    if how == "scalar":
        return f"{w.tensor(wants, dims(0))}.backward({options(w).removeprefix(', ')})"
    if how == "sum":
        return f"({x} * {x}).sum().backward({options(w).removeprefix(', ')})"
    if how == "several":
        y = w.tensor(wants)
        ones = f"[T.ones_like({x}), T.ones_like({y})]"
        return f"T.autograd.backward([{x}, {y}], {ones}{options(w)})"
    if w.chance(3):
        # Whether hooks see that a given gradient wants one itself, is not told of a walk that records nothing.
        how = options(w)
        y = w.tensor(shaped(w[x].shape), typed(w[x].dtype), *([] if "create" in how else [no_wish]))
        # A clone: torch may make the memory of the given gradient that of a leaf's, and add to it later.
        return f"{x}.backward({y}.clone(){how})"
    return f"{x}.backward({w.literal(w[x].shape, dtype=str(w[x].dtype).replace('torch', 'T'))}{options(w)})"


@rule(5)
def grad(w: Writer) -> str:
    outside_of_inference()
    x = w.tensor(wants)
    outputs = [x, w.tensor(wants)] if w.chance(3) else [x]
    count = 1 + w.pick(2)
    inputs = [w.tensor(wants) for _ in range(count)]
    total = " + ".join(f"{y}.sum()" for y in outputs) if w.chance(2) else f"[{', '.join(outputs)}]"
    given = "" if total[0] != "[" else f", [{', '.join(f'T.ones_like({y})' for y in outputs)}]"
    unused = ", allow_unused=True" if not w.chance(4) else ""
    how = w.one_of(("", ", retain_graph=True", ", create_graph=True", ", create_graph=True"))
    targets = ", ".join(w.fresh() for _ in range(count))
    return f"{targets}{',' if count == 1 else ''} = T.autograd.grad({total}, [{', '.join(inputs)}]{given}{how}{unused})"


@rule(5)
def gradient(w: Writer) -> str:
    text = w.one_of(
        (
            "{new} = {x}.grad",
            "{new} = {x}.grad",
            "{x}.grad = None",
            "{x}.grad.zero_()",
            "{x}.grad *= 2",
            "{leaf}.grad = {y}",
        )
    )
    if "{leaf}" in text:
        t = w.tensor(leaf)
        return f"{t}.grad = {w.target(shaped(w[t].shape), typed(w[t].dtype))}"
    return text.format(x=w.tensor(has_grad), new=w.fresh())


@rule(2)
def forget(w: Writer) -> str:
    return f"del {w.one_of(w.names())}"


ALL = [function for often, function in RULES for _ in range(often)]
FULL = 12  # so many tensors are enough: then some go


def write(pick: Callable[[int], int], length: int) -> list[str]:
    """A program of about `length` statements."""
    with Run(torch) as run, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = Writer(pick, run)
        w.add(leaf_to_start_with(w))
        for _ in range(length):
            if run.open and w.chance(7):
                w.leave()
            chosen = forget if len(run.tensors()) > FULL else w.one_of(ALL)
            made = w.made
            try:
                w.add(chosen(w))
            except NotNow:
                w.made = made
        return w.lines


class Program(list):
    """Its lines; shown as the text that they are."""

    def __repr__(self) -> str:
        return "\n" + "\n".join(self)


@st.composite
def programs(draw: Callable[[Any], Any], length: int = 30) -> Program:
    return Program(write(lambda n: draw(st.integers(0, n - 1)), length))
