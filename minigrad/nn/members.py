"""Members: what a module is made of: parameters, buffers and children, apart from plain attributes, found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.nn import global_hooks
from minigrad.nn.global_hooks import registered
from minigrad.nn.parameter import Buffer, Parameter

REGISTRIES = ("_parameters", "_buffers", "_modules")


def typename(value: Any) -> str:
    """A value's type as error messages name it: "torch.FloatTensor", "int", "package.file.Class"."""
    if isinstance(value, Variable):
        return value.type()  # type: ignore[attr-defined]
    kind = value if isinstance(value, type) else type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Members:
    """The registries of a module and what is asked of them; Module adds calling, moving and saving.

    Children are Members too, and in fact always Modules.
    """

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]

    def __init__(self) -> None:
        self.__dict__.update(training=True, _parameters={}, _buffers={}, _non_persistent_buffers_set=set(), _modules={})

    # -- attributes: parameters, buffers and children are kept apart from the plain ones -----------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` the parameter `name`; None for one that the module may have and has not."""
        self._check_name("parameter", "_parameters", name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param is not None:
            param = registered(global_hooks.parameter_registration, self, name, param)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make `tensor` the buffer `name`: state that is not trained; in the state dict only if `persistent`."""
        self._check_name("buffer", "_buffers", name)
        if tensor is not None and not isinstance(tensor, Variable):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = registered(global_hooks.buffer_registration, self, name, tensor)
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def add_module(self, name: str, module: Any) -> None:
        """Make `module` the child `name`."""
        if module is not None and not isinstance(module, Members):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name("module", "_modules", name)
        self._modules[name] = registered(global_hooks.module_registration, self, name, module)

    register_module = add_module

    def _check_name(self, kind: str, registry: str, name: Any) -> None:
        """Refuse what cannot name a new member of `registry`."""
        if registry not in self.__dict__:
            problem = f"cannot assign {kind} before Module.__init__() call"
            if kind == "module":
                problem = f"'{type(self).__name__}' object has no attribute '_modules'"
            raise AttributeError(f"{problem}: call super().__init__() first")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if hasattr(self, name) and name not in getattr(self, registry):
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."{f", got: {name}" if kind == "module" else ""}')
        if not name:
            raise KeyError(f'{kind} name can\'t be empty string ""')

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self._make_room(name, "_parameters", "parameters")
            self.register_parameter(name, value)
        elif name in own.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            self._parameters[name] = None
        elif isinstance(value, Members):
            self._make_room(name, "_modules", "module")
            self._modules[name] = registered(global_hooks.module_registration, self, name, value)
        elif name in own.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            self._modules[name] = registered(global_hooks.module_registration, self, name, None)
        elif isinstance(value, Buffer):
            self._make_room(name, "_buffers", "buffer")
            self.register_buffer(name, value, value.persistent)
        elif name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Variable):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None "
                    f"expected)"
                )
            self._buffers[name] = registered(global_hooks.buffer_registration, self, name, value)
        else:
            object.__setattr__(self, name, value)

    def _make_room(self, name: str, registry: str, kind: str) -> None:
        """Take `name` out of wherever else it stands."""
        own = self.__dict__
        if registry not in own:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call: call super().__init__() first")
        own.pop(name, None)
        for other in REGISTRIES:
            if other != registry:
                own[other].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for registry in REGISTRIES:
            if registry in own and name in (held := own[registry]):
                return held[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        for registry in REGISTRIES:
            if name in getattr(self, registry):
                del self.__dict__[registry][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*object.__dir__(self), *self._parameters, *self._buffers, *self._modules}
        return sorted(n for n in names if not n[0].isdigit())

    # -- looking through the tree ------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """This module and all below it, each before its children, with dotted names; a shared one once."""
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(seen, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Any]:
        """This module and all below it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The direct children, a shared one once."""
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Any]:
        """The direct children."""
        return (child for _, child in self.named_children())

    def _named_members(
        self,
        get_members_fn: Callable[[Any], Iterable[tuple[str, Any]]],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        """What `get_members_fn` lists of this module and of all below it, with dotted names."""
        seen = set()
        places = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for where, module in places:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield (f"{where}.{name}" if where else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names, a shared one once."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, with `recurse`, of all below it."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """The buffers with their dotted names."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """The buffers of this module and, with `recurse`, of all below it."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Any:
        """The module that `target`, a dotted name, leads to; itself for ""."""
        module: Any = self
        for name in target.split(".") if target else ():
            child = module._attribute(name)
            if not isinstance(child, Members):
                raise AttributeError(f"`{name}` is not an nn.Module: it is a {typename(child)}")
            module = child
        return module

    def set_submodule(self, target: str, module: Any, strict: bool = False) -> None:
        """Make `module` the one that `target`, a dotted name, leads to; with `strict` there must have been one."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Members):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        before = parent._attribute(name) if strict else getattr(parent, name, module)
        if not isinstance(before, Members):
            raise AttributeError(f"`{name}` is not an nn.Module: it is a {typename(before)}")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter that `target`, a dotted name, leads to."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._attribute(name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter: it is a {typename(found)}")
        return found

    def get_buffer(self, target: str) -> Any:
        """The buffer that `target`, a dotted name, leads to."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module._attribute(name)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer: it is a {typename(found)}")
        return found

    def _attribute(self, name: str) -> Any:
        if not hasattr(self, name):
            raise AttributeError(f"{type(self).__name__} has no attribute `{name}`")
        return getattr(self, name)
