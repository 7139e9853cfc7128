"""`nn.utils`: clipped gradients, parameters as one vector, batch norms folded into the layer before."""

from __future__ import annotations

from functools import partial
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


@pytest.mark.parametrize("bound", [0.5, 0, 1, -1, inf, nan, "0.5", "x"])
def test_clip_grad_value(bound):
    def program(T):
        ps = with_gradients(T, [3.0, -4.0, 0.5, nan, inf], None)
        return attempt(lambda: T.nn.utils.clip_grad_value_(ps, bound)), [p.grad for p in ps]

    same(program)


MIXTURES = {
    "float32": ["float32"] * 3,
    "float64": ["float64"] * 3,
    "halves": ["float16"] * 3,
    "all": ["float32", "float64", "float16"],
}


@pytest.mark.parametrize("norm_type", [2, 1, 0, inf, -inf, -1, 3, 0.5, "inf"])
@pytest.mark.parametrize("dtypes", MIXTURES)
def test_norms_and_rounding_of_several_dtypes(dtypes, norm_type):
    """Halves too to the last bit; the factor is a reciprocal times `max_norm`, as torch rounds it."""

    def program(T):
        results = []
        for max_norm in (1.0, 0.01, 0.3, -1, nan, "1"):
            T.manual_seed(0)
            ps = [T.nn.Parameter(T.zeros(3, i + 1, dtype=getattr(T, d))) for i, d in enumerate(MIXTURES[dtypes])]
            for p in ps:
                p.grad = (T.randn(p.shape) * 5).to(p.dtype)
            results.append(
                (attempt(partial(T.nn.utils.clip_grad_norm_, ps, max_norm, norm_type)), [p.grad for p in ps])
            )
        return results

    same(program, rtol=3e-7 if dtypes != "float64" else 1e-15)


@pytest.mark.parametrize("norm_type", [2.0, inf, 0, 1])
@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_norms_that_are_not_finite(value, norm_type):
    def program(T):
        ps = with_gradients(T, [value, 1.0], [2.0])
        clip = [attempt(lambda e=e: T.nn.utils.clip_grad_norm_(ps, 1.0, norm_type, e)) for e in (True, False)]
        return clip, [p.grad for p in ps]

    same(program)


def test_what_can_be_clipped():
    """One number, a parameter twice, nothing, a generator used up; not integers, not numbers."""

    def program(T):
        U, results = T.nn.utils, []
        (scalar,) = with_gradients(T, [0.0])
        scalar.data, scalar.grad = T.tensor(2.0), None
        for ps, norm_type in (([scalar], 2), ([scalar], inf), ([scalar, scalar], 1)):
            scalar.grad = T.tensor(-3.0)
            results.append((U.clip_grad_norm_(ps, 1, norm_type), scalar.grad))
        (p,) = with_gradients(T, None)
        used = iter([p])
        next(used)
        for given in (p, [p], [], used, (q for q in []), 3, [3], {"a": p}.items()):
            results.append(attempt(lambda g=given: U.clip_grad_norm_(g, 0.1)))
        results.append(attempt(lambda: U.get_total_norm([T.ones(2, dtype=T.int64)])))
        results.append(U.get_total_norm([T.ones(2), T.ones(2, dtype=T.float64)]))
        return results, U.get_total_norm(x for x in [T.ones(3)]), U.clip_grad_norm_([scalar], T.tensor(0.5))

    same(program)


def test_gradients_with_a_history():
    def program(T):
        (p,) = with_gradients(T, None)
        ((p + 1) ** 2).sum().backward(create_graph=True)
        with T.no_grad():
            total = T.nn.utils.clip_grad_norm_([p], 1)
        return total, p.grad.detach(), p.grad.requires_grad

    same(program)


def test_layouts_of_convolutions():
    def program(T):
        U = T.nn.utils
        model = T.nn.Sequential(
            T.nn.Conv2d(3, 4, 2), T.nn.ConvTranspose2d(4, 2, 2), T.nn.Conv3d(2, 2, 2), T.nn.Linear(2, 2)
        )
        weight, seen = model[0].weight, []
        for convert, layout, part in (
            (U.convert_conv2d_weight_memory_format, T.channels_last, model),
            (U.convert_conv3d_weight_memory_format, T.channels_last_3d, T.nn.ModuleList([model])),
            (U.convert_conv2d_weight_memory_format, T.contiguous_format, model[0]),
        ):
            seen.append((convert(part, layout) is part, [p.stride() for p in model.parameters()]))
        wrong = [T.channels_last_3d, 3]
        seen.append([attempt(lambda w=w: U.convert_conv2d_weight_memory_format(model, w)) for w in wrong])
        return seen, model[0].weight is weight, weight.requires_grad

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
        return vector, grads, list(net.parameters()), net(T.ones(1, 2)), refused

    same(program)


def test_vectors_of_other_lengths_and_dtypes():
    def program(T):
        U, net, seen = T.nn.utils, T.nn.Linear(2, 3), []
        for vector in (T.arange(9.0), T.arange(12.0), T.arange(5.0), T.arange(9.0, dtype=T.float64), T.arange(9)):
            seen.append(attempt(lambda v=vector: U.vector_to_parameters(v, net.parameters())))
            vector.fill_(7)  # the parameters lie on its memory
            seen += [p.detach().clone() for p in net.parameters()]
        return seen, [attempt(lambda p=p: U.parameters_to_vector(p)) for p in ([], [T.ones(2), T.ones(1).double()])]

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
