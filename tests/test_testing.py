"""minigrad.testing: `assert_close` and `make_tensor` beside torch's, and comparisons that find planted mistakes."""

from __future__ import annotations

import contextlib
import doctest
import functools
import importlib
import io
import math
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import nn
from minigrad.testing import (
    assert_close,
    assert_same_function,
    assert_same_module,
    assert_same_optimizer,
    broadcastable_shapes,
    broadcastable_tensors,
    make_tensor,
    shapes,
    tensors,
)
from minigrad.testing.engines import MINIGRAD, torch_engine
from minigrad.testing.samples import LAYOUTS, Argument, Sample
from reference import strict_cupy

ENGINES = (minigrad, torch)
PACKAGE = Path(minigrad.__file__).parent


def outcome(action, *args, **kwargs):
    """Type and whole text of the error that a call raises, classes under torch's names; or what it returns."""
    try:
        return action(*args, **kwargs)
    except Exception as error:
        text = re.sub(r"minigrad\.tensor\.Tensor", "torch.Tensor", str(error))
        return type(error), re.sub(r"minigrad\.nn", "torch.nn", text)


def mistake(compare, *args, **kwargs):
    """The text of the AssertionError by which a comparison reports a planted mistake."""
    with pytest.raises(AssertionError) as caught:
        compare(*args, **kwargs)
    return str(caught.value)


# -- assert_close and make_tensor --------------------------------------------------------------------------------------

nan, inf = math.nan, math.inf
PAIRS = {
    "equal": lambda T: (T.tensor([1.0, 2.0]), T.tensor([1.0, 2.0])),
    "one apart": lambda T: (T.tensor([[1.0, 2.0], [3.0, 4.0]]), T.tensor([[1.0, 2.5], [3.0, 4.0]])),
    "float64": lambda T: (T.tensor([1.0], dtype=T.float64), T.tensor([1 + 2e-7], dtype=T.float64)),
    "half": lambda T: (T.ones(2, dtype=T.float16), T.zeros(2, dtype=T.float16)),
    "0-dim": lambda T: (T.tensor(1.0), T.tensor(2.0)),
    "0-dim integers": lambda T: (T.tensor(3), T.tensor(4)),
    "0-dim bools": lambda T: (T.tensor(True), T.tensor(False)),
    "integers": lambda T: (T.tensor([1, 2, 200]), T.tensor([1, 5, 3])),
    "bytes": lambda T: (T.tensor([200], dtype=T.uint8), T.tensor([3], dtype=T.uint8)),
    "bools": lambda T: (T.tensor([True, True]), T.tensor([False, True])),
    "dtypes": lambda T: (T.tensor([1, 2]), T.tensor([0.0, 3.0])),
    "shapes": lambda T: (T.ones(2), T.ones(3)),
    "strides": lambda T: (T.ones(2, 3), T.ones(3, 2).t()),
    "empty": lambda T: (T.ones(0, 3), T.ones(0, 3)),
    "nan": lambda T: (T.tensor([nan, 1.0, 2.0]), T.tensor([nan, 1.0, 3.0])),
    "infinite": lambda T: (T.tensor([inf, 1.0, 2.0]), T.tensor([-inf, 1.0, 3.0])),
    "huge": lambda T: (T.tensor([3e38]), T.tensor([-3e38])),
    "parameter": lambda T: (T.nn.Parameter(T.ones(2)), T.ones(2)),
    "numbers": lambda T: (1.0, 2.0),
    "nan numbers": lambda T: (nan, nan),
    "number types": lambda T: (1, 1.0),
    "NumPy's numbers": lambda T: (np.float32(1), 2.0),
    "complex numbers": lambda T: (3 + 4j, 3 + 4.1j),
    "booleans": lambda T: (True, np.bool_(False)),
    "None": lambda T: (None, 1),
    "Nones": lambda T: (None, None),
    "tensor and number": lambda T: (T.tensor(1.0), 1.0),
    "strings": lambda T: ("a", "a"),
    "arrays": lambda T: (np.ones(2), np.zeros(2)),
    "sequences": lambda T: ([T.tensor(1.0), (2, [3.0])], (T.tensor(1.0), [2, [4.0]])),
    "lengths": lambda T: ([1], [1, 2]),
    "mappings": lambda T: ({"a": 1, "b": [T.ones(1)]}, {"b": [T.zeros(1)], "a": 1}),
    "keys": lambda T: ([{"a": 1, "b": 2}], [{"a": 1, "c": 2}]),
    "first error": lambda T: ([1, None, 3], [2, 5, "a"]),
}
OPTIONS = {
    "defaults": {},
    "wide": {"rtol": 0.1, "atol": 0.6},
    "exact": {"rtol": 0, "atol": 0},
    "only rtol": {"rtol": 0.1},
    "only atol": {"atol": 0.1},
    "equal nan": {"equal_nan": True},
    "any dtype": {"check_dtype": False},
    "strides": {"check_stride": True},
    "exact types": {"allow_subclasses": False},
    "other checks": {"check_device": False, "check_layout": False},
    "text": {"msg": "instead"},
    "longer text": {"msg": lambda text: f"{text}\nand more"},
}


