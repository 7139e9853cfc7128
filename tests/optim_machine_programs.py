"""Writes programs of optimizers and schedulers at random, of what `tests/optim_machine_tables.py` lists.

Numbers are few and plain, so that a program can be read. Most lines are valid; some are not, and then must fail alike.
"""

from __future__ import annotations

import contextlib
import random
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tests.optim_machine import Run
from tests.optim_machine_tables import LINES, LR, OPTIMIZERS, PARAMETERS, SCHEDULERS, Options

Rule = Callable[["Writer"], str]


class NotNow(Exception):
    """A rule has nothing to work on."""


class Writer:
    """A program in the making; it runs on torch as it grows, so that rules know what they write about."""

    def __init__(self, seed: int) -> None:
        self.random, self.run = random.Random(seed), Run(torch)
        self.lines: list[str] = []
        self.made = 0

    # -- choices

    def below(self, n: int) -> int:
        return self.random.randrange(n)

    def chance(self, n: int) -> bool:
        """True once in n times."""
        return self.below(n) == 0

    def one_of(self, options: Sequence[Any]) -> Any:
        if not options:
            raise NotNow
        return self.random.choice(options)

    def some(self, options: Sequence[Any], most: int) -> list[Any]:
        """One of them or several, none twice."""
        return self.random.sample(options, min(1 + self.below(most), len(options))) or [self.one_of(options)]

    def valid(self, values: Sequence[str]) -> str:
        """One of the values; the last one, which may be invalid, is rare."""
        return values[-1] if self.chance(12) else self.one_of(values[:-1] or values)

    def options(self, table: Options, chance: int) -> list[str]:
        """Some of the options, each once in `chance` times."""
        return [f"{name}={self.valid(values)}" for name, values in table.items() if self.chance(chance)]

    # -- names

    def __getitem__(self, name: str) -> Any:
        return self.run.names[name]

    def names(self, letter: str) -> list[str]:
        return list(self.run.named(letter))

    def fresh(self, letter: str) -> str:
        self.made += 1
        return f"{letter}{self.made - 1}"

    def a(self, letter: str) -> str:
        return self.one_of(self.names(letter))

    def filled(self, line: str) -> str:
        """The line with names and numbers for what it leaves open, the same for the same word."""
        words: dict[str, Callable[[], Any]] = {
            "p": lambda: self.a("p"),
            "q": lambda: self.a("p"),
            "o": lambda: self.a("o"),
            "s": lambda: self.a("s"),
            "d": lambda: self.one_of([d for d in self.names("d") if "param_groups" in self[d]]),
            "group": self.group,
            "number": lambda: self.one_of(("0.5", "0.25", "0.0", "0.125", "1")),
            "beta": lambda: self.one_of(("0.5", "0.875", "0.0")),
            "k": lambda: self.below(11),
            "dtype": lambda: self.one_of((", dtype=T.float64", "")),
        }
        for word in dict.fromkeys(re.findall("<([a-z]+)>", line)):
            line = line.replace(f"<{word}>", str(words[word]()))
        return line

    def group(self) -> str:
        o = self.a("o")
        return f"{o}.param_groups[{self.below(len(self[o].param_groups))}]"

    def add(self, line: str) -> None:
        """Write a line, and run it."""
        self.lines.append(line)
        self.run.step(line)


RULES: list[tuple[int, Rule]] = []


def rule(often: int) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.append((often, function))
        return function

    return register


def line_of(kind: str) -> Rule:
    """A rule that writes one of some lines."""

    def line(w: Writer) -> str:
        text = w.filled(w.one_of(kind.splitlines()))
        key = re.match(r"(o\d+.param_groups\[\d\])\['?\"?(\w+)", text)
        if key and key[2] not in ("initial_lr", "note") and key[2] not in eval(key[1], w.run.names):
            raise NotNow  # what an optimizer has not, means nothing to it in torch
        twins = re.match(r"(o\d+).add_param.*\[(p\d+), \2\]", text)
        if twins and any(w[twins[1]].defaults.get(option) for option in ("foreach", "fused", "momentum")):
            raise NotNow  # a parameter that is there twice, goes another way there
        return text

    return line


RULES.extend((often, line_of(kind)) for kind, often in LINES.items())

# -- making ------------------------------------------------------------------------------------------------------------


@rule(3)
def parameter(w: Writer) -> str:
    return f"{w.fresh('p')} = {w.filled(w.one_of(PARAMETERS.splitlines()))}.requires_grad_()"


def params(w: Writer, names: Sequence[str]) -> str:
    kind = w.one_of(("list", "list", "many", "groups", "named", "named groups", "iterator", "some named"))
    if kind == "list" or (len(names) < 2 and "groups" in kind):
        return f"[{', '.join(names)}]"
    if kind == "many":  # enough to be joined
        return f"[*(T.full((k % 3 + 1, 2), k / 4).requires_grad_() for k in range(9)), {', '.join(names)}]"
    if kind == "named":
        return f"[{', '.join(f'({n!r}, {n})' for n in names)}]"
    if kind == "iterator":
        return f"iter([{', '.join(names)}])"
    if kind == "some named":
        return f"[('w', {names[0]}), {', '.join(names[1:])}]"
    listed = [f"({n!r}, {n})" for n in names] if kind == "named groups" else list(names)
    cut = 1 + w.below(len(names) - 1)
    option = w.one_of(("'lr': 0.5", "'lr': 0.25, 'weight_decay': 0.25", "'lr': T.tensor(0.5)", "'note': 'mine'"))
    return f"[{{'params': [{', '.join(listed[:cut])}]}}, {{'params': [{', '.join(listed[cut:])}], {option}}}]"


