"""CuPy without a GPU: the module `cupy` (and `cupyx`) over NumPy, as strict as the real one.

    from reference import strict_cupy

    with strict_cupy.install() as cp:  # minigrad's device "cuda" is now this stand-in
        x = minigrad.ones(3, device="cuda")
        with strict_cupy.forbid_synchronize():
            (x * 2).sum().backward()

Only names of the real CuPy exist (recorded with their parameters in cupy_names.json by dump_cupy_names.py): another
name is an AttributeError, another keyword a TypeError, and what exists but is not imitated (kernels, streams with work,
`cupy.random` beyond Generator) a NotImplementedError. See `strict_array` for what the arrays refuse. What it cannot
show: the order of atomic additions, CUDA's rounding, speed, and the memory layout of results.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib import stride_tricks

from minigrad import backend
from minigrad.kernels.gpu import blas, cudnn
from minigrad.kernels.gpu.launch import without_kernels
from reference import strict_blas, strict_cuda, strict_cudnn
from reference.strict_array import checked, from_dlpack, garbage, ndarray, stable, unwrap, upload, wrap, wrapped
from reference.strict_capture import on_stream
from reference.strict_device import NAMES, VERSION, DeviceSynchronized, HostCopied, synchronizations, uploads
from reference.strict_kernels import RawKernel, compiler
from reference.strict_ufunc import make_ufunc, ufunc

__all__ = [
    "DeviceSynchronized", "HostCopied", "cupy", "cupyx", "forbid_synchronize", "forbid_uploads", "install", "ndarray",
    "synchronizations", "uploads",
]  # fmt: skip

# These take functions that would see NumPy arrays, or read files.
NOT_IMITATED = {
    "apply_along_axis", "apply_over_axes", "fromDlpack", "fromfunction", "load", "loadtxt", "piecewise",
}  # fmt: skip


class Namespace(ModuleType):
    """A module of CuPy: `provided` by hand, else made from what is recorded under `name` and NumPy's `counterpart`."""

    def __init__(self, name: str, counterpart: Any = None, **provided: Any) -> None:
        super().__init__(name)
        self.__dict__.update(provided, _counterpart=counterpart)

    def __getattr__(self, name: str) -> Any:
        kind = NAMES[self.__name__].get(name)
        if kind is None:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}' (CuPy {VERSION})")
        made = self._make(name, kind)
        if made is NotImplemented:
            raise NotImplementedError(f"{self.__name__}.{name} exists in CuPy {VERSION}; this stand-in has it not")
        setattr(self, name, made)
        return made

    def _make(self, name: str, kind: str) -> Any:
        if kind == "numpy":
            return getattr(np, name)
        if kind == "class":  # only the exceptions are the same in both
            return getattr(np.exceptions, name, np.linalg.LinAlgError if name == "LinAlgError" else NotImplemented)
        compute = COMPUTE.get(name, getattr(self._counterpart, name, None))
        if compute is None or name in NOT_IMITATED:
            return NotImplemented
        if kind.startswith("ufunc"):
            return make_ufunc(name, compute)
        return checked(f"{self.__name__}.{name}", kind, compute) if kind.startswith("(") else NotImplemented


# -- functions that differ from NumPy's, on raw arrays -----------------------------------------------------------------


def _as_array(compute: Callable) -> Callable:
    return lambda *args, **kwargs: np.asarray(compute(*args, **kwargs))


def _contiguous(order: str) -> Callable:
    def compute(a: Any, dtype: Any = None) -> Any:
        made = as_device(a, dtype, order)
        return made if made.ndim else made.reshape(1)

    return compute


def _as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    """cupy.lib.stride_tricks.as_strided: the result shares memory with x, which is not its base."""
    made = wrap(stride_tricks.as_strided(x._host, shape, strides), x)
    made.base, made._memory = None, x._memory if x.base is None else x.base._memory
    return made


