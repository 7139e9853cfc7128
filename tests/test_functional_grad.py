"""`autograd.functional`: Jacobians, Hessians and their products with vectors, on both engines."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from tests.lockstep import attempt, same

TIGHT = 1e-12  # everything here is float64


@pytest.fixture(scope="module", autouse=True)
def forward_mode_loaded():
    """torch's forward mode warns when it is first used, of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jacfwd(torch.sin)(torch.ones(2))


def point(T, *values, requires_grad=False):
    return T.tensor(values, dtype=T.float64, requires_grad=requires_grad)


# Functions by what they take and return. Each is given the module too.
UNARY = {
    "elementwise": lambda T, x: x.exp() * x,
    "matrix": lambda T, x: x[:, None] * x.sin(),
    "number": lambda T, x: (x**3).sum(),
    "one element": lambda T, x: (x**3).sum().reshape(1, 1),
    "linear": lambda T, x: 2 * x,
    "linear number": lambda T, x: (2 * x).sum(),
    "itself": lambda T, x: x,
    "constant": lambda T, x: T.ones(2, dtype=T.float64),
    "tuple": lambda T, x: (x * x.sum(), x.prod()),
    "tuple, part constant": lambda T, x: (x * x, T.ones(2, dtype=T.float64)),
    "tuple of one": lambda T, x: (x * x,),
    "list": lambda T, x: [x * x],
    "no tensor": lambda T, x: 3.0,
    "tuple, part no tensor": lambda T, x: (x, "two"),
}
BINARY = {
    "product": lambda T, x, y: x * y.sum(),
    "number": lambda T, x, y: (x * x).sum() * y.prod(),
    "sum of numbers": lambda T, x, y: (x**3).sum() + (y**3).sum(),
    "second unused": lambda T, x, y: (x**3).sum(),
    "second linear": lambda T, x, y: (x**3).sum() + y.sum(),
    "tuple": lambda T, x, y: (x * y.sum(), y * y, (x.sum() * y).reshape(1, 2)),
    "tuple, apart": lambda T, x, y: (x * x, y * y),
}
FLAGS = [{"create_graph": g, "strict": s} for g in (False, True) for s in (False, True)]


@pytest.mark.parametrize("flags", FLAGS, ids=str)
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("function", ["jacobian", "hessian"])
def test_matrices_of_one_input(function, name, requires_grad, flags):
    same(
        lambda T: getattr(T.autograd.functional, function)(
            lambda x: UNARY[name](T, x), point(T, 0.5, -1.5, requires_grad=requires_grad), **flags
        ),
        TIGHT,
    )


@pytest.mark.parametrize("flags", FLAGS, ids=str)
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("function", ["jacobian", "hessian"])
def test_matrices_of_two_inputs(function, name, flags):
    def program(T):
        inputs = (point(T, 0.5, -1.5, requires_grad=True), point(T, 2.0, 0.25))
        return getattr(T.autograd.functional, function)(lambda x, y: BINARY[name](T, x, y), inputs, **flags)

    same(program, TIGHT)


def vector_like(T, values):
    """A direction of the form of `values`, some way from it."""
    if isinstance(values, tuple):
        return tuple(vector_like(T, v) for v in values)
    return (values.detach() * 0 + 0.7).cumsum(0) if values.dim() else T.tensor(0.7, dtype=T.float64)


@pytest.mark.parametrize("flags", FLAGS, ids=str)
@pytest.mark.parametrize("name", [*UNARY, *("2 " + n for n in BINARY)])
@pytest.mark.parametrize("function", ["vjp", "jvp", "vhp", "hvp"])
def test_products(function, name, flags):
    def program(T):
        x = point(T, 0.5, -1.5, requires_grad=True)
        f = UNARY.get(name) or BINARY[name[2:]]
        inputs = x if name in UNARY else (x, point(T, 2.0, 0.25))
        outputs = attempt(lambda: f(T, *(inputs if isinstance(inputs, tuple) else (inputs,))))
        tensors = outputs if isinstance(outputs, tuple) else (outputs,)
        v = inputs
        if function == "vjp" and all(isinstance(t, T.Tensor) for t in tensors):
            v = outputs
        return getattr(T.autograd.functional, function)(lambda *xs: f(T, *xs), inputs, vector_like(T, v), **flags)

    same(program, TIGHT)


@pytest.mark.parametrize("function", ["vjp", "jvp", "vhp", "hvp"])
def test_the_vector_may_be_left_out_for_one_number(function):
    def program(T):
        F = getattr(T.autograd.functional, function)
        one, two = point(T, 2.0), point(T, 2.0, 3.0)
        return [
            F(lambda x: (x**3).sum(), one),
            attempt(lambda: F(lambda x: x**3, two)),
            attempt(lambda: F(lambda x: (x**3).sum(), two)),
            attempt(lambda: F(lambda x, y: (x * y).sum(), (one, one))),
        ]

    same(program, TIGHT)


@pytest.mark.parametrize("function", ["vjp", "jvp", "vhp", "hvp"])
def test_vectors_that_do_not_fit(function):
    def program(T):
        F = getattr(T.autograd.functional, function)
        one, two, three = point(T, 2.0), point(T, 2.0, 3.0), point(T, 1.0, 2.0, 3.0)

        def number(*xs):
            return sum((x * x).sum() for x in xs)

        return [
            attempt(lambda: F(number, two, three)),
            attempt(lambda: F(number, two, (two, two))),
            attempt(lambda: F(number, (two, one), two)),
            attempt(lambda: F(number, (two, one), (two, three))),
            attempt(lambda: F(number, two, 3.0)),
            attempt(lambda: F(number, [two], two)),
            attempt(lambda: F(number, (two, 1.0), two)),
            attempt(lambda: F(lambda *xs: (xs[0], xs[0]), two, (two, three))),
        ]

    same(program)


