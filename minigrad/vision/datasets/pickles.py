"""Reading the pickled batches of CIFAR without running anything that a pickle could hold.

A pickle is a program that builds objects; a foreign one may call any function. Here the program is looked through
before it starts: only the instructions that build numbers, strings, bytes, tuples, lists, dicts and NumPy arrays are
admitted, and the few names that those use stand for the harmless functions of this file.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np

__all__ = ["load_plain"]

OPCODES = frozenset([
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET",
    "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT",
    "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL",
    "REDUCE", "BUILD",
])  # fmt: skip
PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
MAX_TUPLES = 1000  # arrays take three each; a million nested ones would overflow the stack when hashed
DTYPES = ("b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")


class PlainArray(np.ndarray):
    """An array whose pickled state is checked before it is taken over."""

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2 wrote text
        plain: Any = (version, *checked(shape, dtype, data), bool(fortran), bytes(data))
        super().__setstate__(plain)


class PlainDtype:
    """The dtype of a pickled array: numbers only, so that no array holds objects."""

    def __init__(self, name: str, align: Any = False, copy: Any = False) -> None:
        if name not in DTYPES:
            raise pickle.UnpicklingError(f"arrays of dtype {name!r} are not admitted")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        order: Any = {"|": "=", "=": "=", "<": "<", ">": ">"}[state[1]]
        self.dtype = self.dtype.newbyteorder(order)


def checked(shape: Any, dtype: Any, data: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype, if `data` holds just as many bytes."""
    if not isinstance(dtype, PlainDtype) or not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array without a dtype or data")
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise pickle.UnpicklingError(f"an array of shape {shape!r}")
    if math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise pickle.UnpicklingError(f"an array of shape {shape} and dtype {dtype.dtype} has {len(data)} bytes")
    return shape, dtype.dtype


class Builders:
    """What a pickle may call. Methods, because a pickle can also set attributes, and those of a method cannot be."""

    __slots__ = ()

    def reconstruct(self, kind: Any, shape: Any, code: Any) -> PlainArray:
        """An empty array, whose state follows."""
        return PlainArray(0, np.uint8)

    def frombuffer(self, data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        """An array from its bytes, as pickles of protocol 5 hold it."""
        shape, dtype = checked(shape, dtype, data)
        return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")

    def encode(self, text: str, encoding: str) -> bytes:
        """The bytes that Python 3 writes as text into pickles of protocol 2."""
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"text in the encoding {encoding!r}")
        return text.encode("latin1")


BUILDERS = Builders()
NAMES: dict[str, Any] = {
    "numpy.ndarray": None,  # only ever the first argument of `reconstruct`
    "numpy.dtype": PlainDtype,
    "_codecs.encode": BUILDERS.encode,
    **{f"numpy.{core}.multiarray._reconstruct": BUILDERS.reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": BUILDERS.frombuffer for core in ("core", "_core")},
}


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that knows the names above and no others."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return NAMES[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {module}.{name} is not admitted") from None


def load_plain(data: bytes, name: str = "data") -> Any:
    """What the pickle `data` holds, if it is made of numbers, strings, lists, dicts and arrays of numbers.

    Text of Python 2 is read as latin1. ValueError, which begins with `name`, for anything else and for damage.
    """
    try:
        inspect(data)
        return PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle fails in many ways
        raise ValueError(
            f"{name}: damaged, or not a pickle of plain data ({error or type(error).__name__}); fetch the file again"
        ) from error


def inspect(data: bytes) -> None:
    """UnpicklingError at the first instruction that is not admitted, or asks for more memory than a file needs."""
    tuples = 0
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name not in OPCODES:
            raise pickle.UnpicklingError(f"the instruction {opcode.name} at byte {position} is not admitted")
        if opcode.name in PUTS and int(argument or 0) > len(data):
            raise pickle.UnpicklingError(f"the instruction {opcode.name} at byte {position} has the number {argument}")
        tuples += opcode.name.startswith("TUPLE")
    if tuples > MAX_TUPLES:
        raise pickle.UnpicklingError(f"{tuples} tuples")
