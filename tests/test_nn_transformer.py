"""Attention and transformers as short programs on both engines: masks, stacks, training with dropout, evaluation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.lockstep import attempt, same


def sequence(T, *shape, seed=0):
    return T.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def layer(T, **options):
    return T.nn.TransformerEncoderLayer(8, 2, 16, **{"dropout": 0.0, "batch_first": True, **options})


PADDED = [[False, False, False, True], [False, True, True, True], [False, False, False, False]]


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_training_with_dropout(batch_first, norm_first):
    """The same random numbers are drawn for the same places, so that a seeded training loses the same."""

    def program(T):
        T.manual_seed(3)
        net = T.nn.Transformer(8, 2, 1, 1, 16, 0.3, batch_first=batch_first, norm_first=norm_first)
        optimizer = T.optim.SGD(net.parameters(), lr=0.05)
        losses = []
        for i in range(4):
            src, tgt = sequence(T, 4, 4, 8, seed=i), sequence(T, 4, 4, 8, seed=9 - i)
            mask = net.generate_square_subsequent_mask(4)
            optimizer.zero_grad()
            loss = ((net(src, tgt, tgt_mask=mask) - tgt) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, list(net.state_dict())

    same(program, rtol=1e-4)


def test_padding_in_evaluation():
    """Without gradients torch leaves padded places out: they are 0 before the last norm. With gradients they count."""

    def program(T):
        T.manual_seed(1)
        net = T.nn.TransformerEncoder(layer(T, activation="gelu"), 2, T.nn.LayerNorm(8)).eval()
        x, padding = sequence(T, 3, 4, 8), T.tensor(PADDED)
        with T.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's of its packed tensors
            left_out = net(x, src_key_padding_mask=padding)
            ragged = net(x, src_key_padding_mask=padding.flip(1))
            both = net(x, mask=T.zeros(4, 4).bool(), src_key_padding_mask=padding)
        return left_out, ragged, both, net(x, src_key_padding_mask=padding)

    same(program, rtol=1e-5)


@pytest.mark.parametrize("options", [{"batch_first": False}, {"norm_first": True}, {"bias": False}], ids=str)
def test_encoders_of_layers_that_cannot_be_packed(options):
    def program(T):
        T.manual_seed(1)
        net = T.nn.TransformerEncoder(layer(T, **options), 2).eval()
        with T.no_grad():
            return net(sequence(T, 3, 3, 8), src_key_padding_mask=T.tensor([[False, False, True]] * 3)), repr(net)

    same(program, rtol=1e-5)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("dtype", ["bool", "float"])
def test_masks_of_attention(need_weights, dtype):
    """Of pairs, of heads and of keys; a query that sees nothing is nan where weights are asked for, else 0."""

    def program(T):
        T.manual_seed(2)
        net = T.nn.MultiheadAttention(8, 2, batch_first=True)
        x = sequence(T, 3, 4, 8).requires_grad_()
        causal = T.ones(4, 4).triu(1).bool()
        pairs = causal if dtype == "bool" else causal.float() * -1e4
        heads = pairs.expand(6, 4, 4)
        padding = T.tensor(PADDED) if dtype == "bool" else T.tensor(PADDED).float() * -1e4
        results = []
        for options in ({"attn_mask": pairs}, {"attn_mask": heads, "key_padding_mask": padding}):
            out, weights = net(x, x, x, need_weights=need_weights, **options)
            (g,) = T.autograd.grad(out.sum(), x)
            results += [out, weights, g]
        nothing = T.ones(4, 4).bool()
        hinted, _ = net(x, x, x, attn_mask=pairs, is_causal=True, need_weights=False)
        return results, hinted, T.isnan(net(x, x, x, attn_mask=nothing, need_weights=need_weights)[0]).any().item()

    same(program, rtol=1e-5)


def test_weights_of_each_head():
    def program(T):
        T.manual_seed(2)
        net = T.nn.MultiheadAttention(8, 2, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True)
        q, k, v = sequence(T, 4, 8), sequence(T, 5, 3), sequence(T, 5, 5)
        return net(q, k, v, average_attn_weights=False), net(q, k, v)

    same(program, rtol=1e-5)


def test_errors():
    def program(T):
        net, x = T.nn.MultiheadAttention(8, 2), T.zeros(3, 2, 8)
        calls = [
            lambda: T.nn.MultiheadAttention(7, 2),
            lambda: T.nn.MultiheadAttention(0, 2),
            lambda: net(T.zeros(8), x, x),
            lambda: net(x, T.zeros(3, 8), x),
            lambda: net(x, x, T.zeros(2, 2, 8)),
            lambda: net(T.zeros(3, 2, 6), x, x),
            lambda: net(x, x, x, attn_mask=T.zeros(2, 2)),
            lambda: net(x, x, x, attn_mask=T.zeros(3, 3).long()),
            lambda: net(x, x, x, key_padding_mask=T.zeros(3)),
            lambda: net(x, x, x, key_padding_mask=T.zeros(3, 3)),
            lambda: net(x, x, x, is_causal=True),
            lambda: layer(T, activation="tanh"),
            lambda: T.nn.Transformer(8, 2, 1, 1, 8)(x, T.zeros(3, 4, 8)),
            lambda: T.nn.Transformer(8, 2, 1, 1, 8)(x, T.zeros(3, 2, 4)),
        ]
        return [attempt(call) for call in calls]

    same(program)


def test_mismatched_masks_are_warned_of():
    def program(T):
        net, x = T.nn.MultiheadAttention(8, 2), T.ones(3, 2, 8)
        return net(x, x, x, attn_mask=T.zeros(3, 3), key_padding_mask=T.zeros(2, 3).bool())[1]

    same(program)
