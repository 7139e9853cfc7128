"""Parameters and buffers computed from others: `module.weight` becomes f(original), for any module f.

A parametrized module is given a class of its own, in which the tensor's name is a property that computes it. What it
is computed from is kept in `module.parametrizations.weight`, and is what optimizers and state dicts see.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minigrad.autograd.mode import no_grad
from minigrad.autograd.variable import Variable
from minigrad.nn.module import Module
from minigrad.nn.modules.container import ModuleDict, ModuleList
from minigrad.nn.parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_cache: dict[tuple[int, str], Any] = {}
_users_of_cache = 0


@contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once, when it is first asked for."""
    global _users_of_cache
    _users_of_cache += 1
    try:
        yield
    finally:
        _users_of_cache -= 1
        if not _users_of_cache:
            _cache.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, the first registered applied first, and what they start from.

    That is `original`, a tensor of the same dtype, or `original0`, `original1`, ... if the `right_inverse` of the
    first gives several.
    """

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            new = original
            for module in reversed(list(self)):
                new = _inverse(module, new)
        if not isinstance(new, (Variable, Sequence)):
            raise ValueError(
                f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Variable)
        if isinstance(new, Variable):
            self.ntensors = 1
            _check_kept(original, new)
            original.data = new.detach()  # type: ignore[attr-defined]  # the optimizer's parameter stays the same
            _register(self, "original", original)
        else:
            self.ntensors = len(new)
            self._register_several(original, new)
        if not unsafe:
            _check_result("the tensor, unless `unsafe` flag is enabled", self(), "unparametrized", shape, dtype)

    def _register_several(self, original: Any, new: Sequence[Any]) -> None:
        for i, t in enumerate(new):
            if not isinstance(t, Variable):
                raise ValueError(
                    f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                    f"Got element {i} of the sequence with type {type(t).__name__}."
                )
            part: Any = Parameter(t, original.requires_grad) if isinstance(original, Parameter) else t
            part.requires_grad_(original.requires_grad)
            _register(self, f"original{i}", part)

    def _originals(self) -> list[Any]:
        """The tensors from which all is computed."""
        return [getattr(self, name) for name in self._names()]

    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the result is `value`, as far as the inverses of the parametrizations know."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            values = [value] if self.is_tensor else value
            self._check_inverse(value)
            for original, new in zip(self._originals(), values, strict=True):
                original.data = new.detach()

    def _check_inverse(self, value: Any) -> None:
        """ValueError for an inverse that is not of the kind that it was at first."""
        if self.is_tensor:
            if not isinstance(value, Variable):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
            if value.dtype is not self.original.dtype:  # type: ignore[attr-defined]
                raise ValueError(
                    f"The tensor returned by `right_inverse` has dtype {value.dtype} while `original` has dtype "  # type: ignore[attr-defined]
                    f"{self.original.dtype}"
                )
            return
        if not isinstance(value, Sequence):
            raise ValueError(f"'right_inverse' must return a sequence of tensors. Got {type(value).__name__}.")
        if len(value) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of "
                f"length {len(value)}."
            )
        for i, (original, t) in enumerate(zip(self._originals(), value, strict=True)):
            if not isinstance(t, Variable):
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors or reference-type opaques. Got element {i} of "
                    f"type {type(t).__name__}."
                )
            if t.dtype is not original.dtype:  # type: ignore[attr-defined]
                raise ValueError(
                    f"Tensor {i} returned by `right_inverse` has dtype {t.dtype} while `original{i}` has dtype "  # type: ignore[attr-defined]
                    f"{original.dtype}"
                )

    def forward(self) -> Any:
        """The parametrized tensor."""
        first, *others = self
        x = first(*self._originals())
        for module in others:
            x = module(x)
        return x


def register_parametrization(module: Any, tensor_name: str, parametrization: Any, *, unsafe: bool = False) -> Any:
    """Let `module.<tensor_name>` be `parametrization` of what it is now; returns the module.

    `parametrization.right_inverse`, if there is one, gives what to start from, also where the tensor is assigned to.
    ValueError if there is no such tensor, and, unless `unsafe`, for a parametrization that changes shape or dtype.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        listed = module.parametrizations[tensor_name]
        if not unsafe:
            _check_further(module, tensor_name, parametrization)
        listed.append(parametrization)
        listed.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        listed = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.__class__ = _parametrized_class(type(module))
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _property(tensor_name))
        module.parametrizations[tensor_name] = listed
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    return module


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """True if the tensor, or without a name any tensor, of `module` itself is parametrized."""
    listed = getattr(module, "parametrizations", None)
    if not isinstance(listed, ModuleDict):
        return False
    return len(listed) > 0 if tensor_name is None else tensor_name in listed


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Make the tensor an ordinary one again, with its present value or, as it may be asked, the original's.

    ValueError if it is not parametrized, or was computed from several originals, none of which could take its place.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    listed = module.parametrizations[tensor_name]
    if listed.is_tensor:
        original = listed.original
        if leave_parametrized:
            with no_grad():
                original.data = getattr(module, tensor_name).detach()
    elif leave_parametrized:
        t = getattr(module, tensor_name)
        original = Parameter(t) if t.requires_grad else t
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Any) -> type:
    """The module's class without what parametrizing made of it."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module: Any, to_module: Any, tensor_name: str | None = None) -> Any:
    """Let `to_module` share the parametrizations and originals of `from_module`: all, or those of one tensor."""
    if not is_parametrized(from_module):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        listed = from_module.parametrizations[name]
        for parametrization in listed:
            register_parametrization(to_module, name, parametrization)
        for part in listed._names():
            setattr(to_module.parametrizations[name], part, getattr(listed, part))
    return to_module


# -- the class and the property ----------------------------------------------------------------------------------------


def _parametrized_class(cls: type) -> type:
    """A subclass for one module, which can be copied but not pickled: another program would not find the class."""

    def getstate(self: Any) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See:\n"
            "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
            "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = twin = self.__new__(type(self))
            twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return memo[id(self)]

    own: dict[str, Any] = {"__getstate__": getstate}
    if not hasattr(cls, "__deepcopy__"):
        own["__deepcopy__"] = deepcopy
    return type(f"Parametrized{cls.__name__}", (cls,), own)


def _property(name: str) -> property:
    def get(self: Any) -> Any:
        listed = self.parametrizations[name]
        if not _users_of_cache:
            return listed()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = listed()
        return _cache[key]

    def set_original(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, set_original)


def _register(module: Module, name: str, tensor: Any) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


# -- checks ------------------------------------------------------------------------------------------------------------


def _inverse(module: Any, value: Any) -> Any:
    """`module.right_inverse(value)`; the value itself where the module has no inverse."""
    try:
        return module.right_inverse(value) if hasattr(module, "right_inverse") else value
    except NotImplementedError:
        return value


def _check_kept(original: Any, new: Any) -> None:
    for what in ("dtype", "device"):
        before, after = getattr(original, what), getattr(new, what)
        if before != after:
            raise ValueError(
                f"When `right_inverse` outputs one tensor, it may not change the {what}.\n"
                f"original.{what}: {before}\nright_inverse(original).{what}: {after}"
            )


def _check_result(where: str, new: Any, name: str, shape: Any, dtype: Any) -> None:
    """ValueError for a parametrized tensor that is none, or not of this shape and dtype."""
    if not isinstance(new, Variable):
        raise ValueError(f"A parametrization must return a tensor. Got {type(new).__name__}.")
    for what, before in (("dtype", dtype), ("shape", shape)):
        after = getattr(new, what)
        if after != before:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of {where}.\n"
                f"{name} {what}: {before}\nparametrized {what}: {after}"
            )


def _check_further(module: Any, name: str, parametrization: Any) -> None:
    """The checks of a parametrization put upon others, and of its inverse."""
    before = getattr(module, name)
    after = parametrization(before)
    where = "the tensor, unless the `unsafe` flag is enabled"
    _check_result(where, after, f"module.{name}", before.shape, before.dtype)
    back = _inverse(parametrization, after)
    if not isinstance(back, Variable):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}")
    for what in ("dtype", "shape"):
        if getattr(back, what) != getattr(before, what):
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}, "
                f"unless the `unsafe` flag is enabled.\n"
                f"module.{name}.{what}: {getattr(before, what)}\nreturned {what}: {getattr(back, what)}"
            )
