"""Recurrent cells."""

from __future__ import annotations

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw, Recipe

NODES = {"grad_fn": "torch has other nodes where the sums of the gates are cut"}


def _cell(gates: int, states: int = 1) -> Recipe:
    """(input, state, w_ih, w_hh), with biases or without."""

    def recipe(d: Draw) -> Sample:
        batch, inputs, hidden = d.size(0, 3), d.size(1, 3), d.size(1, 3)
        state = [d.floats((batch, hidden)) for _ in range(states)]
        rows = gates * hidden
        biases = [d.floats((rows,)), d.floats((rows,))] if d.flag() else []
        hx = tuple(state) if states > 1 else state[0]
        return Sample(d.floats((batch, inputs)), hx, d.floats((rows, inputs)), d.floats((rows, hidden)), *biases)

    return recipe


CASES = [
    Case("lstm_cell", _cell(4, 2), tolerance=SUMS, skip=NODES),
    Case("gru_cell", _cell(3), tolerance=SUMS, skip=NODES),
    Case("rnn_tanh_cell", _cell(1), tolerance=SUMS, skip=NODES),
    Case("rnn_relu_cell", _cell(1), tolerance=SUMS, skip=NODES),
]
