"""CuPy's ufuncs over `strict_array`, and the operators of its arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.strict_array import assigned, host_index, is_mask, ndarray, operand, unwrap, upload, wrap
from reference.strict_capture import capture, on_stream
from reference.strict_device import NAMES

# The dtypes for which CUDA (or CuPy) has the atomic instruction behind `ufunc.at` with an integer array.
ATOMIC = {
    "add": "int32 int64 uint32 uint64 float16 float32 float64",
    "sub": "int32 uint32",
    **dict.fromkeys(("max", "min"), "int32 int64 uint32 uint64 float32 float64"),
    **dict.fromkeys(("and", "or", "xor"), "int32 int64 uint32 uint64"),
}


class ufunc:
    """A CuPy ufunc: `out`, `dtype` and `casting` are its only keywords (no `where`)."""

    def __init__(self, name: str, compute: Callable, scatter: str = "") -> None:
        self.__name__, self.name, self._compute, self._scatter = name, f"cupy_{name}", compute, scatter
        self.nin, self.nout = getattr(compute, "nin", 1), getattr(compute, "nout", 1)

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    @on_stream
    def __call__(
        self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind", **others: Any
    ) -> Any:
        if others:
            raise TypeError(f"Wrong arguments {others} for {self.name}")
        capture.refuse_library(f"cupy.{self.__name__}")
        options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        if out is None and len(args) <= self.nin and getattr(self._compute, "signature", "") is None:
            options["order"] = "C"  # as CuPy's new arrays lie, whatever the operands' layout
        if casting != "same_kind":
            options["casting"] = casting
        for given in out if isinstance(out, tuple) else (out,):
            if given is not None:
                operand(self.name, given)
                options["out"] = unwrap(out)
        return wrap(self._compute(*(operand(self.name, x) for x in args), **options), args, out)

    @on_stream
    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """a[indices] = self(a[indices], b) with repeated indices; only for a few ufuncs and, with arrays, dtypes."""
        if not self._scatter:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        index, advanced = host_index(indices, a.shape)
        integers = advanced and not any(map(is_mask, index))
        if integers and a.dtype.name not in ATOMIC[self._scatter].split():
            raise TypeError(
                f"cupy.{self.__name__}.at only supports {ATOMIC[self._scatter]} as data type, not {a.dtype}"
            )
        self._compute.at(a._host, index, assigned(b, a.dtype))

    def _through(self, method: str, **of: Callable) -> Callable:
        if self.__name__ not in of:
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")
        return of[self.__name__]

    def reduce(
        self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> ndarray:
        """Sum or product; other ufuncs raise NotImplementedError."""
        return self._through("reduce", add=ndarray.sum, multiply=ndarray.prod)(array, axis, dtype, out, keepdims)

    def accumulate(self, array: ndarray, axis: int = 0, dtype: Any = None, out: Any = None) -> ndarray:
        """Cumulative sum or product; other ufuncs raise NotImplementedError."""
        return self._through("accumulate", add=ndarray.cumsum, multiply=ndarray.cumprod)(array, axis, dtype, out)

    def outer(self, a: Any, b: Any, **kwargs: Any) -> ndarray:
        """The ufunc of every element of `a` with every element of `b`."""
        a, b = (x if isinstance(x, ndarray) else upload(x) for x in (a, b))
        return self(a.reshape(a.shape + (1,) * b.ndim), b.reshape((1,) * a.ndim + b.shape), **kwargs)


def make_ufunc(name: str, compute: Callable | None = None, names: str = "cupy") -> ufunc:
    """The ufunc recorded under `name`, computed by NumPy's function of that name if no other is given."""
    return ufunc(name, compute or getattr(np, name), NAMES[names][name].removeprefix("ufunc").strip())


# -- the operators of ndarray ------------------------------------------------------------------------------------------

BINARY = {
    "add": "add",
    "and": "bitwise_and",
    "divmod": "divmod",
    "floordiv": "floor_divide",
    "lshift": "left_shift",
    "matmul": "matmul",
    "mod": "remainder",
    "mul": "multiply",
    "or": "bitwise_or",
    "pow": "power",
    "rshift": "right_shift",
    "sub": "subtract",
    "truediv": "true_divide",
    "xor": "bitwise_xor",
}
COMPARE = {"lt": "less", "le": "less_equal", "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal"}
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def unary(compute: Callable) -> Callable:
    """The method for `-self`."""
    return lambda self: compute(self)


def in_place(compute: Callable) -> Callable:
    """The method for `self += other`."""
    return lambda self, other: compute(self, other, out=self)


def binary(compute: Callable, reflected: bool = False) -> Callable:
    """The method for `self + other` or `other + self`; a class with `__array_ufunc__ = None` (Tensor) answers it."""

    def operator(self: ndarray, other: Any) -> Any:
        if not isinstance(other, ndarray) and getattr(other, "__array_ufunc__", ...) is None:
            return NotImplemented
        return compute(other, self) if reflected else compute(self, other)

    return operator


def equality(compute: Callable, otherwise: bool) -> Callable:
    """The method for == and !=, which also answer for None and for objects that are no numbers."""
    compare = binary(compute)

    def operator(self: ndarray, other: Any) -> Any:
        if other is None or type(other).__eq__ is object.__eq__:
            return wrap(np.full(self.shape, otherwise))
        return compare(self, other)

    return operator


for _name, _ufunc in BINARY.items():
    _compute = make_ufunc(_ufunc)
    setattr(ndarray, f"__{_name}__", binary(_compute))
    setattr(ndarray, f"__r{_name}__", binary(_compute, reflected=True))
    if f"__i{_name}__" in NAMES["cupy.ndarray"]:  # not matmul: `a @= b` binds a new array to `a`, as in CuPy
        setattr(ndarray, f"__i{_name}__", in_place(_compute))
for _name, _ufunc in COMPARE.items():
    _compute = make_ufunc(_ufunc)
    setattr(ndarray, f"__{_name}__", equality(_compute, _name == "ne") if _name in ("eq", "ne") else binary(_compute))
for _name, _ufunc in UNARY.items():
    setattr(ndarray, f"__{_name}__", unary(make_ufunc(_ufunc)))
