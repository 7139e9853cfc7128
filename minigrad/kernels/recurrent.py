"""One direction of a recurrent layer over a whole sequence, and its derivative: loops of a few calls a step.

The rows of all steps lie one after the other in one array, so products that do not depend on the step before are one
product for the sequence: the input's part of the gates, and in the derivative everything but the way back in time. In
a packed sequence the steps have ever fewer rows, those of the sequences that have not ended. Of a state the first n
rows take part in a step of n rows; so those of ended sequences keep their last state, and from the other end those
that have yet to begin their first.

The gates lie apart, (G, rows, H), so that what is done to one of them at a step is done to memory without gaps. Only
their gradients end up side by side, (rows, G*H), as factors of products over all gates.

`ops.layers.recurrent` composes the same of single cells, which is the specification.
On the GPU `kernels.gpu.recurrent` takes the steps, if states are not projected.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minigrad.backend import np
from minigrad.kernels.gpu import recurrent as gpu
from minigrad.kernels.gpu.launch import flat, takes
from minigrad.kernels.products import add_product, product, unsplit, write_product
from minigrad.kernels.sums import total
from minigrad.kernels.threads import held, over

Array = Any

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}  # blocks of rows in the weights
STATES = {"LSTM": 2, "GRU": 1, "RNN_TANH": 1, "RNN_RELU": 1}  # arrays that a step hands on to the next


class Layer(NamedTuple):
    """What is said of a layer beside its arrays, which come in the order: input, state, weights (see `Weights`)."""

    cell: str
    sizes: tuple[int, ...]  # the rows of each step
    backwards: bool
    bias: bool

    def steps(self) -> list[tuple[slice, int]]:
        """The rows of each step and their number, in the order in which the steps are taken."""
        steps, start = [], 0
        for n in self.sizes:
            steps.append((slice(start, start + n), n))
            start += n
        return steps[::-1] if self.backwards else steps

    def split(self, operands: Any) -> tuple[Any, Any, Weights]:
        """(input, state, weights)."""
        first = 1 + STATES[self.cell]
        weights = list(operands[first:])
        if not self.bias:
            weights[2:2] = [None, None]
        return operands[0], operands[1:first], Weights(*weights)


class Weights(NamedTuple):
    """weight_ih (G*H, I), weight_hh (G*H, P), bias_ih and bias_hh (G*H,), weight_hr (P, H) if states are projected."""

    ih: Array
    hh: Array
    bias_ih: Array = None
    bias_hh: Array = None
    hr: Array = None


class Trace(NamedTuple):
    """What the derivative needs of a run, for the rows of all steps."""

    gates: Array  # (G, rows, H), after their nonlinearity; on the GPU (rows, G*H)
    h: Array  # (rows, P), before the step
    more: tuple[Array, ...]


def run(operands: Any, layer: Layer, xp: Any) -> tuple[list[Array], Trace]:
    """[outputs (rows, P), last h (N, P), for LSTM last c (N, H)] and what the derivative needs."""
    x, state, w = layer.split(operands)
    g, state = GATES[layer.cell], [part.copy() for part in state]
    out = xp.empty((len(x), state[0].shape[1]), x.dtype)
    if takes(x) and w.hr is None:
        gates = gpu.from_input(x, w, layer)
        return [out, *state], Trace(*gpu.FORWARD[layer.cell](out, gates, state, w, layer, xp))
    gates = _from_input(x, _by_gate(w.ih, g).swapaxes(1, 2), xp)
    if layer.bias:
        gates += _by_gate(w.bias_ih if layer.cell == "GRU" else w.bias_ih + w.bias_hh, g)[:, None]
    with held:
        trace = _FORWARD[layer.cell](out, gates, state, w, layer, xp)
    return [out, *state], trace


def run_back(
    grads: Any, operands: Any, layer: Layer, trace: Trace, needs: tuple[bool, ...], xp: Any
) -> tuple[Array | None, ...]:
    """The gradients of all operands that need one, given those of `run`'s outputs, each an array or None."""
    x, state, w = layer.split(operands)
    g_out, *g_state = grads
    state = [xp.zeros_like(part) if g is None else g.copy() for g, part in zip(g_state, state, strict=True)]
    if trace.gates.ndim == 2:
        state = [flat(part) for part in state]
        from_x, from_h, g_hr = gpu.BACK[layer.cell](g_out, state, w, layer, trace, xp)
    else:
        with held:
            from_x, from_h, g_hr = _BACK[layer.cell](g_out, state, w, layer, trace, xp)
    need_x, need_ih, need_hh = needs[0], *needs[1 + len(state) :][:2]
    gradients = [
        product(from_x, w.ih) if need_x else None,
        *state,
        product(from_x.T, x) if need_ih else None,
        product(from_h.T, trace.h) if need_hh else None,
    ]
    if layer.bias:
        gradients.append(of_ih := total(from_x, (0,)))
        gradients.append(of_ih.copy() if from_h is from_x else total(from_h, (0,)))
    return (*gradients, g_hr) if w.hr is not None else tuple(gradients)


