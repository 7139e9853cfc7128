"""The unpicklers of `load`: one that knows few names and instructions, and, on request only, Python's own.

The first is the one for files that one has not written oneself: nothing that such a file says is run.
"""

from __future__ import annotations

import _compat_pickle
import pickle
import pickletools
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from operator import index
from typing import Any

from minigrad import backend, formats
from minigrad.autograd.variable import become_leaf
from minigrad.nn.parameter import Parameter
from minigrad.ops.create import leaf
from minigrad.size import Size
from minigrad.tensor import Tensor

__all__ = [
    "DAMAGED", "TRUSTING", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "names_admitted", "names_in",
    "safe_globals", "trusting_unpickler", "SafeUnpickler",
]  # fmt: skip

DAMAGED = "The file is damaged, cut short, or not one that save() or torch.save() wrote"
TRUSTING = (
    "Re-running `torch.load` with `weights_only` set to `False` will likely succeed, but it can result in arbitrary "
    "code execution. Do it only if you got the file from a trusted source."
)
REFUSED = "Weights only load failed. "

_PythonUnpickler: Any = pickle._Unpickler  # which Python uses where the one in C is missing: this one can be changed


# -- what the names in a file stand for -------------------------------------------------------------------------------


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


def _with_attributes(tensor: Any, state: Any) -> Any:
    """`tensor` with the attributes that a script had set on it; those that tensors have themselves stay theirs."""
    for name, value in (state[0] if isinstance(state, tuple) else state or {}).items():
        if type(name) is str and not hasattr(type(tensor), name):
            tensor.__dict__[name] = value
    return tensor


def _rebuild_parameter_with_state(data: Any, requires_grad: bool, hooks: Any, state: Any) -> Any:
    return _with_attributes(_rebuild_parameter(data, requires_grad, hooks), state)


def _rebuild_from_type(rebuild: Any, kind: Any, parts: tuple[Any, ...], state: Any) -> Any:
    own = Tensor if kind is _PLAIN else kind
    if rebuild is not _rebuild_tensor or not (isinstance(own, type) and issubclass(own, Tensor)):
        raise RuntimeError(f"a tensor of no class of tensors. {DAMAGED}.")
    tensor = _rebuild_tensor(*parts)
    if own is not Tensor:
        tensor = become_leaf(object.__new__(own), tensor.array, tensor.needs_grad)
    return _with_attributes(tensor, state)


