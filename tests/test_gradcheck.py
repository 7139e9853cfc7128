"""`gradcheck` and `gradgradcheck`: verdicts and the first lines of errors are torch's."""

from __future__ import annotations

import inspect
import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.autograd.gradcheck import GradcheckError
from minigrad.autograd.numerical import drawn_like
from tests.lockstep import Raised, attempt, same
from tests.mistakes import MISTAKES, function, leaf, leaves, ours, ours_second

ENGINES = pytest.mark.parametrize("T", [minigrad, torch], ids=["minigrad", "torch"])


# -- functions that are right ------------------------------------------------------------------------------------------

RIGHT = {
    "sin": (lambda T: T.sin, [(2, 3)]),
    "mul, broadcast": (lambda T: T.mul, [(2, 3), (3,)]),
    "div of a scalar": (lambda T: T.div, [(), (2, 2)]),
    "matmul": (lambda T: T.matmul, [(2, 3), (3, 2)]),
    "softmax": (lambda T: lambda x: T.softmax(x, 1), [(2, 3)]),
    "log_softmax": (lambda T: lambda x: T.log_softmax(x, 0), [(3, 2)]),
    "prod": (lambda T: lambda x: x.prod(0), [(3, 2)]),
    "cumsum": (lambda T: lambda x: x.cumsum(0), [(4,)]),
    "transpose": (lambda T: lambda x: x.t() * x, [(3, 3)]),
    "index": (lambda T: lambda x: x[[0, 0, 2]] ** 2, [(3,)]),
    "max with its indices": (lambda T: lambda x: x.max(1), [(2, 3)]),
    "indices first": (lambda T: lambda x: x.max(1)[::-1], [(2, 3)]),
    "two outputs": (lambda T: lambda x, y: (x * y, x.exp()), [(2,), (2,)]),
    "an unused input": (lambda T: lambda x, y: x * 2, [(2,), (2,)]),
    "an aside": (lambda T: lambda x: (x.detach() * 2, x * x), [(2,)]),
    "the input itself": (lambda T: lambda x: x, [(2,)]),
    "a view": (lambda T: lambda x: x.t(), [(2, 3)]),
    "conv2d": (lambda T: T.nn.functional.conv2d, [(1, 2, 4, 4), (2, 2, 3, 3)]),
    "layer_norm": (lambda T: lambda x: T.nn.functional.layer_norm(x, (3,)), [(2, 3)]),
    "empty": (lambda T: lambda x: x.sum(), [(0, 2)]),
    "an empty output": (lambda T: lambda x: x[:0], [(2,)]),
    "gelu": (lambda T: T.nn.functional.gelu, [(3,)]),
}


@ENGINES
@pytest.mark.parametrize("fast_mode", [False, True], ids=["slow", "fast"])
@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_pass(T, name, fast_mode):
    make, shapes = RIGHT[name]
    inputs = leaves(T, *shapes)
    before = [x.detach().clone() for x in inputs]
    assert ours(make(T), inputs, fast_mode=fast_mode) is True
    if not any(0 in shape for shape in shapes):
        assert ours_second(make(T), inputs, fast_mode=fast_mode) is True
    for x, values in zip(inputs, before, strict=True):
        assert (x == values).all()
        assert x.grad is None
        assert x._version == 0


@given(
    shape=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    keep=st.lists(st.booleans(), min_size=3, max_size=3),
    fast_mode=st.booleans(),
)
def test_broadcasting_passes_at_any_shape(shape, keep, fast_mode):
    other = tuple(n if k else 1 for n, k in zip(shape, keep, strict=False))
    inputs = leaves(minigrad, shape, other)
    assert ours(lambda a, b: a / b + a.log() * b, inputs, fast_mode=fast_mode)
    assert ours_second(minigrad.mul, inputs, fast_mode=fast_mode)


# -- what is wrong, beside torch's ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("fast_mode", [False, True], ids=["slow", "fast"])
def test_verdict_and_first_line_are_torchs(name, fast_mode):
    _, shapes, forward, backward = MISTAKES[name]

    def program(T):
        check = T.autograd.gradcheck
        wrong = function(T, forward, backward)
        inputs = leaves(T, *shapes)
        return attempt(lambda: check(wrong, inputs, fast_mode=fast_mode)).text

    assert same(program).startswith("Jacobian mismatch for output ")