@pytest.mark.parametrize("pair", PAIRS)
def test_assert_close_says_what_torch_says(pair):
    for options in OPTIONS:
        ours, theirs = (outcome(T.testing.assert_close, *PAIRS[pair](T), **OPTIONS[options]) for T in ENGINES)
        assert ours == theirs, options


@given(tensors(include=[0.0, nan, inf]), st.integers(0, 2**32 - 1), st.sampled_from(["float32", "float64", "int32"]))
def test_assert_close_judges_as_torch_does(x, seed, dtype):
    a = np.nan_to_num(x.detach().numpy(), posinf=3) if dtype == "int32" else x.detach().numpy()
    noise = np.random.default_rng(seed).choice([0, 0, 1e-7, 1e-5, 1.0], a.shape)
    a, b = np.asarray(a, dtype), np.asarray(a + noise, dtype)
    ours, theirs = (
        outcome(T.testing.assert_close, T.from_numpy(a), T.from_numpy(b), equal_nan=bool(seed % 2)) for T in ENGINES
    )
    assert ours == theirs


def test_assert_close_across_engines():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    mine = minigrad.tensor([1.0, 2.0])
    assert_close([mine, mine, x, mine.numpy()], [x, mine.numpy(), mine, x])
    assert "Mismatched elements: 1 / 2" in mistake(assert_close, mine, x + torch.tensor([0.0, 1.0]))
    assert "torch.float32 != torch.float64" in mistake(assert_close, mine, x.double())
    with pytest.raises(TypeError):
        assert_close(mine, x, allow_subclasses=False)
    with pytest.raises(TypeError):  # torch ends with an error of its own here
        assert_close(True, 1)


def test_assert_close_on_the_gpu():
    with strict_cupy.install():
        x = minigrad.ones(2, device="cuda")
        assert_close(x, x.clone())
        assert_close(x, x.cpu(), check_device=False)
        assert "'device' do not match: cuda:0 != cpu" in mistake(assert_close, x, x.cpu())
        assert make_tensor(2, dtype=minigrad.float32, device="cuda").is_cuda


MADE = {
    "float": {"dtype": "float64"},
    "half": {"dtype": "float16", "requires_grad": True},
    "bounds": {"dtype": "float32", "low": 2, "high": 2.5},
    "from below": {"dtype": "float32", "low": -inf, "high": inf},
    "integers": {"dtype": "int64"},
    "bytes": {"dtype": "uint8"},
    "fractional bounds": {"dtype": "int8", "low": -1.5, "high": 1.5, "exclude_zero": True},
    "bools": {"dtype": "bool"},
    "gaps": {"dtype": "float32", "noncontiguous": True},
    "no zeros": {"dtype": "float32", "low": 0, "high": 1e-45, "exclude_zero": True},
    "one value": {"dtype": "float32", "low": 1, "high": 1},
    "crossed": {"dtype": "float32", "low": 1, "high": 0},
    "nan": {"dtype": "float32", "low": nan},
    "out of range": {"dtype": "uint8", "low": 300, "high": 400},
    "below range": {"dtype": "int8", "low": -400, "high": -300},
    "integer gradient": {"dtype": "int32", "requires_grad": True},
    "two layouts": {"dtype": "float32", "noncontiguous": True, "memory_format": 1},
}


