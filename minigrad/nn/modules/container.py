"""Modules that hold modules: in a chain (Sequential), a list or a dict."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self

from minigrad.nn.members import typename
from minigrad.nn.module import Module, in_parentheses, indented

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


def position(index: Any, length: int) -> int:
    """`index` counted from the front; IndexError if there is no such place."""
    i = operator.index(index)
    if not -length <= i < length:
        raise IndexError(f"index {i} is out of range: there are {length} entries")
    return i % length


class _Numbered(Module):
    """Children named "0", "1", ...: what Sequential and ModuleList share. Insertion and deletion number them anew."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def _name(self, index: Any) -> str:
        return list(self._modules)[position(index, len(self))]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._of_named(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    def _of_named(self, modules: dict[str, Module]) -> Any:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: Any) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name(index)]
        self._renumber([m for name, m in self._modules.items() if name not in names])

    def _renumber(self, modules: list[Module]) -> None:
        self.__dict__["_modules"] = {str(i): m for i, m in enumerate(modules)}

    def append(self, module: Module) -> Self:
        """Add `module` at the end."""
        self.add_module(str(len(self)), module)
        return self

    def pop(self, key: Any) -> Module:
        """Take out the module at `key` and return it."""
        module = self[key]
        del self[key]
        return module

    def _add_all(self, modules: Iterable[Module]) -> Self:
        for module in list(modules):
            self.append(module)
        return self


class Sequential(_Numbered):
    """Modules one after the other: each is given what the one before returned.

    `Sequential(a, b)` names them "0", "1"; `Sequential(OrderedDict(first=a, second=b))` and `add_module` name them
    freely.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        by_name = len(args) == 1 and isinstance(args[0], OrderedDict)
        named = args[0].items() if by_name else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)
        return input

    def _of_named(self, modules: dict[str, Module]) -> Sequential:
        result = type(self)()
        for name, module in modules.items():
            result.add_module(name, module)
        return result

    def insert(self, index: int, module: Module) -> Self:
        """Put `module` before the one at `index`."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}, but got {typename(module)}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def extend(self, sequential: Iterable[Module]) -> Self:
        """Add the modules of another Sequential, or of any iterable, at the end."""
        return self._add_all(sequential)

    def __iadd__(self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return self._add_all(other)

    def __add__(self, other: Sequential) -> Sequential:
        return Sequential(*self).__iadd__(other)

    def __imul__(self, other: int) -> Self:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        modules = list(self)
        for _ in range(other - 1):
            self._add_all(modules)
        return self

    def __mul__(self, other: int) -> Sequential:
        return Sequential(*self).__imul__(other)

    __rmul__ = __mul__


class ModuleList(_Numbered):
    """A list of modules, which are thereby children of the module that holds it. It has no `forward`."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _of_named(self, modules: dict[str, Module]) -> ModuleList:
        return type(self)(modules.values())

    def insert(self, index: int, module: Module) -> None:
        """Put `module` before the one at `index`."""
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add `modules` at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList.extend should be called with an iterable, but got {type(modules).__name__}")
        return self._add_all(modules)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(self).extend(other)

    def __repr__(self) -> str:
        """As for any module, but with runs of equal entries on one line: `(0-1): 2 x Linear(...)`."""
        if not len(self):
            return f"{self._get_name()}()"
        lines, start = [], 0
        for text, run in groupby(map(repr, self)):
            count = len(list(run))
            end = start + count - 1
            entry = f"({start}): {text}" if count == 1 else f"({start}-{end}): {count} x {text}"
            lines.append(indented(entry))
            start = end + 1
        return in_parentheses(self._get_name(), [], lines)


class ModuleDict(Module):
    """A dict of modules, which are thereby children of the module that holds it. It has no `forward`."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take out all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Take out the module at `key` and return it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._modules.items()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add the entries of a mapping or of an iterable of (name, module) pairs; those that exist are replaced."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"ModuleDict.update should be called with an iterable of key/value pairs, but got "
                f"{type(modules).__name__}"
            )
        if isinstance(modules, (Mapping, ModuleDict)):
            modules = modules.items()
        for i, pair in enumerate(modules):
            if not isinstance(pair, Iterable):
                raise TypeError(f"ModuleDict update sequence element #{i} should be Iterable; is{type(pair).__name__}")
            if len(pair) != 2:  # type: ignore[arg-type]
                raise ValueError(f"ModuleDict update sequence element #{i} has length {len(pair)}; 2 is required")  # type: ignore[arg-type]
            self[pair[0]] = pair[1]  # type: ignore[index]
