"""One line of a database: its samples run and compared, one after the other. What they do is a subclass's to say."""

from __future__ import annotations

import random
import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import Any

import numpy as np
import torch

from reference.ledger.compare import LOOSER
from reference.ledger.ledger import LEVELS, Row, Settings, Verdict
from reference.ledger.levels import Program, error_verdict, verdicts
from reference.ledger.transport import Unmeasurable, freeze

Call = tuple[tuple[Any, ...], dict[str, Any]]  # positional and named arguments


class Entry(ABC):
    """An operation, a module or an optimizer, on both engines.

    name      as PyTorch's tests call it, the variant included
    function  torch's dotted name of what is called
    twice     whether PyTorch's own tests differentiate it twice
    """

    database = ""
    levels = LEVELS  # at which it can be measured

    def __init__(self, name: str, function: str, family: str, twice: bool, is_core: bool = False) -> None:
        self.name, self.function, self.family, self.twice, self.is_core = name, function, family, twice, is_core

    @abstractmethod
    def is_present(self) -> bool:
        """True if minigrad has what torch has under this name."""

    def why_excluded(self) -> str:
        """Why the entry cannot be measured at all; empty if it can."""
        return ""

    @abstractmethod
    def samples(self, dtype: str) -> Iterable[Any]:
        """torch's samples."""

    @abstractmethod
    def bad_samples(self) -> Iterable[Any]:
        """torch's samples of what raises."""

    @abstractmethod
    def calls(self, sample: Any) -> list[Call]:
        """The arguments that a sample is made of."""

    @abstractmethod
    def program(self, sample: Any, frozen: list[Call]) -> Program:
        """What a sample does, with its arguments on their way between engines."""

    def measure(self, settings: Settings) -> Row:
        """The entry's row: its samples at every level, in every dtype."""
        row = Row(self.name, self.function, self.database, self.family, self.is_core, self.is_present())
        row.excluded = self.why_excluded()
        settings = replace(settings, levels=tuple(level for level in settings.levels if level in self.levels))
        if not row.excluded:
            with warnings.catch_warnings():  # they are not compared here
                warnings.simplefilter("ignore")
                for dtype in settings.dtypes:
                    self.measure_in(dtype, row, settings)
                if "errors" in settings.levels:
                    self.measure_errors(row, settings)
        return row

    def measure_in(self, dtype: str, row: Row, settings: Settings) -> None:
        twice = self.twice and dtype == "float64"
        for number, sample in enumerate(drawn(self.name, self.samples(dtype), settings)):
            seed = zlib.crc32(f"{self.name} {number}".encode())
            try:
                frozen = freeze(self.calls(sample))
            except Unmeasurable as why:
                levels = [level for level in LEVELS[: 3 if twice else 2] if level in settings.levels]
                found = {level: Verdict(str(why), unmeasurable=True) for level in levels}
                enter(row, dtype, number, [], found, settings)
            else:
                program = self.program(sample, frozen)
                found = verdicts(program, LOOSER.get(self.function), settings, twice, seed)
                enter(row, dtype, number, frozen, found, settings)

    def measure_errors(self, row: Row, settings: Settings) -> None:
        for number, sample in enumerate(drawn(self.name, self.bad_samples(), settings)):
            try:
                frozen = freeze(self.calls(sample))
            except Unmeasurable as why:
                enter(row, "", number, [], {"errors": Verdict(str(why), unmeasurable=True)}, settings)
            else:
                verdict = error_verdict(self.program(sample, frozen), settings)
                enter(row, "", number, frozen, {"errors": verdict}, settings)


def drawn(name: str, samples: Iterable[Any], settings: Settings) -> list[Any]:
    """The samples, all drawn before the first is run: a sample depends on the entry's name and on nothing else."""
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    return list(islice(samples, settings.samples))


def enter(row: Row, dtype: str, number: int, frozen: list[Call], found: dict[str, Verdict], settings: Settings) -> None:
    """Write a sample's verdicts down."""
    for level, verdict in found.items():
        if verdict.text and not verdict.unmeasurable:
            called = "".join(described(call) for call in frozen)
            if settings.verbose:
                row.details.append(f"{level} {dtype} sample {number}: {verdict.text}\n{called}\n{verdict.detail}")
            verdict.text = f"{verdict.text} | {called}"[:400]
        row.count(level, dtype).add(verdict)


def described(call: Call) -> str:
    """A call's arguments in a line, tensors by dtype and shape."""
    args, kwargs = call
    return f"({', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in kwargs.items())])})"


def attribute(owner: Any, path: str) -> Any:
    """`owner`'s object of the dotted name; None if there is none."""
    try:
        return attrgetter(path)(owner)
    except AttributeError:
        return None
