"""AdaptiveLogSoftmaxWithLoss, CrossMapLRN2d, gumbel_softmax and rrelu_, as torch has them."""

from __future__ import annotations

import pytest

import minigrad
from reference import strict_cupy
from tests.lockstep import attempt, same


@pytest.mark.parametrize("targets", [[1, 0, 9, 4, 2, 9], [9, 8], [0, 1], [3], 7, 0], ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_adaptive_log_softmax(targets, bias):
    def program(T):
        T.manual_seed(0)
        layer = T.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2, 4, 8], div_value=2.0, head_bias=bias)
        target = T.tensor(targets)
        x = T.randn(*target.shape, 8, requires_grad=True)
        result = layer(x, target)
        (result.loss + result.output.exp().sum()).backward()
        gradients = [p.grad for p in layer.parameters()]
        rows = x.detach() if target.dim() else x.detach().unsqueeze(0)
        probable = layer.log_prob(rows), layer.predict(rows), layer.predict(T.randn(40, 8) * 5)
        layer.reset_parameters()
        names = type(result).__name__, type(result)._fields, repr(layer)
        return result, x.grad, gradients, probable, names, layer.head.weight, layer.tail[1][0].weight

    same(program, rtol=1e-5)


def test_log_probabilities_add_up_and_hold_those_of_the_targets():
    minigrad.manual_seed(0)
    layer = minigrad.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2, 5], 2.0, dtype=minigrad.float64)
    x = minigrad.randn(10, 8, dtype=minigrad.float64)
    every = layer.log_prob(x)
    minigrad.testing.assert_close(every.exp().sum(1), minigrad.ones(10, dtype=minigrad.float64))
    minigrad.testing.assert_close(layer(x, minigrad.arange(10)).output, every.diagonal())
    assert layer.predict(x).equal(every.argmax(1))


def test_what_adaptive_log_softmax_refuses():
    def program(T):
        make = T.nn.AdaptiveLogSoftmaxWithLoss
        layer, x = make(4, 10, [2, 5], div_value=2.0), T.ones(3, 4)
        calls = [
            lambda: layer(x, T.tensor([1, 2, 10])),
            lambda: layer(x, T.tensor([1, -1, 2])),
            lambda: layer(x, T.tensor([1, 2])),
            lambda: layer(x, T.tensor(1)),
            lambda: layer(x.unsqueeze(2), T.tensor([1, 2, 3])),
            lambda: layer(x, T.tensor([[1, 2, 3]])),
        ]
        settings = [[], [5, 3], [3, 3], [0, 3], [10], [2.5]]
        return [attempt(call) for call in calls], [attempt(lambda c=c: make(4, 10, c)) for c in settings]

    same(program)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_cross_map_norm(size, channels):
    def program(T):
        T.manual_seed(0)
        layer = T.nn.CrossMapLRN2d(size, alpha=0.3, beta=0.6, k=1.5)
        x = T.randn(2, channels, 2, 3, dtype=T.float64, requires_grad=True)
        out = layer(x)
        end = attempt(lambda: (out**2).sum().backward())  # torch cannot where the size is 1
        return out, end, x.grad, repr(layer), repr(T.nn.CrossMapLRN2d(3)), attempt(lambda: layer(x[0]))

    same(program, rtol=1e-9)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dim", [-1, 0])
def test_gumbel_softmax(hard, dim):
    def program(T):
        T.manual_seed(0)
        x = T.randn(3, 4).T.requires_grad_()
        out = T.nn.functional.gumbel_softmax(x, tau=0.7, hard=hard, dim=dim)
        (out * T.arange(12).reshape(4, 3)).sum().backward()
        zero_dim = T.nn.functional.gumbel_softmax(T.tensor(1.0), hard=hard)
        return out, x.grad, T.nn.functional.gumbel_softmax(x.detach(), 2.0, eps=0.1), zero_dim

    same(program, rtol=1e-5)


def test_what_gumbel_softmax_refuses():
    def program(T):
        F = T.nn.functional
        return attempt(lambda: F.gumbel_softmax(T.zeros(2, 3), dim=2)), attempt(lambda: F.gumbel_softmax(T.tensor([1])))

    same(program)


@pytest.mark.parametrize("training", [False, True])
def test_rrelu_in_place(training):
    def program(T):
        T.manual_seed(0)
        F, x = T.nn.functional, T.tensor([1.0, -1.0, 0.0, -2.0], requires_grad=True)
        y = x * 1
        held = F.rrelu_(y, 0.25, 0.5, training) is y
        y.sum().backward()
        refused = [attempt(lambda: F.rrelu_(x)), attempt(lambda: F.rrelu_(x * 1, 0.5, 0.1))]
        return held, y, x.grad, refused, F.rrelu_(T.tensor([-1.0]), training=training)

    same(program)


def test_on_the_gpu_stand_in():
    def computed(device):
        minigrad.manual_seed(0)
        layer = minigrad.nn.AdaptiveLogSoftmaxWithLoss(4, 8, [2, 5], 2.0).to(device)
        x = minigrad.randn(3, 4).to(device)
        output, loss = layer(x, minigrad.tensor([1, 7, 3], device=device))
        image = minigrad.randn(1, 4, 2, 2).to(device).requires_grad_()
        norm = minigrad.nn.CrossMapLRN2d(3)(image)
        (loss + norm.sum()).backward()
        return [t.cpu() for t in (output, layer.predict(x), norm, image.grad, layer.head.weight.grad)]

    with strict_cupy.install():
        minigrad.testing.assert_close(computed("cuda"), computed("cpu"))  # float32 sums in another order
