"""A CuPy-shaped array over NumPy that refuses what CuPy 14.2 refuses: the array half of `strict_cupy`.

The values live in a `numpy.ndarray` that leaves only through `get` and its like, which count as synchronizations. So
code that would fail on a GPU, or silently wait for it, fails or is counted on a machine without one. Differences from
NumPy that are reproduced: no implicit conversion, no NumPy array or list as an operand, reductions give 0-dim arrays,
integer arrays wrap around instead of raising IndexError, of several writes to one place another one wins, new memory
holds garbage, `ufunc.at` and `ufunc.reduce` exist for few ufuncs. In two places it is stricter than CuPy, which would
upload silently at every call: NumPy arrays and lists as values of `x[indices] = values` and of `ufunc.at`.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reference.strict_capture import capture, garbage, on_stream, owner
from reference.strict_cuda import alloc, get_current_stream
from reference.strict_device import NAMES, VERSION, Device, Flags, MemoryPointer, synchronizations, uploads

# Parameters that CuPy's functions take as arrays only; others (axes, shapes, widths ...) may be lists of numbers.
OPERANDS = {
    "a", "a1", "a2", "a_max", "a_min", "ar", "ar1", "ar2", "args", "arr", "arr1", "arr2", "array", "ary", "arys", "b",
    "condition", "fill_value", "filt", "m", "mask", "operands", "out", "prototype", "v", "vals", "values", "weights",
    "x", "x1", "x2", "xi", "y",
}  # fmt: skip
# Functions and methods whose result has a size that the host must know, or that check values: they wait for the GPU.
SYNCHRONIZING = {
    "argwhere", "array2string", "array_repr", "array_str", "asarray_chkfinite", "bincount", "choose", "compress",
    "extract", "flatnonzero", "histogram", "histogram2d", "histogramdd", "intersect1d", "mask_indices", "nanmax",
    "nanmin", "nonzero", "place", "save", "savetxt", "savez", "savez_compressed", "setdiff1d", "setxor1d",
    "trim_zeros", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values",
}  # fmt: skip

JOINS = {"column_stack", "concatenate", "dstack", "hstack", "stack", "vstack"}


# -- between the device and the host -----------------------------------------------------------------------------------


def arrays_in(value: Any) -> list[ndarray]:
    """The device arrays in an argument, or in a list, tuple or dict of arguments."""
    if isinstance(value, ndarray):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [array for part in parts for array in arrays_in(part)]


def unwrap(value: Any) -> Any:
    """`value` with device arrays, also those in lists, tuples and dicts, replaced by the NumPy arrays inside."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, dict):
        return {key: unwrap(part) for key, part in value.items()}
    return type(value)(map(unwrap, value)) if type(value) in (list, tuple) else value


def wrap(value: Any, *arguments: Any) -> Any:
    """NumPy's result of a call with `arguments` as CuPy would give it: arrays and NumPy scalars become device arrays.

    A result that is an argument (`out=`) is that argument again; one that shares an argument's memory has it as `base`.
    """
    if isinstance(value, (list, tuple)):
        parts = [wrap(part, *arguments) for part in value]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    sources = arrays_in(arguments)
    for source in sources:
        if value is source._host:
            return source
    array = object.__new__(ndarray)
    array._host = np.asarray(value)
    shared = (s for s in sources if owner(array._host) is owner(s._host))
    array.base = next((s if s.base is None else s.base for s in shared), None)
    array._memory = None if array.base is not None else alloc(array._host.nbytes)
    return array


def upload(value: Any, dtype: Any = None, order: str | None = "K") -> ndarray:
    """A new device array with the values of a NumPy array, a number or nested lists; ValueError for other dtypes."""
    capture.refuse("a copy from the host")
    if not arrays_in(value):  # lists of device arrays are joined on the device
        uploads.add(f"{type(value).__name__} of shape {np.shape(value)}")
    keeps_columns = order == "F" or (order != "C" and isinstance(value, np.ndarray) and value.flags.fnc)
    host = np.array(unwrap(value), dtype=dtype, order="F" if keeps_columns else "C")
    if host.dtype.kind not in "biufc" or host.dtype.itemsize > np.dtype("complex128").itemsize:
        raise ValueError(f"Unsupported dtype {host.dtype}")
    return wrap(host)


