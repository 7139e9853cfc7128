"""Tensor: torch's class, on a Variable. What computes is in `ops`, bound in `tensor_ops`; here is what a tensor is."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from minigrad import backend, formats, printing
from minigrad.autograd.backward import tensor_backward
from minigrad.autograd.hooks import RemovableHandle, add_hook, keep_gradient
from minigrad.autograd.mode import is_inference_mode_enabled
from minigrad.autograd.variable import Variable, become_leaf, wrap
from minigrad.autograd.views import catch_up, follow
from minigrad.backend import np
from minigrad.ops import create
from minigrad.ops.dims import normalize_dim
from minigrad.size import Size
from minigrad.tensor_convert import Conversions
from minigrad.tensor_ops import TensorOps
from minigrad.tensor_rarer import Rarer

NOT_A_LEAF = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
    "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, "
    "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the "
    "leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more informations."
)


class Tensor(TensorOps, Conversions, Rarer):
    """An n-dimensional array with a history: torch's Tensor.

    `Tensor(data)` copies nested sequences to the default dtype, `Tensor(2, 3)` is uninitialised.
    """

    def __init__(self, *args: Any, device: Any = None) -> None:
        data = args[0] if len(args) == 1 else None
        if isinstance(data, Variable):
            array = data.array
        elif data is not None and not isinstance(data, int):
            array = create.array_from(data, backend.get_default_dtype())
            array = array.copy() if array is data else array
        else:
            array = np.empty(create.size_of(args) if args else (0,), backend.numpy_dtype(backend.get_default_dtype()))
        become_leaf(self, array if device is None else backend.move(array, device))

    # -- what it is ------------------------------------------------------------------------------------------------

    shape = property(lambda self: Size(self.array.shape), doc="The number of elements along each dimension.")
    ndim = property(lambda self: self.array.ndim, doc="The number of dimensions.")
    dtype = property(lambda self: backend.dtype_of(self.array), doc="The type of the elements.")
    device = property(lambda self: backend.device_of(self.array), doc="Where the elements are stored.")
    is_cuda = property(lambda self: self.device.type == "cuda")
    is_cpu = property(lambda self: self.device.type == "cpu")
    itemsize = property(lambda self: self.array.itemsize)
    nbytes = property(lambda self: self.array.nbytes)
    is_sparse = is_quantized = is_meta = is_xpu = is_mps = False
    layout = formats.strided

    def size(self, dim: int | None = None) -> Any:
        """The shape, or its entry `dim`."""
        if dim is None:
            return self.shape
        if not self.array.ndim:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        if not -self.array.ndim <= dim < self.array.ndim:
            n = self.array.ndim
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
        return self.array.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return self.array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Elements to step over in memory for the next one along each dimension (or along `dim`)."""
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        if not self.array.size and not any(strides):  # new arrays without elements: NumPy has no steps for them
            strides = formats.contiguous_strides(self.array.shape)
        return strides if dim is None else strides[normalize_dim(dim, len(strides))]

    def storage_offset(self) -> int:
        """Elements between the start of the base's memory and this tensor's first."""
        return 0 if self.base is None else (self.data_ptr() - self.base.data_ptr()) // self.array.itemsize  # type: ignore[attr-defined]

    def data_ptr(self) -> int:
        """The address of the first element."""
        return backend.address(self.array)

    def is_contiguous(self, memory_format: Any = formats.contiguous_format) -> bool:
        """True if the elements lie in memory in row-major order, or as `memory_format` says."""
        return formats.is_arranged(self.array, memory_format)

    def is_floating_point(self) -> bool:
        return self.array.dtype.kind == "f"

    def is_complex(self) -> bool:
        return False

    def is_signed(self) -> bool:
        return self.dtype.is_signed

    def is_nonzero(self) -> bool:
        """True if its one element is not 0."""
        return bool(self)

    def is_same_size(self, other: Any) -> bool:
        """True if both have the same shape."""
        return self.array.shape == other.shape

    # -- autograd --------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """True if operations on this tensor are recorded."""
        return self.needs_grad or (self.base is not None and self.base.needs_grad)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Record operations on this leaf from now on, or no longer."""
        if self.node is not None:
            if not requires_grad:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable "
                    "in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            return self
        if requires_grad and self.array.dtype.kind != "f":
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients: this one is {self.dtype}")
        if requires_grad and self.counter is None and not is_inference_mode_enabled():
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        self.needs_grad = bool(requires_grad)
        return self

    follow = follow
    catch_up = catch_up

    @property
    def grad_fn(self) -> Any:
        """The operation that made it, None for a leaf."""
        if self.base is not None:
            self.catch_up()
        return self.node

    is_leaf = property(lambda self: self.grad_fn is None, doc="True if no recorded operation made it.")
    retains_grad = property(lambda self: self.node is not None and self.meta is not None and self.meta.retains_grad)
    _base = property(lambda self: self.base)

    @property
    def grad(self) -> Tensor | None:
        """The gradient accumulated so far; None before the first backward."""
        if self.gradient is None and self.node is not None and not self.retains_grad:
            warnings.warn(NOT_A_LEAF, UserWarning, stacklevel=2)
        return self.gradient

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if not isinstance(value, Variable):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value.array.shape != self.array.shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value.array.shape)}' to a tensor of size "
                    f"'{list(self.array.shape)}'. Please ensure that the gradient and the tensor are the same size"
                )
            if value.array.dtype != self.array.dtype:
                raise RuntimeError(
                    f"attempting to assign a gradient with dtype '{value.dtype.c_name}' to a tensor with grad_dtype "
                    f"'{self.dtype.type_name}'. The gradient must match the tensor's dtype: use .to({self.dtype})"
                )
        self.gradient = value

    @grad.deleter
    def grad(self) -> None:
        self.gradient = None

    @property
    def _version(self) -> int:
        if self.counter is None:
            raise RuntimeError("Inference tensors do not track version counter.")
        return self.counter[0]

    def _is_view(self) -> bool:
        return self.base is not None

    def is_inference(self) -> bool:
        """True for tensors made in `inference_mode`."""
        return self.counter is None

    backward = tensor_backward

    def retain_grad(self) -> None:
        """Keep `.grad` of this non-leaf too."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        keep_gradient(self)

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` whenever this tensor's gradient is complete; what it returns replaces the gradient."""
        return add_hook(self, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> RemovableHandle:
        """Call `hook(leaf)` whenever a gradient has been added to this leaf's `.grad`."""
        return add_hook(self, hook, after_accumulation=True)

    @property
    def data(self) -> Tensor:
        """The same memory, with no history and a version of its own: changes through it are not noticed by autograd."""
        result = wrap(self.array)
        if self.counter is None:
            result.counter = None
        return result

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Variable):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self.needs_grad and value.array.dtype.kind != "f":
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        self.array = value.array

    def detach(self) -> Tensor:
        """The same memory and version, with no history."""
        result = wrap(self.array)
        result.counter = self.counter
        return result

    def detach_(self) -> Tensor:
        """Forget the history."""
        if self.base is not None:
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel "
                "(DDP) for training, and gradient_as_bucket_view is set as True, gradients are views of DDP "
                "buckets, and hence detach_() cannot be called on these gradients."
            )
        self.node, self.output_nr, self.needs_grad = None, 0, False
        return self

    # -- to and from Python and NumPy --------------------------------------------------------------------------------

    def item(self) -> Any:
        """The one element as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return backend.to_numpy(self.array).tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array that shares the memory."""
        if force:
            return self.detach().cpu().array
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.device.type != "cpu":
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                f"memory first."
            )
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy)

    __array_ufunc__ = None  # so that ndarray * Tensor asks Tensor.__rmul__

    def _one_number(self, kind: type) -> Any:
        if self.requires_grad:
            warnings.warn(
                "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\nConsider "
                "using tensor.detach() first.",
                UserWarning,
                stacklevel=3,
            )
        return kind(self.item())

    def __float__(self) -> float:
        return self._one_number(float)

    def __int__(self) -> int:
        return self._one_number(int)

    def __index__(self) -> int:
        if self.array.size != 1 or self.array.dtype.kind == "f":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.array.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            if self.array.size == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.array.item())

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> bool:
        return bool((self.array == (element.array if isinstance(element, Variable) else element)).any())

    __hash__ = Variable.__hash__

    # -- printing, copying -----------------------------------------------------------------------------------------

    def _text(self, prefix: str = "tensor(") -> str:
        suffixes = []
        if self.grad_fn is not None:
            suffixes.append(f"grad_fn=<{type(self.node).__name__}>")
        elif self.requires_grad:
            suffixes.append("requires_grad=True")
        return printing.format_tensor(
            backend.to_numpy(self.array),
            suffixes=suffixes,
            device=str(self.device) if self.is_cuda else None,
            prefix=prefix,
            default_dtype=backend.numpy_dtype(backend.get_default_dtype()),
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return self._text()

    def __format__(self, spec: str) -> str:
        if type(self) is Tensor and (self.array.ndim == 0 or spec):
            return printing.format_scalar(self.array, spec)
        return object.__format__(self, spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.grad_fn is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment. If you were attempting to deepcopy a module, this may be because of a "
                "torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001"
            )
        if id(self) not in memo:
            result = become_leaf(object.__new__(type(self)), self.array.copy(order="K"), self.needs_grad)
            result.gradient = copy.deepcopy(self.gradient, memo)
            result.__dict__.update(copy.deepcopy(self.__dict__, memo))
            memo[id(self)] = result
        return memo[id(self)]

    def __reduce__(self) -> Any:
        return _rebuild, (
            type(self),
            backend.to_numpy(self.array),
            str(self.device),
            self.needs_grad and self.node is None,
        )


def _rebuild(cls: type, array: np.ndarray, device: str, requires_grad: bool) -> Any:
    """Unpickle a tensor."""
    return become_leaf(object.__new__(cls), backend.move(array, device), requires_grad)


Variable.concrete = Tensor
