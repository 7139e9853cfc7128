"""Layers, and functions of tensors, whose training steps are recorded as CUDA graphs: each, and an input for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minigrad
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.nn.utils.parametrizations import spectral_norm, weight_norm


def image() -> Any:
    return minigrad.randn(4, 4, 6, 6)


def sequence() -> Any:
    return minigrad.randn(4, 5, 8)


def rows() -> Any:
    return minigrad.randn(4, 8)


def volume() -> Any:
    return minigrad.randn(4, 1, 3, 4, 5)


def words() -> Any:
    return minigrad.arange(20).reshape(4, 5) % 9


class Applied(nn.Module):
    """A layer, and a function of what it gives."""

    def __init__(self, layer: Any, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x: Any) -> Any:
        return self.function(self.layer(x))


class Attention(nn.Module):
    """Self-attention with a causal mask, given as `kind` says."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.attention = kind, nn.MultiheadAttention(8, 2, dropout=0.2, batch_first=True)

    def forward(self, x: Any) -> Any:
        n = x.size(1)
        if self.kind == "float":
            mask = nn.Transformer.generate_square_subsequent_mask(n, device=x.device)
        else:
            mask = minigrad.ones(n, n, dtype=minigrad.bool, device=x.device).triu(1)
        padded = (minigrad.arange(n, device=x.device) >= n - 1).expand(len(x), n) if self.kind == "padded" else None
        out, weights = self.attention(
            x, x, x, attn_mask=None if padded is not None else mask, key_padding_mask=padded,
            need_weights=self.kind != "padded", is_causal=self.kind == "float",
        )  # fmt: skip
        return out if weights is None else out + weights.sum(-1, keepdim=True)


class ScaledAttention(nn.Module):
    """Causal attention in two heads, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Any) -> Any:
        q, k, v = (t.unflatten(-1, (2, 4)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.2, is_causal=True).transpose(1, 2)


class Decoder(nn.Module):
    """A transformer decoder over a learned memory."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.Parameter(minigrad.randn(4, 3, 8))
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.1, batch_first=True), 1)

    def forward(self, x: Any) -> Any:
        mask = nn.Transformer.generate_square_subsequent_mask(x.size(1), device=x.device)
        return self.decoder(x, self.memory, tgt_mask=mask, tgt_is_causal=True)


def overwritten(x: Any) -> Any:
    """Numbers written where masks hold, of the elements and of the rows."""
    y = x * 2
    y[y > 0.5] = 0.25
    y[y[:, 0] < 0] = minigrad.full((), 0.5, device=x.device)
    return y * x


def first(out: Any) -> Any:
    return out[0]


