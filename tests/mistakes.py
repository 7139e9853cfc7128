"""Functions with a mistake in their backward, for either engine, and how the report of `gradcheck` names it."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad.autograd.gradcheck import GradcheckError

ours, ours_second = minigrad.autograd.gradcheck, minigrad.autograd.gradgradcheck


def leaf(T, values, dtype="float64"):
    return T.tensor(np.asarray(values, dtype).tolist(), dtype=getattr(T, dtype), requires_grad=True)


def leaves(T, *shapes, seed=0):
    """Leaves with values in [0.5, 2), all different: away from kinks, and no coincidences between Jacobians."""
    rng = np.random.default_rng(seed)
    return tuple(leaf(T, rng.uniform(0.5, 2, shape)) for shape in shapes)


def function(T, forward, backward):
    """A Function of that forward, of the inputs, and that backward, of the inputs and the gradients."""

    class Planted(T.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(T, *inputs)

        @staticmethod
        def backward(ctx, *grads):
            return backward(T, *ctx.saved_tensors, *grads)

    return Planted.apply


def failure(check, *args, **options):
    """The report of the GradcheckError that a check ends with."""
    with pytest.raises(GradcheckError) as caught:
        check(*args, **options)
    return str(caught.value)


def softmax(T, x, dim):
    return x.exp() / x.exp().sum(dim, keepdim=True)


MISTAKES = {
    # name: (how the cause begins, shapes of the inputs, forward, backward)
    "sign": ("wrong sign", [(3,)], lambda T, x: x.cos(), lambda T, x, g: g * x.sin()),
    "the 2 of a square": (
        "constant factor: analytical is 1/2", [(3,)], lambda T, x: x**2, lambda T, x, g: g * x),
    "minus twice": (
        "constant factor: analytical is -2 ", [(3,)], lambda T, x: x.exp(), lambda T, x, g: g * x.exp() * -2),
    "mean for sum": (
        "constant factor: analytical is 1/4 times numerical. 4 is the size of dimension 0 of the output",
        [(4, 3), (3,)], lambda T, x, b: x + b, lambda T, x, b, g: (g, g.mean(0))),
    "some constant": (
        "constant factor: analytical is 1.1 ", [(3,)], lambda T, x: x.sin(), lambda T, x, g: 1.1 * g * x.cos()),
    "nothing for one": ("the gradient is zero", [(3,), (3,)], lambda T, x, y: x * y, lambda T, x, y, g: (g * y, None)),
    "arguments swapped": ("swapped inputs", [(3,), (3,)], lambda T, x, y: x * y, lambda T, x, y, g: (g * x, g * y)),
    "outputs swapped": (
        "swapped outputs", [(3,)], lambda T, x: (x.sin(), x.exp()), lambda T, x, g, h: h * x.cos() + g * x.exp()),
    "grad_output forgotten": ("grad_output is not used", [(3,)], lambda T, x: x.sin(), lambda T, x, g: x.cos()),
    "the other operand forgotten": (
        "missing factor: analytical * input 1", [(3,), (3,)], lambda T, x, y: x * y, lambda T, x, y, g: (g, g * x)),
    "a broadcast operand forgotten": (
        "missing factor: analytical * input 1 ", [(2, 3), (3,)], lambda T, x, y: x * y,
        lambda T, x, y, g: (g, (g * x).sum(0))),
    "half of a sigmoid": (
        "missing factor: analytical * (1 - output 0)", [(3,)], lambda T, x: x.sigmoid(),
        lambda T, x, g: g * x.sigmoid()),
    "the input too often": (
        "extra factor: analytical is numerical * input 0", [(3,)], lambda T, x: x.sin(),
        lambda T, x, g: g * x * x.cos()),
    "W for W.T": (
        "transposed: this is the transposed Jacobian", [(3,), (3, 3)], lambda T, x, w: w @ x,
        lambda T, x, w, g: (w @ g, g[:, None] * x)),
    "operands in the wrong order": (
        "transposed: the gradient has its dimensions in the order (1, 0), and grad_output was taken in the order "
        "(1, 0)", [(3, 3), (3, 3)], lambda T, x, y: x @ y, lambda T, x, y, g: (y @ g, x.t() @ g)),
    "g for g.T": ("transposed: grad_output", [(3, 3)], lambda T, x: x.t() * 2, lambda T, x, g: g * 2),
    "no flip back": (
        "reversed", [(4,), (4,)], lambda T, x, w: x.flip(0) * w, lambda T, x, w, g: (g * w, g * x.flip(0))),
    "one row for the sum": (
        "missing sum: grad_output counts only at [0, :]", [(4, 3), (3,)], lambda T, x, b: x + b,
        lambda T, x, b, g: (g, g[0])),
    "the last forgotten": (
        "partial: the gradient of input 0 is zero at [:, 2]", [(2, 3)], lambda T, x: x.exp(),
        lambda T, x, g: T.cat([g[:, :2] * x[:, :2].exp(), g[:, 2:] * 0], 1)),
    "summed too far": (
        "summed too far", [(3, 2), (3, 2)], lambda T, x, w: x * w,
        lambda T, x, w, g: ((g * w).sum(0, keepdim=True).expand(3, 2), g * x)),
    "softmax without its sum": (
        "missing term: one of the form u * (v * grad_output).sum()", [(4,)], lambda T, x: softmax(T, x, 0),
        lambda T, x, g: g * softmax(T, x, 0)),
    "softmax without its sum, in rows": (
        "missing term: one of the form u * (v * grad_output).sum(), as in softmax or a norm, within each place along "
        "dimensions (0,)", [(3, 4)], lambda T, x: softmax(T, x, 1), lambda T, x, g: g * softmax(T, x, 1)),
    "centring without the mean": (
        "missing term: one that is the same for all elements", [(2, 4)], lambda T, x: x - x.mean(1, keepdim=True),
        lambda T, x, g: g),
    "log_softmax without its sum": (
        "missing term: one in grad_output.sum()", [(4,)], lambda T, x: x - x.exp().sum().log(), lambda T, x, g: g),
    "the product rule by halves": (
        "missing term: an elementwise one", [(4,)], lambda T, x: x**2 * x.sum(),
        lambda T, x, g: (g * x**2).sum().expand(4)),
    "straight through": ("the function does not change", [(3,)], lambda T, x: x.round(), lambda T, x, g: g),
    "a constant term": (
        "missing term: 1 * grad_output, at 6 entries", [(2, 3)], lambda T, x: x * x + x, lambda T, x, g: g * 2 * x),
    "another function": (
        "unexplained factors: numerical / analytical is ", [(2, 3)], lambda T, x: x.sin(),
        lambda T, x, g: g / (1 + x**3)),
    "none of these": (
        "none of the usual", [(2, 3)], lambda T, x: x.sin(), lambda T, x, g: g * x.cos() + (g * x).flip(1).exp() - 1),
}  # fmt: skip
