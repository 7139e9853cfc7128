"""Module: the base of all layers. It knows its parameters, buffers and children, and does to all what is asked."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any, Self, TypeVar

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.formats import memory_format
from minigrad.kernels.gpu.optimizers import clear
from minigrad.nn import global_hooks, state
from minigrad.nn.hooks import ModuleHooks, call_with_hooks
from minigrad.nn.members import Members
from minigrad.ops import create


class Module(ModuleHooks, Members):
    """A function with parameters: subclasses make them in `__init__` and compute with them in `forward`.

    A Parameter, Module or registered buffer that is assigned to an attribute is found by `parameters()`, `to()`,
    `state_dict()` and the rest; attributes of other kinds are plain ones. Call the module, not its `forward`: hooks are
    run by the call.
    """

    T_destination = TypeVar("T_destination", bound=dict[str, Any])
    _version = 1  # of the layout of the module's state dict
    dump_patches = False  # without effect, as in torch
    call_super_init = False  # whether `__init__` passes its arguments on to a class that is inherited beside Module

    training: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init:
            _refuse_arguments(type(self).__name__, args, kwargs)
        Members.__init__(self)
        ModuleHooks.__init__(self)
        if self.call_super_init:
            super(Members, self).__init__(*args, **kwargs)

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
        kept = []
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                kept.append(p.grad.detach_().array)
        clear(kept)

    def share_memory(self) -> Self:
        """Move parameters and buffers to memory that this process shares with those that it forks from now on."""
        return self._apply(_shared)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: torch compiles `forward` here, with the same results. The arguments are those of torch.compile."""

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        """Replace the values of all parameters, their gradients and the buffers.

        The objects stay that are the parameters and the gradients. Without `recurse`, only of this module.
        """
        for child in self.children() if recurse else ():
            child._apply(fn)
        for p in self._parameters.values():
            if p is not None:
                gradient, p.gradient = p.gradient, None
                p.data = fn(p.data)
                if gradient is not None:
                    gradient.data = fn(gradient.data)
                    p.grad = gradient
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move the module in place to a device, a floating point dtype, or both; integer buffers keep their dtype.

        to(device=None, dtype=None), to(dtype) or to(tensor), each with `non_blocking`, which has no effect, and
        `memory_format`, which is that of tensors with 4 or 5 dimensions.
        TypeError for a dtype that is no floating point one.
        """
        device, dtype, layout = _parse_to(args, kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )

        def convert(t: Any) -> Any:
            cast = dtype if t.is_floating_point() else None
            shaped = layout is not None and t.dim() in (4, 5)
            return t.to(device=device, dtype=cast, **({"memory_format": layout} if shaped else {}))

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move the module in place to a device without its values: those of parameters and buffers have no meaning."""
        return self._apply(lambda t: create.empty_like(t, device=device), recurse)

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

    def bfloat16(self) -> Self:
        """TypeError: NumPy and CuPy have no such dtype."""
        return self.to(backend.bfloat16)

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


def _refuse_arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """TypeError, as for a constructor without parameters."""
    if kwargs:
        raise TypeError(f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if args:
        raise TypeError(f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given")


def _parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The device, dtype and memory format that arguments of `to` ask for; None for what they leave as it is."""
    first = args[0] if args else None
    by_tensor = isinstance(first, Variable) or "tensor" in kwargs
    names = ["tensor"] if by_tensor else ["dtype"] if _is_dtype(first) else ["device", "dtype"]
    names += ["non_blocking", "copy"]
    if len(args) > 4:
        raise TypeError(f"to() takes from 0 to 4 positional arguments but {len(args)} were given")
    given = dict(zip(names, args)) | kwargs
    fitting = {
        "tensor": lambda v: isinstance(v, Variable),
        "dtype": lambda v: v is None or _is_dtype(v),
        "device": lambda v: isinstance(v, (NoneType, str, int, backend.device)) and not isinstance(v, bool),
        "non_blocking": lambda v: isinstance(v, bool),
        "copy": lambda v: isinstance(v, bool),
        "memory_format": lambda v: isinstance(v, (NoneType, memory_format)),
    }
    clear = len(given) == len(args) + len(kwargs) and given.keys() <= {*names, "memory_format"}
    if not clear or not all(fitting[n](v) for n, v in given.items()):
        listed = [_argument_type(a) for a in args] + [f"{n}={_argument_type(v)}" for n, v in kwargs.items()]
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({', '.join(listed)}{', ' * (not args)}), but "
            f"expected one of:\n * (device=None, dtype=None, non_blocking=False, *, memory_format=None)\n"
            f" * (dtype, non_blocking=False, *, memory_format=None)\n"
            f" * (Tensor tensor, non_blocking=False, *, memory_format=None)"
        )
    if given.get("copy"):
        raise RuntimeError(".to() does not accept copy argument")
    if by_tensor:
        like = given["tensor"].array
        return backend.device_of(like), backend.dtype_of(like), given.get("memory_format")
    dtype = given.get("dtype")
    return given.get("device"), dtype if dtype is None else backend.as_dtype(dtype), given.get("memory_format")


def _shared(tensor: Any) -> Any:
    """A copy in a map of memory that forks share; a tensor on a GPU as it is, and so an empty one."""
    array = tensor.array
    if backend.module_of(array) is not backend.np or array.size == 0:
        return tensor
    copy = backend.np.frombuffer(mmap.mmap(-1, array.nbytes), array.dtype).reshape(array.shape)
    copy[...] = array
    return wrap(copy)


def _is_dtype(value: Any) -> bool:
    return isinstance(value, backend.dtype) or value in (float, int, bool)


def _argument_type(value: Any) -> str:
    name = type(value).__name__
    return f"torch.{name}" if isinstance(value, (backend.dtype, backend.device, memory_format)) else name