@pytest.mark.parametrize("function", ["jacobian", "hessian"])
def test_vectorize_and_strategy(function):
    def program(T):
        F, key = getattr(T.autograd.functional, function), "strategy"
        key = key if function == "jacobian" else "outer_jacobian_strategy"
        x = point(T, 0.5, -1.5)

        def f(x):
            return (x**3).sum()

        return [
            F(f, x, vectorize=True),
            F(f, x, vectorize=True, **{key: "forward-mode"}).detach(),
            attempt(lambda: F(f, x, vectorize=True, strict=True)),
            attempt(lambda: F(f, x, **{key: "forward-mode"})),
            attempt(lambda: F(f, x, create_graph=True, **{key: "forward-mode"})),
            attempt(lambda: F(f, x, strict=True, **{key: "forward-mode"})),
            attempt(lambda: F(f, x, **{key: "sideways"})),
            attempt(lambda: F(lambda x: x[:0], x)),
        ]

    same(program, TIGHT)


@pytest.mark.parametrize("function", ["jacobian", "hessian", "vjp", "jvp", "vhp", "hvp"])
def test_results_with_a_graph_are_differentiated_further(function):
    def program(T):
        x, y = point(T, 0.5, -1.5, requires_grad=True), point(T, 2.0, 0.25, requires_grad=True)
        v = (point(T, 0.3, 0.9, requires_grad=True), point(T, -1.0, 0.4))
        v = T.tensor(0.7, dtype=T.float64, requires_grad=True) if function == "vjp" else v
        w = point(T, 3.0, 4.0, requires_grad=True)
        given = () if function in ("jacobian", "hessian") else (v,)
        F = getattr(T.autograd.functional, function)
        result = F(lambda x, y: (w * x.sin() * y.exp()).sum() ** 2, (x, y), *given, create_graph=True)
        flat = [result]
        while any(isinstance(r, tuple) for r in flat):
            flat = [t for r in flat for t in (r if isinstance(r, tuple) else (r,))]
        wanted = [x, y, w] + ([v[0] if isinstance(v, tuple) else v] if given else [])
        return T.autograd.grad(sum((t * t).sum() for t in flat), wanted), [t.grad for t in wanted]

    same(program, 1e-11)


def test_the_same_tensor_as_a_global_is_a_constant():
    def program(T):
        x = point(T, 0.5, -1.5, requires_grad=True)
        J = T.autograd.functional.jacobian(lambda y: x * y, x)
        G = T.autograd.functional.jacobian(lambda y: x * y, x, create_graph=True)
        return J, G, x.grad, x.requires_grad

    same(program)


def test_no_grad_outside_does_not_matter():
    def program(T):
        x = point(T, 0.5, -1.5, requires_grad=True)
        F = T.autograd.functional
        with T.no_grad():
            return [
                F.jacobian(lambda x: x**2, x),
                F.jacobian(lambda x: x**2, x, create_graph=True),
                F.hessian(lambda x: (x**3).sum(), x),
                F.hessian(lambda x: (x**3).sum(), x, create_graph=True),
                F.jvp(lambda x: x**2, x, x),
                F.vjp(lambda x: x**2, x, x, create_graph=True),
                F.hvp(lambda x: (x**3).sum(), x, x),
                F.vhp(lambda x: (x**3).sum(), x, x),
                T.is_grad_enabled(),
            ]

    same(program)


# -- properties --------------------------------------------------------------------------------------------------------

STEPS = {
    "sin": lambda x: x.sin(),
    "tanh": lambda x: x.tanh(),
    "square": lambda x: x * x / 2,
    "softmax": lambda x: x.softmax(0),
    "cumsum": lambda x: x.cumsum(0),
    "flip": lambda x: x.flip(0) * x / 2,
    "outer": lambda x: (x[:, None] * x[None, :]).mean(1) / 2,
    "mean": lambda x: x / (1 + (x * x).mean()),
    "part": lambda x: x[1:].sin().sum() * x,
    "norm": lambda x: x / (x * x + 1).sqrt().sum(),
}
compositions = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4)
vectors = st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3)


def composed(names):
    def f(x):
        for name in names:
            x = STEPS[name](x)
        return x

    return f


@given(compositions, vectors)
def test_jacobians_of_random_functions_are_torchs(names, values):
    same(lambda T: T.autograd.functional.jacobian(composed(names), point(T, *values)), 1e-9)


@given(compositions, vectors, vectors)
def test_products_are_those_with_the_jacobian(names, values, direction):
    F, f = minigrad.autograd.functional, composed(names)
    x, v = point(minigrad, *values), point(minigrad, *direction)
    J = F.jacobian(f, x)
    np.testing.assert_allclose(F.jvp(f, x, v)[1].numpy(), (J @ v).numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(F.vjp(f, x, v)[1].numpy(), (v @ J).numpy(), rtol=1e-9, atol=1e-9)


@settings(max_examples=50)
@given(compositions, vectors, vectors)
def test_hessians_are_symmetric_and_torchs(names, values, direction):
    def number(x):
        return composed(names)(x).sum()

    F, x, v = minigrad.autograd.functional, point(minigrad, *values), point(minigrad, *direction)
    H = F.hessian(number, x).numpy()
    np.testing.assert_allclose(H, H.T, rtol=1e-9, atol=1e-9)
    theirs = torch.autograd.functional.hessian(number, point(torch, *values)).numpy()
    np.testing.assert_allclose(H, theirs, rtol=1e-8, atol=1e-8)
    for product in (F.hvp, F.vhp):
        np.testing.assert_allclose(product(number, x, v)[1].numpy(), H @ v.numpy(), rtol=1e-8, atol=1e-8)