def outcome(action):
    """The result, or how it failed; a GradcheckError, of which each engine has its own, by its name."""
    result = attempt(action)
    of_name = isinstance(result, Raised) and result.type.__name__ == "GradcheckError"
    return ("GradcheckError", result.text) if of_name else result


def silent(forward, backward):
    """A Function whose backward gets None for outputs without a gradient."""

    def make(T):
        class Silent(T.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.set_materialize_grads(False)
                return forward(x)

            @staticmethod
            def backward(ctx, *grads):
                return backward(T, *grads)

        return Silent.apply

    return make


def refuses_none(T, g):
    if g is None:
        raise RuntimeError("no gradient")
    return g * 1


def one_beside_a_gradient(T, g, h):
    if (g is None) != (h is None):
        return T.ones(3, dtype=T.float64) + (h if g is None else g) - T.count_nonzero(h if g is None else g)
    return None if g is None else g + h


def hooked(x):
    y = x * 1
    y.register_hook(lambda g: g.float())
    return y * 2


def third_time_other(other):
    calls = itertools.count(1)
    return lambda x: other(x) if next(calls) == 3 else x * 1


class Coin:
    """Its backward alternates between two answers."""

    def __init__(self, T):
        self.count = 0
        self.apply = function(T, lambda T, x: x * 1, self.backward)

    def backward(self, T, x, g):
        self.count += 1
        return g * (1 + self.count * 1e-9)


CHECKS = {
    "no input requires grad": lambda T, c: c(T.sin, (T.ones(2, dtype=T.float64),)),
    "no input is a tensor": lambda T, c: c(T.sin, (3,)),
    "no inputs": lambda T, c: c(T.sin, ()),
    "one input, no tuple": lambda T, c: c(T.sin, leaf(T, [1.0])),
    "a list": lambda T, c: c(T.mul, list(leaves(T, (2,), (2,)))),
    "a number among the inputs": lambda T, c: c(lambda n, x: x * n, (3, *leaves(T, (2,)))),
    "a constant among the inputs": lambda T, c: c(T.mul, (T.ones(2), *leaves(T, (2,)))),
    "stride 0": lambda T, c: c(T.sin, (leaf(T, [1.0]).expand(3),)),
    "not contiguous": lambda T, c: c(T.sin, (leaves(T, (2, 3))[0].detach().t().requires_grad_(),)),
    "reversed": lambda T, c: c(T.sin, (leaves(T, (3,))[0].detach().flip(0).requires_grad_(),)),
    "the same twice": lambda T, c: c(T.mul, leaves(T, (2,)) * 2),
    "no output requires grad, but depends": lambda T, c: c(lambda x: x.detach() * 2, leaves(T, (2,))),
    "no output requires grad": lambda T, c: c(lambda x: x.detach().round(), leaves(T, (2,))),
    "integer outputs": lambda T, c: c(lambda x: x.detach().long(), leaves(T, (2,))),
    "a number returned": lambda T, c: c(lambda x: 3, leaves(T, (2,))),
    "another shape": lambda T, c: c(third_time_other(lambda x: x[:1]), leaves(T, (2,))),
    "another dtype": lambda T, c: c(third_time_other(lambda x: x.float()), leaves(T, (2,))),
    "nothing to check": lambda T, c: c(T.sin, leaves(T, (2,)), check_backward_ad=False),
    "batched forward": lambda T, c: c(T.sin, leaves(T, (2,)), check_batched_forward_grad=True),
    "batched backward without": lambda T, c: c(
        T.sin, leaves(T, (2,)), check_batched_grad=True, check_backward_ad=False, check_forward_ad=True),
    "not multiplied": lambda T, c: c(
        function(T, lambda T, x: x.sum(), lambda T, x, g: T.ones(3, dtype=T.float64)), leaves(T, (3,))),
    "not reentrant": lambda T, c: c(Coin(T).apply, leaves(T, (3,))),
    "not reentrant, tolerated": lambda T, c: c(Coin(T).apply, leaves(T, (3,)), nondet_tol=1e-6),
    "None refused": lambda T, c: c(silent(lambda x: x * 1, refuses_none)(T), leaves(T, (3,))),
    "None refused, unchecked": lambda T, c: c(
        silent(lambda x: x * 1, refuses_none)(T), leaves(T, (3,)), check_undefined_grad=False),
    "None taken for 1": lambda T, c: c(
        silent(lambda x: x * 1, lambda T, g: T.ones(3, dtype=T.float64) if g is None else g * 1)(T), leaves(T, (3,))),
    "None taken for 1 beside a gradient": lambda T, c: c(
        silent(lambda x: (x * 1, x * 1), one_beside_a_gradient)(T), leaves(T, (3,))),
    "a hook that changes the dtype": lambda T, c: c(hooked, leaves(T, (3,))),
    "None a TypeError": lambda T, c: c(silent(lambda x: x * 1, lambda T, g: g * 1)(T), leaves(T, (3,))),
    "wrong shape": lambda T, c: c(function(T, lambda T, x: x * 1, lambda T, x, g: g[:2]), leaves(T, (3,))),
    "wrong shape, no exception": lambda T, c: c(
        function(T, lambda T, x: x * 1, lambda T, x, g: g[:2]), leaves(T, (3,)), raise_exception=False),
    "too few gradients": lambda T, c: c(
        function(T, lambda T, x, y: x * y, lambda T, x, y, g: g), leaves(T, (3,), (3,))),
    "float32 gradient": lambda T, c: c(
        function(T, lambda T, x: x * 1, lambda T, x, g: g.float()), leaves(T, (3,)), check_grad_dtypes=True),
    "float32": lambda T, c: c(T.sin, (leaf(T, [1.0], "float32"),)),
    "float32, tolerant": lambda T, c: c(T.sin, (leaf(T, [1.0], "float32"),), eps=1e-2, atol=1e-3),
    "tight": lambda T, c: c(T.exp, leaves(T, (3,)), rtol=0, atol=1e-13),
    "kink": lambda T, c: c(T.relu, (leaf(T, [0.0, 1.0]),)),
    "under no_grad": lambda T, c: T.no_grad()(c)(lambda x: x * 2, leaves(T, (3,))),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("fast_mode", [False, True], ids=["slow", "fast"])
def test_other_checks_are_torchs(name, fast_mode):
    def program(T):
        check = T.autograd.gradcheck
        return outcome(lambda: CHECKS[name](T, lambda f, x, **options: check(f, x, fast_mode=fast_mode, **options)))

    same(program)


@pytest.mark.parametrize(
    "name", ["not multiplied", "not reentrant", "None refused", "no output requires grad, but depends"]
)
def test_other_checks_take_torchs_tensors(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_torch = outcome(lambda: CHECKS[name](torch, torch.autograd.gradcheck))
        assert outcome(lambda: CHECKS[name](torch, ours)) == by_torch


SECOND = {
    "right": lambda T, c: c(T.tanh, leaves(T, (3,))),
    "linear": lambda T, c: c(lambda x: x * 2, leaves(T, (3,))),
    "grad_outputs given": lambda T, c: c(T.tanh, leaves(T, (3,)), grad_outputs=T.ones(3, dtype=T.float64)),
    "grad_outputs with gaps": lambda T, c: c(T.mul, leaves(T, (2, 3), (3,)), gen_non_contig_grad_outputs=True),
    "grad_outputs with gaps, 0-dim": lambda T, c: c(T.mul, leaves(T, (), ()), gen_non_contig_grad_outputs=True),
    "two outputs": lambda T, c: c(lambda x, y: (x * y, y.exp()), leaves(T, (2,), (2,))),
    "a constant inside backward": lambda T, c: c(
        function(T, lambda T, x: x.exp(), lambda T, x, g: g * x.detach().exp()), leaves(T, (3,))),
    "no input requires grad": lambda T, c: c(T.sin, (T.ones(2, dtype=T.float64),)),
    "nothing to check": lambda T, c: c(T.sin, leaves(T, (2,)), check_rev_over_rev=False),
    "undefined without": lambda T, c: c(T.sin, leaves(T, (2,)), check_rev_over_rev=False, check_fwd_over_rev=True),
    "batched without": lambda T, c: c(
        T.sin, leaves(T, (2,)), check_rev_over_rev=False, check_fwd_over_rev=True, check_undefined_grad=False,
        check_batched_grad=True),
}  # fmt: skip


@pytest.mark.parametrize("name", SECOND)
def test_gradgradcheck_is_torchs(name):
    same(lambda T: outcome(lambda: SECOND[name](T, T.autograd.gradgradcheck)))


@pytest.mark.parametrize("with_gaps", [False, True])
def test_grad_outputs_are_the_numbers_that_torch_draws(with_gaps):
    def program(T):
        seen = []
        watched = function(T, lambda T, x: x * 1, lambda T, x, g: seen.append(g.detach().clone()) or g * 1)
        T.manual_seed(3)
        T.autograd.gradgradcheck(watched, leaves(T, (2, 3)), gen_non_contig_grad_outputs=with_gaps)
        return seen[0], T.rand(2)

    same(program)


def test_grad_outputs_have_gaps_where_asked():
    assert drawn_like(minigrad.ones(2, 3), True).stride() == (6, 2)
    assert drawn_like(minigrad.ones(2, 3), False).stride() == (3, 1)


def test_fast_mode_sees_mistakes_that_cancel_in_sums():
    """Positive directions, which see little more than the sums of rows and columns, would miss this one."""
    wrong = function(minigrad, lambda T, x: x.roll(1), lambda T, x, g: g.roll(1))
    assert not ours(wrong, leaves(minigrad, (400,)), fast_mode=True, raise_exception=False)


def test_fast_failure_that_slow_mode_forgives():
    """Differences within rtol of every entry are too large for a sum in which the entries cancel."""
    off = function(minigrad, lambda T, x: (x**2).sum(), lambda T, x, g: g * 2 * x * (1 + 9e-4 * x.sign()))
    reports = []
    for seed in range(8):
        values = 1e6 * np.random.default_rng(seed).uniform(-1, 1, 20)
        assert ours(off, leaf(minigrad, values), eps=1.0)
        try:
            ours(off, leaf(minigrad, values), eps=1.0, fast_mode=True)
        except GradcheckError as error:
            reports.append(str(error))
    assert reports
    assert all("This means that the test might've passed in slow_mode!" in report for report in reports)
    assert not any("Likely cause" in report for report in reports)


@ENGINES
def test_parameters_of_a_module(T):
    T.manual_seed(0)
    module = T.nn.Sequential(T.nn.Linear(3, 2), T.nn.Tanh(), T.nn.Linear(2, 1)).double()
    (x,) = leaves(T, (4, 3))
    assert ours(lambda *parameters: module(x), tuple(module.parameters()))
    assert ours(module, x)


@pytest.mark.parametrize("option", ["check_forward_ad", "check_batched_grad", "check_fwd_over_rev"])
def test_what_is_not_there_says_so(option):
    check = ours_second if option == "check_fwd_over_rev" else ours
    with pytest.raises(NotImplementedError, match=option):
        check(minigrad.sin, leaves(minigrad, (2,)), **{option: True})


def test_complex_functions_are_refused():
    x = torch.ones(2, dtype=torch.complex128, requires_grad=True)
    with pytest.raises(NotImplementedError, match="complex"):
        ours(torch.sin, x)


@pytest.mark.parametrize("name", ["gradcheck", "gradgradcheck"])
def test_signatures_are_torchs(name):
    mine, theirs = (inspect.signature(getattr(T.autograd, name)).parameters for T in (minigrad, torch))
    assert [(p.name, p.kind, p.default) for p in mine.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


def test_the_error_is_where_torch_has_it():
    assert issubclass(GradcheckError, RuntimeError)
    assert callable(ours)
