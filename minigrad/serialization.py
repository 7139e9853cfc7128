"""`save` and `load`: torch's `.pt` files, written and read without torch.

Such a file is a zip archive of a pickle, `data.pkl`, and the raw memory of the tensors, `data/0`, `data/1`, ... In the
pickle a tensor is a call of `torch._utils._rebuild_tensor_v2` on a storage (a whole piece of memory, which several
tensors may share), an offset into it, a size and strides.

Reading admits tensors, numbers, text and plain containers: a pickle that names anything else is refused before anything
of it runs. Writing refuses what reading would, and is whole or not at all.
"""

from __future__ import annotations

import codecs
import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from operator import index
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.files import replace_file
from minigrad.formats import memory_order
from minigrad.nn.parameter import Parameter
from minigrad.ops.create import leaf
from minigrad.size import Size

__all__ = ["load", "save"]

PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, OrderedDict, Counter)
NAMES = (codecs.encode, bytearray, complex, set, OrderedDict, Counter)  # of PLAIN, that a pickle refers to

# Python's picklers in Python, which it uses where those in C are missing: these can be changed.
_PythonPickler: Any = pickle._Pickler
_PythonUnpickler: Any = pickle._Unpickler

NO_GPU = (
    "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on a "
    "CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your storages to the CPU."
)
DAMAGED = "The file is damaged, cut short, or not one that save() or torch.save() wrote"


# -- writing ----------------------------------------------------------------------------------------------------------


class _Global:
    """A name that the pickle refers to, such as `torch._utils._rebuild_tensor_v2`."""

    def __init__(self, module: str, name: str) -> None:
        self.text = f"{module}\n{name}\n".encode()

    def __call__(self) -> None:
        """Never called: pickle wants of whatever rebuilds an object that it could be."""


class _Storage:
    """The memory of one or more tensors, as a row; written as a file of its own."""

    def __init__(self, row: Any, key: str) -> None:
        self.row, self.key = row, key


_REBUILD = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")


def _memory(array: Any) -> tuple[Any, Any, int, tuple[int, ...]]:
    """(the array that owns the memory, all of that as a row, where `array` starts in it, its strides).

    Of a copy, where torch could not describe it: reversed, seen as another dtype, or in memory with gaps.
    """
    owner, step = array, array.base
    while step is not None:
        owner = step if backend.is_array(step) else owner
        step = getattr(step, "base", None)
    row = owner.transpose(memory_order(owner))
    offset, rest = divmod(backend.address(array) - backend.address(owner), array.itemsize)
    steps = [divmod(s, array.itemsize) for s in array.strides]
    plain = row.flags.c_contiguous and row.dtype == array.dtype and offset >= 0 and rest == 0
    if plain and all(step >= 0 and rest == 0 for step, rest in steps):
        return owner, row.reshape(-1), offset, tuple(step for step, _ in steps)
    return _memory(array.copy())


class _Pickler(_PythonPickler):
    dispatch = _PythonPickler.dispatch.copy()

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[int, _Storage] = {}

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, _Storage):
            return None
        kind = _Global("torch", f"{backend.dtype_of(value.row).type_name}Storage")
        return "storage", kind, value.key, str(backend.device_of(value.row)), value.row.size

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Parameter):
            return _REBUILD_PARAMETER, (value.data, value.requires_grad, OrderedDict())
        if isinstance(value, Variable):
            return _REBUILD, self._tensor(value)
        if isinstance(value, Size):
            return _Global("torch", "Size"), (tuple(value),)
        if isinstance(value, backend.device):
            return _Global("torch", "device"), (str(value),)
        if type(value) is bytes:  # pickle's own way for b"" is not one that torch reads
            return codecs.encode, (value.decode("latin1"), "latin1")
        if type(value) in PLAIN or isinstance(value, (_Global, backend.dtype)) or any(value is name for name in NAMES):
            return NotImplemented  # pickle knows how
        what = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        fix = {np.generic: ": convert it with .item()", np.ndarray: ": make a tensor of it with from_numpy()"}
        raise pickle.PicklingError(what + next((fix[kind] for kind in fix if isinstance(value, kind)), ""))

    def _tensor(self, tensor: Any) -> tuple[Any, ...]:
        owner, row, offset, strides = _memory(tensor.array)
        storage = self.storages.setdefault(id(owner), _Storage(row, str(len(self.storages))))
        return storage, offset, tuple(tensor.array.shape), strides, tensor.needs_grad, OrderedDict()

    def _save_name(self, value: _Global) -> None:
        self.write(pickle.GLOBAL + value.text)

    def _save_dtype(self, value: backend.dtype) -> None:
        self.write(pickle.GLOBAL + f"torch\n{value.name}\n".encode())

    dispatch[_Global] = _save_name
    dispatch[backend.dtype] = _save_dtype


