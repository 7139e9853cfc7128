"""`func`: derivatives of functions and their products, nested in one another, on both engines."""

from __future__ import annotations

import doctest
import importlib
import sys
import warnings

import numpy as np
import pytest
import torch

import minigrad
from reference import strict_cupy
from tests.lockstep import assert_same, attempt, same
from tests.points import Pair, cube, points
from tests.test_functional_grad import TIGHT, point

FILES = ["gradients", "jacobians", "modules", "tree", "vmap"]


@pytest.fixture(scope="module", autouse=True)
def forward_mode_loaded():
    """torch's forward mode warns when it is first used, of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jacfwd(torch.sin)(torch.ones(2))


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