def _concatenate(tup: Any, *args: Any, **kwargs: Any) -> Any:
    if not all(x.ndim for x in tup) and (args or (kwargs.get("axis", 0),))[0] is not None:
        raise TypeError("zero-dimensional arrays cannot be concatenated")
    return np.concatenate(tup, *args, **kwargs)


def _argsort(a: np.ndarray, axis: int | None = -1, kind: str | None = None) -> np.ndarray:
    return np.argsort(a, axis, kind=stable(kind))


def _sort(a: np.ndarray, axis: int | None = -1, kind: str | None = None) -> np.ndarray:
    return np.sort(a, axis, kind=stable(kind))


def _take(a: np.ndarray, indices: Any, axis: int | None = None, out: Any = None) -> Any:
    return np.take(a, wrapped(indices, a.size if axis is None else a.shape[axis]), axis, out, mode="wrap")


def _put(a: np.ndarray, ind: Any, v: Any, mode: str = "wrap") -> None:
    np.put(a, wrapped(ind, a.size), v, mode)


def _take_along_axis(a: np.ndarray, indices: np.ndarray, axis: int | None) -> np.ndarray:
    return np.take_along_axis(a, indices.astype(np.intp) % (a.size if axis is None else a.shape[axis]), axis)


def _put_along_axis(arr: np.ndarray, indices: np.ndarray, values: Any, axis: int | None) -> None:
    np.put_along_axis(arr, indices.astype(np.intp) % (arr.size if axis is None else arr.shape[axis]), values, axis)


def _einsum(*operands: Any, **options: Any) -> Any:
    if unknown := options.keys() - {"dtype", "optimize"}:
        raise TypeError(f"Did not understand the following kwargs: {sorted(unknown)}")
    return np.einsum(*operands, **options)


COMPUTE: dict[str, Callable] = {
    **{name: _as_array(getattr(np, name)) for name in ("allclose", "array_equal", "array_equiv", "count_nonzero")},
    "argsort": _argsort,
    "concatenate": _concatenate,
    "einsum": _einsum,
    "empty": lambda *args, **kwargs: garbage(np.empty(*args, **kwargs)),
    "empty_like": lambda *args, **kwargs: garbage(np.empty_like(*args, **kwargs)),
    "put": _put,
    "put_along_axis": _put_along_axis,
    "sort": _sort,
    "take": _take,
    "take_along_axis": _take_along_axis,
}


# -- functions that take anything --------------------------------------------------------------------------------------


@on_stream
def as_device(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: Any = None, blocking: bool = False
) -> ndarray:
    """cupy.asarray: a device array itself if it already is what is asked for; the rest is uploaded."""
    if isinstance(a, ndarray):
        return wrap(np.array(a._host, dtype=dtype, order=order or "K", copy=copy), a)
    if blocking:
        synchronizations.add("a blocking copy to the device")
    return upload(a, dtype, order)


@on_stream
def array(
    obj: Any, dtype: Any = None, copy: bool | None = True, order: str = "K", *, ndmin: int = 0, blocking: bool = False
) -> ndarray:
    """cupy.array: as `as_device`, with a copy unless `copy` says otherwise."""
    made = as_device(obj, dtype, order, copy=copy)
    return made.reshape((1,) * (ndmin - made.ndim) + made.shape) if made.ndim < ndmin else made


def as_numpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    """cupy.asnumpy: a copy on the host, which synchronizes; NumPy arrays and lists pass through np.asarray."""
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


def get_array_module(*args: Any) -> ModuleType:
    """The module of the arrays: `cupy` if one of them is on the device, else NumPy."""
    return cupy if any(isinstance(a, ndarray) for a in args) else np


def _of_any(name: str) -> Callable:
    return lambda *args, **kwargs: getattr(np, name)(*unwrap(args), **unwrap(kwargs))


def _scatter(op: str) -> Callable:
    def scatter(a: ndarray, slices: Any, value: Any) -> None:
        warnings.warn(
            f"`ndarray.scatter_{op}` is deprecated. Please use the ufunc's `at`.", DeprecationWarning, stacklevel=2
        )
        {"add": cupy.add, "max": cupy.maximum, "min": cupy.minimum}[op].at(a, slices, value)

    return scatter


