"""torch.masked: reductions and normalisations of the elements at which a mask is True.

Elements masked out are replaced by the number that changes nothing (0 in a sum, -inf in a maximum), so they take no
gradient. A mask has the input's shape, or one that broadcasts to it, and None masks nothing out. Where everything is
masked out, a sum is 0, a product 1, a maximum -inf; means, medians, variances and softmax are nan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend, ops
from minigrad.ops.dims import normalize_dims

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip

Dims = int | Sequence[int] | None
Dtype = backend.dtype | None


# -- masking -----------------------------------------------------------------------------------------------------------


def _in_shape(mask: Any, input: Any) -> Any:
    """The mask as truth values in the shape of `input`."""
    if mask.ndim > input.ndim:
        raise IndexError(
            f"_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)\n"
            f"the mask has the shape {list(mask.shape)}, the input {list(input.shape)}"
        )
    return ops.broadcast_to(mask.to(backend.bool_), input.shape)


def _filled(input: Any, mask: Any, identity: float) -> Any:
    """`input` with `identity` where it is masked out; an infinite one is the dtype's bound for integers."""
    if mask is None:
        return input
    if math.isinf(identity) and not input.is_floating_point():
        if input.dtype is backend.bool_:
            raise NotImplementedError(f"identity of {'amin' if identity > 0 else 'amax'} on {input.dtype} input")
        limits = backend.np.iinfo(backend.numpy_dtype(input.dtype))
        identity = limits.max if identity > 0 else limits.min
    return ops.where(_in_shape(mask, input), input, ops.full_like(input, identity))


def _count(input: Any, dim: Dims, keepdim: bool, mask: Any) -> Any:
    """How many elements are not masked out, over `dim`."""
    return sum(ops.ones_like(input, dtype=backend.int64), dim, keepdim=keepdim, mask=mask)


# -- sums and products -------------------------------------------------------------------------------------------------


def sum(input: Any, dim: Dims = None, *, keepdim: bool | None = False, dtype: Dtype = None, mask: Any = None) -> Any:
    """The sum over `dim` (all by default); integers give int64."""
    return ops.sum(_filled(input, mask, 0), dim, bool(keepdim), dtype=dtype)


def prod(input: Any, dim: Dims = None, *, keepdim: bool | None = False, dtype: Dtype = None, mask: Any = None) -> Any:
    """The product over `dim` (all by default), one dim after the other; integers give int64."""
    out = _filled(input, mask, 1)
    if dtype is not None:
        out = out.to(dtype)
    dims = normalize_dims(dim, input.ndim)
    for d in sorted(dims, reverse=True):
        out = ops.prod(out, d, bool(keepdim))
    return out if dims else ops.prod(out)


def cumsum(input: Any, dim: int, *, dtype: Dtype = None, mask: Any = None) -> Any:
    """Running sums along `dim`, in the input's dtype."""
    return ops.cumsum(_filled(input, mask, 0), dim, dtype=dtype or input.dtype).to(dtype or input.dtype)


def cumprod(input: Any, dim: int, *, dtype: Dtype = None, mask: Any = None) -> Any:
    """Running products along `dim`, in the input's dtype."""
    return ops.cumprod(_filled(input, mask, 1), dim, dtype=dtype or input.dtype).to(dtype or input.dtype)


def logsumexp(input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Dtype = None, mask: Any = None) -> Any:
    """log(sum(exp(input))) over `dim` (all by default)."""
    out = ops.logsumexp(_filled(input, mask, -math.inf), normalize_dims(dim, input.ndim), keepdim)
    return out.to(dtype or input.dtype)


def logaddexp(input: Any, other: Any, *, dtype: Dtype = None, input_mask: Any = None, other_mask: Any = None) -> Any:
    """log(exp(input) + exp(other)), each with a mask of its own."""
    out = ops.logaddexp(_filled(input, input_mask, -math.inf), _filled(other, other_mask, -math.inf))
    return out.to(dtype or input.dtype)


# -- extrema and middles -----------------------------------------------------------------------------------------------


def amax(input: Any, dim: Dims = None, *, keepdim: bool | None = False, dtype: Dtype = None, mask: Any = None) -> Any:
    """The largest elements over `dim` (all by default)."""
    out = ops.amax(_filled(input, mask, -math.inf), normalize_dims(dim, input.ndim), bool(keepdim))
    return out.to(dtype or input.dtype)


def amin(input: Any, dim: Dims = None, *, keepdim: bool | None = False, dtype: Dtype = None, mask: Any = None) -> Any:
    """The smallest elements over `dim` (all by default)."""
    out = ops.amin(_filled(input, mask, math.inf), normalize_dims(dim, input.ndim), bool(keepdim))
    return out.to(dtype or input.dtype)


