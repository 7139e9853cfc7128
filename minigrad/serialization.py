"""`save` and `load`: torch's `.pt` files (a zip of one pickle and the raw storages), written and read without torch.

Reading admits tensors, containers, numbers and strings only: a pickle that names anything else is refused before anything
of it runs. Writing is whole or not at all.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.files import replace_file
from minigrad.nn.parameter import Parameter
from minigrad.size import Size

__all__ = ["load", "save"]

_STORAGES = {f"{d.type_name}Storage": d for d in backend.DTYPES}


class _Global:
    """A name that the pickle refers to, such as `torch._utils._rebuild_tensor_v2`."""

    def __init__(self, module: str, name: str) -> None:
        self.text = f"{module}\n{name}\n".encode()

    def __call__(self) -> None:
        """Never called: pickle wants of whatever rebuilds an object that it could be."""


class _Storage:
    """The memory of one or more tensors, to be written as a file of its own."""

    def __init__(self, array: Any, key: str) -> None:
        self.array, self.key = array, key


_REBUILD = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")


_PythonPickler: Any = pickle._Pickler  # unlike the C one it lets names be written as we say


class _Pickler(_PythonPickler):
    dispatch = _PythonPickler.dispatch.copy()

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[int, _Storage] = {}

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, _Storage):
            return None
        kind = _Global("torch", f"{backend.dtype_of(value.array).type_name}Storage")
        return ("storage", kind, value.key, "cpu", value.array.size)

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Parameter):
            return _REBUILD_PARAMETER, (value.data, value.requires_grad, OrderedDict())
        if isinstance(value, Variable):
            return _REBUILD, self._tensor(value)
        if isinstance(value, Size):
            return _Global("torch", "Size"), (tuple(value),)
        if isinstance(value, backend.device):
            return _Global("torch", "device"), (str(value),)
        return NotImplemented

    def _tensor(self, tensor: Any) -> tuple[Any, ...]:
        array = backend.to_numpy(tensor.array)
        owner = array if array.base is None else array.base
        shares = isinstance(owner, np.ndarray) and owner.dtype == array.dtype and owner.flags.c_contiguous
        if not shares or any(s < 0 for s in array.strides):
            owner = array = np.ascontiguousarray(array)
        storage = self.storages.setdefault(id(owner), _Storage(owner, str(len(self.storages))))
        offset = (backend.address(array) - backend.address(owner)) // array.itemsize
        strides = tuple(s // array.itemsize for s in array.strides)
        needs_grad = tensor.needs_grad and tensor.node is None
        return storage, offset, tuple(array.shape), strides, needs_grad, OrderedDict()

    def save_name(self, value: _Global) -> None:
        self.write(pickle.GLOBAL + value.text)

    def save_dtype(self, value: backend.dtype) -> None:
        self.write(pickle.GLOBAL + f"torch\n{value.name}\n".encode())

    dispatch[_Global] = save_name
    dispatch[backend.dtype] = save_dtype


def save(obj: Any, f: Any) -> None:
    """Write `obj` (tensors, parameters, numbers, strings, and containers of them) to a path or binary file.

    A file at that path is replaced once everything has been written; on any error it stays as it was.
    """
    text = io.BytesIO()
    pickler = _Pickler(text)
    try:
        pickler.dump(obj)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise pickle.PicklingError(
            f"cannot save a {type(obj).__name__}: {error}. save() takes tensors, numbers, strings and containers of them; of "
            f"a module or an optimizer save its state_dict()"
        ) from error
    if hasattr(f, "write"):
        _write_zip(f, text.getvalue(), pickler.storages)
        return
    with replace_file(f) as file:
        _write_zip(file, text.getvalue(), pickler.storages)


def _write_zip(file: Any, text: bytes, storages: dict[int, _Storage]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", text)
        archive.writestr("archive/byteorder", "little")
        for storage in storages.values():
            little = storage.array.astype(storage.array.dtype.newbyteorder("<"), copy=False)
            archive.writestr(f"archive/data/{storage.key}", little.tobytes())
        archive.writestr("archive/version", "3\n")


def _rebuild_tensor(
    flat: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], requires_grad: bool, *rest: Any
) -> Any:
    """A tensor over part of a storage; RuntimeError if it would reach outside of it."""
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= flat.size):
        raise RuntimeError(
            f"a tensor of size {list(size)}, stride {list(stride)} and offset {offset} does not fit its storage of "
            f"{flat.size} elements: the file is damaged"
        )
    strides = tuple(s * flat.itemsize for s in stride)
    array = np.lib.stride_tricks.as_strided(flat[offset:], size, strides)
    return wrap(array if array.flags.c_contiguous and array.size == flat.size else array.copy(order="K"), requires_grad)


def _rebuild_parameter(data: Any, requires_grad: bool, hooks: Any) -> Any:
    return Parameter(data, requires_grad)


_ADMITTED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): Size,
    ("torch", "device"): backend.device,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    **{("torch", name): d for name, d in _STORAGES.items()},
    **{("torch", d.name): d for d in backend.DTYPES},
}


class _Unpickler(pickle.Unpickler):
    """Knows the names in `_ADMITTED` and no others."""

    def __init__(self, text: bytes, read: Callable[[str], bytes]) -> None:
        super().__init__(io.BytesIO(text), encoding="utf-8")
        self.read_record = read
        self.storages: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"Weights only load failed: the file names {module}.{name}, and load() admits only tensors, containers, "
                f"numbers and strings. Nothing of it was run."
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, _, numel = pid
        if kind != "storage" or not isinstance(dtype, backend.dtype):
            raise pickle.UnpicklingError(f"Weights only load failed: unknown persistent id {pid!r}")
        if key not in self.storages:
            raw = self.read_record(f"data/{key}")
            little = dtype.numpy.newbyteorder("<")
            if len(raw) != numel * little.itemsize:
                raise RuntimeError(
                    f"storage {key} holds {len(raw)} bytes where {numel} elements of {dtype.name} need "
                    f"{numel * little.itemsize}: the file is damaged"
                )
            self.storages[key] = np.frombuffer(bytearray(raw), little).astype(dtype.numpy, copy=False)
        return self.storages[key]


def load(f: Any, map_location: Any = None, *, weights_only: bool = True, mmap: bool | None = None) -> Any:
    """Read what `save`, or torch's `save`, wrote: from a path or binary file, onto device `map_location` if given.

    Raises FileNotFoundError, RuntimeError for a file that is damaged or of another format, and
    pickle.UnpicklingError for one that holds anything but tensors, containers, numbers and strings.
    """
    try:
        with zipfile.ZipFile(f) as archive:
            names = archive.namelist()
            root = next((n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")), None)
            if root is None:
                raise RuntimeError(f"{f} is a zip file without a data.pkl: it was not written by save()")
            value = _Unpickler(archive.read(f"{root}data.pkl"), lambda name: archive.read(root + name)).load()
    except zipfile.BadZipFile as error:
        raise RuntimeError(
            f"PytorchStreamReader failed reading zip archive: {error}. {f} is damaged, cut short, or not a file that save() "
            f"wrote"
        ) from None
    except (EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise RuntimeError(f"{f} is damaged: {type(error).__name__}: {error}") from None
    return value if map_location is None else _moved(value, map_location)


def _moved(value: Any, device: Any) -> Any:
    """`value` with every tensor on `device`."""
    if isinstance(value, Variable):
        value.array = backend.move(value.array, device)
    elif isinstance(value, dict):
        for item in value.values():
            _moved(item, device)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            _moved(item, device)
    return value
