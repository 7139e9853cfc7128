"""PyTorch's database of modules, `module_db`: an entry for each, in training and in evaluation where they differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

import minigrad
from reference.adapters import Engine, to_numpy
from reference.ledger.databases import module_db
from reference.ledger.entry import Call, Entry, attribute
from reference.ledger.levels import Program
from reference.ledger.transport import doubled, named, thaw


class Module(Entry):
    """An entry of `module_db`.

    Both engines construct the module after the same seed; minigrad's then takes over the weights of torch's, which
    float32 draws may leave a rounding apart. The gradients are those of the parameters and of the inputs, the values
    those of the output, of the buffers afterwards, and the names of all in `state_dict()`.
    """

    database = "modules"

    def __init__(self, info: Any) -> None:
        super().__init__(info.name, info.name, "modules", info.supports_gradgrad)
        self.info = info

    def is_present(self) -> bool:
        return attribute(minigrad, self.function) is not None

    def samples(self, dtype: str) -> Iterable[Any]:
        known = getattr(torch, dtype)
        for training in (True, False) if self.info.train_and_eval_differ else (True,):
            inputs = self.info.module_inputs_func(
                self.info, device="cpu", dtype=known, requires_grad=True, training=training
            )
            for sample in inputs:
                yield sample, dtype, training

    def bad_samples(self) -> Iterable[Any]:
        if self.info.module_error_inputs_func is None:
            return
        for training in (True, False) if self.info.train_and_eval_differ else (True,):
            for bad in self.info.module_error_inputs_func(
                self.info, device="cpu", dtype=torch.float64, requires_grad=False, training=training
            ):
                yield bad.module_error_input, "float64", training

    def calls(self, sample: Any) -> list[Call]:
        given = (sample[0].constructor_input, sample[0].forward_input)
        return [(tuple(call.args), call.kwargs) for call in given if call is not None]

    def program(self, sample: Any, frozen: list[Call]) -> Program:
        _, dtype, training = sample
        weights: dict[str, Any] = {}  # torch's, which runs first

        def run(engine: Engine, exact: bool = False) -> tuple[list[Any], Any, Any]:
            [(made_of, options), *forward], inputs = thaw(doubled(frozen) if exact else frozen, engine)
            module = named(self.function, engine.module)(*made_of, **options)
            module.to(getattr(engine.module, "float64" if exact else dtype)).train(training)
            names = list(module.state_dict())
            if engine.module is torch and not exact and not self.info.is_lazy:
                weights.update({name: to_numpy(t).copy() for name, t in module.state_dict().items()})
            elif weights:
                module.load_state_dict({name: engine.tensor(array) for name, array in weights.items()})
            result = [module(*args, **kwargs) for args, kwargs in forward]
            parameters = [p for p in module.parameters() if p.requires_grad]
            everything = [*result, names, [p.numel() for p in parameters], list(module.buffers())]
            return inputs + parameters, everything, everything

        return run


def modules() -> list[Entry]:
    """Every entry of module_db, in its order."""
    return [Module(info) for info in module_db]
