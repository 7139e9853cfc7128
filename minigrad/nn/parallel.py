"""DataParallel and data_parallel: what torch spreads over several GPUs, minigrad computes on the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from minigrad import backend, cuda
from minigrad.autograd.variable import Variable
from minigrad.nn.module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


class DataParallel(Module):
    """Calls `module`: without GPUs on what it is given, else on the first of `device_ids` (all GPUs by default).

    There it expects the module, which it moves itself if there is a single GPU, and there it moves the arguments, as
    in torch. The names of parameters ("module.weight") and the printing are torch's.
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []
        if not cuda.is_available():
            return
        self.dim = dim
        self.device_ids, self.output_device = _devices(device_ids, output_device)
        self.src_device_obj = backend.device("cuda", self.device_ids[0])
        if len(self.device_ids) == 1:
            self.module.to(self.src_device_obj)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        return _call_on(self.src_device_obj, self.module, inputs, kwargs)


class DistributedDataParallel(Module):
    """Training in several processes, which minigrad does not do; a script may ask whether a module is one of these."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """`module(*inputs, **module_kwargs)` on the first of `device_ids`. RuntimeError if there is no GPU."""
    if not cuda.is_available():
        raise RuntimeError("device type could not be determined: there is no GPU; call the module itself")
    (first, *_), _ = _devices(device_ids, output_device)
    if not isinstance(inputs, tuple):
        inputs = () if inputs is None else (inputs,)
    return _call_on(backend.device("cuda", first), module, inputs, module_kwargs or {})


def _devices(device_ids: Sequence[Any] | None, output_device: Any) -> tuple[list[int], int]:
    """The numbers of the GPUs, all by default, and that for the output, which is the first by default."""
    ids = list(range(cuda.device_count())) if device_ids is None else [_number(d) for d in device_ids]
    return ids, ids[0] if output_device is None else _number(output_device)


def _number(device: Any) -> Any:
    return device if isinstance(device, int) else backend.canonical(device).index


def _call_on(device: backend.device, module: Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """RuntimeError unless all of the module is on `device`."""
    for t in chain(module.parameters(), module.buffers()):
        if t.device != device:
            raise RuntimeError(
                f"module must have its parameters and buffers on device {device} (device_ids[0]) but found one of them "
                f"on device: {t.device}"
            )
    return module(*_moved(inputs, device), **_moved(kwargs, device))


def _moved(value: Any, device: backend.device) -> Any:
    """Tensors, also those in tuples, lists and dicts, on `device`."""
    if isinstance(value, Variable):
        return value.to(device)  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return type(value)((name, _moved(v, device)) for name, v in value.items())
    if isinstance(value, (tuple, list)):
        moved = [_moved(v, device) for v in value]
        return type(value)(*moved) if hasattr(value, "_fields") else type(value)(moved)
    return value