@pytest.mark.parametrize("how", MADE)
def test_make_tensor_is_torchs(how):
    """From one seed, to the last bit."""

    def program(T, shape):
        T.manual_seed(3)
        options = MADE[how] | {"dtype": getattr(T, MADE[how]["dtype"])}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = outcome(T.testing.make_tensor, *shape, device="cpu", **options)
        if not isinstance(made, tuple):
            strides = made.stride() if made.numel() else None
            made = str(made.dtype), tuple(made.shape), strides, made.requires_grad, made.detach().tolist()
        return made, [w.category for w in caught if w.category is FutureWarning]

    for shape in [((2, 3),), (4,), (), ((0, 2),), ([3],)]:
        (ours, our_warnings), (theirs, their_warnings) = (program(T, shape) for T in ENGINES)
        assert our_warnings == their_warnings
        if isinstance(theirs[0], type):  # an error, after which ours may say more
            assert ours[0] is theirs[0]
            assert ours[1].startswith(theirs[1])
        else:
            assert ours == theirs


# -- strategies --------------------------------------------------------------------------------------------------------


@given(st.data())
def test_drawn_tensors_keep_their_bounds(data):
    low = data.draw(st.sampled_from([-3, 0.001, 2, -1e6]))
    high = low + data.draw(st.sampled_from([0.5, 7, 1e-3]))
    unique = data.draw(st.booleans())
    x = data.draw(tensors(low=low, high=high, avoid=[0.0], unique=unique))
    assert x.requires_grad
    assert x.dtype is minigrad.float64
    array = x.detach().numpy()
    assert ((low <= array) & (array <= high)).all()
    assert (np.abs(array) >= (high - low) / 50).all()
    assert not unique or len(set(array.ravel())) == array.size


@given(tensors((30, 20), dtype=minigrad.float32, include=[nan]), tensors(st.just((3,)), dtype=minigrad.int64, low=0))
def test_large_tensors_and_integers(x, labels):
    assert (x.shape, x.dtype) == ((30, 20), minigrad.float32)
    array = x.detach().numpy()
    assert np.isnan(array).any()
    assert (np.abs(array[~np.isnan(array)]) <= 3).all()
    assert not labels.requires_grad
    assert set(labels.tolist()) <= {0, 1, 2, 3}


@given(shapes(min_dims=1, max_dims=2, min_side=2, max_side=3), broadcastable_shapes(3), broadcastable_tensors(2))
def test_drawn_shapes(shape, several, pair):
    assert 1 <= len(shape) <= 2
    assert set(shape) <= {2, 3}
    np.broadcast_shapes(*several)
    np.broadcast_shapes(*[x.shape for x in pair])


def test_what_cannot_be_drawn_is_an_error():
    with pytest.raises(ValueError, match="at least low=3"):
        tensors(low=3, high=2)
    with pytest.raises(ValueError, match="not near to one of"):
        tensors(low=0, high=1, avoid=np.linspace(0, 1, 60))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (0, 2)], ids=str)
def test_arguments_and_their_code_are_the_same_tensors(shape, layout):
    array = np.linspace(-1.3, 2, math.prod(shape), dtype=np.float32).reshape(shape)
    sample = Sample((Argument(array, True), 2), array.dtype, layout, 0)
    for engine, T in zip((MINIGRAD, torch_engine()), ENGINES):
        names = {"T": T}
        exec("\n".join(sample.code()), names)
        made, number = sample.arguments(engine)
        assert number == names["x1"] == 2
        assert_close(made.detach().numpy(), array, rtol=0, atol=0)
        assert_close(names["x0"].detach(), made.detach(), rtol=0, atol=0, check_stride=array.size > 0)
        assert made.requires_grad
        assert names["x0"].requires_grad


# -- functions ---------------------------------------------------------------------------------------------------------


def function(forward, backward):
    """`apply` of a Function that saves its inputs; `forward(*inputs)`, `backward(g, *inputs)`."""

    class Mine(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, *grads):
            return backward(*grads, *ctx.saved_tensors)

    return Mine.apply


def multiply(backward):
    return function(lambda a, b: a * b, backward)


