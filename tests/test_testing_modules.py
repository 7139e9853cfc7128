"""minigrad.testing: comparisons of modules and of optimizers, which find planted mistakes."""

from __future__ import annotations

import functools
import math

import pytest
import torch

import minigrad
from minigrad import nn
from minigrad.testing import assert_close, assert_same_module, assert_same_optimizer, tensors
from tests.comparisons import ENGINES, mistake, printed

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