# -- random, and the modules themselves --------------------------------------------------------------------------------


class Generator:
    """cupy.random.Generator: `random`, `standard_normal`, `integers`, `uniform` ...; no `normal`, no `permutation`.

    The values are those of NumPy's Generator, which CuPy's are not.
    """

    def __init__(self, seed: Any = None) -> None:
        self._host = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        kind = NAMES["cupy.random.Generator"].get(name)
        if kind is None:
            raise AttributeError(f"'Generator' object has no attribute '{name}' (CuPy {VERSION})")
        return checked(f"cupy.random.Generator.{name}", kind.replace("self, ", ""), getattr(self._host, name))


cupy = Namespace(
    "cupy",
    np,
    __version__=VERSION,
    array=array,
    asanyarray=as_device,
    asarray=as_device,
    ascontiguousarray=_contiguous("C"),
    asfortranarray=_contiguous("F"),
    asnumpy=as_numpy,
    cuda=Namespace(
        "cupy.cuda",
        memory=Namespace("cupy.cuda.memory", OutOfMemoryError=strict_cuda.OutOfMemoryError),
        pinned_memory=Namespace("cupy.cuda.pinned_memory", is_memory_pinned=strict_cuda.is_memory_pinned),
        runtime=Namespace("cupy.cuda.runtime", **strict_cuda.RUNTIME),
        **strict_cuda.CUDA,
    ),
    fft=Namespace("cupy.fft", np.fft),
    from_dlpack=from_dlpack,
    get_array_module=get_array_module,
    get_default_memory_pool=lambda: strict_cuda.default_pool,
    is_available=lambda: True,
    lib=Namespace("cupy.lib", stride_tricks=Namespace("cupy.lib.stride_tricks", stride_tricks, as_strided=_as_strided)),
    linalg=Namespace("cupy.linalg", np.linalg),
    ndarray=ndarray,
    RawKernel=RawKernel,
    random=Namespace("cupy.random", Generator=Generator, default_rng=Generator),
    ufunc=ufunc,
    **{
        name: _of_any(name)
        for name in ("can_cast", "isscalar", "min_scalar_type", "ndim", "result_type", "shape", "size")
    },
)


@contextmanager
def allow_synchronize(allow: bool) -> Iterator[None]:
    """Raise DeviceSynchronized inside, if not `allow`, where the host waits for the device."""
    before, synchronizations.forbidden = synchronizations.forbidden, not allow
    try:
        yield
    finally:
        synchronizations.forbidden = before


cupyx = Namespace(
    "cupyx",
    DeviceSynchronized=DeviceSynchronized,
    allow_synchronize=allow_synchronize,
    rsqrt=make_ufunc("rsqrt", lambda x: np.reciprocal(np.sqrt(x)), names="cupyx"),
    **{f"scatter_{op}": _scatter(op) for op in ("add", "max", "min")},
)


def forbid_synchronize() -> Any:
    """`with forbid_synchronize():` raises DeviceSynchronized where the host waits for the device."""
    return allow_synchronize(False)


@contextmanager
def forbid_uploads() -> Iterator[None]:
    """`with forbid_uploads():` raises HostCopied where values go from the host to the device."""
    before, uploads.forbidden = uploads.forbidden, True
    try:
        yield
    finally:
        uploads.forbidden = before


@contextmanager
def install() -> Iterator[ModuleType]:
    """Make this `cupy` the array module of minigrad's device "cuda" inside the block, and give it.

    Without a C++ compiler there are no kernels and no cuBLAS, and the plain ways are used.
    """
    before, before_blas = backend.use_gpu_module(cupy), blas.use_library(strict_blas.library())
    before_cudnn = cudnn.use_library(cudnn.Library(strict_cudnn))
    try:
        with nullcontext() if compiler() else without_kernels():
            yield cupy
    finally:
        backend.use_gpu_module(before)
        blas.use_library(before_blas)
        cudnn.use_library(before_cudnn)