RIGHT_FUNCTIONS = {
    "square": (function(lambda x: x * x, lambda g, x: 2 * g * x), torch.square, [(2, 3)]),
    "any shape": (function(lambda x: x.exp(), lambda g, x: g * x.exp()), torch.exp, [tensors()]),
    "broadcast": (
        multiply(lambda g, a, b: ((g * b).sum_to_size(a.shape), (g * a).sum_to_size(b.shape))),
        torch.mul,
        broadcastable_tensors(2),
    ),
    "kink": (function(lambda x: x.clamp(min=0), lambda g, x: g * ~(x <= 0)), torch.relu, [tensors(include=[0, nan])]),
    "two results": (
        function(lambda x: (x.sin(), x.cos()), lambda g, h, x: g * x.cos() - h * x.sin()),
        lambda x: (x.sin(), x.cos()),
        [(3,)],
    ),
    "numbers and labels": (
        lambda x, i, n: x[i] * n,
        lambda x, i, n: x[i] * n,
        [(3, 2), tensors((4,), dtype=minigrad.int64, low=0, high=2), st.integers(-2, 2)],
    ),
    "NumPy's arrays": (minigrad.sin, torch.sin, st.just([np.array([1.0, 2.0])])),
    "a single tensor": (minigrad.sin, torch.sin, tensors((2,))),
    "errors": (minigrad.matmul, torch.matmul, [(2, 3), st.sampled_from([3, 4]).flatmap(lambda n: tensors((n, 2)))]),
    "random": (nn.functional.dropout, torch.nn.functional.dropout, [(20,)]),
    "no derivative": (minigrad.sign, torch.sign, [(2,)]),
    "frozen": (minigrad.mul, torch.mul, [(2,), tensors((2,), requires_grad=False)]),
    "numbers and None": (lambda x: [x, (1, None, True)], lambda x: [x, (1, None, True)], [(2,)]),
    "third order": (minigrad.exp, torch.exp, [()], 3),
}


@pytest.mark.parametrize("name", RIGHT_FUNCTIONS)
def test_right_functions_pass(name):
    ours, theirs, inputs, *orders = RIGHT_FUNCTIONS[name]
    assert_same_function(ours, theirs, inputs, orders=orders[0] if orders else 2, examples=15)


def cubed_once(x):
    """x ** 3 whose gradient has half of the second derivative only."""
    return function(lambda x: x * x * x, lambda g, x: 3 * g * x * x.detach())(x)


WRONG_FUNCTIONS = {
    "value": (lambda x: x * 1.0001, lambda x: x * 1, [(2,)], "the result"),
    "shape": (lambda x: x.sum(0, keepdim=True), lambda x: x.sum(0), [(2, 3)], "attribute 'shape'"),
    "dtype": (lambda x: x.double(), lambda x: x * 1, [(2,)], "attribute 'dtype'"),
    "how many": (lambda x: (x, x), lambda x: (x,), [(2,)], "length of the sequences"),
    "sign": (function(lambda x: x.cos(), lambda g, x: g * x.sin()), torch.cos, [()], "the gradient of input 0"),
    "missing term": (
        function(lambda x: x * x.exp(), lambda g, x: g * x.exp()),
        lambda x: x * x.exp(),
        [(2,)],
        "the gradient of input 0",
    ),
    "missing un-broadcast": (
        multiply(lambda g, a, b: (g * b, (g * a)[0])),
        torch.mul,
        [(2, 3), (3,)],
        "the gradient of input 1",
    ),
    "swapped": (multiply(lambda g, a, b: (g * a, g * b)), torch.mul, [(2,), (2,)], "the gradient of input"),
    "at a kink": (
        function(lambda x: x.clamp(min=0), lambda g, x: g * (x >= 0)),
        torch.relu,
        [tensors(include=[0.0])],
        "the gradient of input 0",
    ),
    "second order": (cubed_once, lambda x: x**3, [(2,)], "the second-order gradient of input 0"),
    "no second order": (
        function(lambda x: x.exp(), lambda g, x: g * x.exp().detach()),
        torch.exp,
        [(2,)],
        "the second-order gradient of input 0",
    ),
    "of the incoming gradient": (
        function(lambda x: x.exp(), lambda g, x: g.detach() * x.exp()),
        torch.exp,
        [(2,)],
        "the second-order gradient of incoming gradient 0",
    ),
    "only when plain": (
        function(lambda x: x.exp(), lambda g, x: g * x.exp() * (1 if minigrad.is_grad_enabled() else 2)),
        torch.exp,
        [(2,)],
        "the gradient of input 0",
    ),
    "of strides": (
        function(lambda x: x.exp(), lambda g, x: g * x.exp() if x.is_contiguous() else g),
        torch.exp,
        [(2, 3)],
        "the gradient of input 0",
    ),
    "changed input": (
        lambda x: x.mul_(2),
        lambda x: x * 2,
        [tensors((2,), requires_grad=False)],
        "input 0 after the call",
    ),
    "no gradient": (lambda x: x.detach() * 2, lambda x: x * 2, [(2,)], "requires_grad of the result"),
    "error": (
        lambda x: x.reshape(3),
        lambda x: x.reshape(3) if x.numel() else torch.zeros(3),
        [tensors(st.sampled_from([(3,), (0,)]))],
        "minigrad: RuntimeError",
    ),
    "no error": (
        lambda x: x[0] if x.numel() else x.sum(),
        lambda x: x[0],
        [tensors(st.sampled_from([(3,), (0,)]))],
        "torch:    IndexError",
    ),
    "type of the error": (
        lambda x: minigrad.tensor([[1.0], [1.0, 2.0]]) if x.numel() else x * 1,
        lambda x: x.reshape(4) if x.numel() else x * 1,
        [tensors(st.sampled_from([(3,), (0,)]))],
        "minigrad: ValueError",
    ),
    "only errors": (minigrad.matmul, torch.matmul, [(2, 3), (2, 3)], "nothing was compared"),
}


