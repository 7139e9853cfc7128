"""A sample's arguments as NumPy arrays, and from there on either engine; functions written over torch, on minigrad."""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import attrgetter
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

from reference.adapters import Engine

MOST_DIMENSIONS = 64  # NumPy's


class Unmeasurable(Exception):
    """Torch's side of a comparison does not exist, or minigrad has no such kind of value; the text says why."""


class Absent(Exception):
    """minigrad lacks what a sample needs."""


class Leaf:
    """A tensor on its way between engines: its values with their strides, and whether it wants a gradient."""

    def __init__(self, array: np.ndarray, wants_gradient: bool = False) -> None:
        self.array, self.wants_gradient = array, wants_gradient

    def __repr__(self) -> str:
        a = self.array
        strides = "" if a.flags.c_contiguous else f" strides {tuple(s // a.itemsize for s in a.strides)}"
        return f"<{a.dtype}{list(a.shape)}{strides}{' grad' if self.wants_gradient else ''}>"


def freeze(value: Any) -> Any:
    """`value` with every tensor in it replaced by a Leaf; one tensor met twice is one Leaf."""
    known: dict[int, Leaf] = {}

    def leaf(tensor: torch.Tensor) -> Leaf:
        if id(tensor) not in known:
            known[id(tensor)] = Leaf(array_of(tensor), tensor.requires_grad)
        return known[id(tensor)]

    def refuse(module: torch.nn.Module) -> None:
        if next(module.parameters(), None) is not None:
            raise Unmeasurable(f"takes a {type(module).__name__} of torch's as an argument")

    walk(value, torch.nn.Module, refuse)
    return walk(value, torch.Tensor, leaf)


def thaw(value: Any, engine: Engine) -> tuple[Any, list[Any]]:
    """`value` with its Leaves as tensors of `engine`, and those of them that want a gradient."""
    known: dict[int, Any] = {}
    inputs = []

    def tensor(leaf: Leaf) -> Any:
        if id(leaf) not in known:
            known[id(leaf)] = made = engine.tensor(leaf.array, leaf.wants_gradient)
            if leaf.wants_gradient:
                inputs.append(made)
        return known[id(leaf)]

    made = walk(value, Leaf, tensor)
    return (made if engine.module is torch else walk(made, CONSTANTS, lambda v: constant(v, engine.module))), inputs


def doubled(value: Any) -> Any:
    """`value`, frozen, with its float32 Leaves in float64: the same numbers, for a result nearer to the true one."""
    known: dict[int, Leaf] = {}

    def wider(leaf: Leaf) -> Leaf:
        array = leaf.array
        return known.setdefault(
            id(leaf), Leaf(array.astype(np.float64), leaf.wants_gradient) if array.dtype == np.float32 else leaf
        )

    return walk(value, Leaf, wider)


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """A copy of the tensor's memory, seen with its strides and offset."""
    if tensor.layout is not torch.strided:
        raise Unmeasurable("sparse")
    if tensor.is_complex():
        raise Unmeasurable("complex")
    if tensor.device.type != "cpu":
        raise Unmeasurable(f"on the device {tensor.device}")
    if tensor.ndim > MOST_DIMENSIONS:
        raise Unmeasurable(f"{tensor.ndim} dimensions, which no NumPy array has")
    memory = torch.empty(0, dtype=tensor.dtype).set_(tensor.detach().untyped_storage()).numpy().copy()
    size = memory.itemsize
    return np.ndarray(
        tuple(tensor.shape), memory.dtype, memory, tensor.storage_offset() * size, [s * size for s in tensor.stride()]
    )


TYPES = (torch.dtype, torch.device, torch.memory_format, torch.layout)
CONSTANTS = (*TYPES, torch.Size, torch.Generator, FunctionType, BuiltinFunctionType, torch.nn.Module)


def constant(value: Any, module: ModuleType) -> Any:
    """torch's dtype, device, memory format, size, function or layer without parameters as `module`'s."""
    if isinstance(value, torch.nn.Module):
        layer = named(f"nn.{type(value).__name__}", module)()
        for name in value.__constants__:
            setattr(layer, name, getattr(value, name))
        return layer
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, torch.device):
        return module.device(str(value))
    if isinstance(value, torch.Generator):
        return module.Generator().manual_seed(value.initial_seed())
    if isinstance(value, BuiltinFunctionType):  # which may not know where it is from
        paths = (f"torch.nn.functional.{value.__name__}", f"torch.{value.__name__}")
        return next((named(path[6:], module) for path in paths if attribute_of_torch(path) is value), value)
    if isinstance(value, FunctionType):
        path = f"{value.__module__}.{value.__qualname__}"
        return named(path[6:], module) if attribute_of_torch(path) is value else over(value, module)
    return named(str(value).removeprefix("torch."), module)


def attribute_of_torch(path: str) -> Any:
    """torch's object of a dotted name that begins with "torch."; None if it is no such name."""
    try:
        return attrgetter(path.removeprefix("torch."))(torch) if path.startswith("torch.") else None
    except AttributeError:
        return None


def named(path: str, module: Any) -> Any:
    """`module`'s object of the dotted name."""
    try:
        return attrgetter(path)(module)
    except AttributeError:
        raise Absent(f"no {path}") from None


def walk(value: Any, kinds: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with everything in it that is one of `kinds` replaced by `change` of it."""
    if isinstance(value, kinds):
        return change(value)
    if isinstance(value, dict):
        return {k: walk(v, kinds, change) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(walk(v, kinds, change) for v in (value.start, value.stop, value.step)))
    if isinstance(value, (list, tuple)):
        parts = [walk(v, kinds, change) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


# -- functions ---------------------------------------------------------------------------------------------------------


def over(function: Any, module: ModuleType) -> Any:
    """A Python function written over torch, with its names (`torch`, `F`, ...) meaning `module`'s.

    The database gives some operations as lambdas, such as `lambda x, n: torch.polygamma(n, x)`: the same code runs on
    minigrad once its globals say so. Functions it calls from torch's test tools are treated alike.
    """
    if isinstance(function, functools.partial):
        return functools.partial(over(function.func, module), *function.args, **function.keywords)
    if not isinstance(function, FunctionType):
        return function
    scope = dict(function.__globals__)
    for name in names_in(function.__code__) & scope.keys():
        scope[name] = translated(scope[name], module)
    cells = tuple(CellType(enclosed(cell.cell_contents, module)) for cell in function.__closure__ or ())
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells or None)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def names_in(code: CodeType) -> set[str]:
    """The names a function's code uses, those of functions inside it included."""
    inner = [names_in(c) for c in code.co_consts if isinstance(c, CodeType)]
    return set(code.co_names).union(*inner)


def translated(value: Any, module: ModuleType) -> Any:
    """What a name of torch's test tools means on `module`."""
    if isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "torch":
        path = value.__name__.partition(".")[2]
        return named(path, module) if path else module
    if isinstance(value, FunctionType) and value.__name__ == "wrapper_set_seed":
        return functools.partial(seeded, module)
    if isinstance(value, FunctionType) and value.__module__.startswith("torch.testing"):
        return over(value, module)
    return value


def enclosed(value: Any, module: ModuleType) -> Any:
    """What a variable of the function around one written over torch means on `module`."""
    return over(value, module) if isinstance(value, FunctionType) else translated(value, module)


def seeded(module: ModuleType, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`op(...)` after `manual_seed(42)`: what torch's `wrapper_set_seed` does, less its care for other devices."""
    module.manual_seed(42)
    return op(*args, **kwargs)
