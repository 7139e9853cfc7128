"""The signatures of all that bears a name of torch's, held to torch's: names, order, defaults, place or name.

What differs is in `EXCEPTIONS`, each with its reason; one that is no longer needed fails too.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import minigrad
from reference.ledger.entry import attribute
from reference.signatures import COMPILED, differences, forms_of, public
from tests.lockstep import Raised, attempt, same

NAMESPACES = {
    "": 420, "Tensor": 450, "autograd": 10, "autograd.functional": 5, "fft": 8, "func": 9, "linalg": 30, "masked": 15,
    "nn": 120, "nn.functional": 110, "nn.init": 15, "nn.utils": 8, "optim": 5, "optim.lr_scheduler": 15, "special": 25,
    "nn.utils.rnn": 6, "optim.swa_utils": 5, "utils.checkpoint": 2, "utils.data": 14,
}  # and how many signatures of each can be compared at least  # fmt: skip

# Another release has other parameters, and its stubs other mistakes; what arguments mean is compared with any.
of_the_release_at_hand = pytest.mark.skipif(
    not torch.__version__.startswith("2.13."), reason="the exceptions are written for torch 2.13"
)

# By what torch offers: a pattern of "name: difference", which has no other difference from torch's signature.
EXCEPTIONS = {
    "torch's stubs, or its text, do not say what torch takes": [
        r"(rsub|subtract|Tensor\.subtract): refuses \((input, )?other, alpha\)",  # by name only
        r"(tensor|Tensor\.new_tensor): refuses \(data, dtype, ",  # by name only
        r"linalg\.vander: refuses \(x, N\)",  # by name only
        r"Tensor\.(contiguous|cpu|cuda): refuses \(.*memory_format\)",  # by name only
        r"Tensor\.\w+: has a parameter of its own, `memory_format`",
        r"special\.round: has a parameter of its own, `decimals`",
        r"special\.(log_)?softmax: takes `dtype` in place",
        r"range: has a parameter of its own, `layout`",
        r"Tensor\.requires_grad_: .*`?(mode|requires_grad)`?",
        r"(\w+_loss|kl_div|binary_cross_entropy_with_logits): has the default reduction=0",  # what it comes to in torch
        r"Tensor\.to: refuses \(other=",
        r"set_(num_threads|num_interop_threads|flush_denormal): ",  # by place only
        r"Tensor\.random_: refuses \(from_=",  # it is `from`, which Python does not allow
        r"nn\.\w+: refuses \(args\)",  # handed on to a constructor with the names, or refused by Module's
    ],
    "None stands for the default that minigrad spells out": [
        r"\w+: has the default layout=torch.strided; torch has layout=None",
        r"(randperm|tril_indices|triu_indices): has the default dtype=torch.int64; torch has dtype=None",
        r"asarray: has the default requires_grad=False",
        r"utils\.data\.random_split: has the default generator=None",
        r"(max_pool.d|(nn\.functional\.)?avg_pool1d): has the default stride=None; torch has stride=\(\)",
    ],
    "one signature for torch's several forms": [
        r"arange: has the default end=None",
        r"range: has the default (start=0|end=None)",  # for an error in torch's words
        r"(Tensor\.)?repeat_interleave: has the default repeats=None",
        r"repeat_interleave: refuses \(repeats=",
        r"Tensor\.new: refuses ",  # sizes, numbers or a tensor; the device is this tensor's
        r"isin: .*`?(element|test_element)`?\b",  # numbers have names of their own there
        r"result_type: .*\bscalar[12]?\b",
        r"(norm|lu|tensordot): refuses \(.*\bout\b.*\): too many positional arguments",  # `out` by name only
    ],
    "one function, where torch has the one of nn.functional and the compiled one beneath it": [
        r"(nn\.functional\.)?rrelu_?: .*\b(generator|inplace)\b",
        r"max_pool.d: has a parameter of its own, `return_indices`",
        r"(Tensor\.|special\.)?(log_)?softmax: has the default dim=None",
        r"nn\.functional\.(softmax|log_softmax|sigmoid|tanh): has a parameter of its own, `out`",
        r"special\.(log_)?softmax: has a parameter of its own, `out`",
    ],
    "torch's own business, or deprecated": [
        r"nn\.functional\.(log_)?soft(max|min): refuses \(.*\b_stacklevel",
        r"func\.jacrev: refuses \(.*\b_preallocate_and_copy",
        r"save: refuses \(.*\b_use_new_zipfile_serialization",
        r"autograd\.backward: refuses \(.*\bgrad_variables",
        r"(autograd\.)?(enable|no)_grad: .*`?(orig_func|function)`?",  # the function that a decorator was written above
        r"(dtype|layout|memory_format): ",  # nobody makes one
    ],
}  # fmt: skip


@functools.cache
def compared(namespace: str) -> dict[str, list[str]]:
    """The differences of all signatures of a namespace that can be compared, by name."""
    return {name: differences(ours, forms, method=namespace == "Tensor") for name, ours, forms in pairs(namespace)}


def pairs(namespace: str) -> Iterator[tuple[str, inspect.Signature, list[inspect.Signature]]]:
    ours, theirs = (attribute(module, namespace) if namespace else module for module in (minigrad, torch))
    for name in public(ours):
        a, b = getattr(ours, name), getattr(theirs, name, None)
        if not (callable(a) and callable(b)) or inspect.isclass(a) != inspect.isclass(b):
            continue
        forms: Any = forms_of(b)
        try:
            if forms:
                yield f"{namespace}.{name}".strip("."), inspect.signature(a), forms
        except (TypeError, ValueError):  # a type of NumPy's, or one that makes itself another way
            continue


@of_the_release_at_hand
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_signatures_are_those_of_torch(namespace: str) -> None:
    found = compared(namespace)
    assert len(found) >= NAMESPACES[namespace]
    patterns = [pattern for group in EXCEPTIONS.values() for pattern in group]
    lines = [f"{name}: {difference}" for name, all_of_it in found.items() for difference in all_of_it]
    assert [line for line in lines if not any(re.match(pattern, line) for pattern in patterns)] == []


@of_the_release_at_hand
def test_every_exception_is_needed() -> None:
    lines = [f"{n}: {line}" for namespace in NAMESPACES for n, found in compared(namespace).items() for line in found]
    for reason, patterns in EXCEPTIONS.items():
        for pattern in patterns:
            assert any(re.match(pattern, line) for line in lines), (reason, pattern)


# -- what arguments that the signatures have do ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda T, x: T.split(tensor=x, split_size_or_sections=2),
        lambda T, x: x.split(split_size=[1, 2], dim=0),
        lambda T, x: T.unsafe_split(x, split_size=2),
        lambda T, x: T.hsplit(x, sections=2) + T.vsplit(x, indices=(1,)),
        lambda T, x: x.tensor_split(sections=2) + T.tensor_split(x, tensor_indices_or_sections=T.tensor([1])),
        lambda T, x: T.sort(x, stable=True, dim=0).values,
        lambda T, x: T.roll(x, 1, dims=None),
        lambda T, x: T.cholesky_solve(T.eye(3), input2=T.tril(T.ones(3, 3))),
        lambda T, x: T.ormqr(T.eye(3), input2=T.ones(3), input3=T.ones(3, 2)),
        lambda T, x: T.view_copy(x, dtype=T.int32),
        lambda T, x: T.is_same_size(input=x, other=x.T),
        lambda T, x: T.tril_indices(2, 2, dtype=None, requires_grad=False),
        lambda T, x: T.triu_indices(2, 2, requires_grad=True),
        lambda T, x: T.normal(mean=2.0, std=0.0, size=(2,)),
        lambda T, x: T.zeros(3).random_(to=5, generator=T.Generator().manual_seed(1)),
        lambda T, x: T.zeros(2).resize_(size=(1, 2), memory_format=T.contiguous_format),
        lambda T, x: T.resize_as_(T.zeros(2), T.zeros(1, 2), memory_format=T.contiguous_format),
        lambda T, x: T.fill_(input=T.zeros(2), value=3),
        lambda T, x: T.nn.functional.relu_(input=-x),
        lambda T, x: T.nn.functional.normalize(x, out=T.empty(0)),
        lambda T, x: T.fft.irfft(x, out=T.empty(0, dtype=T.float64)),
        lambda T, x: T.nn.Hardtanh(min_value=0.5, max_value=2.0)(x),
        lambda T, x: T.nn.Hardtanh(max_value=-2.0)(x),
    ],
)
def test_arguments_mean_what_they_mean_to_torch(call: Any) -> None:
    same(lambda T: call(T, T.tensor([[1.0, 4.0], [3.0, -2.0], [0.5, 6.0]])))


# -- NumPy's names -----------------------------------------------------------------------------------------------------


def axis_is_refused(function: Any, *args: Any) -> bool:
    """True if it is for the name `axis` that a call with too few arguments fails."""
    outcome = attempt(lambda: function(*args, axis="no dim"))
    return isinstance(outcome, Raised) and outcome.type is TypeError and "keyword argument 'axis'" in outcome.text


@pytest.mark.parametrize("namespace", ["", "Tensor", "fft", "linalg", "special"])
def test_axis_stands_for_dim_where_torch_takes_it(namespace: str) -> None:
    ours, theirs = (attribute(module, namespace) if namespace else module for module in (minigrad, torch))
    taking = [name for name in public(ours) if isinstance(getattr(theirs, name, None), COMPILED)]
    taking = [n for n in taking if any("dim" in form.parameters for form in forms_of(getattr(theirs, n)))]
    assert len(taking) >= {"": 60, "Tensor": 60, "fft": 6, "linalg": 4, "special": 2}[namespace]
    refusing = [n for n in taking if axis_is_refused(getattr(ours, n), minigrad.ones(2, 2))]
    assert refusing == (["size", "stride"] if namespace == "Tensor" else [])  # not worth their time


@pytest.mark.parametrize(
    "call",
    [
        lambda T, x: x.sum(axis=0),
        lambda T, x: x.mean(axis=(0, 1), keepdims=True),
        lambda T, x: T.sum(x, axis=1, dtype=T.float64),
        lambda T, x: x.max(axis=1, keepdims=True),
        lambda T, x: T.std(x, axis=0, unbiased=False),
        lambda T, x: x.cumsum(axis=1),
        lambda T, x: x.unsqueeze(axis=1).squeeze(axis=1),
        lambda T, x: x.clone().unsqueeze_(axis=0),
        lambda T, x: T.gather(x, axis=1, index=T.tensor([[0], [1], [1]])),
        lambda T, x: x.index_select(axis=0, index=T.tensor([2, 0])),
        lambda T, x: T.cat([x, x], axis=1),
        lambda T, x: T.softmax(x, axis=0),
        lambda T, x: T.linalg.vector_norm(x, axis=0, keepdims=True),
        lambda T, x: T.sum(x.detach(), axis=0, keepdims=True, out=T.empty(0)),
        lambda T, x: T.cosine_similarity(x, x, axis=0),
        lambda T, x: x.sum(0, axis=0),
        lambda T, x: T.sum(x, dim=1, axis=0),
    ],
)
def test_numpy_names_mean_what_torch_makes_of_them(call: Any) -> None:
    def program(T: Any) -> Any:
        x = T.tensor([[1.0, 4.0], [3.0, -2.0], [0.5, 6.0]], requires_grad=True)
        return call(T, x)

    same(program)


@pytest.mark.parametrize("call", [lambda x: x.sum(axes=0), lambda x: x.cumsum(), lambda x: x.gather(axis=0)])
def test_other_names_and_missing_arguments_are_errors(call: Any) -> None:
    ours, theirs = (attempt(lambda: call(T.ones(2, 2))) for T in (minigrad, torch))  # noqa: B023
    assert ours.type is theirs.type is TypeError


# -- the functions beneath those of nn.functional ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda T, x, y, v: T.dropout(x, p=0.5, train=True),
        lambda T, x, y, v: T.alpha_dropout(x, 0.5, False),
        lambda T, x, y, v: T.feature_alpha_dropout(x, 0.5, train=False),
        lambda T, x, y, v: T.embedding(x, T.tensor([[0, 1], [1, 1]]), 1),
        lambda T, x, y, v: T.embedding(weight=x, indices=T.tensor([1])),
        lambda T, x, y, v: T.batch_norm(x, v, v + 1, T.zeros(2), T.ones(2), True, 0.1, 1e-5, True),
        lambda T, x, y, v: T.instance_norm(
            T.stack([x, y], 2).permute(0, 2, 1), None, v, None, None, True, 0.1, 1e-5, False
        ),
        lambda T, x, y, v: T.group_norm(T.stack([x, y], 2), 2, None, T.ones(2), 1e-5, False),
        lambda T, x, y, v: T.layer_norm(x, (2,), v, None, 1e-5, False),
        lambda T, x, y, v: T.binary_cross_entropy_with_logits(x, y, None, v, 2),
        lambda T, x, y, v: T.cosine_embedding_loss(x, y, T.tensor([1.0, -1.0, 1.0]), 0.1, 0),
        lambda T, x, y, v: T.hinge_embedding_loss(x, T.sign(y), 1.0, 1),
        lambda T, x, y, v: T.kl_div(x, y, log_target=True),
        lambda T, x, y, v: T.kl_div(x, y, 1),
        lambda T, x, y, v: T.margin_ranking_loss(x, y, T.sign(y), 0.3, 2),
        lambda T, x, y, v: T.poisson_nll_loss(x, y, True, False, 1e-8, 1),
        lambda T, x, y, v: T.triplet_margin_loss(x, y, v, 1.0, 2, 1e-6, False, 0),
    ],
)
def test_functions_beneath_those_of_nn_functional(call: Any) -> None:
    def program(T: Any) -> Any:
        x = T.tensor([[1.0, 4.0], [3.0, -2.0], [0.5, 6.0]], requires_grad=True)
        T.manual_seed(0)
        out = call(T, x, T.tensor([[0.5, 1.0], [0.25, 2.0], [1.0, 0.75]]), T.tensor([0.5, 2.0]))
        out.sum().backward()
        return out, x.grad

    same(program)