@functools.cache
def reported_function(name):
    return mistake(assert_same_function, *WRONG_FUNCTIONS[name][:3], examples=40)


@pytest.mark.parametrize("name", WRONG_FUNCTIONS)
def test_mistakes_in_functions_are_found(name):
    assert WRONG_FUNCTIONS[name][3] in reported_function(name)


def test_tolerances_and_orders_are_taken():
    near = (lambda x: x * 1.0001, lambda x: x * 1, [(2,)])
    assert_same_function(*near, rtol=1e-2, atol=0, examples=10)
    assert_same_function(cubed_once, lambda x: x**3, [(2,)], orders=1, examples=10)
    assert "third-order gradient of input 0" in mistake(
        assert_same_function,
        function(lambda x: x * x * x, lambda g, x: g * (3 * x * x + (x * x - (x * x).detach()).square())),
        lambda x: x**3,
        [(1,)],
        orders=3,
    )


def printed(text, ours, theirs):
    """What the program at the end of a message prints."""
    program = text.split("shows it:\n\n")[1]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec("\n".join(line[4:] for line in program.split("\n")), {"ours": ours, "theirs": theirs})
    return out.getvalue()


@pytest.mark.parametrize("name", ["sign", "missing un-broadcast", "second order", "of strides", "how many"])
def test_the_program_in_the_message_shows_the_difference(name):
    lines = printed(reported_function(name), *WRONG_FUNCTIONS[name][:2]).split("\n")
    half = len(lines) // 2
    assert lines[:half] != lines[half : 2 * half]


def test_the_smallest_example_is_simple():
    text = reported_function("sign")
    assert "x0 = T.tensor(1.0, dtype=T.float64).requires_grad_()" in text
    assert "Expected" in text


# -- modules -----------------------------------------------------------------------------------------------------------


class Norm(nn.Module):
    """Batch norm over rows, with one mistake."""

    def __init__(self, mistake=None, features=3):
        super().__init__()
        self.mistake = mistake
        self.weight = nn.Parameter(minigrad.ones(features))
        if mistake != "missing name":
            self.bias = nn.Parameter(minigrad.zeros(features))
        self.register_buffer("running_mean", minigrad.zeros(features))
        self.register_buffer("running_var", minigrad.ones(features))
        count = minigrad.tensor(0.0 if mistake == "dtype" else 0)
        self.register_buffer("number" if mistake == "other name" else "num_batches_tracked", count)

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training or self.mistake == "statistics of the batch":
            mean, var = x.mean(0), x.var(0, unbiased=False)
        if self.training:
            n = x.shape[0]
            unbiased = var if self.mistake == "biased variance" else var * n / (n - 1)
            with minigrad.no_grad():
                for old, new in ((self.running_mean, mean), (self.running_var, unbiased)):
                    old += (0.9 if self.mistake == "momentum" else 0.1) * (new - old)
                self.num_batches_tracked += 0 if self.mistake == "count" else 1
        if self.mistake == "detached":
            mean = mean.detach()
        weight = self.weight.detach() if self.mistake == "frozen weight" else self.weight
        return (x - mean) / (var + (0 if self.mistake == "no eps" else 1e-5)).sqrt() * weight + self.bias


