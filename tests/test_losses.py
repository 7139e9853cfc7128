"""Losses at their edges: numbers that overflow, lengths and shapes that do not fit, options of chunks."""

from __future__ import annotations

import pytest

from reference.case import torch_at_least
from tests.lockstep import attempt, same


def test_soft_margin_of_large_numbers():
    """The slope stays a slope where the exponential overflows, unlike torch's, which is nan."""

    def program(T):
        x = T.tensor([-1000.0, -20.0, 0.0, 1000.0], requires_grad=True)
        losses = T.nn.functional.soft_margin_loss(x, T.ones(4), reduction="none")
        (g,) = T.autograd.grad(losses.sum(), x)
        return losses, g[1:], T.nn.functional.soft_margin_loss(T.ones(2, 3), T.tensor([[1], [-1]]))

    same(program)


def test_ctc_of_lengths_that_do_not_fit():
    def program(T):
        loss, x = T.nn.functional.ctc_loss, T.zeros(5, 2, 4)
        two, many = T.tensor([2, 2]), T.tensor([[1, 2], [3, 3]])
        calls = [
            lambda: loss(x, many, T.tensor([5, 4]), two, blank=4),
            lambda: loss(x, many, T.tensor([6, 5]), two),
            lambda: loss(x, many, T.tensor([-1, 5]), two),
            lambda: loss(x, many, T.tensor([5]), two),
            lambda: loss(x, many, T.tensor([5, 4]), T.tensor([1])),
            lambda: loss(x, many, T.tensor([5.0, 4.0]), two),
            lambda: loss(x, many, T.tensor([5, 4]), T.tensor([-1, 1])),
            lambda: loss(x, T.tensor([1, 2, 3]), T.tensor([5, 4]), two),
            lambda: loss(x[0, 0], many, T.tensor([5, 4]), two),
            lambda: loss(x[:, 0], many[:1], T.tensor([5]), T.tensor([2]), reduction="none"),
            lambda: loss(x[:, 0], many, T.tensor([5]), T.tensor([2])),
            lambda: loss(x.half(), many, T.tensor([5, 4]), two),
            lambda: loss(x, many, (5, 4), (2, 2), reduction="all"),
            lambda: loss(T.zeros(0, 2, 4), many, [0, 0], [2, 2]),
        ]
        return [attempt(call) for call in calls]

    same(program)


def test_ctc_of_one_sequence():
    def program(T):
        x = T.zeros(5, 4).log_softmax(1)
        lengths = T.tensor(5), T.tensor(2)
        sequence = [T.nn.functional.ctc_loss(x, T.tensor([1, 2]), *lengths, reduction=r) for r in ("none", "sum")]
        return sequence, T.nn.CTCLoss(reduction="none")(x.unsqueeze(1), T.tensor([[1, 1]]), (2,), (2,))

    same(program)


def test_ctc_has_no_second_derivative():
    def program(T):
        x = T.zeros(5, 1, 4, requires_grad=True)
        loss = T.nn.functional.ctc_loss(x.log_softmax(2), T.tensor([[1, 2]]), [5], [2])
        (g,) = T.autograd.grad(loss, x, create_graph=True)
        return g, attempt(lambda: T.autograd.grad((g * g).sum(), x))

    same(program)


in_chunks = pytest.mark.skipif(not torch_at_least("2.13"), reason="torch has linear_cross_entropy since 2.13")


@in_chunks
@pytest.mark.parametrize("options", [{"chunking_method": "aspect_ratio:3"}, {"batch_chunk_size": 4}, {}], ids=str)
def test_chunks_of_linear_cross_entropy(options):
    def program(T):
        how = T.nn.LinearCrossEntropyOptions(allow_retain_graph=True, **options)
        x, w = T.arange(60.0).reshape(15, 4).sin().requires_grad_(), T.arange(24.0).reshape(6, 4).cos().requires_grad_()
        loss = T.nn.functional.linear_cross_entropy(x, w, T.arange(15) % 6, ignore_index=2, options=how)
        return loss, T.autograd.grad(loss, (x, w))

    same(program)


@in_chunks
def test_options_of_linear_cross_entropy():
    def program(T):
        how, F = T.nn.LinearCrossEntropyOptions, T.nn.functional
        x, w, y = T.zeros(6, 4), T.zeros(5, 4), T.arange(6) % 5
        calls = [
            lambda: how(batch_chunk_size=0),
            lambda: how(chunking_method="all"),
            lambda: how(acc_policy="best"),
            lambda: F.linear_cross_entropy(x, w, y, options=how(batch_chunk_size=5, chunking_method="aspect_ratio")),
            lambda: F.linear_cross_entropy(x, w, y, label_smoothing=0.1, options=how()),
        ]
        return [attempt(call) for call in calls]

    same(program)


def test_bags_that_do_not_fit():
    def program(T):
        bag, w, few = T.nn.functional.embedding_bag, T.ones(5, 3), T.tensor([1, 2])
        calls = [
            lambda: bag(few, w),
            lambda: bag(few, w, T.tensor([1])),
            lambda: bag(few, w, T.tensor([0, 3])),
            lambda: bag(few, w, T.tensor([0]), padding_idx=7),
            lambda: bag(T.tensor([1, 9]), w, T.tensor([0])),
            lambda: bag(few.float(), w, T.tensor([0])),
            lambda: bag(few.reshape(1, 2), w, T.tensor([0])),
            lambda: bag(few.reshape(1, 1, 2), w),
            lambda: bag(few, w[0], T.tensor([0])),
            lambda: bag(few, w, T.tensor([0]), mode="least"),
            lambda: bag(few, w, T.tensor([0]), mode="max", scale_grad_by_freq=True),
            lambda: bag(few, w, T.tensor([0]), per_sample_weights=T.ones(2)),
            lambda: bag(few, w, T.tensor([0]), per_sample_weights=T.ones(3), mode="sum"),
        ]
        return [attempt(call) for call in calls]

    same(program)
