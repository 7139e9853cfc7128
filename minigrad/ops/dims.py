"""Dimensions as people give them (negative, one or several, none at all) turned into those that NumPy takes."""

from __future__ import annotations

from collections.abc import Iterable

__all__: list[str] = []


def normalize_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front: 0 <= dim < max(ndim, 1). A 0-dim tensor has, as in torch, the dims 0 and -1.

    IndexError if there is no such dim.
    """
    n = ndim or 1
    if -n <= dim < n:
        return dim % n
    raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")


def normalize_dims(dim: int | Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    """The dims that a reduction over `dim` takes, counted from the front: all of them for None and for ().

    The result can be given to NumPy as `axis`; it is () for 0-dim tensors. IndexError if there is no such dim,
    RuntimeError for one that is named twice.
    """
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, int):
        d = normalize_dim(dim, ndim)
        return (d,) if ndim else ()
    dims = tuple([normalize_dim(d, ndim) for d in dim])
    if len(set(dims)) != len(dims):
        twice = next(d for d in dims if dims.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims\nthey are {list(dims)}")
    return (dims or tuple(range(ndim))) if ndim else ()