class Dropping(nn.Module):
    """Dropout that forgets evaluation."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.5, True)


def test_right_modules_pass():
    before = torch.nn.BatchNorm1d(3)
    ours = Norm()
    with torch.no_grad():
        before.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert_same_module(ours, before, [(4, 3)], examples=15)
    assert int(before.num_batches_tracked) == int(ours.num_batches_tracked) == 0  # copies are compared
    assert_close(ours.weight.detach(), minigrad.ones(3))
    embedding = [tensors(dtype=minigrad.int64, low=0, high=4)]
    assert_same_module(nn.Embedding(5, 2), torch.nn.Embedding(5, 2), embedding, examples=10)
    two = [T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Dropout(), T.nn.Linear(4, 2)) for T in ENGINES]
    assert_same_module(*two, [(2, 3)], examples=10)
    assert_same_module(*[T.nn.LSTM(2, 3) for T in ENGINES], [(2, 1, 2)], examples=5)
    assert_same_module(Dropping(), torch.nn.Dropout(), [(20,)], train=True, examples=5)


WRONG_MODULES = {
    "missing name": 'Unexpected key(s) in state_dict: "bias"',
    "other name": 'Missing key(s) in state_dict: "number"',
    "dtype": "num_batches_tracked is of dtype torch.float32 in ours and torch.int64",
    "statistics of the batch": "the output (in evaluation, call 1)",
    "biased variance": "['running_var']",
    "momentum": "['running_mean']",
    "count": "['num_batches_tracked']",
    "detached": "the gradient of input 0 (in training",
    "frozen weight": "the gradient of weight (in",
    "no eps": "the output",
}


@pytest.mark.parametrize("name", WRONG_MODULES)
def test_mistakes_in_modules_are_found(name):
    text = mistake(assert_same_module, Norm(name), torch.nn.BatchNorm1d(3), [(4, 3)], examples=60)
    assert WRONG_MODULES[name] in text


def test_more_mistakes_in_modules():
    assert "size mismatch for weight" in mistake(assert_same_module, Norm(None, 2), torch.nn.BatchNorm1d(3), [(4, 3)])
    assert "in evaluation" in mistake(assert_same_module, Dropping(), torch.nn.Dropout(), [(20,)])


def test_the_program_of_a_module_shows_the_difference():
    ours, theirs = Norm("momentum"), torch.nn.BatchNorm1d(3)
    lines = printed(mistake(assert_same_module, ours, theirs, [(4, 3)], examples=60), ours, theirs).split("running_var")
    assert len(lines) == 3
    assert "running_mean" in lines[0]
    assert ours.running_mean.tolist() != pytest.approx(theirs.running_mean.tolist())


# -- optimizers --------------------------------------------------------------------------------------------------------


class Mine(minigrad.optim.Optimizer):
    """Adam, with one mistake."""

    def __init__(self, params, mistake=None, **options):
        self.mistake = mistake
        defaults = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}
        super().__init__(params, defaults | options)

    def init_state(self, p):
        second = "exp_avg_square" if self.mistake == "state key" else "exp_avg_sq"
        first = 0.1 + 0 * p if self.mistake == "first state" else 0 * p
        return {"step": 0, "exp_avg": first, second: 0 * p}

    def update(self, p, g, state, *, lr, betas, eps, weight_decay, xp):
        (b1, b2), m, t = betas, state["exp_avg"], state["step"]
        v = state["exp_avg_square" if self.mistake == "state key" else "exp_avg_sq"]
        if self.mistake == "decoupled":
            p *= 1 - lr * weight_decay
        else:
            g = g + weight_decay * p
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        if self.mistake == "sign":
            lr = -lr
        if self.mistake == "lr of the defaults":
            lr = self.defaults["lr"]
        c1, c2 = (1, 1) if self.mistake == "no correction" else (1 - b1**t, 1 - b2**t)
        if self.mistake == "eps in the root":
            p -= lr / c1 * m / xp.sqrt(v / c2 + eps)
        elif self.mistake == "eps before the correction":
            p -= lr / c1 * m / ((xp.sqrt(v) + eps) / math.sqrt(c2))
        else:
            p -= lr / c1 * m / (xp.sqrt(v / c2) + eps)
        if self.mistake == "from step 3 on" and t >= 3:
            p += 1e-3

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        if self.mistake == "loading":
            for state in self.state.values():
                state["step"].zero_()


class AllSteps(Mine):
    """Takes None for zeros."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = minigrad.zeros_like(p) if p.grad is None else p.grad
        return super().step(closure)


