"""Parameter and Buffer: tensors that a module holds, and which of the two they are; and both of unknown shape."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, become_leaf, wrap
from minigrad.ops import create
from minigrad.ops.create import ONLY_FLOATS
from minigrad.tensor import Tensor


def _show(holder: Any, data: Any, requires_grad: bool) -> None:
    """Make `holder` a leaf on the memory of `data`, which may be None for an empty tensor."""
    array = backend.np.empty(0, backend.numpy_dtype(backend.get_default_dtype())) if data is None else data.array
    become_leaf(holder, array, requires_grad)
    if data is not None:
        holder.counter = data.counter


class Parameter(Tensor):
    """A tensor that a module trains: assigned to an attribute, it appears among the module's `parameters()`.

    It is a leaf on the memory of `data`, and wants a gradient unless told otherwise. RuntimeError if it is to want one
    and is not of a floating point dtype.
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if data is not None and not isinstance(data, Variable):
            raise AttributeError(f"'{type(data).__name__}' object has no attribute 'detach': wrap it in tensor() first")
        if requires_grad and data is not None and data.array.dtype.kind != "f":
            raise RuntimeError(f"{ONLY_FLOATS}: this one is {backend.dtype_of(data.array)}")
        _show(self, data, bool(requires_grad))

    def _text(self, prefix: str = "tensor(") -> str:
        return "Parameter containing:\n" + super()._text(prefix)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(wrap(self.array.copy()), self.needs_grad)
        return memo[id(self)]


class Buffer(Tensor):
    """A tensor that belongs to a module's state and is not trained: assigned to an attribute, it is registered as a
    buffer.

    With `persistent=False` it is left out of the module's `state_dict()`.
    """

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        _show(self, data, data is not None and data.needs_grad)
        self.persistent = persistent


# -- of unknown shape --------------------------------------------------------------------------------------------------


class UninitializedTensorMixin(Tensor):
    """A parameter or buffer without values, whose shape is not known yet. It has a dtype and a device, and no more.

    ValueError for all that needs values, RuntimeError for its shape.
    """

    cls_to_become: type[Tensor]

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become a `cls_to_become` of this shape, with values of no meaning; dtype and device stay unless given."""
        device, dtype = device or self.device, dtype or self.dtype
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self.data = create.empty(tuple(shape), device=device, dtype=dtype)

    @property
    def array(self) -> Any:
        raise ValueError(
            f"Attempted to use an uninitialized parameter in an operation. This error happens when you are using a "
            f"`LazyModule` or explicitly manipulating `torch.nn.parameter.{type(self).__name__}` objects. When using "
            f"LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions"
        )

    @array.setter
    def array(self, value: Any) -> None:
        Variable.array.__set__(self, value)

    @property
    def data(self) -> Any:
        """Its dtype and device, as an empty tensor."""
        return wrap(Variable.array.__get__(self))

    @data.setter
    def data(self, value: Any) -> None:
        self.array = value.array

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
            "to initialize the parameters before accessing their attributes."
        )

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def device(self) -> Any:
        return self.data.device

    def is_floating_point(self) -> bool:
        return self.data.is_floating_point()

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """One of another dtype or device."""
        example = self.data.to(*args, **kwargs)
        return type(self)(self.needs_grad, example.device, example.dtype)

    def detach(self) -> Any:
        """Itself: it has no history."""
        return self

    def _text(self, prefix: str = "tensor(") -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.needs_grad, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.needs_grad, self.device, self.dtype)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A Parameter of unknown shape."""

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        Parameter.__init__(self, create.empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A Buffer of unknown shape."""

    cls_to_become = Buffer

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        _show(self, create.empty(0, device=device, dtype=dtype), requires_grad)
        self.persistent = persistent


def is_lazy(param: Any) -> bool:
    """True for an UninitializedParameter or UninitializedBuffer."""
    return isinstance(param, UninitializedTensorMixin)
