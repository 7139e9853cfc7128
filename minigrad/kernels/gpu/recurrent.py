"""The loops of `kernels.recurrent`, whose names these functions bear, as one product and one kernel a step.

Gates lie side by side, (rows, G*H), as products have them. States that are projected are left to the plain way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.backend import Array
from minigrad.kernels.gpu.bias import add_bias
from minigrad.kernels.gpu.launch import flat, over_elements
from minigrad.kernels.products import add_product, product, write_product

if TYPE_CHECKING:
    from minigrad.kernels.recurrent import Layer, Weights

Kept = tuple[Array, Array, tuple[Array, ...]]  # gates (rows, G*H), h (rows, H) before the step, more of the kind


def from_input(x: Array, w: Weights, layer: Layer) -> Array:
    """The input's part of the gates' sums, with all that is added to them beside the state's part."""
    gates = product(x, w.ih.T)
    if layer.bias:
        add_bias(gates, w.bias_ih if layer.cell == "GRU" else w.bias_ih + w.bias_hh)
    return gates


def lstm(out: Array, gates: Array, state: list[Array], w: Weights, layer: Layer, xp: Any) -> Kept:
    """All steps of long short-term memory."""
    h, c = state
    before, cells = xp.empty_like(out), xp.empty_like(out)
    for rows, n in layer.steps():
        now = gates[rows]
        add_product(h[:n], w.hh.T, now)
        _start("lstm", now, h[:n], c[:n], out[rows], before[rows], cells[rows])
    return gates, before, (cells,)


def lstm_back(g_out: Array | None, state: list[Array], w: Weights, layer: Layer, kept: Kept, xp: Any) -> Any:
    """The slopes of the gates' sums at all steps, twice, and None for those of a projection."""
    g_h, g_c = state
    gates, _, (cells,) = kept
    slopes = xp.empty_like(gates)
    for rows, n in reversed(layer.steps()):
        now = slopes[rows]
        _start("lstm_back", gates[rows], cells[rows], _part(g_out, rows), g_h[:n], g_c[:n], now, like=cells[rows])
        write_product(now, w.hh, g_h[:n])
    return slopes, slopes, None


def gru(out: Array, gates: Array, state: list[Array], w: Weights, layer: Layer, xp: Any) -> Kept:
    """All steps of a gated recurrent unit."""
    (h,) = state
    before, candidates = xp.empty_like(out), xp.empty_like(out)
    sums, bias = xp.empty((len(h), gates.shape[1]), gates.dtype), flat(w.bias_hh) if layer.bias else None
    for rows, n in layer.steps():
        write_product(h[:n], w.hh.T, sums[:n])
        _start("gru", gates[rows], sums[:n], bias, h[:n], out[rows], before[rows], candidates[rows])
    return gates, before, (candidates,)


def gru_back(g_out: Array | None, state: list[Array], w: Weights, layer: Layer, kept: Kept, xp: Any) -> Any:
    """The slopes of the input's and of the state's sums at all steps, and None for those of a projection."""
    (g_h,) = state
    gates, before, (candidates,) = kept
    from_x, from_h = xp.empty_like(gates), xp.empty_like(gates)
    for rows, n in reversed(layer.steps()):
        past = before[rows]
        _start(
            "gru_back", gates[rows], past, candidates[rows], _part(g_out, rows), g_h[:n], from_x[rows], from_h[rows],
            like=past,
        )  # fmt: skip
        add_product(from_h[rows], w.hh, g_h[:n])
    return from_x, from_h, None


def rnn(out: Array, gates: Array, state: list[Array], w: Weights, layer: Layer, xp: Any) -> Kept:
    """All steps of the plain recurrent layer."""
    (h,) = state
    before, is_tanh = xp.empty_like(out), layer.cell == "RNN_TANH"
    for rows, n in layer.steps():
        now = gates[rows]
        add_product(h[:n], w.hh.T, now)
        over_elements("recurrent", "rnn", now, now.size, now, h[:n], out[rows], before[rows], now.size, is_tanh)
    return gates, before, ()


def rnn_back(g_out: Array | None, state: list[Array], w: Weights, layer: Layer, kept: Kept, xp: Any) -> Any:
    """The slopes of the sums at all steps, twice, and None for those of a projection."""
    (g_h,) = state
    slopes, is_tanh = xp.empty_like(kept[0]), layer.cell == "RNN_TANH"
    for rows, n in reversed(layer.steps()):
        now = slopes[rows]
        over_elements(
            "recurrent", "rnn_back", now, now.size, kept[0][rows], _part(g_out, rows), g_h[:n], now, now.size, is_tanh
        )
        write_product(now, w.hh, g_h[:n])
    return slopes, slopes, None


def _part(g_out: Array | None, rows: slice) -> Array | None:
    return None if g_out is None else flat(g_out[rows])


def _start(name: str, *arrays: Array | None, like: Array | None = None) -> None:
    """Start a kernel over the elements of the state, as many as `like` has, the last array if not given."""
    state: Any = arrays[-1] if like is None else like
    over_elements("recurrent", name, state, state.size, *arrays, state.size, state.shape[1])


FORWARD = {"LSTM": lstm, "GRU": gru, "RNN_TANH": rnn, "RNN_RELU": rnn}
BACK = {"LSTM": lstm_back, "GRU": gru_back, "RNN_TANH": rnn_back, "RNN_RELU": rnn_back}
