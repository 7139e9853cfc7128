"""Lazy modules: those that learn the shapes of their parameters from their first input."""

from __future__ import annotations

from typing import Any

from minigrad.nn.module import Module
from minigrad.nn.parameter import is_lazy

__all__: list[str] = []


class LazyModuleMixin(Module):
    """What makes a module lazy; stands before the module's class: `class LazyLinear(LazyModuleMixin, Linear)`.

    Until the first call some parameters or buffers are uninitialized. A hook before that call has
    `initialize_parameters(*args)` make them, whereupon the module is one of `cls_to_become`. A state dict with values
    does the same to the parameters.
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Make what is uninitialized, for the arguments of a call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """True while a parameter or buffer is uninitialized."""
        return any(is_lazy(t) for t in [*self._parameters.values(), *self._buffers.values()])

    def _infer_parameters(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        module.initialize_parameters(*args, **kwargs)
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        for name in ("_initialize_hook", "_load_hook"):
            getattr(module, name).remove()
            delattr(module, name)
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become

    def _lazy_load_hook(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Give uninitialized tensors the shapes of the values that are about to be loaded."""
        for name, tensor in [*self._parameters.items(), *self._buffers.items()]:
            given = state_dict.get(prefix + name)
            if is_lazy(tensor) and given is not None and not is_lazy(given):
                tensor.materialize(given.shape)
