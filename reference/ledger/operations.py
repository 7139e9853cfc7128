"""PyTorch's database of operations, `op_db`: an entry for each differentiable one and each of its variants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

import minigrad
from reference.adapters import Engine
from reference.ledger.databases import op_db
from reference.ledger.entry import Call, Entry, attribute
from reference.ledger.families import family
from reference.ledger.levels import Program
from reference.ledger.transport import doubled, named, over, thaw

CORE = frozenset((Path(__file__).parent / "core_ops.txt").read_text().split())


class Operation(Entry):
    """An entry of `op_db`."""

    database = "operations"

    def __init__(self, info: Any) -> None:
        name = info.name + (f".{info.variant_test_name}" if info.variant_test_name else "")
        super().__init__(name, info.name, family(info.name), info.supports_gradgrad, name in CORE)
        self.info = info

    def why_excluded(self) -> str:
        """PyTorch's own kernels, tested through private names, are nobody's API."""
        private = any(part.startswith("_") and not part.startswith("__") for part in self.function.split("."))
        known = attribute(torch, self.function) or attribute(torch.Tensor, self.function)
        return "internal to PyTorch" if private or known is None else ""

    def is_present(self) -> bool:
        """True if minigrad has a function, or else a method, where torch has one."""
        owner = minigrad if callable(attribute(torch, self.function)) else minigrad.Tensor
        return attribute(owner, self.function) is not None

    def on(self, engine: Engine) -> Callable[..., Any]:
        """What the entry calls, on `engine`."""
        if engine.module is torch:
            return self.info.op
        for torchs, ours in ((torch, minigrad), (torch.Tensor, minigrad.Tensor)):
            if self.info.op is attribute(torchs, self.function):
                return named(self.function, ours)
        return over(self.info.op, engine.module)  # the database's own, written over torch

    def samples(self, dtype: str) -> Iterable[Any]:
        known = getattr(torch, dtype)
        if known not in self.info.supported_backward_dtypes("cpu"):
            return []
        return self.info.sample_inputs("cpu", known, requires_grad=True)

    def bad_samples(self) -> Iterable[Any]:
        if self.info.error_inputs_func is None:
            return []
        return (bad.sample_input for bad in self.info.error_inputs("cpu"))

    def calls(self, sample: Any) -> list[Call]:
        return [((sample.input, *sample.args), sample.kwargs)]

    def program(self, sample: Any, frozen: list[Call]) -> Program:
        unique = sample.output_process_fn_grad

        def run(engine: Engine, exact: bool = False) -> tuple[list[Any], Any, Any]:
            [(args, kwargs)], inputs = thaw(doubled(frozen) if exact else frozen, engine)
            result = self.on(engine)(*args, **kwargs)
            return inputs, result, (unique if engine.module is torch else over(unique, engine.module))(result)

        return run


def operations() -> list[Entry]:
    """Every differentiable entry of op_db, in its order."""
    return [Operation(info) for info in op_db if info.supports_autograd]
