"""`load`: torch's zip files, and those of its first releases, as objects."""

from __future__ import annotations

import io
import mmap as memory_maps
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from operator import index
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.backend import np
from minigrad.safetensors import load_file
from minigrad.serialization.unpickling import DAMAGED, SafeUnpickler, names_admitted, names_in, trusting_unpickler
from minigrad.serialization.writing import LOCAL_HEADER

__all__ = ["get_unsafe_globals_in_checkpoint", "load"]

NO_GPU = (
    "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on a "
    "CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your storages to the CPU."
)
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled: how files before 1.6 begin

Storage = Callable[[Any], Any]
MakeUnpickler = Callable[[Any, Storage], Any]


def placed(row: Any, location: str, map_location: Any) -> Any:
    """A storage on the device where it is wanted, by its own location and `load`'s `map_location`."""
    if callable(map_location):
        return row if (answer := map_location(wrap(row), location)) is None else answer.array
    if isinstance(map_location, dict):
        map_location = map_location.get(location, location)
    device = backend.device(location if map_location is None else map_location)
    if device.type == "cuda" and not backend.gpu_available():
        raise RuntimeError(NO_GPU)
    return backend.move(row, device)


def described(pid: Any) -> tuple[Any, str, str, int, list[Any]]:
    """(dtype, key, location, number of elements, what else there is) of a storage's persistent id."""
    parts: list[Any] = [part.decode() if type(part) is bytes else part for part in pid]
    kind, dtype, key, location, numel, *rest = parts
    if type(kind) is not str or kind != "storage" or not isinstance(dtype, backend.dtype) or type(key) is not str:
        raise ValueError("a persistent id that is no storage's")
    if dtype.numpy is None:
        raise RuntimeError(f"the file holds a tensor of {dtype}, which minigrad has not: convert it in torch first")
    if type(location) is not str or not 0 <= index(numel) < 2**60:
        raise ValueError("a storage of no size or place")
    return dtype, key, location, numel, rest


class _Archive:
    """The records of an open zip file, and its storages on the devices where they are wanted."""

    def __init__(self, archive: zipfile.ZipFile, map_location: Any, whole: Any) -> None:
        self.archive, self.map_location, self.whole = archive, map_location, whole
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"{len(pickles)} records data.pkl where there should be one")
        self.root = pickles[0].removesuffix("data.pkl")
        assert archive.fp is not None
        self.length = archive.fp.seek(0, io.SEEK_END)
        big = f"{self.root}byteorder" in archive.namelist() and self.record("byteorder") == b"big"
        self.byte_order = ">" if big else "<"
        self.rows: dict[str, Any] = {}

    def record(self, name: str, size: int | None = None) -> bytes:
        """The bytes of a record; ValueError unless it is as long as it should be, and stored as it is."""
        return self.archive.read(self._info(name, size))

    def _info(self, name: str, size: int | None) -> zipfile.ZipInfo:
        info = self.archive.getinfo(self.root + name)
        plain = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        if not plain or size not in (None, info.file_size) or info.file_size > self.length:
            raise ValueError(f"record {name} has {info.file_size} bytes in format {info.compress_type}, {size} are due")
        return info

    def _in_place(self, name: str, dtype: Any, numel: int) -> Any:
        """The elements of a record in the mapped file."""
        info = self._info(name, numel * dtype.itemsize)
        lengths = np.frombuffer(self.whole, "<u2", 2, info.header_offset + 26)  # of its name and its extra field
        begin = info.header_offset + LOCAL_HEADER + int(lengths.sum())
        row = np.frombuffer(self.whole, dtype, numel, begin)
        return row if row.flags.aligned and dtype.isnative else row.astype(dtype.newbyteorder("="))

    def load(self, unpickler: MakeUnpickler) -> Any:
        return unpickler(io.BytesIO(self.record("data.pkl")), self.storage).load()

    def storage(self, pid: Any) -> Any:
        """The row of memory that ("storage", dtype, key, location, number of elements) stands for."""
        dtype, key, location, numel, _ = described(pid)
        if key not in self.rows:
            stored = dtype.numpy.newbyteorder(self.byte_order)
            if self.whole is not None:
                row = self._in_place(f"data/{key}", stored, numel)
            else:
                row = np.frombuffer(self.record(f"data/{key}", numel * stored.itemsize), stored).astype(dtype.numpy)
            self.rows[key] = placed(row, location, self.map_location)
        if self.rows[key].dtype != dtype.numpy:
            raise ValueError(f"storage {key} is of two dtypes")
        return self.rows[key]


class _Bounded:
    """A file of which no more is ever asked than it has: asking for it takes memory."""

    def __init__(self, file: Any, length: int) -> None:
        self.file, self.length = file, length

    def readline(self) -> bytes:
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("Ran out of input")
        return line

    def read(self, n: int = -1) -> bytes:
        return self.file.read(min(n, self.length))

    def readinto(self, buffer: Any) -> int:
        return self.file.readinto(buffer)