def _bytes(text: str = "", encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes: as text of their codes; b"" as `bytes()`."""
    return text.encode("latin1")


def _bytearray(data: bytes = b"") -> bytearray:
    return bytearray(b"" + data)  # a TypeError for a number, which would be a size


def _device(place: str, number: int | None = None) -> backend.device:
    if type(place) is not str:
        raise TypeError("a device of no name")
    return backend.device(place if number is None else f"{place}:{index(number)}")


def _layout(name: str) -> Any:
    return {"torch.strided": formats.strided}[_key(name)]


def _key(value: Any, most: int = 1000) -> Any:
    """`value`, as a key; ValueError if it has so many parts that hashing it may take for ever."""
    stack = [value]
    while stack and most:
        part, most = stack.pop(), most - 1
        if isinstance(part, tuple):
            stack += part[: most + 1]
    if stack:
        raise ValueError("a key of more than a thousand parts")
    return value


def _set(values: Iterable[Any] = ()) -> set[Any]:
    return set(map(_key, values))


def _ordered(pairs: Iterable[Any] = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((_key(key), value) for key, value in (pairs.items() if isinstance(pairs, dict) else pairs))


def _counter(counts: Any = ()) -> Counter[Any]:
    if not isinstance(counts, dict):
        raise TypeError("a Counter of no dict")
    return Counter(counts)


def _of_other_dtypes(*args: Any) -> None:
    raise RuntimeError("the file holds a tensor of a dtype that minigrad has not: convert it in torch first")


_PLAIN = object()  # for torch.Tensor, which a file may name and not call: its constructor takes a size
_DTYPES = (*backend.DTYPES, backend.bfloat16, backend.complex64, backend.complex128)
_ADMITTED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _of_other_dtypes,
    ("torch._utils", "_rebuild_tensor"): lambda *parts: _rebuild_tensor(*parts, False, None),
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter_with_state,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
    ("torch", "Tensor"): _PLAIN,
    ("torch", "Size"): Size,
    ("torch", "device"): _device,
    ("torch", "UntypedStorage"): backend.uint8,
    ("torch.storage", "UntypedStorage"): backend.uint8,
    ("torch.serialization", "_get_layout"): _layout,
    ("collections", "OrderedDict"): _ordered,
    ("collections", "Counter"): _counter,
    ("_codecs", "encode"): _bytes,
    ("builtins", "set"): _set,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "complex"): complex,
    **{("torch", f"{d.type_name}Storage"): d for d in _DTYPES},
    **{("torch", d.name): d for d in _DTYPES},
}
_OTHER_DTYPES = {"uint16", "uint32", "uint64", "complex32", "uint1", "int1", "uint4", "int4"}
_NEVER = ("sys", "os", "posix", "nt")  # modules that no request admits


# -- what a script admits besides -------------------------------------------------------------------------------------

_safe: list[Any] = []


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let `load` make instances of these classes and call these functions, by the names that pickle gives them.

    A pair (object, "module.name") admits it by another name. A class is made by its `__new__` and its `__setstate__`,
    or its attributes are set: only admit what may be run with any arguments whatever.
    """
    _safe.extend(value for value in safe_globals if value not in _safe)


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` has admitted."""
    return list(_safe)


def clear_safe_globals() -> None:
    """Admit nothing any more besides tensors, numbers, text and plain containers."""
    _safe.clear()


class safe_globals:
    """A context in which `load` admits these classes and functions too."""

    def __init__(self, safe_globals: list[Any]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        add_safe_globals(self.safe_globals)

    def __exit__(self, *error: object) -> None:
        _safe[:] = [value for value in _safe if value not in self.safe_globals]


def names_admitted() -> dict[str, Any]:
    """Full names, and what they stand for, of what scripts have admitted."""
    names = {}
    for value in _safe:
        name = f"{value.__module__}.{value.__qualname__}" if not isinstance(value, tuple) else None
        if name is None:
            if len(value) != 2:
                raise ValueError(
                    "Expected tuple of length 2 (global, str of callable full path), but got tuple of length: "
                    f"{len(value)}"
                )
            value, name = value
            if type(name) is not str:
                raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(name)}")
        names[name] = value
    return names


def names_in(text: bytes) -> list[str]:
    """The full names in a pickle that `SafeUnpickler` would refuse; nothing of it is run."""
    found = [str(arg).split(" ", 1) for op, arg, _ in pickletools.genops(text) if op.name == "GLOBAL"]
    names = {".".join(name) for name in (_python3(*name) for name in found) if name not in _ADMITTED}
    return sorted(names - set(names_admitted()))


def _python3(module: str, name: str) -> tuple[str, str]:
    """Protocol 2 has Python 2's names."""
    return _compat_pickle.NAME_MAPPING.get((module, name), (_compat_pickle.IMPORT_MAPPING.get(module, module), name))


# -- unpickling -------------------------------------------------------------------------------------------------------

# The instructions of pickle's protocol 2 that make plain values, and those that act: REDUCE calls, NEWOBJ makes an
# instance, BUILD sets its attributes.
_INSTRUCTIONS = (
    *("PROTO", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2"),
    *("LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "BINGET", "LONG_BINGET"),
    *("BINPUT", "LONG_BINPUT", "GLOBAL", "BINPERSID", "REDUCE", "NEWOBJ", "BUILD"),
)


class SafeUnpickler(_PythonUnpickler):
    """Knows the names in `_ADMITTED` and those that a script has admitted, the instructions above, and no others."""

    dispatch = {code: _PythonUnpickler.dispatch[code] for name in _INSTRUCTIONS for code in getattr(pickle, name)}

    def __init__(self, file: Any, storage: Callable[[Any], Any], admitted: dict[str, Any]) -> None:
        super().__init__(file)
        self.persistent_load, self.admitted = storage, admitted
        self.named: set[int] = set()  # ids of what the file has named

    def find_class(self, module: str, name: str) -> Any:
        module, name = _python3(module, name)
        full = f"{module}.{name}"
        if module in _NEVER:
            raise pickle.UnpicklingError(
                f"{REFUSED}Trying to load unsupported GLOBAL {full} whose module {module} is blocked. Nothing of it "
                "was run."
            )
        if module == "torch" and (name in _OTHER_DTYPES or name.startswith("float8")):
            _of_other_dtypes()
        value = _ADMITTED.get((module, name), self.admitted.get(full))
        if value is None:
            full = full.removeprefix("builtins.")
            raise pickle.UnpicklingError(
                f"{REFUSED}This file can still be loaded, to do so you have two options, do those steps only if you "
                f"trust the source of the checkpoint. Nothing of it was run.\n\t(1) {TRUSTING}\n\t(2) Alternatively, "
                "to load with `weights_only=True` please check the recommended steps in the following error message.\n"
                f"\tWeightsUnpickler error: Unsupported global: GLOBAL {full} was not an allowed global by default. "
                f"Please use `torch.serialization.add_safe_globals([{full}])` or the "
                f"`torch.serialization.safe_globals([{full}])` context manager to allowlist this global if you trust "
                "this class/function."
            )
        self.named.add(id(value))
        return value

    def _refuse(self, what: str) -> None:
        raise pickle.UnpicklingError(f"{REFUSED}{TRUSTING}\n\n{what}")

    def _is_admitted(self, kind: Any) -> bool:
        return any(kind is value for value in self.admitted.values())

    def _reduce(self) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        if id(function) not in self.named:
            self._refuse(f"Trying to call reduce for unrecognized function of type {type(function).__name__}")
        self.append(function(*args))

    def _newobj(self) -> None:
        args, kind = self.stack.pop(), self.stack.pop()
        if not self._is_admitted(kind):
            self._refuse("Can only create new object for classes allowlisted via `add_safe_globals`")
        self.append(kind.__new__(kind, *args))

    def _build(self) -> None:
        """Attributes of an OrderedDict, whose `_metadata` a state_dict() carries, or of a class that was admitted."""
        kind, state = type(self.stack[-2]), self.stack[-1]
        if kind is OrderedDict and type(state) is dict:
            self.stack.pop()
            self.stack[-1].__dict__.update(state)
        elif self._is_admitted(kind):
            self.load_build()
        else:
            self._refuse(
                f"Can only build OrderedDict or types allowlisted via `add_safe_globals`, but got {kind.__name__}"
            )

    def _check_target(self, target: Any, kinds: tuple[type, ...]) -> None:
        if type(target) not in kinds:
            self._refuse(f"Can only put items into {kinds[0].__name__}, but got {type(target).__name__}")

    def _setitem(self) -> None:
        self._check_target(self.stack[-3], (dict, OrderedDict, Counter))
        _key(self.stack[-2])
        self.load_setitem()

    def _setitems(self) -> None:
        self._check_target(self.metastack[-1][-1], (dict, OrderedDict, Counter))
        for key in self.stack[::2]:
            _key(key)
        self.load_setitems()

    def _append(self) -> None:
        self._check_target(self.stack[-2], (list,))
        self.load_append()

    def _appends(self) -> None:
        self._check_target(self.metastack[-1][-1], (list,))
        self.load_appends()

    dispatch |= {
        pickle.REDUCE[0]: _reduce, pickle.NEWOBJ[0]: _newobj, pickle.BUILD[0]: _build, pickle.SETITEM[0]: _setitem,
        pickle.SETITEMS[0]: _setitems, pickle.APPEND[0]: _append, pickle.APPENDS[0]: _appends,
    }  # fmt: skip


def trusting_unpickler(base: Any, file: Any, storage: Callable[[Any], Any], **options: Any) -> Any:
    """An unpickler of the module `base` that runs whatever the file says; torch's names stand for minigrad's."""

    class Unpickler(base.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            value = _ADMITTED.get(_python3(module, name))
            if value is not None:
                return value
            root, dot, rest = module.partition(".")
            return super().find_class(f"minigrad{dot}{rest}" if root == "torch" else module, name)

    unpickler = Unpickler(file, **options)
    unpickler.persistent_load = storage
    return unpickler
