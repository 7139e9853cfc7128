"""Recurrent layers with kernels and without."""

import pytest

import minigrad
from minigrad import nn
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers

LAYERS = {
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
    "tanh": nn.RNN,
    "relu": lambda *args, **kwargs: nn.RNN(*args, **kwargs, nonlinearity="relu"),
}


def made(name, dtype, **options):
    """A layer of given weights on the GPU."""
    layer = LAYERS[name](3, 20, **options).to(getattr(minigrad, dtype)).cuda()
    for i, p in enumerate(layer.parameters()):
        p.data = numbers(tuple(p.shape), dtype, seed=i) / 3
    return layer


def state_of(name, shape, dtype):
    states = [numbers(shape, dtype, seed=20 + i).requires_grad_() for i in range(2 if name == "LSTM" else 1)]
    return states, tuple(states) if name == "LSTM" else states[0]


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_sequence(name, bias, dtype):
    def program(dtype):
        layer = made(name, dtype, bias=bias, bidirectional=True)
        x = numbers((4, 15, 3), dtype, seed=9).requires_grad_()
        states, state = state_of(name, (2, 15, 20), dtype)
        out, last = layer(x, state)
        last = [*last] if name == "LSTM" else [last]
        wanted = [x, *states, *layer.parameters()]
        weights = [numbers(tuple(t.shape), dtype, seed=40 + i) for i, t in enumerate([out, *last])]
        found = [out, *last, *minigrad.autograd.grad([out, *last], wanted, weights, retain_graph=True)]
        found += minigrad.autograd.grad(last[-1].sum(), wanted, allow_unused=True, retain_graph=True)  # g_out is None
        return [*found, *minigrad.autograd.grad((out.transpose(0, 2) ** 2).sum(), wanted)]

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("name", LAYERS)
def test_sequences_of_several_lengths(name, dtype):
    def program(dtype):
        layer = made(name, dtype, num_layers=2, bidirectional=True)
        x = numbers((5, 3, 3), dtype, seed=9).requires_grad_()
        packed = nn.utils.rnn.pack_padded_sequence(x, [5, 3, 1])
        states, state = state_of(name, (4, 3, 20), dtype)
        out, last = layer(packed, state)
        last = [*last] if name == "LSTM" else [last]
        total = (out.data**2).sum() + sum((t**3).sum() for t in last)
        return [out.data, *last, *minigrad.autograd.grad(total, [x, *states, *layer.parameters()])]

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
def test_projections_and_second_derivatives():
    def program(dtype):
        layer, x = made("LSTM", dtype, proj_size=4), numbers((3, 2, 3), dtype).requires_grad_()
        out = layer(x)[0]
        y = made("GRU", dtype)(x)[0]
        (back,) = minigrad.autograd.grad((y**2).sum(), x, create_graph=True)
        return [out, *minigrad.autograd.grad(out.sum(), x), back, *minigrad.autograd.grad((back**2).sum(), x)]

    assert_kernels_change_nothing(program, "float64")
