"""`func`: Jacobians, vmap and functional_call, on both engines."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given

import minigrad
from tests.lockstep import attempt, same
from tests.points import cube, points
from tests.test_functional_grad import TIGHT, composed, compositions, point, vectors


@pytest.fixture(scope="module", autouse=True)
def forward_mode_loaded():
    """torch's forward mode warns when it is first used, of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jacfwd(torch.sin)(torch.ones(2))


def batch(T, requires_grad=False):
    return T.arange(6, dtype=T.float64).reshape(2, 3).sin().requires_grad_(requires_grad)


# -- Jacobians ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_jacobians(name):
    def program(T):
        x, y, w = points(T)
        jac = getattr(T.func, name)
        f = lambda x, y: {"product": x * y.sum(), "rest": (y, x.sum())}
        return [
            jac(lambda x: x**2)(x),
            jac(lambda x: x[:, None] * x)(x),
            jac(cube)(x),
            jac(f)(x, y),
            jac(f, argnums=1)(x, y),
            jac(f, argnums=(1, 0))(x, y),
            T.func.jacrev(f, argnums=(-2,))(x, y),  # torch's jacfwd takes negative ones for constants
            jac(lambda p: (p["a"] ** 2, p["b"][0].sum()))({"a": x, "b": [y]}),
            jac(lambda p: p["a"] ** 2, argnums=(0,))({"a": x, "b": [y]}),
            jac(lambda x: (x**2, {"x": 2 * x}), has_aux=True)(x),
            jac(lambda x: w * 2)(x),
            jac(lambda x: x**2 * w)(x),
            jac(lambda x: x**2)(w),
            jac(jac(lambda x: x**3))(x),
            jac(lambda x: x * 2)(x[:0]),
            jac(lambda x: x.sum())(x[:0]),
            jac(lambda x: x[:0])(x),
            T.func.grad(lambda x: jac(lambda z: z**3)(x).sum())(x),
            T.autograd.grad(jac(lambda x: x**3 * w)(w).sum(), w),
            attempt(lambda: jac(cube, argnums=3)(x)),
            attempt(lambda: jac(lambda x: 3)(x)),
            attempt(lambda: jac(lambda x: x, has_aux=True)(x)),
            attempt(lambda: jac(cube)(T.tensor([1, 2]))),
        ]

    same(program, TIGHT)


def test_rows_at_once_do_not_matter():
    def program(T):
        x, _, _ = points(T)
        jac = functools.partial(T.func.jacrev, lambda x: x[:, None] * x)
        return [jac(chunk_size=1)(x), jac(chunk_size=3)(x), jac(chunk_size=99)(x), attempt(lambda: jac(chunk_size=0))]

    same(program, TIGHT)


def test_hessian():
    def program(T):
        x, y, w = points(T)
        hessian = T.func.hessian
        f = lambda x, y: (x**2 * y.exp()).sum()
        return [
            hessian(cube)(x),
            hessian(f)(x, y),
            hessian(f, argnums=1)(x, y),
            hessian(f, argnums=(0, 1))(x, y),
            hessian(lambda x: x**3)(x),
            hessian(lambda p: f(p["x"], p["y"]))({"x": x, "y": y}),
            hessian(cube)(w),
            hessian(lambda x: (x**2 * w).sum())(x),
            hessian(lambda x: (x * 2).sum())(x),
            T.func.jacfwd(T.func.jacrev(cube))(x),
            T.func.jacrev(T.func.jacfwd(cube))(x),
            T.func.grad(lambda x: hessian(cube)(x).sum())(x),
        ]

    same(program, TIGHT)


@given(compositions, vectors, vectors)
def test_all_ways_to_a_product_agree(names, values, direction):
    f, x, v = composed(names), point(minigrad, *values), point(minigrad, *direction)
    rows, columns = minigrad.func.jacrev(f)(x).numpy(), minigrad.func.jacfwd(f)(x).numpy()
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)
    close(columns, rows)
    close(minigrad.func.jvp(f, (x,), (v,))[1].numpy(), rows @ v.numpy())
    close(minigrad.func.linearize(f, x)[1](v).numpy(), rows @ v.numpy())
    close(minigrad.func.vjp(f, x)[1](v)[0].numpy(), v.numpy() @ rows)
    close(rows, torch.func.jacrev(f)(point(torch, *values)).numpy())


@given(compositions, vectors)
def test_third_derivatives_of_random_functions_are_torchs(names, values):
    def program(T):
        return T.func.jacrev(T.func.jacrev(T.func.grad(lambda x: composed(names)(x).sum())))(point(T, *values))

    same(program, 1e-7)


# -- vmap --------------------------------------------------------------------------------------------------------------


def times(x, y):
    return x * y


