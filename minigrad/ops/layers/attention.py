"""Attention: weighted means of values, the weights being the softmax of products of queries and keys.

With S = scale Q K^T + mask and P = softmax(S) the result is P V (Vaswani et al., Attention is all you need, 2017). For
a gradient G of P that of S is P (G - sum(G P)), and from there it is a matter of two products.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import wrap
from minigrad.kernels import attention as kernel
from minigrad.ops.cast import to
from minigrad.ops.dims import normalize_dim
from minigrad.ops.expand import broadcast_shape
from minigrad.ops.layers.dropout import dropout
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.linalg.matmul import matmul, matmul_stacks
from minigrad.ops.reduce import sum_dim
from minigrad.ops.shape import transpose
from minigrad.ops.slices import repeat_interleave

__all__ = ["scaled_dot_product_attention"]


# One op, not five: a score's array is written in place four times, and only the weights are kept of it.
@Op(node="SafeSoftmaxBackward0", cache=True)
def attention_weights(query, key, mask, scale: float, *, xp):
    """softmax(scale query key^T + mask), where a mask of truth values leaves out what is False.

    Rows in which everything is left out are 0.
    """
    weights = kernel.weights(query, key, mask, scale, xp)
    return weights, weights


@attention_weights.joint_derivative("query", "key", "mask")
def _attention_weights_rule(g, query, key, out, scale, cache, needs, xp):
    if cache is not None:
        found = kernel.slopes(g, cache, query, key, scale, xp)
        return tuple(gradient if needed else None for gradient, needed in zip(found, needs))
    g_scores = out * (g - sum_dim(g * out, (out.ndim - 1,), True))
    share = math.sqrt(abs(scale))
    signed = math.copysign(share, scale)
    return (
        matmul_stacks(g_scores, key * share) * signed if needs[0] else None,
        matmul_stacks(transpose(g_scores, -2, -1), query * signed) * share if needs[1] else None,
        g_scores if needs[2] else None,
    )


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(scale query key^T + mask) value: (..., L, E), (..., S, E) and (..., S, F) give (..., L, F).

    attn_mask   added to the scores; or of truth values, and what is False is left out; broadcast to (..., L, S)
    dropout_p   of the weights, always: there is no `training` here
    is_causal   query i sees the keys 0 to i only
    scale       1 / sqrt(E) by default
    enable_gqa  dim -3 of key and value, their heads, may be a divisor of the query's: groups of queries share them

    A query that sees nothing gets 0. RuntimeError for shapes and dtypes that do not fit.
    """
    need_tensor("scaled_dot_product_attention", query=query, key=key, value=value)
    _check_operands(query, key, value)
    if enable_gqa:
        key, value = _shared_heads(query, key), _shared_heads(query, value)
    a, b = query.array.shape, key.array.shape
    scores = (*broadcast_shape(a[:-2], b[:-2]), a[-2], b[-2])
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True\n"
                "Combine the two masks."
            )
        attn_mask = causal_mask(a[-2], b[-2], backend.module_of(query.array))
    if attn_mask is not None:
        attn_mask = _fitting(attn_mask, query, scores)
    if scale is None:
        scale = 1 / math.sqrt(a[-1] or 1)
    weights = attention_weights(query, key, attn_mask, float(scale))
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return matmul(weights, value)


def causal_mask(rows: int, columns: int, xp: Any) -> Any:
    """True where row i may look at column j: for j <= i."""
    return wrap(xp.tri(rows, columns, dtype=bool))


def _check_operands(query: Any, key: Any, value: Any) -> None:
    a, b, c = query.array, key.array, value.array
    if min(a.ndim, b.ndim, c.ndim) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {a.ndim} key.dim: "
            f"{b.ndim} and value.dim: {c.ndim} instead."
        )
    if not a.dtype == b.dtype == c.dtype:
        names = [t.dtype.c_name for t in (query, key, value)]
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {names[0]} key.dtype: "
            f"{names[1]} and value.dtype: {names[2]} instead."
        )
    if a.dtype.kind != "f":
        raise RuntimeError(f"expected scalar type Float but found {query.dtype.type_name}\ncast with .float()")
    front = math.prod(a.shape[:-2])
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{front}, {a.shape[-1]}] but got: "
            f"[{front}, {b.shape[-1]}].\nThe last dims of query and key must be equal."
        )


def _shared_heads(query: Any, tensor: Any) -> Any:
    """`tensor` with each of its heads repeated for a group of the query's."""
    heads, own = [t.array.shape[normalize_dim(-3, t.array.ndim)] for t in (query, tensor)]
    if not own or heads % own:
        raise RuntimeError(f"Number of heads in key and value must divide the number of heads in query\n{own}, {heads}")
    return tensor if heads == own else repeat_interleave(tensor, heads // own, -3)


def _fitting(mask: Any, query: Any, scores: tuple[int, ...]) -> Any:
    """The mask in the query's dtype, or of truth values; RuntimeError if it is neither, or has too many dims."""
    if mask.array.dtype.kind not in "bf":
        raise RuntimeError(
            f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{mask.dtype.c_name} and  query.dtype: {query.dtype.c_name} instead."
        )
    if (wide := broadcast_shape(mask.array.shape, scores)) != scores:
        raise RuntimeError(f"output with shape {list(scores)} doesn't match the broadcast shape {list(wide)}")
    return mask if mask.array.dtype.kind == "b" else to(mask, query.dtype)
