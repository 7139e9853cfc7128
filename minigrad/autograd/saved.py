"""What a node keeps for its backward where hooks keep it in another form: on disk, on the CPU, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minigrad.autograd.variable import Variable

TWICE = (
    "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is "
    "allowed at a time."
)


class Packed:
    """One saved tensor in the form that a pack hook gave it."""

    __slots__ = ("shape", "unpack_hook", "value")

    def __init__(self, tensor: Any, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        version = None if tensor.counter is None else tensor.counter[0]
        self.shape = tensor.array.shape
        self.value, self.unpack_hook = pack(tensor), unpack
        if version is not None and tensor.counter[0] != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook "
                "cannot be modified by in-place operations as this can lead to unexpected side-effects. Please open "
                "an issue if you need to perform in-place operations on the input to a pack hook."
            )

    def unpack(self) -> Any:
        """The array again."""
        tensor = self.unpack_hook(self.value)
        if not isinstance(tensor, Variable):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(tensor).__name__}"
            )
        if tensor.array.shape != self.shape:
            raise RuntimeError(
                f"a saved tensor of shape {list(self.shape)} was unpacked in shape {list(tensor.array.shape)}: the "
                f"unpack hook must give back what the pack hook was given"
            )
        return tensor.array


class PackedValues:
    """All that a node saved, some of it packed: iterating gives the arrays and numbers as they were."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Any]:
        return iter([unpacked(v) for v in self.values])

    def __getitem__(self, place: int) -> Any:
        return unpacked(self.values[place])


def unpacked(value: Any) -> Any:
    """A saved value with everything packed in it unpacked."""
    if isinstance(value, Packed):
        return value.unpack()
    if isinstance(value, (list, tuple)):
        return [unpacked(v) for v in value]
    return value
