"""Every module of the table beside torch's: built from one seed, in training and evaluation, forwards and backwards."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch

import minigrad
from reference import strict_cupy
from reference.adapters import flatten, is_tensor, to_numpy
from reference.case import torch_at_least
from reference.modules import MODULES, ModuleCase
from tests.gpu import drawn_as_on_the_gpu

ENGINES = (minigrad, torch)


def assert_close(ours, theirs, rtol, what):
    """Equal dtype and shape, and values that differ by no more than `rtol` of the largest."""
    assert (ours is None) == (theirs is None), f"{what}: {ours} here, {theirs} in torch"
    if theirs is None:
        return
    a, b = to_numpy(ours), to_numpy(theirs)
    assert (a.dtype, a.shape) == (b.dtype, b.shape), what
    if b.dtype.kind == "f":
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1, np.abs(b).max(initial=0)), err_msg=what)
    else:
        np.testing.assert_array_equal(a, b, err_msg=what)


def run(T, case: ModuleCase, train: bool, device: str = "cpu"):
    """(outputs, gradients of inputs, gradients of parameters, buffers) of two steps forwards and one backwards."""
    return stepped(T, case, case.build(T).double().to(device).train(train), device)


def stepped(T, case: ModuleCase, module, device: str = "cpu"):
    T.manual_seed(1)  # for dropout
    inputs = [T.from_numpy(a).to(device) for a in case.inputs()]
    module(*[x.clone() for x in inputs])  # moves running statistics
    for x in inputs:
        x.requires_grad_(x.is_floating_point())
    # Intermediate results, for those may be overwritten in place; of other values, for statistics to move again.
    outputs = flatten(module(*[x * 0.5 if x.is_floating_point() else x for x in inputs]))
    weights = np.random.default_rng(2)
    total = 0
    for out in outputs:
        if out.requires_grad:
            total = total + (out * T.from_numpy(weights.normal(size=tuple(out.shape))).to(device)).sum()
    if is_tensor(total):
        total.backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    return outputs, [x.grad for x in inputs], gradients, dict(module.named_buffers())


@pytest.mark.parametrize("case", MODULES, ids=repr)
def test_built_from_one_seed(case):
    """The same names, the same initial values to the last bit, the same text; also after copies of both kinds."""
    ours, theirs = (case.build(T) for T in ENGINES)
    text = repr if torch_at_least("2.13") else case.text_of
    assert text(ours) == text(theirs)
    for module in (ours, copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        state = module.state_dict()
        assert list(state) == list(theirs.state_dict())
        for name, expected in theirs.state_dict().items():
            assert str(state[name].dtype) == str(expected.dtype), name
            np.testing.assert_array_equal(state[name].numpy(), expected.numpy(), err_msg=name)
        assert [p.requires_grad for p in module.parameters()] == [p.requires_grad for p in theirs.parameters()]


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("case", MODULES, ids=repr)
@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch's advice on its own kernels
def test_values_and_gradients(case, train):
    (ours, theirs) = (run(T, case, train) for T in ENGINES)
    for what, a, b in zip(("output", "gradient of input"), ours[:2], theirs[:2], strict=False):
        assert len(a) == len(b)
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_close(x, y, case.rtol, f"{what} {i}")
    for what, a, b in zip(("gradient of", "buffer"), ours[2:], theirs[2:], strict=True):
        assert list(a) == list(b)
        for name in b:
            assert_close(a[name], b[name], case.rtol, f"{what} {name}")


def assert_gpu_equals_cpu(case):
    gpu, module = run(minigrad, case, train=True, device="cuda"), case.build(minigrad).double()
    with drawn_as_on_the_gpu():
        cpu = stepped(minigrad, case, module)
    assert all(t.is_cuda for t in gpu[0] if is_tensor(t))
    for a, b in zip(flatten_all(gpu), flatten_all(cpu), strict=True):
        assert_close(a, b, 1e-12, "GPU against CPU")


def flatten_all(results):
    return [t for part in results for t in (part.values() if isinstance(part, dict) else part)]


@pytest.mark.parametrize("case", MODULES, ids=repr)
def test_gpu_stand_in_equals_cpu(case):
    """On the strict stand-in for CuPy; initial values are the CPU's, dropout masks those that the CPU would draw if it
    drew as a GPU does."""
    with strict_cupy.install():
        assert_gpu_equals_cpu(case)


@pytest.mark.gpu
@pytest.mark.parametrize("case", MODULES, ids=repr)
def test_gpu_equals_cpu(case):
    assert_gpu_equals_cpu(case)


@pytest.mark.parametrize("case", [c for c in MODULES if c.build(torch).state_dict()], ids=repr)
def test_states_are_exchanged_with_torch(case):
    """torch's state loads here, and ours there, by name."""
    ours, theirs = (case.build(T) for T in ENGINES)
    changed = {name: value + 1 if value.is_floating_point() else value for name, value in theirs.state_dict().items()}
    ours.load_state_dict({name: minigrad.from_numpy(value.numpy()) for name, value in changed.items()})
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), changed[name].numpy())
    theirs.load_state_dict({name: torch.from_numpy(value.numpy()) for name, value in ours.state_dict().items()})


def test_every_layer_is_in_the_table():
    """All modules of minigrad.nn, but those that have a test file of their own: holders, bases, lazy and old ones."""
    holders = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase"}
    holders |= {"DataParallel", "Container", "NLLLoss2d"}
    offered = {n for n, c in vars(minigrad.nn).items() if isinstance(c, type) and issubclass(c, minigrad.nn.Module)}
    tested = {part.split("(")[0].strip() for c in MODULES for part in c.text.replace("nn.", "\n").splitlines()}
    lazy = {name for name in offered if name.startswith("Lazy")}
    assert sorted(offered - holders - lazy - {t.strip(", ") for t in tested}) == []


@pytest.mark.parametrize("text", ["Dropout(0.5)", "RReLU()", "LSTM(3, 3, 2, dropout=0.5)"])
def test_evaluation_draws_nothing(text):
    module = ModuleCase(text, ()).build(minigrad).eval()
    minigrad.manual_seed(3)
    expected = minigrad.rand(1)
    minigrad.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module(minigrad.ones(3, 2, 3))
    assert minigrad.rand(1) == expected