@rule(2)
def optimizer(w: Writer) -> str:
    name = w.one_of(list(OPTIMIZERS))
    names = w.names("p")
    if name == "Muon" and not w.chance(8):
        names = [n for n in names if w[n].dim() == 2]
    if name == "LBFGS":
        names = [n for n in names if w[n].dtype == torch.float64 and w[n].numel()]
    names = w.some(names, 3)
    chosen = params(w, names)
    if name == "LBFGS" and "range" in chosen:  # of which nine would be float32
        raise NotNow
    options = [f"lr={w.valid(LR)}"] if w.chance(2) else []
    options += w.options(OPTIMIZERS[name], 2)
    if "detach" in "".join(w.lines):  # which of two parameters that share memory goes first, differs there
        options = [o for o in options if not re.match("foreach|fused", o)]
    if not all(w[n].is_contiguous() for n in names):  # torch's fused ones take it for granted
        options = [o for o in options if o != "fused=True"]
    where = name if name == "Signed" else f"T.optim.{name}"
    return f"{w.fresh('o')} = {where}({', '.join([chosen, *options])})"


def schedule(w: Writer, o: str) -> str:
    """What makes a scheduler that is not made of others."""
    name = w.one_of(list(SCHEDULERS))
    needed, more = SCHEDULERS[name]
    options = [f"{n}={w.valid(values)}" for n, values in needed.items()] + w.options(more, 3)
    if w.chance(12) and name != "ReduceLROnPlateau":
        options.append(f"last_epoch={w.below(4)}")
    where = name if name in ("Halving", "Warmup") else f"S.{name}"
    return f"{where}({', '.join([o, *options])})"


@rule(6)
def scheduler(w: Writer) -> str:
    o, new = w.a("o"), w.fresh("s")
    if not w.chance(3):
        return f"{new} = {schedule(w, o)}"
    parts = [schedule(w, o) for _ in range(1 + w.below(3))]
    if w.chance(6):
        parts[0] = w.a("s")
    if w.chance(2):
        return f"{new} = S.ChainedScheduler([{', '.join(parts)}]{', optimizer=' + w.a('o') if w.chance(4) else ''})"
    milestones = sorted(w.random.sample(range(1, 8), len(parts) - 1 + w.chance(12)))
    return f"{new} = S.SequentialLR({o}, [{', '.join(parts)}], milestones={milestones})"


# -- steps -------------------------------------------------------------------------------------------------------------


@rule(14)
def step(w: Writer) -> str:
    o = w.a("o")
    if ("LBFGS" in type(w[o]).__name__ and not w.chance(12)) or w.chance(6):
        return f"log.append({o}.step(closure({o})))"
    return f"log.append({o}.step(lambda: 5))" if w.chance(12) else f"{o}.step()"


@rule(14)
def schedule_step(w: Writer) -> str:
    s = w.a("s")
    name = type(w[s]).__name__
    if "Plateau" in name and not w.chance(12):
        metric = w.one_of(("1.0", "0.5", "0.9", "float('nan')", "T.tensor(0.25)", "2"))
        return f"{s}.step({metric}{', epoch=3' if w.chance(8) else ''})"
    if "Restarts" in name and w.chance(3):
        return f"{s}.step({w.one_of((0.5, 1.75, 2, 5.5, 3, 0, -1))})"
    return f"{s}.step({w.one_of((0, 1, 2, 3, 5, 2.5)) if w.chance(6) else ''})"


# -- saving ------------------------------------------------------------------------------------------------------------


@rule(5)
def save(w: Writer) -> str:
    how = w.one_of(("{}", "copy.deepcopy({})", "through_bytes({})", "pickled({})"))
    return f"{w.fresh('d')} = {how.format(w.a(w.one_of('os')) + '.state_dict()')}"


@rule(5)
def load(w: Writer) -> str:
    d = w.a("d")
    fits = "[os]" if w.chance(16) else "o" if "param_groups" in w[d] else "s"
    return f"{w.a(fits)}.load_state_dict({d})"


@rule(3)
def copies(w: Writer) -> str:
    if "detach()" in "".join(w.lines):
        raise NotNow  # parameters that share memory go on doing so in torch's copies
    how = w.one_of(("copy.deepcopy({})", "pickled({})"))
    if w.chance(2):
        return f"{w.fresh('o')}, {w.fresh('s')} = {how.format('(' + w.a('o') + ', ' + w.a('s') + ')')}"
    return f"{w.fresh('o')} = {how.format(w.a('o'))}"


ALL = [function for often, function in RULES for _ in range(often)]
FULL = 3  # so many optimizers or saved states are enough: then the oldest goes


def write(seed: int, length: int = 30) -> list[str]:
    """A program of about `length` lines: two parameters and an optimizer, usually with a scheduler, then anything."""
    w = Writer(seed)
    start = [parameter, parameter, optimizer, scheduler]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(length):
            for letter in "od":
                if len(w.names(letter)) > FULL:
                    w.add(f"del {w.names(letter)[0]}")
            chosen = start[number] if number < len(start) else w.one_of(ALL) if w.names("o") else optimizer
            with contextlib.suppress(NotNow):
                w.add(chosen(w))
    return w.lines
