"""Elements in order: sorted, the largest k, the k-th. Where they came from takes their gradient."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.op import Op
from minigrad.ops.checks import refuse_bool
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms
from minigrad.ops.gather import add_along
from minigrad.ops.return_types import return_type
from minigrad.ops.shape import unsqueeze

__all__ = ["argsort", "kthvalue", "msort", "sort", "topk"]

sort_result = return_type("sort", "values", "indices")
topk_result = return_type("topk", "values", "indices")
kthvalue_result = return_type("kthvalue", "values", "indices")


def _order(array: Any, dim: int, descending: bool, xp: Any) -> Any:
    """The indices that sort along `dim`, stably in both directions; nan is larger than any number."""
    if not descending:
        return xp.argsort(array, axis=dim, kind="stable")
    backwards = xp.argsort(xp.flip(array, dim), axis=dim, kind="stable")  # so that the first of equals comes last
    return array.shape[dim] - 1 - xp.flip(backwards, dim)


def _sorted(array: Any, dim: int, descending: bool, xp: Any) -> tuple[Any, Any]:
    if not array.ndim:
        return array.copy(), xp.zeros((), xp.int64)
    indices = _order(array, dim, descending, xp)
    return xp.take_along_axis(array, indices, dim), indices


@Op(outputs=("values", "indices"), node="SortBackward0")
def sorted_along(input, dim: int, descending: bool, *, xp):
    """The elements sorted along `dim`, and where they were."""
    return _sorted(input, dim, descending, xp)


@Op(outputs=("values", "indices"), node="SortBackward1")
def stably_sorted_along(input, dim: int, descending: bool, *, xp):
    """The same, which torch names otherwise when it is asked for stability."""
    return _sorted(input, dim, descending, xp)


@Op(outputs=("values", "indices"), node="TopkBackward0")
def first_in_order(input, k: int, dim: int, descending: bool, *, xp):
    """The first `k` elements in order along `dim`, and where they are."""
    if not input.ndim:
        return input.copy(), xp.zeros((), xp.int64)
    indices = _order(input, dim, descending, xp)[(*(slice(None),) * dim, slice(k))]
    return xp.take_along_axis(input, indices, dim), indices


@Op(outputs=("values", "indices"), node="KthvalueBackward0")
def kth_in_order(input, k: int, dim: int, keepdim: bool, *, xp):
    """The `k`-th smallest elements along `dim`, and where they are."""
    refuse_bool(input, "kthvalue_cpu")
    if not input.ndim:
        return input.copy(), xp.zeros((), xp.int64)
    indices = _order(input, dim, False, xp)[(*(slice(None),) * dim, slice(k - 1, k))]
    values = xp.take_along_axis(input, indices, dim)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


for _op in (sorted_along, stably_sorted_along, first_in_order):
    _op.derivative(input=lambda g, dim, indices, input_shape: add_along(g, dim, indices, input_shape))


def kept(array: Any, dim: int, keepdim: bool, shape: tuple[int, ...]) -> Any:
    """What was reduced over `dim`, with that dim."""
    return array if keepdim or not shape else unsqueeze(array, dim)


kth_in_order.derivative(
    input=lambda g, dim, keepdim, indices, input_shape: add_along(
        kept(g, dim, keepdim, input_shape), dim, kept(indices, dim, keepdim, input_shape), input_shape
    )
)


@forms(out="exact")
def sort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Any:
    """A named tuple (values, indices): sorted along `dim`. Always stable; nan is larger than any number."""
    op = sorted_along if stable is None else stably_sorted_along
    return sort_result(*op(input, normalize_dim(dim, input.ndim), descending))


@forms(out="exact")
def msort(input: Any) -> Any:
    """The elements sorted along the first dim."""
    return sort(input, 0)[0]


@forms(out="exact")
def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Any:
    """The indices that sort along `dim`."""
    return sort(input, dim, descending)[1]


@forms(out="exact")
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """A named tuple (values, indices) of the `k` largest (or smallest) elements along `dim`, in order."""
    dim = normalize_dim(dim, input.ndim)
    n = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"selected index k out of range\nk = {k} of {n} elements along dim {dim}")
    if input.array.dtype.kind == "b":
        raise RuntimeError("topk does not support bool dtypes on CPU\nconvert the tensor with .int()")
    return topk_result(*first_in_order(input, k, dim, largest))


@forms(out="apart")
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """A named tuple (values, indices) of the `k`-th smallest element along `dim`, counted from 1."""
    dim = normalize_dim(dim, input.ndim)
    n = input.shape[dim] if input.ndim else 1
    if n == 0:
        raise IndexError(f"kthvalue(): Expected reduction dim {dim} to have non-zero size.")
    if not 1 <= k <= n:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {dim}\nk = {k}, 1 to {n} can be had"
        )
    return kthvalue_result(*kth_in_order(input, k, dim, keepdim))
