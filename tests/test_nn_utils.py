"""`nn.utils`: clipped gradients, parameters as one vector, batch norms folded into the layer before."""

from __future__ import annotations

from math import inf, nan

import pytest

import minigrad
from reference import strict_cupy
from tests.lockstep import attempt, same


def with_gradients(T, *values):
    """Parameters with gradients of these values; None for none."""
    parameters = []
    for value in values:
        p = T.nn.Parameter(T.zeros(3) if value is None else T.zeros(len(value)))
        p.grad = None if value is None else T.tensor(value)
        parameters.append(p)
    return parameters


@pytest.mark.parametrize("norm_type", [2, 1, 2.0, 3, inf, 0.5])
@pytest.mark.parametrize("max_norm", [1.0, 100, 0])
def test_clip_grad_norm(max_norm, norm_type):
    def program(T):
        ps = with_gradients(T, [3.0, -4.0], None, [12.0])
        held = ps[0].grad
        total = T.nn.utils.clip_grad_norm_(ps, max_norm, norm_type)
        return total, [p.grad for p in ps], held, held._version > 0

    same(program)


def test_of_one_tensor_of_none_and_of_a_generator():
    def program(T):
        (p,) = with_gradients(T, [3.0, 4.0])
        clip = T.nn.utils.clip_grad_norm_
        return clip(p, 1.0), p.grad, clip([], 1.0), clip((q for q in [p]), 0.5), p.grad, clip(iter(()), 1.0)

    same(program)


@pytest.mark.parametrize("value", [nan, inf])
def test_a_norm_that_is_not_finite(value):
    def program(T):
        def clip(**how):
            ps = with_gradients(T, [value, 1.0])
            return T.nn.utils.clip_grad_norm_(ps, 1.0, **how), ps[0].grad

        return attempt(lambda: clip(error_if_nonfinite=True)), clip()

    same(program)


@pytest.mark.parametrize("norm_type", [2, 1.0, "inf", 0])
def test_norm_and_clipping_apart(norm_type):
    def program(T):
        U, ps = T.nn.utils, with_gradients(T, [3.0, -4.0], None, [12.0])
        total = U.get_total_norm([p.grad for p in ps if p.grad is not None], norm_type)
        returned = U.clip_grads_with_norm_(ps, 6, total), U.clip_grads_with_norm_(ps[0], 1e9, total)
        none = U.get_total_norm([]), U.clip_grads_with_norm_([], 1.0, total)
        old = U.clip_grad_norm(ps, 0.5)
        nans = attempt(lambda: U.get_total_norm(T.tensor([nan]), error_if_nonfinite=True))
        return total, returned, none, [p.grad for p in ps], old, U.get_total_norm(ps[0]), nans

    same(program)


def test_clip_grad_value():
    def program(T):
        ps = with_gradients(T, [3.0, -4.0, 0.5], None)
        return T.nn.utils.clip_grad_value_(ps, 1), [p.grad for p in ps]

    same(program)


def test_parameters_as_a_vector_and_back():
    def program(T):
        T.manual_seed(0)
        net = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Linear(3, 1))
        vector = T.nn.utils.parameters_to_vector(net.parameters())
        vector.sum().backward()
        grads = [p.grad for p in net.parameters()]
        T.nn.utils.vector_to_parameters(vector.detach() * 2, net.parameters())
        refused = attempt(lambda: T.nn.utils.vector_to_parameters([1.0], net.parameters()))
        refused.text = refused.text.split(":")[0]
        return vector, grads, list(net.parameters()), net(T.ones(1, 2)), refused

    same(program)


@pytest.mark.parametrize("norm_type", [2, 1, inf, 3])
def test_gradients_on_the_gpu_stand_in(norm_type):
    def clipped(device):
        ps = [p.to(device) for p in with_gradients(minigrad, [3.0, -4.0], [12.0])]
        for p, value in zip(ps, ([3.0, -4.0], [12.0]), strict=True):
            p.grad = minigrad.tensor(value, device=device)
        total = minigrad.nn.utils.clip_grad_norm_(ps, 1.0, norm_type)
        minigrad.nn.utils.clip_grad_value_(ps, 0.5)
        return [t.cpu().tolist() for t in [total, *(p.grad for p in ps)]]

    with strict_cupy.install():
        assert clipped("cuda") == clipped("cpu")


# -- fusion ------------------------------------------------------------------------------------------------------------

LAYERS = {
    "conv": lambda T: (T.nn.Conv2d(2, 4, 2), T.nn.BatchNorm2d(4), T.randn(3, 2, 4, 4)),
    "conv without bias": lambda T: (T.nn.Conv1d(2, 4, 2, bias=False), T.nn.BatchNorm1d(4, eps=0.1), T.randn(3, 2, 4)),
    "groups": lambda T: (T.nn.Conv2d(4, 4, 2, groups=2), T.nn.BatchNorm2d(4, affine=False), T.randn(3, 4, 4, 4)),
    "transposed": lambda T: (T.nn.ConvTranspose2d(2, 4, 2), T.nn.BatchNorm2d(4), T.randn(3, 2, 4, 4)),
    "linear": lambda T: (T.nn.Linear(2, 4), T.nn.BatchNorm1d(4), T.randn(3, 2)),
    "linear without bias": lambda T: (T.nn.Linear(2, 4, bias=False), T.nn.BatchNorm1d(4), T.randn(3, 2)),
}


def fused(T, layer, bn):
    if isinstance(layer, T.nn.Linear):
        return T.nn.utils.fuse_linear_bn_eval(layer, bn)
    return T.nn.utils.fuse_conv_bn_eval(layer, bn, transpose="Transpose" in type(layer).__name__)


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_norm_folded_into_the_layer_before(name):
    def program(T):
        T.manual_seed(0)
        layer, bn, x = LAYERS[name](T)
        for p in bn.parameters():
            T.nn.init.normal_(p)
        layer.weight.requires_grad_(False)
        bn(layer(x))
        one = fused(T, layer.eval(), bn.eval())
        difference = (one(x) - bn(layer(x))).abs().max() < 1e-5
        return one.weight, one.bias, one.weight is layer.weight, difference, one.training

    assert same(program, rtol=1e-5)[-2]


def test_what_cannot_be_fused():
    def program(T):
        conv, linear, bn = T.nn.Conv2d(2, 4, 2).eval(), T.nn.Linear(2, 4).eval(), T.nn.BatchNorm2d(4).eval()
        bare, other = T.nn.BatchNorm2d(4, track_running_stats=False).eval(), T.nn.BatchNorm1d(3).eval()
        pairs = [(conv, T.nn.BatchNorm2d(4)), (T.nn.Conv2d(2, 4, 2), bn), (conv, bare), (linear, other), (linear, bare)]
        return [attempt(lambda layer=layer, bn=bn: fused(T, layer, bn)) for layer, bn in pairs]

    same(program)


def test_skip_init():
    def program(T):
        T.manual_seed(0)
        layer = T.nn.utils.skip_init(T.nn.Linear, 2, out_features=3, dtype=T.float64)
        refused = [attempt(lambda c=c: T.nn.utils.skip_init(c)) for c in (int, T.nn.ReLU)]
        return repr(layer), layer.weight.shape, layer.bias.dtype is T.float64, refused, T.rand(1)

    same(program)
