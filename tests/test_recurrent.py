"""Whole recurrent layers as one op: equal to the composition of cells, to any order, and to torch."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.kernels.recurrent import GATES, STATES, Layer
from minigrad.ops.layers.recurrent import composed, recurrent_layer
from minigrad.testing import assert_close
from tests.lockstep import same

CELLS = sorted(GATES)


@st.composite
def layers(draw: Any) -> tuple[Layer, list[np.ndarray]]:
    """A layer and its operands; steps of one length or of ever fewer rows."""
    cell = draw(st.sampled_from(CELLS))
    batch, inputs, hidden = (draw(st.integers(1, 4)) for _ in range(3))
    ended = draw(st.lists(st.integers(0, 1), min_size=1, max_size=4))
    sizes = tuple(max(1, batch - gone) for gone in accumulate([0, *ended]))
    bias, projected = draw(st.booleans()), cell == "LSTM" and draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, out = GATES[cell] * hidden, 2 if projected else hidden
    shapes = [(sum(sizes), inputs), (batch, out), (batch, hidden)][: 1 + STATES[cell]]
    shapes += [(rows, inputs), (rows, out), *[(rows,)] * 2 * bias, *[(out, hidden)] * projected]
    return Layer(cell, sizes, draw(st.booleans()), bias), [rng.normal(size=shape) for shape in shapes]


def tensors(arrays: list[np.ndarray], needs: list[bool] | None = None) -> list[Any]:
    needs = needs or [True] * len(arrays)
    return [minigrad.tensor(a, requires_grad=n) for a, n in zip(arrays, needs, strict=True)]


def squares(outs: list[Any]) -> Any:
    """A scalar whose gradient by each of the outputs differs in every element."""
    return sum((out * out * (i + 1)).sum() for i, out in enumerate(outs))


@given(layers(), st.data())
def test_the_op_equals_the_composition_of_cells(drawn, data):
    layer, arrays = drawn
    needs = data.draw(st.lists(st.booleans(), min_size=len(arrays), max_size=len(arrays)).filter(any))
    used = data.draw(
        st.lists(st.booleans(), min_size=1 + STATES[layer.cell], max_size=1 + STATES[layer.cell]).filter(any)
    )
    before, results = [a.copy() for a in arrays], []
    for function in (lambda ops: recurrent_layer(*ops, layer=layer), lambda ops: composed(ops, layer)):
        operands = tensors(arrays, needs)
        outs = function(operands)
        loss = squares([out for out, wanted in zip(outs, used, strict=True) if wanted])
        wanted = [t for t, n in zip(operands, needs, strict=True) if n]
        grads = minigrad.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
        results.append(([out.detach() for out in outs], grads))
    assert_close(results[0], results[1], rtol=1e-12, atol=1e-13)
    for a, b in zip(arrays, before, strict=True):
        assert np.array_equal(a, b)


@given(layers())
def test_gradients_that_can_be_differentiated_again_are_the_same(drawn):
    layer, arrays = drawn
    plain, recorded = (
        minigrad.autograd.grad(squares(recurrent_layer(*ops, layer=layer)), ops, create_graph=again)
        for again, ops in ((again, tensors(arrays)) for again in (False, True))
    )
    assert_close(plain, [g.detach() for g in recorded], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_second_derivatives(cell, backwards):
    rng, rows = np.random.default_rng(1), GATES[cell] * 2
    shapes = [(5, 3), *[(2, 2)] * STATES[cell], (rows, 3), (rows, 2), (rows,), (rows,)]
    layer = Layer(cell, (2, 2, 1), backwards, True)
    operands = tensors([rng.normal(size=shape) for shape in shapes])
    assert minigrad.autograd.gradgradcheck(lambda *ops: tuple(recurrent_layer(*ops, layer=layer)), operands)


def test_one_tensor_as_several_operands_gets_each_gradient_once():
    def program(T):
        T.manual_seed(0)
        lstm, x = T.nn.LSTM(3, 3).double(), T.ones(4, 2, 3, dtype=T.float64, requires_grad=True)
        h = T.full((1, 2, 3), 0.5, dtype=T.float64, requires_grad=True)
        out, (last, cell) = lstm(x, (h, h))
        (g,) = T.autograd.grad((out * out).sum() + last.sum() + (cell * cell).sum(), h, create_graph=True)
        (again,) = T.autograd.grad((g * g).sum(), h)
        return g.detach(), again

    same(program, rtol=1e-10)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("lost", ["output", "state"])
def test_a_loss_of_one_output_alone(name, lost):
    def program(T):
        T.manual_seed(0)
        layer, x = getattr(T.nn, name)(3, 4, 2, bidirectional=True), T.ones(5, 2, 3, requires_grad=True)
        output, state = layer(x)
        kept = state if lost == "output" else (output,)
        sum((part * part).sum() for part in kept).backward()
        return x.grad, [p.grad for p in layer.parameters()]

    same(program)


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3)])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_empty_sequences_and_batches(name, shape):
    same(lambda T: getattr(T.nn, name)(3, 4)(T.zeros(shape)))


@pytest.mark.parametrize(
    "call",
    [
        lambda T, x, h: T.lstm_cell(x, h, T.ones(16, 3), T.ones(16, 4)),
        lambda T, x, h: T.lstm_cell(x, (h,), T.ones(16, 3), T.ones(16, 4)),
        lambda T, x, h: T.lstm_cell(x, (h, h), T.ones(16, 2), T.ones(16, 4)),
        lambda T, x, h: T.lstm_cell(x, (h, h[:, :3]), T.ones(16, 3), T.ones(16, 4)),
        lambda T, x, h: T.lstm_cell(x, (h, h[:1]), T.ones(16, 3), T.ones(16, 4)),
        lambda T, x, h: T.gru_cell(x, h[:, :3], T.ones(12, 3), T.ones(12, 4)),
        lambda T, x, h: T.gru_cell(x, h[:1], T.ones(12, 3), T.ones(12, 4)),
        lambda T, x, h: T.rnn_tanh_cell(x, h, T.ones(4, 2), T.ones(4, 4)),
        lambda T, x, h: T.rnn_relu_cell(x, h[:1], T.ones(4, 3), T.ones(4, 4)),
    ],
)
def test_cells_refuse_what_does_not_fit(call):
    same(lambda T: call(T, T.ones(2, 3), T.ones(2, 4)))