def save(obj: Any, f: Any, pickle_module: Any = pickle, pickle_protocol: int = 2) -> None:
    """Write `obj` to a path or a binary file; `load` and torch's `load` read it.

    `obj` may be tensors, parameters, numbers, text, dtypes, devices, sizes, and dicts, lists, tuples and sets of them:
    PicklingError for anything else. Tensors that share memory share it when loaded; a view brings all of the memory it
    is a view of. A file at that path is replaced once everything has been written: on any error it stays as it was,
    and RuntimeError says what was wrong with the path. `pickle_module` and `pickle_protocol` are accepted.
    """
    if not hasattr(f, "write") and not isinstance(f, (str, os.PathLike)):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    text = io.BytesIO()
    pickler = _Pickler(text)
    try:
        pickler.dump(obj)
    except pickle.PicklingError as error:
        raise pickle.PicklingError(
            f"cannot save an object of type {error}\nsave() takes tensors, numbers, text and plain containers of them; "
            "of a module or an optimizer save its state_dict()."
        ) from None
    if hasattr(f, "write"):
        _write_zip(f, text.getvalue(), pickler.storages)
        return
    folder = os.path.dirname(f)
    if folder and not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.fspath(folder)} does not exist.")
    try:
        with replace_file(f) as file:
            _write_zip(file, text.getvalue(), pickler.storages)
    except OSError as error:
        raise RuntimeError(f"cannot write {os.fspath(f)}, which is as it was: {error.strerror or error}") from error


def _write_zip(file: Any, text: bytes, storages: dict[int, _Storage]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        def write(name: str, data: Any) -> None:
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), data)  # no date: equal objects give equal files

        write("data.pkl", text)
        write("byteorder", b"little")
        for storage in storages.values():
            row = backend.to_numpy(storage.row)
            write(f"data/{storage.key}", row.astype(row.dtype.newbyteorder("<"), copy=False).view(np.uint8).data)
        write("version", b"3\n")


# -- reading ----------------------------------------------------------------------------------------------------------


def _rebuild_tensor(
    row: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], requires_grad: bool, hooks: Any, *rest: Any
) -> Any:
    """A tensor that shows part of a storage; RuntimeError if it would reach outside of it."""
    offset, size, stride = index(offset), tuple(map(index, size)), tuple(map(index, stride))
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= row.size):
        raise RuntimeError(
            f"a tensor of size {list(size)}, stride {list(stride)} and offset {offset} does not fit its storage of "
            f"{row.size} elements. {DAMAGED}."
        )
    start = 0 if 0 in size else offset
    strides = tuple(s * row.itemsize for s in stride)
    return leaf(backend.module_of(row).lib.stride_tricks.as_strided(row[start:], size, strides), requires_grad)


def _rebuild_parameter(data: Any, requires_grad: bool, hooks: Any) -> Any:
    return Parameter(data, bool(requires_grad))