def adam(params):
    return torch.optim.Adam(params, lr=1e-2, weight_decay=0.1)


WRONG_OPTIMIZERS = {
    "sign": "parameter 0 after step 1",
    "decoupled": "parameter 0 after step 1",
    "eps in the root": "after step",
    "eps before the correction": "after step",
    "no correction": "after step",
    "lr of the defaults": "param_groups",
    "first state": "after step 1",
    "state key": "Missing keys in the actual mapping: ['exp_avg_sq']",
    "from step 3 on": "after step 3",
    "loading": "optimizer.load_state_dict(state)",
}


def test_right_optimizers_pass():
    assert_same_optimizer(Mine, adam, examples=25)
    for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "AdamW"):
        makers = (getattr(T.optim, name) for T in ENGINES)
        assert_same_optimizer(
            *[lambda p, make=make: make(p, lr=0.1) for make in makers], examples=10, shapes=[(2,), ()]
        )


@functools.cache
def reported_optimizer(name):
    return mistake(assert_same_optimizer, lambda params: Mine(params, name), adam, shapes=[(2,), ()], examples=100)


@pytest.mark.parametrize("name", WRONG_OPTIMIZERS)
def test_mistakes_in_optimizers_are_found(name):
    assert WRONG_OPTIMIZERS[name] in reported_optimizer(name)


def test_more_mistakes_in_optimizers():
    assert "grad = None" in mistake(assert_same_optimizer, AllSteps, adam, examples=60)

    # Seen only where gradients are tiny.
    eps = (
        lambda params, T=T, eps=eps: T.optim.Adagrad(params, 1e-4, eps=eps) for T, eps in zip(ENGINES, (1e-11, 1e-10))
    )
    assert "after step" in mistake(assert_same_optimizer, *eps, examples=60)

    def refuses(params):
        raise ValueError("Invalid learning rate")

    assert "minigrad: ValueError: Invalid learning rate" in mistake(assert_same_optimizer, refuses, adam)


@pytest.mark.parametrize("name", ["loading", "eps in the root", "lr of the defaults"])
def test_the_program_of_an_optimizer_shows_the_difference(name):
    lines = printed(reported_optimizer(name), lambda params: Mine(params, name), adam).split("\n")
    assert lines[0] != lines[len(lines) // 2]


# -- what it needs, and its documentation ------------------------------------------------------------------------------


def test_importing_minigrad_imports_only_what_torch_testing_has():
    others = ["hypothesis", "torch", "minigrad.testing.functions", "minigrad.testing.strategies"]
    program = f"import minigrad, sys; print(minigrad.testing.assert_close, {{*{others}}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
    with pytest.raises(AttributeError, match="no attribute 'assert_different'"):
        minigrad.testing.assert_different  # noqa: B018  asked for by name


def test_what_is_missing_is_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "hypothesis", None)
        with pytest.raises(ModuleNotFoundError, match=r"minigrad-engine\[testing\]"):
            tensors((2,))
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        assert_close(minigrad.ones(2), np.ones(2, np.float32))
        for compare in (assert_same_function, assert_same_module):
            with pytest.raises(RuntimeError, match="import torch"):
                compare(minigrad.exp, None, [(2,)])
        with pytest.raises(RuntimeError, match="import torch"):
            assert_same_optimizer(Mine, None)


@pytest.mark.parametrize("path", sorted((PACKAGE / "testing").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_in_the_documentation(path):
    name = "minigrad.testing" if path.stem == "__init__" else f"minigrad.testing.{path.stem}"
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_every_public_name_has_an_example():
    for name in minigrad.testing.__all__:
        assert ">>> " in getattr(minigrad.testing, name).__doc__, name