def _load_legacy(file: Any, map_location: Any, unpickler: MakeUnpickler) -> Any:
    """A file of torch before 1.6: three pickles that tell the version, the object, the keys of its storages, these."""
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    pickles = _Bounded(file, length)
    rows: dict[str, tuple[Any, Any]] = {}  # in this process's memory, and where it is wanted
    parts: dict[tuple[str, str], Any] = {}

    def storage(pid: Any) -> Any:
        if type(pid) is tuple and len(pid) == 4 and pid[0] == "module":
            return pid[1]  # a class, and its source
        dtype, key, location, numel, rest = described(pid)
        if key not in rows:
            if numel * dtype.numpy.itemsize > length:
                raise ValueError("a storage larger than the file")
            row = np.zeros(numel, dtype.numpy)
            rows[key] = row, placed(row, location, map_location)
        whole = rows[key][1]
        if whole.dtype != dtype.numpy:
            raise ValueError(f"storage {key} is of two dtypes")
        if rest in ([], [None]):
            return whole
        ((view, begin, size),) = rest
        return parts.setdefault((key, str(view)), whole[index(begin) : index(begin) + index(size)])

    def plain(_: Any) -> Any:
        raise ValueError("a storage where there should be none")

    _, protocol, system = (SafeUnpickler(pickles, plain, {}).load() for _ in range(3))
    if protocol != 1001 or not isinstance(system, dict) or not system.get("little_endian", True):
        raise RuntimeError("Invalid protocol version: only 1001 in little-endian order can be read")
    result = unpickler(pickles, storage).load()
    for key in SafeUnpickler(pickles, plain, {}).load():
        row, where = rows[key]
        if int.from_bytes(file.read(8), "little") != row.size:
            raise ValueError(f"storage {key} is of another size")
        data = file.read(row.nbytes)
        row[...] = np.frombuffer(data, row.dtype.newbyteorder("<"), row.size)
        if where is not row:
            where[...] = backend.move(row, backend.device_of(where))
    return result


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save`, or torch's `save`, wrote to a path or a binary file.

    map_location    a device for all tensors, a dict from saved devices to others, or a function of a tensor with the
                    saved memory and the name of its device that returns one on the device wanted
    weights_only    False to read any object, by an unpickler of `pickle_module` that gets `pickle_load_args`, and so to
                    run whatever the file says. Otherwise, and unless a pickle_module is given, nothing is run, and
                    nothing but tensors, numbers, text, plain containers and what `add_safe_globals` admits is read
    mmap            True to map the file: memory is read from it when it is used. Changes stay in this process

    A path that ends in .safetensors is read as such. Raises FileNotFoundError and its like, RuntimeError for a file
    that is damaged or of another format, and pickle.UnpicklingError for one with something that is not admitted.
    """
    if weights_only is None:
        weights_only = pickle_module is None
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if weights_only and pickle_load_args:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)

    admitted = names_admitted() if weights_only else {}

    def unpickler(file: Any, storage: Storage) -> Any:
        if weights_only:
            return SafeUnpickler(file, storage, admitted)
        return trusting_unpickler(pickle_module or pickle, file, storage, **{"encoding": "utf-8"} | pickle_load_args)

    if hasattr(f, "read"):
        if mmap:
            raise ValueError("f must be a file path in order to use the mmap argument")
        return _read(f, map_location, unpickler, None, weights_only)
    if not isinstance(f, (str, os.PathLike)):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek': load() takes a path or a binary file"
        )
    if os.fspath(f).endswith(".safetensors"):
        if isinstance(map_location, dict) or callable(map_location):
            kind = "dict" if isinstance(map_location, dict) else "callable"
            raise RuntimeError(
                f"Loading safetensors file with {kind} map_location is not supported. Use a device string or "
                "torch.device instead."
            )
        return load_file(f, "cpu" if map_location is None else map_location)
    with open(f, "rb") as file:
        whole = memory_maps.mmap(file.fileno(), 0, access=memory_maps.ACCESS_COPY) if mmap else None
        return _read(file, map_location, unpickler, whole, weights_only)


def _read(file: Any, map_location: Any, unpickler: MakeUnpickler, whole: Any, careful: bool) -> Any:
    try:
        begin = file.read(len(LEGACY))
        file.seek(0)
        if begin == LEGACY:
            if whole is not None:
                raise RuntimeError(
                    "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True), "
                    "please torch.save your checkpoint with this option in order to use mmap."
                )
            return _load_legacy(file, map_location, unpickler)
        with zipfile.ZipFile(file) as archive:
            return _Archive(archive, map_location, whole).load(unpickler)
    except (pickle.UnpicklingError, RuntimeError, MemoryError) as error:
        if not isinstance(error, (NotImplementedError, RecursionError)):  # zipfile's, for one of another version
            raise
        cause: Exception = error
    except Exception as error:  # what a damaged file may lead to is without end
        if not careful and not isinstance(error, (zipfile.BadZipFile, OSError, ValueError)):
            raise  # of what the file runs
        cause = error
    name = getattr(file, "name", "the file")
    raise RuntimeError(f"PytorchStreamReader failed reading zip archive: {_said(cause)}\n{name}: {DAMAGED}.") from None


def _said(error: Exception) -> str:
    """What an error says, unless that is made of parts of the file, which may be without end."""
    plain = isinstance(error, (ValueError, OSError, zipfile.BadZipFile))
    return f"{type(error).__name__}{f': {error}' if plain else ''}"


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a file for which `load` would refuse it; nothing of it is run."""
    with open(f, "rb") if isinstance(f, (str, os.PathLike)) else io.BytesIO(f.read()) as file:
        with zipfile.ZipFile(file) as archive:
            return names_in(_Archive(archive, None, None).record("data.pkl"))