def _bytes(text: str = "", encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes: as text of their codes; b"" as `bytes()`."""
    return text.encode("latin1")


def _bytearray(data: bytes = b"") -> bytearray:
    return bytearray(b"" + data)  # a TypeError for a number, which would be a size


_DTYPES = (*backend.DTYPES, backend.bfloat16, backend.complex64, backend.complex128)
_ADMITTED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): Size,
    ("torch", "device"): backend.device,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("_codecs", "encode"): _bytes,
    ("builtins", "set"): set,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "complex"): complex,
    **{("torch", f"{d.type_name}Storage"): d for d in _DTYPES},
    **{("torch", d.name): d for d in _DTYPES},
}

# The instructions of pickle's protocol 2 that make plain values, and the two that act: REDUCE calls what find_class
# admits, BUILD sets attributes.
_INSTRUCTIONS = (
    *("PROTO", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2"),
    *("LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1"),
    *("TUPLE2", "TUPLE3", "EMPTY_DICT", "SETITEM", "SETITEMS", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"),
    *("GLOBAL", "BINPERSID", "REDUCE", "BUILD"),
)


class _Unpickler(_PythonUnpickler):
    """Knows the names in `_ADMITTED`, the instructions above, and no others."""

    dispatch = {code: _PythonUnpickler.dispatch[code] for name in _INSTRUCTIONS for code in getattr(pickle, name)}

    def __init__(self, text: bytes, storage: Callable[[Any], Any]) -> None:
        super().__init__(io.BytesIO(text))
        self.persistent_load = storage

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED["builtins" if module == "__builtin__" else module, name]  # protocol 2 has Python 2's names
        except KeyError:
            raise pickle.UnpicklingError(
                f"Weights only load failed. The file names {module}.{name}, and load() admits only tensors, numbers, "
                "text and plain containers, whatever `weights_only` is. Nothing of it was run."
            ) from None

    def _build(self) -> None:
        """Attributes, of an OrderedDict only: a state_dict() carries `_metadata`."""
        state = self.stack.pop()
        if type(self.stack[-1]) is not OrderedDict or type(state) is not dict:
            raise pickle.UnpicklingError(
                f"Weights only load failed. The file sets attributes of a {type(self.stack[-1]).__name__}, and load() "
                "admits that for an OrderedDict only. Nothing of it was run."
            )
        self.stack[-1].__dict__.update(state)

    dispatch[pickle.BUILD[0]] = _build


class _Archive:
    """The records of an open `.pt` file, and its storages on the devices where they are wanted."""

    def __init__(self, archive: zipfile.ZipFile, map_location: Any) -> None:
        self.archive, self.map_location = archive, map_location
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"{len(pickles)} records data.pkl where there should be one")
        self.root = pickles[0].removesuffix("data.pkl")
        big = f"{self.root}byteorder" in archive.namelist() and self.record("byteorder") == b"big"
        self.byte_order = ">" if big else "<"
        self.rows: dict[str, Any] = {}

    def record(self, name: str, size: int | None = None) -> bytes:
        info = self.archive.getinfo(self.root + name)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or size not in (None, info.file_size):
            raise ValueError(f"record {name} has {info.file_size} bytes in format {info.compress_type}, {size} are due")
        return self.archive.read(info)

    def load(self) -> Any:
        return _Unpickler(self.record("data.pkl"), self.storage).load()

    def storage(self, pid: tuple[Any, ...]) -> Any:
        """The row of memory that ("storage", dtype, key, location, number of elements) stands for."""
        kind, dtype, key, location, numel = pid
        if kind != "storage" or not isinstance(dtype, backend.dtype):
            raise ValueError(f"unknown persistent id {pid!r}")
        if dtype.numpy is None:
            raise RuntimeError(f"the file holds a tensor of {dtype}, which minigrad has not: convert it in torch first")
        if key not in self.rows:
            raw = self.record(f"data/{key}", numel * dtype.numpy.itemsize)
            row = np.frombuffer(raw, dtype.numpy.newbyteorder(self.byte_order)).astype(dtype.numpy)
            self.rows[key] = self._placed(row, location)
        if self.rows[key].dtype != dtype.numpy:
            raise ValueError(f"storage {key} is of two dtypes")
        return self.rows[key]

    def _placed(self, row: Any, location: str) -> Any:
        where = self.map_location
        if callable(where):
            return row if (placed := where(wrap(row), location)) is None else placed.array
        if isinstance(where, dict):
            where = where.get(location, location)
        device = backend.device(location if where is None else where)
        if device.type == "cuda" and not backend.gpu_available():
            raise RuntimeError(NO_GPU)
        return backend.move(row, device)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """Read what `save`, or torch's `save`, wrote to a path or a binary file.

    map_location    a device for all tensors, a dict from saved devices to others, or a function of a tensor with the
                    saved memory and the name of its device that returns one on the device wanted
    weights_only    accepted, as pickle_module; nothing but tensors, numbers, text and plain containers is ever read
    mmap            accepted; the file is always read into memory

    Raises FileNotFoundError and its like, RuntimeError for a file that is damaged or of another format, and
    pickle.UnpicklingError for one that holds anything else: nothing of that is run.
    """
    if hasattr(f, "read"):
        return _read(f, map_location)
    if not isinstance(f, (str, os.PathLike)):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek': load() takes a path or a binary file"
        )
    with open(f, "rb") as file:
        return _read(file, map_location)


def _read(file: Any, map_location: Any) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            return _Archive(archive, map_location).load()
    except (pickle.UnpicklingError, RuntimeError, MemoryError) as error:
        if not isinstance(error, NotImplementedError):  # zipfile's, for a zip file of another version
            raise
        cause: Exception = error
    except Exception as error:  # what a damaged file may lead to is without end
        cause = error
    name = getattr(file, "name", "the file")
    raise RuntimeError(
        f"PytorchStreamReader failed reading zip archive: {type(cause).__name__}: {cause}\n{name}: {DAMAGED}."
    ) from None