def refuse_host(name: str, parameter: str, value: Any) -> None:
    """TypeError for a NumPy array anywhere in an argument and for a list or tuple where CuPy wants an array."""
    if isinstance(value, np.ndarray) or (isinstance(value, (list, tuple)) and parameter in OPERANDS):
        raise TypeError(
            f"Unsupported type {type(value)} for `{parameter}` of {name}: upload it first with cupy.asarray"
        )
    if isinstance(value, (list, tuple)):
        for part in value:
            refuse_host(name, parameter, part)


def waits(name: str, arguments: dict[str, Any]) -> bool:
    """True if CuPy's function of this name must know values on the host to go on."""
    if name == "where":
        return len(arguments) == 1
    return name in SYNCHRONIZING or isinstance(arguments.get("repeats"), (ndarray, list, tuple))


def note_tables(name: str, args: tuple) -> None:
    """An upload for more than eight arrays to join: CuPy sends their addresses, unless they are of 2 MB on average."""
    given = args[0] if name.removeprefix("cupy.") in JOINS and args and isinstance(args[0], (list, tuple)) else ()
    if len(given) > 8 and len({x.dtype for x in given}) == 1 and sum(x.nbytes for x in given) < len(given) << 21:
        capture.refuse("a copy from the host")
        uploads.add("a table of arrays to join")


def checked(name: str, parameters: str, compute: Callable) -> Callable:
    """`compute`, a NumPy function, behind CuPy's `parameters`: unknown keywords and host arrays are TypeErrors."""
    signature = inspect.signature(eval(f"lambda {parameters[1:-1]}: None"))  # the text is ours, from cupy_names.json
    variadic = {p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL}

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}; CuPy's parameters are {parameters}") from None
        for parameter, value in bound.arguments.items():
            for part in value if parameter in variadic else (value,):
                refuse_host(name, parameter, part)
        capture.refuse_library(name)
        note_tables(name, args)
        if waits(name.rpartition(".")[2], bound.arguments):
            synchronizations.add(name)
        return wrap(compute(*unwrap(args), **unwrap(kwargs)), args, kwargs)

    call.__name__ = call.__qualname__ = name
    return on_stream(call)


def operand(name: str, value: Any) -> Any:
    """The host side of an operand of ufunc `name`; TypeError unless it is a device array or a number."""
    if isinstance(value, ndarray):
        return value._host
    if type(value) in (bool, int, float, complex) or isinstance(value, np.generic):
        return value
    raise TypeError(f"Unsupported type {type(value)} for {name}: CuPy takes CuPy arrays and numbers, see cupy.asarray")


# -- indexing ----------------------------------------------------------------------------------------------------------


def is_mask(item: Any) -> bool:
    """True for an array of bools in an index."""
    return isinstance(item, np.ndarray) and item.dtype.kind == "b"


def host_index(index: Any, shape: tuple[int, ...]) -> tuple[Any, bool]:
    """The NumPy index that does what CuPy does with `index`, and whether it holds arrays.

    Integer arrays wrap around: CuPy raises no IndexError for them. The result of a mask has a size that the host must
    know, so masks synchronize.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    for i, item in enumerate(items):
        if isinstance(item, (list, tuple, np.ndarray, bool, np.bool_)):  # CuPy uploads these by itself
            if not isinstance(item, (bool, np.bool_)):
                uploads.add(f"an index of type {type(item).__name__}")
            item = np.asarray(unwrap(item), dtype=np.intp if isinstance(item, (list, tuple)) and not item else None)
        items[i] = unwrap(item)
    consumed = [0 if x is None else x.ndim if is_mask(x) else 1 for x in items]
    axis = 0
    for i, item in enumerate(items):
        if item is Ellipsis:
            axis += len(shape) - sum(n for n, x in zip(consumed, items, strict=True) if x is not Ellipsis)
            continue
        if isinstance(item, np.ndarray) and item.dtype.kind in "iu" and axis < len(shape) and shape[axis]:
            items[i] = item.astype(np.intp) % shape[axis]
        axis += consumed[i]
    if any(map(is_mask, items)):
        synchronizations.add("indexing with a mask")
    return tuple(items), any(isinstance(x, np.ndarray) for x in items)


def wrapped(indices: Any, size: int) -> Any:
    """The indices from 0 on that are meant; NumPy's `mode="wrap"` counts them down one `size` at a time."""
    return np.asarray(indices) % size if size else indices


