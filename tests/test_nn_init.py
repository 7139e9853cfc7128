"""`nn.init`: torch's values under a seed, and its errors."""

from __future__ import annotations

import math

import pytest

import minigrad
from reference import strict_cupy
from reference.case import torch_at_least
from tests.lockstep import attempt, same

MATRICES = {
    "uniform_": lambda I, t: I.uniform_(t, -0.3, 0.7),
    "normal_": lambda I, t: I.normal_(t, 1, 0.5),
    "trunc_normal_": lambda I, t: I.trunc_normal_(t, 0.5, 2, -1, 1.5),
    "trunc_normal_ of a tail": lambda I, t: I.trunc_normal_(t, 0, 1, 1, 3),
    "constant_": lambda I, t: I.constant_(t, 0.3),
    "ones_": lambda I, t: I.ones_(t),
    "zeros_": lambda I, t: I.zeros_(t),
    "xavier_uniform_": lambda I, t: I.xavier_uniform_(t, gain=1.5),
    "xavier_normal_": lambda I, t: I.xavier_normal_(t),
    "kaiming_uniform_": lambda I, t: I.kaiming_uniform_(t, a=math.sqrt(5)),
    "kaiming_uniform_ fan_out": lambda I, t: I.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"),
    "kaiming_normal_": lambda I, t: I.kaiming_normal_(t, 0.2, nonlinearity="leaky_relu"),
    "orthogonal_": lambda I, t: I.orthogonal_(t, gain=2),
}


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (3, 4, 2, 2)])
@pytest.mark.parametrize("name", MATRICES)
def test_values_under_a_seed(name, shape):
    """Written into the tensor itself, which is returned, wants its gradient still, and has no history."""

    def program(T):
        T.manual_seed(3)
        t = T.nn.Parameter(T.zeros(shape))
        assert MATRICES[name](T.nn.init, t) is t
        return t, t.is_leaf, T.rand(1)

    if name.startswith("trunc_normal_") and not torch_at_least("2.13"):
        pytest.skip("older ones draw by the inverse function")
    same(program, rtol=1e-5 if name == "orthogonal_" else 1e-7)


def test_only_some_shapes():
    def program(T):
        T.manual_seed(0)
        init = T.nn.init
        return [
            init.eye_(T.empty(3, 5)),
            init.dirac_(T.empty(6, 3, 3, 3), groups=2),
            init.dirac_(T.empty(2, 4, 5)),
            init.sparse_(T.empty(6, 4), sparsity=0.3),
            [attempt(lambda f=f: f(T.empty(3))) for f in (init.eye_, init.dirac_, init.orthogonal_)],
            attempt(lambda: init.sparse_(T.empty(3), 0.1)),
            attempt(lambda: init.dirac_(T.empty(5, 4, 5), groups=2)),
            attempt(lambda: init.xavier_uniform_(T.empty(3))),
            attempt(lambda: init.kaiming_uniform_(T.empty(3, 2), mode="fan")),
            attempt(lambda: init.kaiming_normal_(T.empty(3, 2), nonlinearity="square")),
        ]

    same(program)


def test_gains():
    def program(T):
        gain = T.nn.init.calculate_gain
        names = ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
        return [gain(n) for n in names] + [
            gain("leaky_relu", 0.2),
            attempt(lambda: gain("nonsense")),
            attempt(lambda: gain("leaky_relu", "x")),
        ]

    same(program)


def test_of_nothing_warns():
    def program(T):
        return T.nn.init.kaiming_uniform_(T.empty(0, 3)), T.nn.init.trunc_normal_(T.empty(2), mean=9.0)

    T_values = same(lambda T: program(T)[0])
    assert T_values.shape == (0, 3)
    with pytest.warns(UserWarning, match="more than 2 std"):
        minigrad.nn.init.trunc_normal_(minigrad.empty(2), mean=9.0)


def test_a_generator_of_ones_own():
    def program(T):
        generator = T.Generator().manual_seed(5)
        T.manual_seed(1)
        filled = [
            T.nn.init.uniform_(T.empty(3), generator=generator),
            T.nn.init.normal_(T.empty(3), generator=generator),
        ]
        return filled, T.rand(1)

    same(program)


def test_in_place_draws_are_counted_and_refused_on_leaves():
    def program(T):
        t = T.zeros(3)
        t.uniform_()
        leaf = T.zeros(3, requires_grad=True)
        return t._version, attempt(lambda: leaf.uniform_()), attempt(lambda: T.nn.init.ones_(leaf).requires_grad)

    same(program)


@pytest.mark.parametrize("name", [n for n in MATRICES if n != "orthogonal_"])
def test_the_gpu_stand_in_gets_the_cpus_values(name):
    def filled(device):
        minigrad.manual_seed(3)
        t = minigrad.zeros(5, 7, device=device)
        return MATRICES[name](minigrad.nn.init, t).cpu().tolist()

    with strict_cupy.install():
        assert filled("cuda") == filled("cpu")
