"""Attention with several heads."""

from __future__ import annotations

from typing import Any

from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.modules.linear import Linear
from minigrad.nn.parameter import Parameter
from minigrad.ops import create

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear under torch's name for the output projection of MultiheadAttention."""


class MultiheadAttention(Module):
    """out_proj(concatenation of the heads' softmax(q k^T / sqrt(head_dim)) v), q, k and v being projections.

    kdim, vdim     features of keys and values where they are not the queries'; then the projections' weights are three
    add_bias_kv    one more key and value, learnt; add_zero_attn: one more of zeros
    batch_first    inputs and output are (N, L, E) instead of (L, N, E)
    """

    bias_k: Any
    bias_v: Any
    in_proj_weight: Any
    in_proj_bias: Any

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                f"instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim must be divisible by num_heads\ngot {embed_dim} and {num_heads}")

        def parameter(name: str, *shape: int) -> None:
            made = Parameter(create.empty(shape, device=device, dtype=dtype)) if shape else None
            self.register_parameter(name, made)

        if self._qkv_same_embed_dim:
            parameter("in_proj_weight", 3 * embed_dim, embed_dim)
            for letter in "qkv":
                parameter(f"{letter}_proj_weight")
        else:
            for letter, size in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
                parameter(f"{letter}_proj_weight", embed_dim, size)
            parameter("in_proj_weight")
        parameter("in_proj_bias", *(3 * embed_dim,) * bias)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        if add_bias_kv:
            parameter("bias_k", 1, 1, embed_dim)
            parameter("bias_v", 1, 1, embed_dim)
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw new initial values."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if (weight := getattr(self, name)) is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """(output, weights), the weights None unless needed; masks are as for `F.multi_head_attention_forward`."""
        turned = self.batch_first and query.dim() == 3
        if turned:  # what is one tensor stays one: it is projected in one product
            seen = {id(x): x.transpose(0, 1) for x in (query, key, value)}
            query, key, value = seen[id(query)], seen[id(key)], seen[id(value)]
        out, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (out.transpose(0, 1) if turned else out), weights