def assigned(value: Any, dtype: np.dtype) -> np.ndarray:
    """What is written by `x[indices] = value` and `ufunc.at`, cast; TypeError unless a device array or a number."""
    return np.asarray(operand("an assignment", value)).astype(dtype)


# -- the array ---------------------------------------------------------------------------------------------------------


class ndarray:
    """CuPy's array with a NumPy array inside; its operators are bound in `strict_ufunc`."""

    __slots__ = ("__weakref__", "_host", "_memory", "base")
    __array_priority__ = 100
    # So np.exp(x) and numpy_array + x are TypeErrors, and np.float32(2) * x reaches __rmul__, which CuPy allows.
    __array_ufunc__ = None
    __hash__ = None

    base: ndarray | None

    def __init__(self, shape: Any, dtype: Any = float, *, order: str = "C") -> None:
        self._host, self.base = garbage(np.empty(shape, dtype, order)), None
        self._memory = alloc(self._host.nbytes)

    def __getattr__(self, name: str) -> Any:
        if name in NAMES["cupy.ndarray"] and not name.startswith("_"):
            raise NotImplementedError(f"cupy.ndarray.{name} exists in CuPy {VERSION}; this stand-in has it not")
        raise AttributeError(f"'cupy.ndarray' object has no attribute '{name}' (CuPy {VERSION})")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, function: Callable, *args: Any) -> Any:
        raise TypeError(f"np.{function.__name__} on a CuPy array: take the array module (xp) of the array instead")

    # layout

    T = property(lambda self: self if self.ndim < 2 else self.transpose())
    mT = property(lambda self: self.swapaxes(-1, -2))
    real = property(lambda self: wrap(self._host.real, self) if self.dtype.kind == "c" else self)
    imag = property(lambda self: wrap(self._host.imag, self))
    device = property(lambda self: Device(0))
    data = property(lambda self: MemoryPointer(self._host.ctypes.data, owner(self._host)))

    @property
    def flags(self) -> Flags:
        return Flags(self._host.flags.c_contiguous, self._host.flags.f_contiguous, self.base is None)

    def view(self, dtype: Any = None) -> ndarray:
        """The same memory, read as `dtype`."""
        return wrap(self._host.view() if dtype is None else self._host.view(dtype), self)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: dict) -> ndarray:
        return self.copy()

    def __reduce__(self) -> tuple:
        return upload, (self.get(order="A"),)

    # for other libraries

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Capsule:
        """Not DLPack's capsule: it could not be told from one of memory of the CPU."""
        return Capsule(self)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape, "typestr": self.dtype.str, "descr": self.dtype.descr, "data": (self.data.ptr, False),
            "strides": None if self.flags.c_contiguous else self.strides, "version": 3, "stream": 1,
        }  # fmt: skip

    # to and from the host

    def get(
        self, stream: Any = None, order: str = "C", out: np.ndarray | None = None, blocking: bool = True
    ) -> np.ndarray:
        """A copy on the host; waits for the device."""
        synchronizations.add("a copy to the host")
        if not (self._host.flags.c_contiguous or (order != "C" and self._host.flags.f_contiguous)):
            with get_current_stream():  # a copy on the device, after which CuPy has forgotten what `use()` has set
                pass
        if out is None:
            return np.array(self._host, order=order)
        if not isinstance(out, np.ndarray) or (out.dtype, out.shape) != (self.dtype, self.shape):
            raise TypeError(f"Only a numpy.ndarray of dtype {self.dtype} and shape {self.shape} can be `out`")
        out[...] = self._host
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """Overwrite with a NumPy array of the same dtype and shape."""
        capture.refuse("a copy from the host")
        uploads.add("ndarray.set")
        if not isinstance(arr, np.ndarray) or arr.dtype != self.dtype:
            raise TypeError(
                f"Only a numpy.ndarray of dtype {self.dtype} can be set to this cupy.ndarray, not {type(arr)}"
            )
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        self._host[...] = arr

    def item(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        if not self.size:
            warnings.warn("The truth value of an empty array is ambiguous.", DeprecationWarning, stacklevel=2)
            return False
        return bool(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    # writing and reading elements

    @on_stream
    def __getitem__(self, index: Any) -> ndarray:
        return wrap(self._host[host_index(index, self.shape)[0]], self)

    @on_stream
    def __setitem__(self, index: Any, value: Any) -> None:
        where, advanced = host_index(index, self.shape)
        if not advanced:
            if not isinstance(value, ndarray) and np.shape(value) != ():
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
            self._host[where] = unwrap(value)
            return
        places = np.arange(self.size).reshape(self.shape)[where]
        values = assigned(value, self.dtype)
        surplus = max(0, values.ndim - places.ndim)  # leading dimensions of 1 may be more than there are
        values = np.broadcast_to(values.reshape(values.shape[surplus:]), places.shape)
        self._host.flat[places.ravel()[::-1]] = values.ravel()[::-1]  # where places repeat, not NumPy's winner

    @on_stream
    def fill(self, value: Any) -> None:
        """Set every element to a number or a 0-dim array."""
        if np.shape(unwrap(value)) != ():
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if isinstance(value, ndarray):
            synchronizations.add("fill with an array")  # it is compared with 0, for which there is a faster way
        self._host.fill(unwrap(value))

    @on_stream
    def take(self, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
        """Elements along an axis; indices out of range wrap around."""
        places = wrapped(unwrap(indices), self.size if axis is None else self.shape[axis])
        return wrap(np.take(self._host, places, axis, unwrap(out), mode="wrap"), self, out)

    @on_stream
    def put(self, indices: Any, values: Any, mode: str = "wrap") -> None:
        """Write to flat positions; they wrap around."""
        np.put(self._host, wrapped(unwrap(indices), self.size), unwrap(values), mode)

    # results that NumPy's method gives differently, or not

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        """A view of the diagonals, to which one can write."""
        host = self._host.diagonal(offset, axis1, axis2)
        host.flags.writeable = True
        return wrap(host, self)

    @on_stream
    def astype(
        self, dtype: Any, order: str = "K", casting: None = None, subok: None = None, copy: bool = True
    ) -> ndarray:
        """The array in another dtype; `casting` and `subok` are refused."""
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported yet")
        return wrap(self._host.astype(dtype, order, copy=copy), self)

    def sort(self, axis: int = -1, kind: str | None = None) -> None:
        """Sort in place, stably."""
        capture.refuse_library("cupy.ndarray.sort")
        self._host.sort(axis, kind=stable(kind))

    def argsort(self, axis: int | None = -1, kind: str | None = None) -> ndarray:
        """The indices that sort, stably."""
        capture.refuse_library("cupy.ndarray.argsort")
        return wrap(self._host.argsort(axis, kind=stable(kind)))

    @on_stream
    def ptp(self, axis: Any = None, out: ndarray | None = None, keepdims: bool = False) -> ndarray:
        """Largest minus smallest."""
        return wrap(np.ptp(self._host, axis, unwrap(out), keepdims), out)


class Capsule:
    """What `ndarray.__dlpack__` gives; `from_dlpack` takes it."""

    def __init__(self, array: ndarray) -> None:
        self.array = array


def from_dlpack(array: Any, *, device: Any = None, copy: Any = None) -> ndarray:
    """cupy.from_dlpack: an array on the memory of the stand-in's arrays, or of what holds one."""
    kind, number = array.__dlpack_device__()
    if (int(kind), number) != (2, 0):
        raise BufferError("Unsupported device type")
    capsule = array.__dlpack__(stream=1, max_version=(1, 0), copy=copy)
    return capsule.array.copy() if copy else capsule.array.view()


def stable(kind: str | None) -> Any:
    """The only sort that CuPy has; ValueError for others."""
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return "stable"


def _on_the_host(name: str) -> Callable:
    return lambda self, *args: getattr(self.get(), name)(*args)


for _name in ("dtype", "itemsize", "nbytes", "ndim", "shape", "size", "strides"):
    setattr(ndarray, _name, property(lambda self, name=_name: getattr(self._host, name)))
for _name in ("__complex__", "__float__", "__int__", "__repr__", "__str__", "tobytes", "tolist"):
    setattr(ndarray, _name, _on_the_host(_name))
for _name, _kind in NAMES["cupy.ndarray"].items():
    _is_method = _kind.startswith("(") and not _name.startswith("_") and hasattr(np.ndarray, _name)
    if _is_method and not hasattr(ndarray, _name):
        setattr(ndarray, _name, checked(f"cupy.ndarray.{_name}", _kind, getattr(np.ndarray, _name)))
