"""safetensors files, with the names of `safetensors.torch`; written and read by the library of that name.

Such a file holds named tensors and nothing else, so that nothing in it can be run.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from minigrad import backend
from minigrad.backend import np
from minigrad.files import replace_file
from minigrad.ops.create import leaf
from minigrad.tensor import Tensor

__all__ = ["load", "load_file", "load_model", "save", "save_file", "save_model"]

KINDS = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def _library() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "safetensors files need the package safetensors: pip install 'minigrad-engine[safetensors]'",
            name="safetensors",
        ) from error
    return safetensors


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a file with these tensors, and texts about them.

    ValueError for what is no dict of tensors, RuntimeError for tensors that share memory, of which a file can hold only
    one: `save_model` leaves out the others.
    """
    library = _library()
    _check(tensors)
    shared = [names for names in _sharing(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            "Some tensors share memory, this will lead to duplicate memory on disk and potential differences when "
            f"loading them again: {shared}. A potential way to correctly save your model is to use `save_model`."
        )
    arrays = {name: _contiguous(backend.to_numpy(tensor.array)) for name, tensor in tensors.items()}
    return library.numpy.save(arrays, metadata=None if metadata is None else dict(metadata))


def _contiguous(array: Any) -> Any:
    """The library writes the memory of an array, whatever its strides; and `ascontiguousarray` makes a number a row."""
    return np.ascontiguousarray(array).reshape(array.shape)


def save_file(
    tensors: Mapping[str, Tensor], filename: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write such a file, whole or not at all; the errors of `save`, and those of the file system."""
    data = save(tensors, metadata)
    with replace_file(filename) as file:
        file.write(data)


def load(data: bytes, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors in the bytes of a file.

    The library's SafetensorError for bytes that are no such file, RuntimeError for tensors of a dtype that we have not.
    """
    library = _library()
    try:
        entries = dict(library.deserialize(bytes(data)))
    except library.SafetensorError as error:
        raise type(error)(f"{error}: the data is damaged, cut short, or not in the safetensors format") from None
    length = int.from_bytes(data[:8], "little")
    names = json.loads(data[8 : 8 + length])  # the library has them in another order every time
    return {name: _tensor(name, entries[name], device) for name in names if name in entries}


def load_file(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors in a file; what `load` and `open` raise."""
    with open(filename, "rb") as file:
        data = file.read()
    try:
        return load(data, device)
    except (RuntimeError, _library().SafetensorError) as error:
        raise type(error)(f"{os.fspath(filename)}: {error}") from None


def save_model(
    model: Any,
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    force_contiguous: bool = True,
) -> None:
    """Write the state of a module: of tensors that share memory one, and in the metadata which it stands for."""
    state = model.state_dict()
    notes = dict(metadata or {})
    for kept, names in _duplicates(state).items():
        for name in names:
            notes.setdefault(name, kept)
            del state[name]
    save_file(state, filename, notes or None)


def load_model(
    model: Any, filename: str | os.PathLike[str], strict: bool = True, device: Any = "cpu"
) -> tuple[Any, list[str]]:
    """Load such a file into a module; returns the names that are missing in it and those that it has besides.

    RuntimeError for either if `strict`. Names that share memory with one in the file are not missing.
    """
    state = load_file(filename, device)
    duplicates = _duplicates(model.state_dict(), prefer=state)
    missing_keys, unexpected = model.load_state_dict(state, strict=False)
    missing = set(missing_keys)
    for names in duplicates.values():
        unexpected += [name for name in names if name not in missing]
        missing -= set(names)
    if strict and (missing or unexpected):
        error = f"Error(s) in loading state_dict for {type(model).__name__}:"
        for kind, wrong in (("Missing", sorted(missing)), ("Unexpected", sorted({*unexpected}))):
            if wrong:
                error += f"\n    {kind} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in wrong)
        raise RuntimeError(error)
    return missing, unexpected


def _check(tensors: Any) -> None:
    if not isinstance(tensors, Mapping):
        raise ValueError(
            f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}: give names to the tensors"
        )
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"Key `{name}` is invalid, expected torch.Tensor but received {type(tensor)}: save numbers in metadata"
            )


def _sharing(tensors: Mapping[str, Tensor]) -> list[list[str]]:
    """The names in groups whose elements overlap in memory."""
    groups: list[tuple[Any, int, list[str]]] = []  # device, end, names
    spans = sorted(
        (str(t.device), *_span(t.array), name) for name, t in tensors.items() if t.array.size
    )  # by device, then by where they begin
    for device, begin, end, name in spans:
        if groups and groups[-1][0] == device and begin < groups[-1][1]:
            _, last, names = groups.pop()
            groups.append((device, max(last, end), [*names, name]))
        else:
            groups.append((device, end, [name]))
    return [sorted(names) for _, _, names in groups]


def _span(array: Any) -> tuple[int, int]:
    begin = backend.address(array)
    reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides)]
    return begin + sum(r for r in reach if r < 0), begin + sum(r for r in reach if r > 0) + array.itemsize


def _duplicates(state: Mapping[str, Tensor], prefer: Iterable[str] = ()) -> dict[str, list[str]]:
    """{a name to keep: the names whose memory it has too}; RuntimeError where none has all of it."""
    found: dict[str, list[str]] = defaultdict(list)
    for names in _sharing(state):
        if len(names) > 1:
            spans = {name: _span(state[name].array) for name in names}
            whole = min(begin for begin, _ in spans.values()), max(end for _, end in spans.values())
            complete = [name for name in names if spans[name] == whole]
            if not complete:
                raise RuntimeError(
                    "Error while trying to find names to remove to save state dict, but found no suitable name to keep "
                    f"for saving amongst: {names}. None is covering the entire storage: save copies of these tensors."
                )
            kept = next((name for name in complete if name in set(prefer)), complete[0])
            found[kept] = [name for name in names if name != kept]
    return found


def _tensor(name: str, entry: dict[str, Any], device: Any) -> Tensor:
    kind = KINDS.get(entry["dtype"])
    if kind is None:
        raise RuntimeError(
            f"tensor {name!r} is of dtype {entry['dtype']}, which minigrad has not: convert it in torch first"
        )
    stored = np.dtype(kind).newbyteorder("<")
    array = np.frombuffer(entry["data"], stored).reshape(entry["shape"]).astype(np.dtype(kind))
    return leaf(backend.move(array, backend.device(device)))
