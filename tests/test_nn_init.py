"""`nn.init`: torch's values under a seed, and its errors."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import minigrad
from reference import strict_cupy
from reference.case import torch_at_least
from tests.gpu import drawn_as_on_the_gpu
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


# -- every function, to the bit ----------------------------------------------------------------------------------------

SHAPES = [(5, 7), (7, 5), (6, 6), (1, 3), (2, 3, 2), (3, 4, 2, 2), (17, 33)]
FIXED = ("constant_", "ones_", "zeros_", "eye_", "dirac_")  # those that draw nothing


def filled(name, *args, shapes=SHAPES, dtype="float32", **options):
    """Tensors of several shapes filled from the default generator and from another one, and what both give next."""

    def program(T):
        T.manual_seed(7)
        own, results = T.Generator().manual_seed(3), []
        for shape in shapes:
            for generator in (None,) if name in FIXED else (None, own):
                t = T.zeros(shape, dtype=getattr(T, dtype)).requires_grad_()
                given = options if generator is None else {**options, "generator": generator}
                results.append(attempt(functools.partial(getattr(T.nn.init, name), t, *args, **given)))
                results.append(results[-1] is t)
        return results, T.rand(2), T.rand(2, generator=own)

    return program


EXACT = [
    ("uniform_",), ("uniform_", -1, 2), ("uniform_", 2, -1), ("normal_",), ("normal_", 1, 2), ("normal_", 0, 0),
    ("normal_", 0, -1), ("constant_", 2.5), ("ones_",), ("zeros_",), ("xavier_uniform_",), ("xavier_uniform_", 0.3),
    ("xavier_normal_", 2), ("eye_",), ("dirac_",), ("dirac_", 2), ("trunc_normal_",), ("trunc_normal_", 0, 1, -1, 1),
    ("trunc_normal_", 0.5, 0.02), ("trunc_normal_", 0, 1, 1, 3), ("trunc_normal_", 0, 1, 2, 3),
    ("trunc_normal_", 1, 2, -3, 0.5), ("trunc_normal_", 0, 1, -5, -3), ("trunc_normal_", 5, 1, -2, 2),
    *((f"kaiming_{kind}_", *more) for kind in ("uniform", "normal") for more in
      ((), (0.3,), (-1, "fan_out"), (math.sqrt(5), "FAN_IN"), (0, "fan_out", "relu"), (0, "fan_in", "tanh"),
       (0, "fan_in", "selu"), (0, "fan", "relu"), (0, "fan_in", "square"), (0, "fan", "square"), ("x",), (True,))),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", EXACT, ids=str)
def test_values_to_the_bit(case, dtype):
    if case[0] == "trunc_normal_" and not torch_at_least("2.13"):
        pytest.skip("older ones draw by the inverse function")
    same(filled(*case, dtype=dtype), rtol=0)


@pytest.mark.parametrize("gain", [1, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_orthogonal_to_rounding(dtype, gain):
    """Two LAPACKs decompose the same normal numbers. torch has no decomposition of halves."""
    shapes = [*SHAPES, (3, 1), (4, 2, 1, 2, 3)]
    same(filled("orthogonal_", gain, dtype=dtype, shapes=shapes), rtol=1e-14 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("sparsity", [0, 0.1, 0.3, 0.5, 1, 1.5, -0.1])
def test_sparse(sparsity):
    shapes = [(6, 4), (4, 6), (1, 5), (5, 1), (0, 3), (3, 0), (3,)]
    same(filled("sparse_", sparsity, shapes=shapes), rtol=0)
    same(filled("sparse_", sparsity, 0.5, shapes=shapes, dtype="float64"), rtol=0)


@pytest.mark.parametrize("groups", [1, 2, 3, -1])
def test_dirac_in_groups(groups):
    shapes = [(6, 3, 3), (6, 1, 3, 3), (6, 4, 2, 2, 2), (3, 6, 2), (4, 2, 3, 4), (0, 2, 3), (2, 3), (2,) * 6]
    same(filled("dirac_", groups, shapes=shapes), rtol=0)


EVERY = [
    "uniform_",
    "normal_",
    "trunc_normal_",
    "ones_",
    "zeros_",
    "eye_",
    "dirac_",
    "xavier_uniform_",
    "xavier_normal_",
]


@pytest.mark.parametrize("name", [*EVERY, "kaiming_uniform_", "kaiming_normal_", "orthogonal_"])
def test_of_nothing_and_of_few_dimensions(name):
    same(filled(name, shapes=[(0, 3), (3, 0), (0,), (0, 0), (2, 0, 3), (), (3,)]), rtol=0)
    same(lambda T: attempt(lambda: getattr(T.nn.init, name)(T.zeros(3, 4, dtype=T.int64)).tolist()))


def test_parts_of_tensors():
    """Columns and transposes are filled where they lie."""

    def program(T):
        init, w, cube = T.nn.init, T.zeros(4, 6), T.zeros(3, 4, 2)
        T.manual_seed(1)
        init.normal_(w[:, :3])
        init.xavier_uniform_(w.t()[2:5])
        init.kaiming_normal_(cube.transpose(0, 1))
        init.sparse_(w.t()[:2], 0.5)
        init.uniform_(cube[1:2])
        version = w._version
        init.constant_(w[0], 5)
        init.trunc_normal_(cube[:, 1])
        return w, cube, w._version - version

    same(program, rtol=0)


def test_the_names_of_old():
    def program(T):
        init, results = T.nn.init, []
        cases = [("uniform", -1), ("normal", 1), ("constant", 3), ("eye",), ("xavier_uniform",), ("xavier_normal", 2)]
        for name, *args in [*cases, ("kaiming_uniform", 1), ("kaiming_normal",), ("sparse", 0.5), ("orthogonal",)]:
            T.manual_seed(0)
            results.append((getattr(init, name).__name__, getattr(init, name)(T.zeros(3, 3), *args)))
        return results, init.dirac(T.zeros(2, 2, 3)), attempt(lambda: init.eye(T.zeros(2)))

    same(program)


def test_fans():
    """Scripts' own layers ask for them by torch's private names."""

    def program(T):
        fans, fan = T.nn.init._calculate_fan_in_and_fan_out, T.nn.init._calculate_correct_fan
        tensors = [T.zeros(3, 5), T.zeros(3, 5, 2), T.zeros(2, 3, 4, 5), T.zeros(3), T.zeros(0, 2)]
        modes = ["fan_in", "fan_out", "FAN_OUT", "fan"]
        return [attempt(lambda t=t: fans(t)) for t in tensors], [attempt(lambda m=m: fan(tensors[2], m)) for m in modes]

    same(program)


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
        names = ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
        names += ["sigmoid", "tanh", "relu", "leaky_relu", "selu", "gelu", "silu", "identity", "ReLU", "", None]
        slopes = [0, 1, 0.2, -3, 1e3, True, None, "x", [1], T.tensor(0.1)]
        results = [attempt(lambda n=n: gain(n)) for n in names]
        results += [attempt(lambda p=p: gain("leaky_relu", p)) for p in slopes]
        return [*results, gain("relu", 5), gain("tanh", "x"), gain(nonlinearity="leaky_relu", param=0.5)]

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
def test_on_the_gpu_stand_in(name):
    """Drawn there, but computed as on the CPU."""

    def filled(device):
        minigrad.manual_seed(3)
        t = minigrad.zeros(5, 7, device=device)
        return MATRICES[name](minigrad.nn.init, t).cpu().numpy()

    with strict_cupy.install():
        on_gpu = filled("cuda")
    with drawn_as_on_the_gpu():
        np.testing.assert_allclose(on_gpu, filled("cpu"), rtol=1e-5, atol=1e-6)
