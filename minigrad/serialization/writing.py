"""`save`: an object as torch's zip file of a pickle and the memory of its tensors."""

from __future__ import annotations

import codecs
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable
from minigrad.backend import np
from minigrad.files import replace_file
from minigrad.formats import layout, memory_order
from minigrad.nn.parameter import Buffer, Parameter, UninitializedTensorMixin
from minigrad.size import Size
from minigrad.tensor import Tensor

__all__ = ["save"]

_PythonPickler: Any = pickle._Pickler  # which Python uses where the one in C is missing: this one can be changed

LOCAL_HEADER = 30  # bytes of zip's header of a record, before its name
ALIGNMENT = 64  # where a storage begins in the file, so that it can be used in place


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
_REBUILD_FROM_TYPE = _Global("torch._tensor", "_rebuild_from_type_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")
_REBUILD_PARAMETER_WITH_STATE = _Global("torch._utils", "_rebuild_parameter_with_state")


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
        if isinstance(value, Variable) and not isinstance(value, UninitializedTensorMixin):
            return self._tensor(value)
        if isinstance(value, Size):
            return _Global("torch", "Size"), (tuple(value),)
        if isinstance(value, backend.device):
            return _Global("torch", "device"), (str(value),)
        if isinstance(value, layout):
            return _Global("torch.serialization", "_get_layout"), (str(value),)
        if type(value) is bytes:  # pickle's own way for b"" is not one that torch reads
            return codecs.encode, (value.decode("latin1"), "latin1")
        return NotImplemented  # pickle knows how

    def _tensor(self, tensor: Any) -> tuple[Any, ...]:
        state = dict(vars(tensor))
        if isinstance(tensor, Parameter):
            plain: Any = tensor.data, tensor.requires_grad, OrderedDict()
            return (_REBUILD_PARAMETER_WITH_STATE, (*plain, state)) if state else (_REBUILD_PARAMETER, plain)
        owner, row, offset, strides = _memory(tensor.array)
        storage = self.storages.setdefault(id(owner), _Storage(row, str(len(self.storages))))
        parts: Any = storage, offset, tuple(tensor.array.shape), strides, tensor.needs_grad, OrderedDict()
        plain_kind = type(tensor) in (Tensor, Buffer)  # torch's buffers are plain tensors
        if plain_kind and not state:
            return _REBUILD, parts
        kind = _Global("torch", "Tensor") if plain_kind else type(tensor)
        return _REBUILD_FROM_TYPE, (_REBUILD, kind, parts, state)

    def _save_name(self, value: _Global) -> None:
        self.write(pickle.GLOBAL + value.text)

    def _save_dtype(self, value: backend.dtype) -> None:
        self.write(pickle.GLOBAL + f"torch\n{value.name}\n".encode())

    dispatch[_Global] = _save_name
    dispatch[backend.dtype] = _save_dtype


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write `obj` to a path or a binary file; `load` and torch's `load` read it.

    `obj` may be tensors, parameters, numbers, text, dtypes, devices, sizes, and dicts, lists, tuples and sets of them;
    anything else that pickle takes is written too, but read only by those who admit it. Tensors that share memory share
    it when loaded; a view brings all of the memory it is a view of. A file at that path is replaced once everything has
    been written: on any error it stays as it was, and RuntimeError says what was wrong with the path. `pickle_module`,
    `pickle_protocol` and torch's switch to its older format are accepted and change nothing.
    """
    if not hasattr(f, "write") and not isinstance(f, (str, os.PathLike)):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    text = io.BytesIO()
    pickler = _Pickler(text)
    pickler.dump(obj)
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
            record = zipfile.ZipInfo(f"archive/{name}")  # no date: equal objects give equal files
            begin = archive.fp.tell() + LOCAL_HEADER + len(record.filename)  # type: ignore[union-attr]
            # An entry of zip's "extra field" that nobody reads moves the data to a multiple of ALIGNMENT.
            room = -(begin + 4) % ALIGNMENT
            record.extra = b"FB" + room.to_bytes(2, "little") + bytes(room)
            archive.writestr(record, data)

        write("data.pkl", text)
        write("byteorder", b"little")
        for storage in storages.values():
            row = backend.to_numpy(storage.row)
            write(f"data/{storage.key}", row.astype(row.dtype.newbyteorder("<"), copy=False).view(np.uint8).data)
        write("version", b"3\n")