LAYERS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "LayerNorm": (lambda: nn.LayerNorm(8), sequence),
    "RMSNorm": (lambda: nn.RMSNorm(8), sequence),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), image),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), image),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(8), rows),
    "BatchNorm2d, Dropout2d": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Dropout2d(0.3)), image),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), image),
    "Conv1d": (lambda: nn.Conv1d(5, 4, 3, padding="same", padding_mode="circular"), sequence),
    "Conv2d": (lambda: nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2), image),
    "Conv3d": (lambda: Applied(nn.Conv3d(1, 2, 3, dilation=1), lambda x: x), lambda: minigrad.randn(4, 1, 3, 5, 5)),
    "ConvTranspose2d": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.BatchNorm2d(3), nn.LeakyReLU(0.2)),
        image,
    ),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), image),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), image),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), sequence),
    "AvgPool2d, ceil_mode": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), image),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1, dilation=2), sequence),
    "MaxPool3d": (lambda: nn.MaxPool3d(2), volume),
    "AvgPool3d": (lambda: nn.AvgPool3d(2, padding=1, count_include_pad=False), volume),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), sequence),
    "AdaptiveAvgPool3d": (lambda: nn.AdaptiveAvgPool3d((2, 3, None)), volume),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), sequence),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, output_size=3), image),
    "LPPool2d": (lambda: nn.LPPool2d(2, 2), image),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((4, 5)), image),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(4), image),
    "MaxUnpool2d": (
        lambda: Applied(nn.MaxPool2d(2, return_indices=True), lambda out: F.max_unpool2d(*out, 2)), image,
    ),
    "Upsample, nearest": (lambda: nn.Upsample(scale_factor=2), image),
    "Upsample, bilinear": (lambda: nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True), image),
    "Upsample, bicubic": (lambda: nn.Upsample(size=(7, 5), mode="bicubic"), image),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), image),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(2), image),
    "Unfold": (lambda: nn.Unfold(2), image),
    "grid_sample": (
        lambda: Applied(
            nn.Identity(),
            lambda x: F.grid_sample(
                x, F.affine_grid(x[:, 0, :2, :3].contiguous(), list(x.shape), align_corners=False), align_corners=False
            ),
        ),
        image,
    ),
    **{name: (getattr(nn, name), rows) for name in (
        "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Softplus", "Softsign",
        "Sigmoid", "Tanh", "Hardswish", "Hardtanh", "LogSigmoid", "Tanhshrink", "GLU", "RReLU",
        "Dropout", "AlphaDropout",
    )},
    "softmax": (lambda: nn.Softmax(-1), rows),
    "gumbel_softmax": (lambda: Applied(nn.Identity(), lambda x: F.gumbel_softmax(x, 0.5, hard=True)), rows),
    "Bilinear": (lambda: Applied(nn.Identity(), lambda x: F.bilinear(x, x, x.repeat(3, 2, 1))), rows),
    "normalize": (lambda: Applied(nn.Linear(8, 8), lambda x: F.normalize(x) @ F.normalize(x).T), rows),
    "cosine_similarity": (lambda: Applied(nn.Linear(8, 8), lambda x: F.cosine_similarity(x, x.roll(1, 0))), rows),
    "einsum": (lambda: Applied(nn.Linear(8, 8), lambda x: minigrad.einsum("bij,bkj->bik", x, x)), sequence),
    "cdist": (lambda: Applied(nn.Linear(8, 8), lambda x: minigrad.cdist(x, x + 1)), sequence),
    "cat, stack, where, roll": (
        lambda: Applied(nn.Linear(8, 8), lambda x: minigrad.where(
            minigrad.cat([x, -x]) > 0, minigrad.stack([x, x * 2]).flatten(0, 1), minigrad.cat([x, x]).roll(1, 0))),
        rows,
    ),
    "max, logsumexp, cumsum, var": (
        lambda: Applied(
            nn.Linear(8, 8), lambda x: x.max(-1).values + x.logsumexp(-1) + x.cumsum(-1)[:, 3] + x.std(-1)
        ),
        rows,
    ),
    "slices": (
        lambda: Applied(nn.Linear(8, 8), lambda x: x[:, ::2] * x[..., 1:2] + x[1, 2] - x[:, -4:].flip(1)), rows,
    ),
    "masked_fill": (lambda: Applied(nn.Linear(8, 8), lambda x: x.masked_fill(x.detach() > 0.5, -1.0).tril()), rows),
    "written by masks": (lambda: Applied(nn.Linear(8, 8), overwritten), rows),
    "gather": (
        lambda: Applied(nn.Linear(8, 8), lambda x: x.gather(1, x.detach().argmax(1, keepdim=True)).expand(4, 8)), rows,
    ),
    "indices": (lambda: Applied(nn.Linear(8, 8), lambda x: x[minigrad.arange(4, device="cuda"), x.argmax(1)]), rows),
    "one_hot": (lambda: Applied(nn.Linear(8, 8), lambda x: x * F.one_hot(x.argmax(1), 8)), rows),
    "RNN": (lambda: Applied(nn.RNN(8, 6, num_layers=2, dropout=0.2, batch_first=True), first), sequence),
    "RNN, relu": (lambda: Applied(nn.RNN(8, 6, nonlinearity="relu"), first), sequence),
    "GRU": (lambda: Applied(nn.GRU(8, 6, bidirectional=True, batch_first=True), first), sequence),
    "LSTM": (
        lambda: Applied(nn.LSTM(8, 6, 2, dropout=0.2, batch_first=True), lambda out: out[1][0].swapaxes(0, 1)),
        sequence,
    ),
    "LSTM, projected": (lambda: Applied(nn.LSTM(8, 6, proj_size=3), first), sequence),
    "LSTMCell": (lambda: Applied(nn.LSTMCell(8, 6), first), rows),
    "GRUCell": (lambda: nn.GRUCell(8, 6), rows),
    "MultiheadAttention": (lambda: Attention("bool"), sequence),
    "MultiheadAttention, causal": (lambda: Attention("float"), sequence),
    "MultiheadAttention, padded": (lambda: Attention("padded"), sequence),
    "scaled_dot_product_attention": (ScaledAttention, sequence),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0.1, batch_first=True), 2), sequence,
    ),
    "TransformerDecoder": (Decoder, sequence),
    "weight_norm": (lambda: weight_norm(nn.Linear(8, 6)), rows),
    "spectral_norm": (lambda: spectral_norm(nn.Linear(8, 6)), rows),
    "old spectral_norm": (lambda: nn.utils.spectral_norm(nn.Linear(8, 6)), rows),
    "Embedding": (lambda: Applied(nn.Embedding(9, 6, padding_idx=0), lambda x: x.mean(1)), words),
    "Embedding, max_norm": (lambda: nn.Embedding(9, 6, max_norm=1.0), words),
    "Embedding, by frequency": (lambda: nn.Embedding(9, 6, scale_grad_by_freq=True), words),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(9, 6, mode="mean"), words),
    "EmbeddingBag, max": (lambda: nn.EmbeddingBag(9, 6, mode="max"), words),
    "Embedding, LSTM": (
        lambda: nn.Sequential(nn.Embedding(9, 6, padding_idx=0), Applied(nn.LSTM(6, 5, batch_first=True), first)),
        words,
    ),
}  # fmt: skip
