"""Recurrent cells, and layers of them over a whole sequence.

A layer's one direction is one op, which computes in `kernels.recurrent` and has a joint rule there. `composed` is the
same out of the cells below, step by step: the specification, and what second derivatives go through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.autograd.backward import grad
from minigrad.autograd.mode import enable_grad
from minigrad.autograd.op import Op
from minigrad.kernels import recurrent as kernel
from minigrad.kernels.recurrent import Layer
from minigrad.ops.elementwise import sigmoid, tanh
from minigrad.ops.join import cat
from minigrad.ops.layers.activation import relu
from minigrad.ops.linalg.affine import linear
from minigrad.ops.parts import chunk, split
from minigrad.ops.shape import alias

__all__ = ["gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell"]

State = tuple[Any, ...]  # what a step hands on to the next, each (N, hidden_size)


# -- one step ----------------------------------------------------------------------------------------------------------


def lstm_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> tuple[Any, Any]:
    """(h', c') of long short-term memory (Hochreiter and Schmidhuber 1997), from input (N, I) and hx = (h, c).

    The sums w_ih x + b_ih + w_hh h + b_hh, cut in four, are those of the gates i, f, the candidate g, and the gate o:
    c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'). RuntimeError for shapes that do not fit.
    """
    if not isinstance(hx, (list, tuple)):
        raise TypeError(f"lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not {type(hx).__name__}")
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states\ngot {len(hx)}: hx is (h, c)")
    check_cell(4, input, hx, w_ih, w_hh)
    h, c = hx
    i, f, g, o = chunk(linear(input, w_ih, b_ih) + linear(h, w_hh, b_hh), 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """h' of a gated recurrent unit (Cho et al. 2014), as cuDNN computes it, from input (N, I) and h = hx (N, H).

    x = w_ih input + b_ih and y = w_hh h + b_hh are cut in three: r = sigmoid(x_r + y_r), z = sigmoid(x_z + y_z),
    n = tanh(x_n + r y_n), h' = (1 - z) n + z h. RuntimeError for shapes that do not fit.
    """
    check_cell(3, input, (hx,), w_ih, w_hh)
    x_r, x_z, x_n = chunk(linear(input, w_ih, b_ih), 3, -1)
    h_r, h_z, h_n = chunk(linear(hx, w_hh, b_hh), 3, -1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = tanh(x_n + r * h_n)
    return n + z * (hx - n)


def rnn_tanh_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """tanh(w_ih input + b_ih + w_hh hx + b_hh) (Elman 1990). RuntimeError for shapes that do not fit."""
    check_weights(1, w_ih, w_hh)
    check_cell(1, input, (hx,), w_ih, w_hh)
    return tanh(linear(input, w_ih, b_ih) + linear(hx, w_hh, b_hh))


def rnn_relu_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """relu(w_ih input + b_ih + w_hh hx + b_hh). RuntimeError for shapes that do not fit."""
    check_weights(1, w_ih, w_hh)
    check_cell(1, input, (hx,), w_ih, w_hh)
    return relu(linear(input, w_ih, b_ih) + linear(hx, w_hh, b_hh))


CELLS: dict[str, Callable[..., Any]] = {
    "LSTM": lstm_cell,
    "GRU": gru_cell,
    "RNN_TANH": rnn_tanh_cell,
    "RNN_RELU": rnn_relu_cell,
}


def check_weights(gates: int, w_ih: Any, w_hh: Any) -> None:
    """RuntimeError unless both weights have `gates` blocks of rows."""
    rows = gates * (w_hh.size(0) // gates)
    for name, weight in (("weight_ih", w_ih), ("weight_hh", w_hh)):
        if weight.size(0) != rows:
            raise RuntimeError(f"{name} first dim must be {gates} * hidden_size = {rows}, but got {weight.size(0)}")


def check_cell(gates: int, input: Any, state: Any, w_ih: Any, w_hh: Any) -> None:
    """RuntimeError if input, state and weights of one step do not fit together."""
    if input.size(1) != w_ih.size(1):
        raise RuntimeError(f"input has inconsistent input_size: got {input.size(1)} expected {w_ih.size(1)}")
    sizes = (w_hh.size(1), w_hh.size(0) // gates)  # they differ where h is projected
    for i, (part, size) in enumerate(zip(state, sizes, strict=False)):
        if part.size(0) != input.size(0):
            raise RuntimeError(f"Input batch size {input.size(0)} doesn't match hidden{i} batch size {part.size(0)}")
        if part.size(1) != size:
            raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {part.size(1)}, expected {size}")
    check_weights(gates, w_ih, w_hh)
    dtypes = {t.dtype: None for t in (input, w_ih, *state, w_hh)}
    if len(dtypes) > 1:
        a, b, *_ = [dtype.c_name for dtype in dtypes]
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a} != {b}")
    if gates > 1 and input.array.dtype.kind in "iu":
        raise RuntimeError(f"result type Float can't be cast to the desired output type {input.dtype.type_name}")


# -- all steps ---------------------------------------------------------------------------------------------------------


@Op(many=True, cache=True)
def recurrent_layer(*operands, layer: Layer, xp):
    """[outputs of all steps (rows, P), last h, for LSTM last c], given input (rows, I), state and weights."""
    return kernel.run(operands, layer, xp)


def _recurrent_layer_rule(g, operands, layer, cache, needs, xp):
    if cache is not None:
        return kernel.run_back(g, operands, layer, cache, needs, xp)
    with enable_grad():
        own = [alias(t) for t in operands]  # one tensor may come as several operands
        outs = composed(own, layer)
    pairs = [(out, gradient) for out, gradient in zip(outs, g, strict=True) if gradient is not None]
    wanted = [t for t, needed in zip(own, needs, strict=True) if needed]
    found = iter(grad([p[0] for p in pairs], wanted, [p[1] for p in pairs], create_graph=True, allow_unused=True))
    return tuple(next(found) if needed else None for needed in needs)


recurrent_layer.derivative(operands=_recurrent_layer_rule)


def composed(operands: Any, layer: Layer) -> list[Any]:
    """What `recurrent_layer` returns, composed of cells."""
    input, state, w = layer.split(operands)
    cell, outputs, steps = CELLS[layer.cell], [], split(input, list(layer.sizes))
    waiting: list[list[Any]] = [[] for _ in state]  # parts of the state that the present steps have no rows for
    for x in reversed(steps) if layer.backwards else steps:
        n = x.size(0)
        state = [_cut(part, later, n) for part, later in zip(state, waiting, strict=True)]
        new = cell(x, tuple(state) if len(state) > 1 else state[0], *w[:4])
        state = list(new) if len(state) > 1 else [new]
        if w.hr is not None:
            state[0] = linear(state[0], w.hr)
        outputs.append(state[0])
    last = [cat([part, *reversed(later)]) for part, later in zip(state, waiting, strict=True)]
    return [cat(outputs[::-1] if layer.backwards else outputs), *last]


def _cut(part: Any, waiting: list[Any], n: int) -> Any:
    """The first n rows of the state: the rest is put aside to wait, or what is missing is fetched from there."""
    whole = cat([part, *reversed(waiting)]) if n > part.size(0) else part
    if n > part.size(0):
        waiting.clear()
    if n < whole.size(0):
        waiting.append(whole[n:])
        return whole[:n]
    return whole
