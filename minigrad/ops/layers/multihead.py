"""Attention of several heads at once, from projections of queries, keys and values.

All three are (length, batch, features); heads become (batch, head, length, head_dim). (Vaswani et al. 2017, 3.2.2)
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.ops.compare import masked_fill
from minigrad.ops.create import zeros
from minigrad.ops.join import cat
from minigrad.ops.layers.attention import scaled_dot_product_attention
from minigrad.ops.layers.dropout import dropout
from minigrad.ops.layers.softmax import softmax
from minigrad.ops.linalg.affine import linear
from minigrad.ops.linalg.matmul import matmul
from minigrad.ops.pad import pad
from minigrad.ops.reduce import mean
from minigrad.ops.shape import permute, reshape, squeeze, transpose, unsqueeze

__all__: list[str] = []


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """(output (L, N, E), weights (N, L, S), or of each head) for queries (L, N, E), keys and values (S, N, E).

    in_proj_*       the weights of the three projections one below the other, or each its own: q_, k_, v_proj_weight
    bias_k, bias_v  one more key and value, the same for all; `add_zero_attn`: one more of zeros
    *_mask          attn_mask (L, S) or (N * num_heads, L, S), key_padding_mask (N, S): what is True is left out, or
                    numbers are added to the scores
    is_causal       says that attn_mask is the causal one, which then need not be looked at
    need_weights    without them `scaled_dot_product_attention` does the work, and None is returned for them

    The batch may be missing. AssertionError for shapes that do not fit.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = unsqueeze(query, 1), unsqueeze(key, 1), unsqueeze(value, 1)
        key_padding_mask = None if key_padding_mask is None else unsqueeze(key_padding_mask, 0)
    length, batch, features = query.array.shape
    key_padding_mask = additive_mask(key_padding_mask, "key_padding_mask", query, attn_mask, "attn_mask")
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    is_causal = is_causal and key_padding_mask is None and not need_weights
    mask = None if is_causal else additive_mask(attn_mask, "attn_mask", query)
    _check_features(features, embed_dim_to_check, num_heads)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias, separate)
    mask = _mask_of_heads(mask, length, key.array.shape[0], batch, num_heads)

    if (bias_k is None) != (bias_v is None):
        given, other = "vk" if bias_k is None else "kv"
        raise AssertionError(f"bias_{given} is set but bias_{other} is None")
    if bias_k is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError(f"bias cannot be added to static {'value' if static_k is None else 'key'}.")
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])
    q = _heads(q, num_heads)
    k = _heads(k, num_heads) if static_k is None else _given_heads("static_k", static_k, batch, num_heads, features)
    v = _heads(v, num_heads) if static_v is None else _given_heads("static_v", static_v, batch, num_heads, features)
    if add_zero_attn:
        nothing = zeros((batch, num_heads, 1, features // num_heads), dtype=k.dtype, device=backend.device_of(k.array))
        k, v = cat([k, nothing], 2), cat([v, nothing], 2)
    more = (bias_k is not None) + add_zero_attn
    mask, key_padding_mask = [m if m is None or not more else pad(m, (0, more)) for m in (mask, key_padding_mask)]
    if key_padding_mask is not None:
        padding = _padding_of_heads(key_padding_mask, batch, k.array.shape[2])
        mask = padding if mask is None else mask + padding

    weights, p = None, dropout_p if training else 0.0
    if need_weights:
        scores = matmul(q * math.sqrt(1 / q.array.shape[3]), transpose(k, -2, -1))
        weights = softmax(scores if mask is None else scores + mask, -1)
        weights = dropout(weights, p) if p else weights
        out = matmul(weights, v)
    else:
        out = scaled_dot_product_attention(q, k, v, mask, p, is_causal)
    out = linear(reshape(permute(out, (2, 0, 1, 3)), (length, batch, features)), out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = mean(weights, 1)
    if batched:
        return out, weights
    return squeeze(out, 1), None if weights is None else squeeze(weights, 0)


# -- projections and heads ---------------------------------------------------------------------------------------------


def _projected(query: Any, key: Any, value: Any, weight: Any, bias: Any, separate: Any) -> tuple[Any, Any, Any]:
    """The three projections; of one tensor in one product."""
    a, b, c = (x.array.shape for x in (query, key, value))
    if separate is None and b != c:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
    if separate is not None and b[:2] != c[:2]:
        raise AssertionError(f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
    if separate is None and query is key is value:
        q, k, v = linear(query, weight, bias).chunk(3, -1)
        return q, k, v
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    weights = weight.chunk(3) if separate is None else separate
    if separate is not None:
        for name, w, sizes in zip(("query", "key", "value"), weights, (a, b, c)):
            if w.array.shape != (a[-1], sizes[-1]):
                raise AssertionError(f"expecting {name} weights shape of {(a[-1], sizes[-1])}, but got {w.shape}")
    q, k, v = [linear(x, w, bias) for x, w, bias in zip((query, key, value), weights, biases)]
    return q, k, v


def _heads(x: Any, num_heads: int) -> Any:
    """(length, batch, features) as (batch, head, length, head_dim)."""
    length, batch, features = x.array.shape
    return permute(reshape(x, (length, batch, num_heads, features // num_heads)), (1, 2, 0, 3))


def _given_heads(name: str, x: Any, batch: int, num_heads: int, features: int) -> Any:
    """(batch * heads, length, head_dim) as (batch, head, length, head_dim)."""
    n, length, size = x.array.shape
    for dim, wanted, got in ((0, batch * num_heads, n), (2, features // num_heads, size)):
        if wanted != got:
            raise AssertionError(f"expecting {name}.size({dim}) of {wanted}, but got {got}")
    return reshape(x, (batch, num_heads, length, size))


def _check_features(features: int, expected: int, num_heads: int) -> None:
    if features != expected:
        raise AssertionError(f"was expecting embedding dimension of {expected}, but got {features}")
    if features % num_heads:
        raise AssertionError(f"embed_dim {features} not divisible by num_heads {num_heads}")


# -- masks -------------------------------------------------------------------------------------------------------------


def additive_mask(mask: Any, name: str, input: Any, other: Any = None, other_name: str = "") -> Any:
    """A mask of truth values as -inf where it is True, else 0, in the input's dtype; one of numbers as it is.

    Warns of an `other` mask of another dtype.
    """
    if mask is None:
        return None
    if mask.array.dtype.kind not in "bf":
        raise AssertionError(f"only bool and floating types of {name} are supported\ngot {mask.dtype}")
    if other is not None and other.dtype is not mask.dtype:
        warn(f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.")
    if mask.array.dtype.kind == "f":
        return mask
    nothing = zeros(mask.array.shape, dtype=input.dtype, device=backend.device_of(input.array))
    return masked_fill(nothing, mask, -math.inf)


def _mask_of_heads(mask: Any, length: int, source: int, batch: int, num_heads: int) -> Any:
    """An attention mask such that it can be added to the scores of all heads."""
    if mask is None:
        return None
    wanted = (length, source) if mask.ndim == 2 else (batch * num_heads, length, source)
    if mask.array.shape != wanted:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {wanted}.")
    return mask if mask.ndim == 2 else reshape(mask, (batch, num_heads, length, source))


def _padding_of_heads(mask: Any, batch: int, source: int) -> Any:
    """A mask of keys as one of all queries and heads."""
    if mask.array.shape != (batch, source):
        if mask.array.shape[0] != batch:
            raise AssertionError(f"Expected key_padded_mask.shape[0] to be {batch}, but got {mask.array.shape[0]}")
        raise AssertionError(f"Expected key_padded_mask.shape[1] to be {source}, but got {mask.array.shape[1]}")
    return reshape(mask, (batch, 1, 1, source))


def _check_shapes(query: Any, key: Any, value: Any, padding: Any, mask: Any, num_heads: int) -> bool:
    """True if there is a batch; AssertionError for numbers of dims that do not fit."""
    n = query.ndim
    if n not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor")
    kind = "batched (3-D)" if n == 3 else "unbatched (2-D)"
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D "
            f"tensors respectively"
        )
    if padding is not None and padding.ndim != n - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {n - 1}-D but found {padding.ndim}-D "
            f"tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead"
        )
    if mask is not None and n == 2 and mask.ndim == 3:
        wanted = (num_heads, query.shape[0], key.shape[0])
        if mask.array.shape != wanted:
            raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {mask.shape}")
    return n == 3
