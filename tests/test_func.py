"""`func`: transforms of functions, nested in one another, on both engines."""

from __future__ import annotations

import doctest
import functools
import importlib
import sys
import warnings
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.func import tree
from reference import strict_cupy
from tests.lockstep import assert_same, attempt, same
from tests.test_functional_grad import TIGHT, composed, compositions, point, vectors

Pair = namedtuple("Pair", "left right")
FILES = ["gradients", "jacobians", "modules", "tree", "vmap"]


@pytest.fixture(scope="module", autouse=True)
def forward_mode_loaded():
    """torch's forward mode warns when it is first used, of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jacfwd(torch.sin)(torch.ones(2))


def cube(x):
    return (x**3).sum()


def points(T):
    """Two points, and a third that requires a gradient."""
    return point(T, 0.5, -1.5), point(T, 2.0, 0.25), point(T, 1.0, 3.0, requires_grad=True)


# -- grad --------------------------------------------------------------------------------------------------------------


def test_grad():
    def program(T):
        x, y, w = points(T)
        grad, both = T.func.grad, T.func.grad_and_value
        f = lambda x, y, k=1.0: (x.sin() * y * k).sum()
        return [
            grad(cube)(x),
            grad(f)(x, y),
            grad(f, argnums=1)(x, y, k=2.0),
            grad(f, argnums=-1)(x, y),
            grad(f, argnums=(1, 0))(x, y),
            grad(f, (0,))(x, y),
            both(f, argnums=(0, 1))(x, y),
            grad(lambda x, y: ((x * y).sum(), {"twice": 2 * x, "y": y}), has_aux=True)(x, y),
            both(lambda x, y: ((x * y).sum(), (2 * x, [y])), has_aux=True)(x, y),
            grad(lambda x: T.tensor(1.0))(x),
            grad(cube)(w),
            grad(lambda x: (x * w).sum())(x),
            grad(lambda x: (x * x * w).sum())(x),
            both(lambda x: (x * x).sum() + w.sum())(x),
            grad(lambda x: (x.sum(), x * w), has_aux=True)(x),
            w.grad,
            x.grad,
            x.requires_grad,
        ]

    same(program, TIGHT)


def test_grad_of_trees():
    def program(T):
        x, y, w = points(T)

        def f(p, q):
            return (p["a"] * p["b"][0].exp()).sum() * q.left.sum() + (q.right[0] ** 2).sum()

        trees = {"a": x, "b": [y, w], "none": ()}, Pair(w, (x,))
        return [T.func.grad(f)(*trees), T.func.grad(f, argnums=1)(*trees), T.func.grad(f, argnums=(0, 1))(*trees)]

    same(program, TIGHT)


def test_errors_of_grad():
    def program(T):
        x, _, _w = points(T)
        grad, both = T.func.grad, T.func.grad_and_value
        return [
            attempt(action)
            for action in [
                lambda: grad(lambda x: x)(x),
                lambda: grad(lambda x: x.sum().reshape(1))(x),
                lambda: grad(lambda x: (x.sum(), x.sum()))(x),
                lambda: both(lambda x: 3.0)(x),
                lambda: grad(lambda x: x, has_aux=True)(x),
                lambda: grad(lambda x: (x.sum(), x, x), has_aux=True)(x),
                lambda: grad(lambda x: (x.sum(), 3), has_aux=True)(x),
                lambda: grad(cube, argnums=1)(x),
                lambda: grad(cube, argnums=-2)(x),
                lambda: grad(cube, argnums=())(x),
                lambda: grad(lambda x, y: cube(x), argnums=(0, 0))(x, x),
                lambda: grad(lambda x, y: cube(x), argnums=(0, -2))(x, x),
                lambda: grad(cube, argnums=[0])(x),
                lambda: grad(cube, argnums=("x",))(x),
                lambda: grad(cube)(3.0),
                lambda: grad(cube)([x, 3.0]),
                lambda: grad(cube)(T.tensor([1, 2])),
                lambda: grad(cube)(),
            ]
        ]

    same(program)


def test_nested_grads():
    def program(T):
        grad = T.func.grad
        t, u = T.tensor(0.7, dtype=T.float64), T.tensor(1.3, dtype=T.float64, requires_grad=True)
        f = lambda x: x.sin() * x.exp()
        return [
            grad(grad(f))(t),
            grad(grad(grad(f)))(t),
            grad(grad(grad(f)))(u),
            grad(lambda x: grad(lambda y: x * y * y)(t))(u),  # d/dx of 2 x t
            grad(lambda x: grad(lambda y: x * y * y)(x))(t),  # the inner one holds x fast
            grad(lambda x: x * grad(lambda y: x + y)(t))(t),
            grad(lambda x: grad(lambda y: y.sin())(t) * 2)(t),
            grad(lambda x: grad(lambda y: x**3 * u)(t) + x)(t),
            T.autograd.grad(grad(f)(u), u),
            T.autograd.grad(grad(lambda x: x * x * u)(t), u),
            T.autograd.grad(grad(lambda x: grad(lambda y: x**2 * y**2 * u)(t))(t), u),
            u.grad,
        ]

    same(program, TIGHT)


def test_no_grad_inside_counts_and_outside_does_not():
    def program(T):
        x, _, w = points(T)
        grad, vjp, jacrev = T.func.grad, T.func.vjp, T.func.jacrev

        def half(x):
            with T.no_grad():
                fixed = x**2
            return (x * fixed * w).sum()

        def blind(x):
            with T.no_grad():
                return grad(cube)(x).sum()

        results = [grad(half)(x), grad(half)(w), grad(lambda x: blind(x) * x.sum())(x)]
        with T.no_grad():
            pull = vjp(half, w)[1]
            one = T.tensor(1.0, dtype=T.float64)
            results += [grad(half)(w), jacrev(lambda x: x * w)(x), pull(one), vjp(cube, w)[0], T.func.hessian(cube)(w)]
            results += [grad(grad(lambda x: x**3))(one), T.func.jvp(cube, (w,), (x,)), T.is_grad_enabled()]
            later = vjp(cube, w)[1]
        return results, pull(one), later(one), T.autograd.grad(later(one)[0].sum(), w), T.is_grad_enabled()

    same(program, TIGHT)


def test_inference_mode_outside_does_not_matter():
    def program(T):
        x, y, w = points(T)
        with T.inference_mode():
            made = x * 2
            results = [T.func.grad(cube)(made), T.func.grad(cube)(w), T.func.grad(lambda x: (x * y).sum())(x)]
            results += [T.func.hessian(cube)(x), T.func.jvp(cube, (x,), (y,)), T.func.vjp(cube, w)[0]]
        return results, T.func.grad(cube)(made), T.is_inference_mode_enabled()

    same(program, TIGHT)


def test_a_function_that_fails_leaves_the_mode_as_it_was():
    def program(T):
        def fail(x):
            raise KeyError("inside")

        with T.no_grad():
            error = attempt(lambda: T.func.grad(fail)(T.ones(2)))
            return error, T.is_grad_enabled()

    same(program)


def test_gradients_do_not_leak_into_the_callers_grad():
    def program(T):
        x, y, w = points(T)
        outer = T.func.grad(lambda x: T.func.grad(lambda y: (x * y * y * w).sum())(x).sum())(w)
        (outer.sum() + T.func.vjp(lambda x: x * w, x)[1](y)[0].sum()).backward()
        return outer, w.grad, x.grad, y.grad

    same(program, TIGHT)


# -- products ----------------------------------------------------------------------------------------------------------


def test_vjp():
    def program(T):
        x, y, w = points(T)
        f = lambda x, y: {"product": x * y, "rest": [x.sum(), y]}
        output, pull = T.func.vjp(f, x, y)
        v = {"product": y, "rest": [T.tensor(2.0, dtype=T.float64), x]}
        results = [output, pull(v), pull(v)]
        results += [T.func.vjp(lambda x: x**2, x)[1](w), T.func.vjp(lambda x: x**2, w)[1](x)]
        results += [T.func.vjp(lambda x: x**2, w)[1](x, create_graph=False)]
        results += [T.func.vjp(lambda p: p["a"] * p["b"][0], {"a": x, "b": (y,)})[1](x)]
        output, pull, aux = T.func.vjp(lambda x: (x * w, {"x": x, "w": w}), x, has_aux=True)
        results += [output, pull(x), aux, T.func.vjp(lambda x: w * 2, x)[1](x)]
        g = T.func.grad(lambda x: T.func.vjp(lambda y: y**3 * x, x)[1](y)[0].sum())(x)
        return [*results, g, T.autograd.grad(T.func.vjp(lambda x: x**3, w)[1](x)[0].sum(), w)]

    same(program, TIGHT)


def test_errors_of_vjp():
    def program(T):
        x, _, _ = points(T)
        vjp, (_, pull) = T.func.vjp, T.func.vjp(lambda x: {"a": x, "b": [x]}, x)
        square = vjp(lambda x: x**2, x)[1]
        return [
            attempt(action)
            for action in [
                lambda: pull(x),
                lambda: pull({"a": x, "b": (x,)}),
                lambda: pull({"a": x, "c": [x]}),
                lambda: square((x,)),
                lambda: square(T.ones(3)),
                lambda: vjp(lambda x: 3, x),
                lambda: vjp(lambda x: (x, "two"), x),
                lambda: vjp(lambda x: None, x),
                lambda: vjp(lambda x: (), x),
                lambda: vjp(lambda x: x > 0, x),
                lambda: vjp(lambda x: x, x, has_aux=True),
                lambda: vjp(lambda x: x, 3),
                lambda: vjp(lambda x: x, T.tensor([1, 2])),
            ]
        ]

    same(program)


def test_writing_to_an_input_between_vjp_and_its_use_is_noticed():
    x, y, _ = points(minigrad)
    _, pull = minigrad.func.vjp(lambda x: x.exp() * x, x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):  # torch computes with what is there now
        pull(y)


def test_jvp():
    def program(T):
        x, y, w = points(T)
        jvp = T.func.jvp
        f = lambda x, y: (x * y, {"s": x.sum(), "y": y**2})
        return [
            jvp(cube, (x,), (y,)),
            jvp(f, (x, y), (y, x)),
            jvp(lambda p: p["a"] ** 2 * p["b"][0], ({"a": x, "b": [y]},), ({"a": y, "b": [x]},)),
            jvp(lambda x: (x**2, w), (x,), (y,)),
            jvp(lambda x: (x * w, {"w": w, "x": x}), (x,), (y,), has_aux=True),
            jvp(lambda x: x > 0, (x,), (y,)),
            jvp(cube, (w,), (y,)),
            jvp(cube, (x,), (w,)),
            jvp(T.func.grad(cube), (x,), (y,)),
            T.func.grad(lambda x: jvp(cube, (x,), (y,))[1])(x),
            T.func.grad(lambda v: jvp(cube, (x,), (v,))[1])(y),
            jvp(lambda x: jvp(lambda z: z**3, (x,), (y,))[1], (x,), (y,)),
            T.autograd.grad(jvp(lambda x: (x.exp() * w).sum(), (x,), (w,))[1], w),
        ]

    same(program, TIGHT)


def test_linearize():
    def program(T):
        x, y, w = points(T)
        output, push = T.func.linearize(lambda x, y: {"xy": x * y, "x": x.sum()}, x, y)
        wrong = [attempt(lambda v=v: push(x, v)) for v in (T.ones(3), T.ones(2))]
        wrong += [attempt(lambda v=v: push(*v)).type for v in ((x,), ([x], y))]
        return output, push(y, x), push(x, x), wrong, T.func.linearize(cube, w)[1](x), w.grad

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's tracer does
        expected = program(torch)
    assert_same(program(minigrad), expected, TIGHT)


def test_errors_of_jvp():
    def program(T):
        x, y, w = points(T)
        jvp = T.func.jvp
        return [
            attempt(action)
            for action in [
                lambda: jvp(cube, x, x),
                lambda: jvp(cube, (x,), x),
                lambda: jvp(cube, (x,), (x, x)),
                lambda: jvp(cube, (x,), [x]),
                lambda: jvp(cube, (x,), (T.ones(3),)),
                lambda: jvp(cube, (3.0,), (3.0,)),
                lambda: jvp(cube, (x,), (3.0,)),
                lambda: jvp(cube, (), ()),
                lambda: jvp(lambda x: w, (x,), (y,), strict=True),
                lambda: jvp(lambda x: (x, w), (x,), (y,), strict=True),
                lambda: jvp(lambda x: x * w, (x,), (y,), strict=True),
                lambda: jvp(lambda x: 3, (x,), (y,)),
                lambda: jvp(lambda x: None, (x,), (y,)),
                lambda: jvp(lambda x: x, (x,), (y,), has_aux=True),
                lambda: jvp(lambda x: x, (T.tensor([1, 2]),), (T.tensor([1, 2]),)),
            ]
        ]

    same(program, TIGHT)


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


def batch(T, requires_grad=False):
    return T.arange(6, dtype=T.float64).reshape(2, 3).sin().requires_grad_(requires_grad)


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


# -- elsewhere ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["autograd.functional", *(f"func.{m}" for m in FILES)])
def test_the_examples_hold(name):
    importlib.import_module(f"minigrad.{name}")
    module = sys.modules[f"minigrad.{name}"]  # minigrad.func.vmap is the function
    outcome = doctest.testmod(module, extraglobs={"tensor": minigrad.tensor, "nn": minigrad.nn})
    assert outcome.attempted
    assert not outcome.failed


def test_all_of_it_runs_on_cupy_without_waiting():
    def derivatives(device):
        def f(x):
            return (x.exp() * x).sum()

        x, F, G = point(minigrad, 0.5, -1.5).to(device), minigrad.autograd.functional, minigrad.func
        rows, tracked = minigrad.stack([x, x]), x.clone().requires_grad_()
        return [
            F.jacobian(lambda x: x.exp() * x, x),
            F.jacobian(lambda x: x.exp() * x, tracked, create_graph=True),
            F.hessian(f, x),
            *(product(f, x, x)[1] for product in (F.hvp, F.vhp, F.jvp)),
            F.vjp(f, x)[1],
            G.grad(f)(x),
            G.grad(f)(tracked),
            G.hessian(f)(x),
            G.jacfwd(lambda x: x.exp() * x)(x),
            G.jvp(f, (x,), (x,))[1],
            G.vmap(G.grad(f))(rows),
        ]

    with strict_cupy.install():
        expected = derivatives("cpu")
        with strict_cupy.forbid_synchronize():
            got = derivatives("cuda")
        for g, e in zip(got, expected, strict=True):
            assert g.device.type == "cuda"
            np.testing.assert_allclose(g.detach().cpu().numpy(), e.detach().numpy(), rtol=1e-12)


# -- trees -------------------------------------------------------------------------------------------------------------

trees = st.recursive(
    st.integers(),
    lambda t: (
        st.lists(t, max_size=3)
        | st.lists(t, max_size=3).map(tuple)
        | st.tuples(t, t).map(lambda p: Pair(*p))
        | st.dictionaries(st.text(max_size=2), t, max_size=3)
        | st.dictionaries(st.text(max_size=2), t, max_size=3).map(OrderedDict)
        | st.dictionaries(st.text(max_size=2), t, max_size=3).map(lambda d: defaultdict(list, d))
    ),
    max_leaves=8,
)


@given(trees)
def test_trees_are_taken_apart_and_put_together_as_torch_does(t):
    flat, _spec = torch.utils._pytree.tree_flatten(t)
    assert tree.leaves(t) == flat
    assert tree.rebuild(t, flat) == t
    assert type(tree.rebuild(t, flat)) is type(t)
    assert tree.same_form(t, tree.map_leaves(str, t))
    assert tree.spread(0, t) == [0] * len(flat)
    assert tree.spread(tree.map_leaves(str, t), t) == [str(n) for n in flat]


@given(trees, trees)
def test_forms_differ_where_torchs_do(a, b):
    specs = [torch.utils._pytree.tree_flatten(t)[1] for t in (a, b)]
    assert tree.same_form(a, b) == (specs[0] == specs[1])
    theirs = torch.utils._pytree._broadcast_to_and_flatten(a, specs[1])
    assert tree.spread(a, b) == theirs