def argmax(
    input: Any, dim: int | None = None, *, keepdim: bool | None = False, dtype: Dtype = None, mask: Any = None
) -> Any:
    """The index of the largest element along `dim`, or in the flattened tensor, in the input's dtype."""
    return ops.argmax(_filled(input, mask, -math.inf), dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(
    input: Any, dim: int | None = None, *, keepdim: bool | None = False, dtype: Dtype = None, mask: Any = None
) -> Any:
    """The index of the smallest element along `dim`, or in the flattened tensor, in the input's dtype."""
    return ops.argmin(_filled(input, mask, math.inf), dim, bool(keepdim)).to(dtype or input.dtype)


def median(input: Any, dim: int = -1, *, keepdim: bool = False, dtype: Dtype = None, mask: Any = None) -> Any:
    """The middle elements along `dim`, the lower ones of two. ValueError for integers all masked out."""
    x = input if input.is_floating_point() else input.to(backend.float32)
    out = ops.nanmedian(_filled(x, mask, math.nan), dim, keepdim)[0]
    if x is input:
        return out
    if bool(ops.isnan(out).any()):
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return out.to(dtype or input.dtype)


# -- moments and norms -------------------------------------------------------------------------------------------------


def mean(input: Any, dim: Dims = None, *, keepdim: bool | None = False, dtype: Dtype = None, mask: Any = None) -> Any:
    """The mean over `dim` (all by default). ValueError for integers."""
    target = dtype or input.dtype
    if not target.is_floating_point:
        raise ValueError(
            f"mean(): Could not infer output dtype. {'Optional' if dtype else 'Input'} dtype must be either a floating "
            f"point or complex dtype. Got: {target}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=target, mask=mask)
    return total / _count(input, dim, bool(keepdim), mask)


def var(
    input: Any,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool | None = False,
    dtype: Dtype = None,
    mask: Any = None,
) -> Any:
    """sum((x - mean)^2) / (n - correction) over `dim` (all by default), n counting what is not masked out."""
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 0 if unbiased is False else 1
    target = dtype or (input.dtype if input.is_floating_point() else backend.float32)
    computed = target if target.is_floating_point else backend.float32
    centre = sum(input, dim, keepdim=True, dtype=target, mask=mask) / _count(input, dim, True, mask)
    deviation = input - centre
    total = sum(deviation * deviation, dim, keepdim=keepdim, dtype=computed, mask=mask)
    freedom = _count(input, dim, bool(keepdim), mask).to(computed) - correction
    return (total / ops.clamp_min(freedom, 0)).to(target)


def std(
    input: Any,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: int | None = None,
    keepdim: bool | None = False,
    dtype: Dtype = None,
    mask: Any = None,
) -> Any:
    """The square root of `var`."""
    return ops.sqrt(var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask))


def norm(
    input: Any,
    ord: float | None = 2.0,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Dtype = None,
    mask: Any = None,
) -> Any:
    """The norm of order `ord` over `dim` (all by default)."""
    x = _filled(input, mask, math.inf if ord == -math.inf else 0)
    return ops.norm(x, ord, normalize_dims(dim, input.ndim), bool(keepdim), dtype)


# -- normalisations ----------------------------------------------------------------------------------------------------


def _normalised(op: Callable[..., Any], input: Any, dim: int, dtype: Dtype, mask: Any, identity: float) -> Any:
    return op(_filled(input, mask, identity), dim, dtype=dtype or input.dtype)


def softmax(input: Any, dim: int, *, dtype: Dtype = None, mask: Any = None) -> Any:
    """exp(input) over their sum along `dim`; 0 where masked out."""
    return _normalised(ops.softmax, input, dim, dtype, mask, -math.inf)


def log_softmax(input: Any, dim: int, *, dtype: Dtype = None, mask: Any = None) -> Any:
    """The logarithm of `softmax`; -inf where masked out."""
    return _normalised(ops.log_softmax, input, dim, dtype, mask, -math.inf)


def softmin(input: Any, dim: int, *, dtype: Dtype = None, mask: Any = None) -> Any:
    """`softmax` of -input."""
    return _normalised(ops.softmin, input, dim, dtype, mask, math.inf)


def normalize(input: Any, ord: float, dim: int, *, eps: float = 1e-12, dtype: Dtype = None, mask: Any = None) -> Any:
    """`input` over its norm along `dim`, or over `eps` where that is larger; 0 where masked out."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0) / ops.maximum(length, ops.full_like(length, eps))