def _from_input(x: Array, weights: Array, xp: Any) -> Array:
    """The input's part of the gates, (G, rows, H), from weights (G, I, H)."""
    x = xp.ascontiguousarray(x)
    out = xp.empty((len(weights), len(x), weights.shape[2]), x.dtype)

    def work(start: int, stop: int) -> None:
        write_product(x[start:stop], weights, out[:, start:stop])

    if type(x) is np.ndarray:
        over(len(x), work, x.size * weights.shape[2] * len(weights))
    else:
        work(0, len(x))
    return out


def _by_gate(weight: Array, gates: int) -> Array:
    """(G*H, ...) as (G, H, ...)."""
    return weight.reshape(gates, len(weight) // gates, *weight.shape[1:])


class _Beside:
    """Room for gates (G, rows, H) side by side, `flat` (rows, G*H)."""

    def __init__(self, gates: Array, xp: Any) -> None:
        g, rows, h = gates.shape
        self.gates = xp.empty((rows, g, h), gates.dtype)
        self.flat = self.gates.reshape(rows, g * h)

    def put(self, rows: slice, gates: Array) -> Array:
        """Put those of some rows in their place; returns them side by side."""
        self.gates[rows] = gates.swapaxes(0, 1)
        return self.flat[rows]


# -- long short-term memory --------------------------------------------------------------------------------------------


def _lstm(out: Array, gates: Array, state: list[Array], w: Weights, layer: Layer, xp: Any) -> Trace:
    """Gates i, f, o = sigmoid and g = tanh; c' = f c + i g; h' = o tanh(c'), or its projection.

    As sigmoid(z) = (1 + tanh(z/2)) / 2 one tanh serves all four: the halves go into the sums beforehand.
    """
    h, c = state
    half = xp.full((4, 1, 1), 0.5, gates.dtype)
    half[2] = 1
    rest = 1 - half
    gates *= half
    hh = xp.ascontiguousarray((_by_gate(w.hh, 4) * half).swapaxes(1, 2))
    before, cells = xp.empty_like(out), xp.empty((len(out), c.shape[1]), c.dtype)
    curved = xp.empty_like(cells)  # tanh(c')
    whole = out if w.hr is None else xp.empty_like(cells)  # h' before it is projected
    for rows, n in layer.steps():
        now, past, cell = gates[:, rows], h[:n], c[:n]
        before[rows], cells[rows] = past, cell
        add_product(past, hh, now)
        xp.tanh(now, out=now)
        now *= half
        now += rest
        i, f, g, o = now
        cell *= f
        cell += i * g
        xp.multiply(o, xp.tanh(cell, out=curved[rows]), out=whole[rows])
        if w.hr is not None:
            write_product(whole[rows], w.hr.T, out[rows])
        past[...] = out[rows]
    return Trace(gates, before, (cells, curved, whole))


def _lstm_back(g_out: Array | None, state: list[Array], w: Weights, layer: Layer, trace: Trace, xp: Any) -> Any:
    """Of h' and c': the slopes of the gates' sums, first for all steps at once as if each gradient were 1."""
    g_h, g_c = state
    cells, curved, whole = trace.more
    i, f, g, o = trace.gates
    slopes = xp.empty_like(trace.gates)
    for k, (of_gate, times) in enumerate(
        ((i * (1 - i), g), (f * (1 - f), cells), (1 - g * g, i), (o * (1 - o), curved))
    ):
        xp.multiply(of_gate, times, out=slopes[k])
    of_cell = o * (1 - curved * curved)
    projected = None if w.hr is None else xp.empty_like(trace.h)
    side = _Beside(slopes, xp)
    for rows, n in reversed(layer.steps()):
        gh, gc, now = g_h[:n], g_c[:n], slopes[:, rows]
        if g_out is not None:
            gh += g_out[rows]
        whole_g = gh
        if projected is not None:
            projected[rows] = gh
            whole_g = unsplit(gh, w.hr)
        gc += whole_g * of_cell[rows]
        now[:3] *= gc
        now[3] *= whole_g
        gc *= f[rows]
        write_product(side.put(rows, now), w.hh, gh)
    return side.flat, side.flat, None if projected is None else unsplit(projected.T, whole)


# -- gated recurrent unit ----------------------------------------------------------------------------------------------


def _gru(out: Array, gates: Array, state: list[Array], w: Weights, layer: Layer, xp: Any) -> Trace:
    """Gates r, z = sigmoid; candidate n = tanh(x_n + r h_n); h' = n + z (h - n)."""
    (h,) = state
    half = xp.full((3, 1, 1), 0.5, gates.dtype)
    half[2] = 1
    gates *= half
    hh = xp.ascontiguousarray((_by_gate(w.hh, 3) * half).swapaxes(1, 2))
    bias = _by_gate(w.bias_hh, 3)[:, None] * half if layer.bias else None
    before, candidates = xp.empty_like(out), xp.empty_like(out)
    for rows, n in layer.steps():
        now, past = gates[:, rows], h[:n]
        before[rows] = past
        from_h = unsplit(past, hh)
        if bias is not None:
            from_h += bias
        sigmoids, new = now[:2], now[2]
        sigmoids += from_h[:2]
        xp.tanh(sigmoids, out=sigmoids)
        sigmoids *= 0.5
        sigmoids += 0.5
        candidates[rows] = from_h[2]
        new += now[0] * from_h[2]
        xp.tanh(new, out=new)
        past -= new
        past *= now[1]
        past += new
        out[rows] = past
    return Trace(gates, before, (candidates,))


def _gru_back(g_out: Array | None, state: list[Array], w: Weights, layer: Layer, trace: Trace, xp: Any) -> Any:
    (g_h,) = state
    (candidates,) = trace.more
    r, z, n = trace.gates
    slopes = xp.stack([r * (1 - r) * candidates, z * (1 - z) * (trace.h - n), (1 - z) * (1 - n * n)])
    from_x, from_h = _Beside(slopes, xp), _Beside(slopes, xp)
    for rows, count in reversed(layer.steps()):
        gh, now = g_h[:count], slopes[:, rows]
        if g_out is not None:
            gh += g_out[rows]
        now[1:] *= gh
        now[0] *= now[2]
        from_x.put(rows, now)
        now[2] *= r[rows]
        gh *= z[rows]
        add_product(from_h.put(rows, now), w.hh, gh)
    return from_x.flat, from_h.flat, None


# -- the plain recurrent layer -----------------------------------------------------------------------------------------


def _rnn(out: Array, gates: Array, state: list[Array], w: Weights, layer: Layer, xp: Any) -> Trace:
    """h' = tanh(x + W h), or relu of it."""
    (h,) = state
    before = xp.empty_like(out)
    for rows, n in layer.steps():
        now, past = gates[0, rows], h[:n]
        before[rows] = past
        add_product(past, w.hh.T, now)
        if layer.cell == "RNN_TANH":
            xp.tanh(now, out=now)
        else:
            xp.maximum(now, 0, out=now)
        out[rows] = past[...] = now
    return Trace(gates, before, ())


def _rnn_back(g_out: Array | None, state: list[Array], w: Weights, layer: Layer, trace: Trace, xp: Any) -> Any:
    (g_h,) = state
    h = trace.gates[0]
    slopes = 1 - h * h if layer.cell == "RNN_TANH" else (h > 0).astype(h.dtype)
    for rows, n in reversed(layer.steps()):
        gh, now = g_h[:n], slopes[rows]
        if g_out is not None:
            gh += g_out[rows]
        now *= gh
        write_product(now, w.hh, gh)
    return slopes, slopes, None


_FORWARD = {"LSTM": _lstm, "GRU": _gru, "RNN_TANH": _rnn, "RNN_RELU": _rnn}
_BACK = {"LSTM": _lstm_back, "GRU": _gru_back, "RNN_TANH": _rnn_back, "RNN_RELU": _rnn_back}
