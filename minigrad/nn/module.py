"""Module: the base of all layers. It knows its parameters, buffers and children, and does to all what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

from minigrad import backend
from minigrad.autograd.variable import Variable
from minigrad.nn import global_hooks, state
from minigrad.nn.hooks import ModuleHooks, call_with_hooks
from minigrad.nn.members import Members


class Module(ModuleHooks, Members):
    """A function with parameters: subclasses make them in `__init__` and compute with them in `forward`.

    A Parameter, Module or registered buffer that is assigned to an attribute is found by `parameters()`, `to()`,
    `state_dict()` and the rest; attributes of other kinds are plain ones. Call the module, not its `forward`: hooks are
    run by the call.
    """

    _version = 1  # of the layout of the module's state dict

    training: bool

    def __init__(self) -> None:
        Members.__init__(self)
        ModuleHooks.__init__(self)

    # -- calling ---------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooked or global_hooks.around_calls:
            return call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def forward(self, *input: Any) -> Any:
        """What the module computes; each subclass has its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # -- doing something to all ----------------------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module below, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Training mode for this module and all below it: dropout drops, batch norm uses the batch's statistics."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, but got {mode!r}")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let all parameters want a gradient, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or with `set_to_none=False` fill them with zeros."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.detach_().array.fill(0)

    def _apply(self, change: Callable[[Any], Any]) -> Self:
        """Replace the values of all parameters, their gradients and the buffers; the Parameter objects stay."""
        for child in self.children():
            child._apply(change)
        for p in self._parameters.values():
            if p is not None:
                gradient, p.gradient = p.gradient, None
                p.data = change(p.data)
                if gradient is not None:
                    p.grad = change(gradient)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = change(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move the module in place to a device, a floating point dtype, or both; integer buffers keep their dtype.

        Takes what `Tensor.to` takes. TypeError for a dtype that is no floating point one.
        """
        dtype, device = _dtype_and_device(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        return self._apply(lambda t: t.to(device=device, dtype=dtype if t.is_floating_point() else None))

    def cuda(self, device: Any = None) -> Self:
        """Move the module in place to a GPU, the current one unless `device` names another."""
        return self._apply(lambda t: t.to(device="cuda" if device is None else device))

    def cpu(self) -> Self:
        """Move the module in place to the CPU."""
        return self._apply(lambda t: t.to(device="cpu"))

    def type(self, dst_type: Any) -> Self:
        """Cast all parameters and buffers, also integer ones, in place."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> Self:
        """Cast to float32 in place."""
        return self.to(backend.float32)

    def double(self) -> Self:
        """Cast to float64 in place."""
        return self.to(backend.float64)

    def half(self) -> Self:
        """Cast to float16 in place."""
        return self.to(backend.float16)

    state_dict = state.state_dict
    load_state_dict = state.load_state_dict
    _save_to_state_dict = state.save_own
    _load_from_state_dict = state.load_own
    get_extra_state = state.get_extra_state
    set_extra_state = state.set_extra_state

    # -- printing ------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        return ""

    def _get_name(self) -> str:
        return self.__class__.__name__

    def __repr__(self) -> str:
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        children = [f"({name}): {indented(repr(child))}" for name, child in self._modules.items()]
        return in_parentheses(self._get_name(), extra, children)


def in_parentheses(name: str, extra: list[str], children: Iterable[str]) -> str:
    """`name(...)`: on one line if there is a single line of `extra` and no child, else a line each."""
    lines = [*extra, *children]
    if len(lines) > len(extra) or len(extra) > 1:
        return f"{name}(\n  " + "\n  ".join(lines) + "\n)"
    return f"{name}({''.join(extra)})"


def indented(text: str) -> str:
    """`text` with all lines but the first moved right by two spaces."""
    return text.replace("\n", "\n  ")


def _dtype_and_device(
    *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> tuple[Any, Any]:
    """What the arguments of `to` ask for; None for what they leave as it is."""
    for a in args:
        if isinstance(a, Variable):
            dtype, device = backend.dtype_of(a.array), backend.device_of(a.array)
        elif isinstance(a, (str, int, backend.device)) and not isinstance(a, bool):
            device = a
        elif a is not None and not isinstance(a, bool):
            dtype = a
    return dtype if dtype is None else backend.as_dtype(dtype), device