def test_vmap():
    def program(T):
        A, x, w = batch(T), point(T, 2.0, 3.0), point(T, 1.0, 2.0, 4.0, requires_grad=True)
        vmap = T.func.vmap
        tree_of = lambda x: {"x": x, "two": (2 * x, [x.sum()])}
        return [
            vmap(times)(A, x),
            vmap(times, in_dims=(1, None))(A, x),
            vmap(times, in_dims=-1)(A, A),
            vmap(times, (0, None))(A, 3),
            vmap(times, out_dims=1)(A, A),
            vmap(times, out_dims=-1)(A, A),
            vmap(times, 0, (1,))(A, A),
            vmap(tree_of)(A),
            vmap(tree_of, out_dims={"x": 1, "two": (1, 0)})(A),
            vmap(tree_of, in_dims=1, out_dims={"x": 1, "two": (1, [-1])})(A),
            vmap(lambda d: d["a"] * d["b"], in_dims=({"a": 0, "b": None},))({"a": A, "b": w.detach()}),
            vmap(lambda x: (x, 3), out_dims=(0, None))(A),
            vmap(lambda x: w)(A),
            vmap(lambda x: x > 0)(A),
            vmap(lambda x, k=2: x * k)(A, k=5),
            vmap(vmap(times))(A, A),
            vmap(vmap(times, in_dims=(None, 0)), in_dims=(0, None))(A, A),
            vmap(lambda x: x.sum(), chunk_size=1)(A),
            vmap(lambda x: x * 2)(A[:0]),
            vmap(lambda x: (), 0)(A),
            T.autograd.grad(vmap(T.dot, in_dims=(0, None))(A, w).sum(), w),
            T.func.grad(lambda w: vmap(T.dot, in_dims=(0, None))(A, w).prod())(w),
            T.vmap is vmap,
            vmap(times).__name__,
        ]

    same(program, TIGHT)


def test_errors_of_vmap():
    def program(T):
        A, vmap = batch(T), T.func.vmap
        return [
            attempt(action)
            for action in [
                lambda: vmap(times)(A, T.ones(3)),
                lambda: vmap(times, in_dims=(0,))(A, A),
                lambda: vmap(times, in_dims=((0, 0), 0))(A, A),
                lambda: vmap(times, in_dims=[0, 0])(A, A),
                lambda: vmap(times, in_dims=1.5)(A, A),
                lambda: vmap(times, in_dims=(0, "a"))(A, A),
                lambda: vmap(times)(A, 3),
                lambda: vmap(times, in_dims=(0, 2))(A, A),
                lambda: vmap(times, in_dims=(0, -3))(A, A),
                lambda: vmap(times, in_dims=(None, None))(A, A),
                lambda: vmap(times)(),
                lambda: vmap(times, randomness="some"),
                lambda: vmap(times, chunk_size=0),
                lambda: vmap(times, out_dims="a")(A, A),
                lambda: vmap(times, out_dims=(0, 0))(A, A),
                lambda: vmap(times, out_dims=2)(A, A),
                lambda: vmap(lambda x: {"a": x, "b": x}, out_dims={"a": 0})(A),
                lambda: vmap(lambda x: 3)(A),
                lambda: vmap(lambda x: None)(A),
                lambda: vmap(lambda x: (x, "two"))(A),
                lambda: vmap(lambda x: x, out_dims=None)(A),
                lambda: vmap(lambda x: x)(T.tensor(1.0)),
                lambda: vmap(lambda x: x + T.rand(3))(A),
                lambda: vmap(functools.partial(times, A), in_dims="q")(A),
                lambda: vmap(T.nn.ReLU(), in_dims="q")(A),
            ]
        ]

    same(program)


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_random_draws_in_vmap(randomness):
    def program(T):
        T.manual_seed(0)
        drawn = T.func.vmap(lambda x: x * 0 + T.rand(3, dtype=T.float64), randomness=randomness)(batch(T))
        return drawn, T.rand(2)

    same(program)


def test_gradients_of_each_sample():
    def program(T):
        T.manual_seed(3)
        model = T.nn.Sequential(T.nn.Linear(4, 5), T.nn.Tanh(), T.nn.Linear(5, 3)).double()
        x, target = T.randn(6, 4, dtype=T.float64), T.randint(3, (6,))
        params = {name: p.detach() for name, p in model.named_parameters()}

        def loss(params, x, target):
            out = T.func.functional_call(model, params, (x.unsqueeze(0),))
            return T.nn.functional.cross_entropy(out, target.unsqueeze(0))

        each = T.func.vmap(T.func.grad(loss), in_dims=(None, 0, 0))(params, x, target)
        T.nn.functional.cross_entropy(model(x), target, reduction="sum").backward()
        for name, p in model.named_parameters():
            T.testing.assert_close(each[name].sum(0), p.grad) if T is torch else None
        curvature = T.func.vmap(T.func.hessian(lambda x: model(x).logsumexp(0)))(x[:2]).detach()
        slopes = T.func.vmap(T.func.jacrev(model), in_dims=(0,))(x[:2])
        return each, [p.grad for p in model.parameters()], curvature, slopes

    same(program, 1e-10)


# -- functional_call ---------------------------------------------------------------------------------------------------


def tied(T):
    """A model with a parameter by two names, and a buffer that training replaces."""
    T.manual_seed(1)
    model = T.nn.Sequential(T.nn.Linear(2, 2), T.nn.BatchNorm1d(2), T.nn.Linear(2, 2)).double()
    model[2].weight = model[0].weight
    return model


