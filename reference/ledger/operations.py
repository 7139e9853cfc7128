"""PyTorch's database of operations, `op_db`: an entry for each differentiable one and each of its variants."""

from __future__ import annotations

import random
import warnings
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from operator import attrgetter
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import minigrad
from reference.adapters import Engine
from reference.ledger.compare import LOOSER
from reference.ledger.families import family
from reference.ledger.ledger import LEVELS, Row, Settings, Verdict
from reference.ledger.levels import error_verdict, verdicts
from reference.ledger.transport import Absent, Unmeasurable, doubled, freeze, over, thaw

CORE = frozenset((Path(__file__).parent / "core_ops.txt").read_text().split())

# Entries without a public function behind them: PyTorch's internal kernels, tested through their private names.
INTERNAL = "internal to PyTorch"


class Operation:
    """An entry of `op_db` on both engines."""

    def __init__(self, info: Any) -> None:
        self.info = info
        self.name = info.name + (f".{info.variant_test_name}" if info.variant_test_name else "")
        self.family = family(info.name)
        self.is_core = self.name in CORE

    def measure(self, settings: Settings) -> Row:
        """The entry's row: its samples at every level, in every dtype."""
        row = Row(self.name, self.info.name, self.family, self.is_core, self.is_present())
        row.excluded = self.why_excluded()
        if not row.excluded:
            with warnings.catch_warnings():  # they are not compared here
                warnings.simplefilter("ignore")
                self.fill(row, settings)
        return row

    def fill(self, row: Row, settings: Settings) -> None:
        for dtype in settings.dtypes:
            second = dtype == "float64" and self.info.supports_gradgrad
            for number, sample in enumerate(islice(self.samples(dtype), settings.samples)):
                seed = zlib.crc32(f"{self.name} {number}".encode())
                for level, verdict in self.examine(sample, dtype, second, settings, seed).items():
                    self.enter(row, level, dtype, number, sample, verdict, settings)
        if "errors" in settings.levels and self.info.error_inputs_func is not None:
            seed_everything(self.name)
            for number, bad in enumerate(islice(self.info.error_inputs("cpu"), settings.samples)):
                self.enter(row, "errors", "", number, bad.sample_input, self.examine_error(bad, settings), settings)

    def enter(
        self, row: Row, level: str, dtype: str, number: int, sample: Any, verdict: Verdict, settings: Settings
    ) -> None:
        """Write one verdict down."""
        if verdict.text and not verdict.unmeasurable:
            called = described(sample)
            if settings.verbose:
                row.details.append(f"{level} {dtype} sample {number}: {verdict.text}\n{called}\n{verdict.detail}")
            verdict.text = f"{verdict.text} | {called}"[:400]
        row.count(level, dtype).add(verdict)

    # -- is it there --

    def why_excluded(self) -> str:
        """Why the entry says nothing about a public function's derivatives; empty if it does."""
        name = self.info.name
        private = any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
        return INTERNAL if private or not (has(torch, name) or has(torch.Tensor, name)) else ""

    def is_present(self) -> bool:
        """True if minigrad has a function, or else a method, where torch has one."""
        owner = minigrad if callable(attribute(torch, self.info.name)) else minigrad.Tensor
        return has(owner, self.info.name)

    def function(self, engine: Engine) -> Callable[..., Any]:
        """What the entry calls, on `engine`."""
        op, name = self.info.op, self.info.name
        if engine.module is torch:
            return op
        if isinstance(op, FunctionType) and op is not attribute(torch, name):  # the database's own, written over torch
            return over(op, engine.module)
        found = attribute(minigrad if op is attribute(torch, name) else minigrad.Tensor, name)
        if found is None:
            raise Absent(f"no {name}")
        return found

    # -- samples --

    def samples(self, dtype: str) -> Iterator[Any]:
        """torch's samples, the same ones each time."""
        seed_everything(self.name)
        if getattr(torch, dtype) in self.info.supported_backward_dtypes("cpu"):
            yield from self.info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=True)

    def examine(self, sample: Any, dtype: str, second: bool, settings: Settings, seed: int) -> dict[str, Verdict]:
        try:
            arguments = freeze((sample.input, sample.args, sample.kwargs))
        except Unmeasurable as why:
            return {level: Verdict(str(why), unmeasurable=True) for level in LEVELS[: 3 if second else 2]}

        def program(engine: Engine, exact: bool = False) -> tuple[list[Any], Any, Any]:
            (first, args, kwargs), inputs = thaw(doubled(arguments) if exact else arguments, engine)
            result = self.function(engine)(first, *args, **kwargs)
            unique = sample.output_process_fn_grad
            return inputs, result, (unique if engine.module is torch else over(unique, engine.module))(result)

        return verdicts(program, LOOSER.get(self.info.name), settings, second, seed)

    def examine_error(self, bad: Any, settings: Settings) -> Verdict:
        sample = bad.sample_input
        try:
            arguments = freeze((sample.input, sample.args, sample.kwargs))
        except Unmeasurable as why:
            return Verdict(str(why), unmeasurable=True)

        def program(engine: Engine) -> None:
            (first, args, kwargs), _ = thaw(arguments, engine)
            self.function(engine)(first, *args, **kwargs)

        return error_verdict(program, settings)


def operations() -> list[Operation]:
    """Every differentiable entry of op_db, in its order."""
    return [Operation(info) for info in op_db if info.supports_autograd]


def attribute(owner: Any, path: str) -> Any:
    """`owner`'s object of the dotted name; None if there is none."""
    try:
        return attrgetter(path)(owner)
    except AttributeError:
        return None


def has(owner: Any, path: str) -> bool:
    return attribute(owner, path) is not None


def described(sample: Any) -> str:
    """A sample's arguments in a line, tensors by dtype and shape."""
    first, args, kwargs = freeze_or_not((sample.input, sample.args, sample.kwargs))
    return ", ".join([repr(first), *map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())])


def freeze_or_not(value: Any) -> Any:
    try:
        return freeze(value)
    except Exception:
        return value


def seed_everything(name: str) -> None:
    """Seed all that the database draws from, by the entry's name: a sample does not depend on what ran before it."""
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