def test_functional_call():
    def program(T):
        call, model, A = T.func.functional_call, tied(T), batch(T)[:, :2]
        before = list(model.parameters())
        new = {"0.weight": T.ones(2, 2, dtype=T.float64), "2.bias": point(T, 5.0, 6.0, requires_grad=True)}
        stats = {"1.running_mean": point(T, 1.0, 2.0), "1.num_batches_tracked": T.tensor(7)}
        linear = T.nn.Linear(2, 1)
        results = [
            call(model, new, A),
            call(model, (new, stats), (A,)),
            call(model, new, A, tie_weights=False),
            call(model, new, (), {"input": A}),
            call(linear, {"weight": T.ones(1, 2), "bias": T.ones(1)}, T.ones(2), strict=True),
            call(linear, {"bias": None}, T.zeros(2)),
            T.autograd.grad(call(model, new, A).sum(), new["2.bias"]),
        ]
        model.train()
        call(model, stats, A)
        same_objects = all(a is b for a, b in zip(before, model.parameters(), strict=True))
        return results, stats, model.state_dict(), same_objects

    same(program, TIGHT)


def test_errors_of_functional_call():
    def program(T):
        call, model, A = T.func.functional_call, tied(T), batch(T)[:, :2]
        one, other = T.ones(2, 2, dtype=T.float64), T.zeros(2, 2, dtype=T.float64)
        before = list(model.parameters())
        errors = [
            attempt(action)
            for action in [
                lambda: call(model, {"0.weight": one, "2.weight": other}, A),
                lambda: call(model, {"0.weight": one, "2.weight": one}, A),
                lambda: call(model, {"0.weight": one, "2.weight": other}, A, tie_weights=False),
                lambda: call(model, [{"0.weight": one}, {"0.weight": other}], A),
                lambda: call(model, [{"0.weight": one}, 3], A),
                lambda: call(model, 3, A),
                lambda: call(model, {"0.weight": 3.0}, A),
                lambda: call(model, {"7.weight": one}, A),
                lambda: call(model, {"0.weight": one}, A, strict=True),
                lambda: call(model, {"0.weight": one, "0.wait": one}, A, strict=True),
                lambda: call(T.nn.Linear(2, 2), {"training": one}, A),
                lambda: call(model, {"0.weight": one}, T.ones(3)),
                lambda: call(T.nn.DataParallel(T.nn.Linear(2, 2)), {}, A),
            ]
        ]
        return errors, all(a is b for a, b in zip(before, model.parameters(), strict=True))

    same(program, TIGHT)


def test_the_old_functional_call():
    def program(T):
        linear = T.nn.Linear(2, 1)
        return T.nn.utils.stateless.functional_call(linear, {"weight": T.ones(1, 2), "bias": T.ones(1)}, (T.ones(2),))

    same(program)


def test_an_ensemble_of_models():
    def program(T):
        T.manual_seed(2)
        models = [T.nn.Sequential(T.nn.Linear(3, 2), T.nn.BatchNorm1d(2)).double().eval() for _ in range(3)]
        params, buffers = T.func.stack_module_state(models)

        def f(params, buffers, x):
            return T.func.functional_call(models[0], (params, buffers), (x,))

        out = T.func.vmap(f, in_dims=(0, 0, None))(params, buffers, batch(T))
        odd = T.nn.Linear(2, 2)
        odd.weight.requires_grad_(False)
        return [
            params,
            buffers,
            out,
            T.autograd.grad(out.sum(), list(params.values())),
            attempt(lambda: T.func.stack_module_state([])),
            attempt(lambda: T.func.stack_module_state([T.nn.ReLU(), T.nn.Tanh()])),
            attempt(lambda: T.func.stack_module_state([T.nn.ReLU(), T.nn.ReLU().eval()])),
            attempt(lambda: T.func.stack_module_state([T.nn.Linear(2, 2), odd])),
        ]

    same(program, TIGHT)


def test_a_training_loop_in_functional_style():
    """Model-agnostic meta-learning: the outer loss is differentiated through an inner step of descent."""

    def program(T):
        T.manual_seed(0)
        model = T.nn.Sequential(T.nn.Linear(1, 8), T.nn.Tanh(), T.nn.Linear(8, 1)).double()
        params, optimizer = dict(model.named_parameters()), T.optim.SGD(model.parameters(), lr=0.1)
        losses = []

        def loss(params, x, y):
            return ((T.func.functional_call(model, params, (x,)) - y) ** 2).mean()

        for _ in range(3):
            x = T.rand(5, 1, dtype=T.float64)
            slopes = T.func.grad(loss)(params, x, x.sin())
            adapted = {name: p - 0.1 * slopes[name] for name, p in params.items()}
            outer = loss(adapted, x, x.sin())
            optimizer.zero_grad()
            outer.backward()
            optimizer.step()
            losses.append(outer.item())
        return losses, [p.grad for p in params.values()]

    same(program, 1e-10)
