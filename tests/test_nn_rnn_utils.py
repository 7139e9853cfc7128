"""Sequences of several lengths, packed and padded, and recurrent layers over them, as torch has them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from reference import strict_cupy
from tests.lockstep import attempt, same

lengths_of_batches = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def padded(T: Any, lengths: list[int], *rest: int, batch_first: bool = False, dtype: str = "float64") -> Any:
    """A batch of counted elements."""
    shape = (len(lengths), max(lengths), *rest) if batch_first else (max(lengths), len(lengths), *rest)
    n = 1
    for side in shape:
        n *= side
    return T.arange(n, dtype=getattr(T, dtype)).reshape(shape) / 8


def parts(packed: Any) -> tuple[Any, ...]:
    return tuple(packed)


@given(lengths=lengths_of_batches, rest=st.sampled_from([(), (2,), (2, 3)]), batch_first=st.booleans())
def test_packing_and_padding(lengths, rest, batch_first):
    def program(T):
        R = T.nn.utils.rnn
        x = padded(T, lengths, *rest, batch_first=batch_first).requires_grad_()
        packed = R.pack_padded_sequence(x, T.tensor(lengths), batch_first, enforce_sorted=False)
        (packed.data**2).sum().backward()
        back = [R.pad_packed_sequence(packed, other, 7.0, total) for other, total in ((False, None), (True, 6))]
        again = packed.data.detach().requires_grad_()
        out, found = R.pad_packed_sequence(R.PackedSequence(again, *packed[1:]), batch_first, -1.0)
        (out**3).sum().backward()
        return parts(packed), x.grad, back, found, again.grad, R.unpack_sequence(packed)

    same(program)


@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    rest=st.sampled_from([(), (2,)]),
    batch_first=st.booleans(),
    side=st.sampled_from(["right", "left"]),
)
def test_pad_sequence(lengths, rest, batch_first, side):
    def program(T):
        R = T.nn.utils.rnn
        ones = [T.full((n, *rest), float(i + 1), requires_grad=True) for i, n in enumerate(lengths)]
        out = R.pad_sequence(ones, batch_first, -0.5, side)
        (out * T.arange(out.numel()).reshape(out.shape)).sum().backward()
        return out, [x.grad for x in ones]

    same(program)


def test_pack_and_unpad_sequences():
    def program(T):
        R = T.nn.utils.rnn
        sequences = [T.tensor([1.0, 2.0, 3.0], requires_grad=True), T.tensor([4.0]), T.tensor([5.0, 6.0])]
        packed = R.pack_sequence(sequences, enforce_sorted=False)
        packed.data.cumsum(0).sum().backward()
        swapped = T.tensor([[1, 2], [3, 4], [5, 6]])
        unpadded = R.unpad_sequence(swapped, T.tensor([2, 3]))
        return (
            parts(packed),
            sequences[0].grad,
            unpadded,
            swapped,
            repr(R.pack_sequence([T.tensor([1, 2]), T.tensor([3])])),
            parts(R.pack_padded_sequence(T.ones(4, 2), [3, 1])),
            R.pad_sequence(T.ones(2, 3)),
            R.pad_sequence([T.tensor([2, 3]), T.tensor([1.5])]),
            R.pad_sequence([T.ones(2, 2), T.tensor([[5.0]])]),
            R.invert_permutation(T.tensor([2, 0, 1])),
        )

    same(program)


def test_what_a_packed_sequence_is():
    def program(T):
        R = T.nn.utils.rnn
        p = R.pack_sequence([T.tensor([1.0]), T.tensor([2.0, 3.0])], enforce_sorted=False)
        casts = [getattr(p, name)() for name in ("double", "half", "long", "int", "short", "char", "byte")]
        data, batch_sizes, order, back = p
        pair = R.PackedSequence((data, batch_sizes))
        copied, pickled = copy.deepcopy(p), pickle.loads(pickle.dumps(p)) if T is minigrad else p
        same_objects = p.to(T.float32) is p, p.float() is p, p.cpu() is p, isinstance(p, tuple), p.is_cuda
        return [parts(x) for x in (*casts, pair, copied, pickled)], same_objects, order, back, type(pickled).__name__

    same(program)


FAILURES: dict[str, Callable[[Any, Any], Any]] = {
    "not sorted": lambda T, R: R.pack_padded_sequence(T.ones(4, 3), [4, 2, 3]),
    "too few lengths": lambda T, R: R.pack_padded_sequence(T.ones(4, 3), [4, 3]),
    "length 0": lambda T, R: R.pack_padded_sequence(T.ones(4, 3), [4, 3, 0]),
    "no lengths": lambda T, R: R.pack_padded_sequence(T.ones(4, 3), []),
    "no elements": lambda T, R: R.pack_padded_sequence(T.ones(0, 3), [1, 1, 1]),
    "two dims of lengths": lambda T, R: R.pack_padded_sequence(T.ones(4, 3), [[4, 3, 2]]),
    "a number": lambda T, R: R.pack_padded_sequence(T.ones(4, 3), 3),
    "sequences not sorted": lambda T, R: R.pack_sequence([T.ones(1), T.ones(2)]),
    "too short a total": lambda T, R: R.pad_packed_sequence(R.pack_sequence([T.ones(3)]), total_length=2),
    "nothing to pad": lambda T, R: R.pad_sequence([]),
    "no iterable": lambda T, R: R.pad_sequence(3),
    "no tensors": lambda T, R: R.pad_sequence([1, 2]),
    "no such side": lambda T, R: R.pad_sequence([T.ones(1)], padding_side="up"),
    "shapes that do not fit": lambda T, R: R.pad_sequence([T.ones(2, 3), T.ones(2, 2)]),
    "no pair": lambda T, R: R.PackedSequence(T.ones(3)),
    "a length for nothing": lambda T, R: R.unpad_sequence(T.ones(3, 2), T.tensor([1, 3, 2])),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failures(failure):
    same(lambda T: attempt(lambda: failure(T, T.nn.utils.rnn)))


def test_lengths_of_all_kinds():
    def program(T):
        R, x = T.nn.utils.rnn, T.arange(32.0).reshape(4, 4, 2)
        lengths = [
            [4, 3, 2, 1], (4, 4, 4, 4), [3, 3, 2, 1], [2, 2, 1, 1], [4.0, 3, 2, 1], T.tensor([4, 3, 2, 1]),
            T.tensor([4, 3, 2, 1], dtype=T.int32), T.tensor([4.0, 3, 2, 1]), [-1, 3, 2, 1],
            [1, 4, 2, 2],
        ]  # fmt: skip
        packed = [
            attempt(lambda n=n, s=s: parts(R.pack_padded_sequence(x, n, False, s))) for n in lengths for s in (0, 1)
        ]
        whole = R.pack_padded_sequence(x, [2, 4, 1, 1], enforce_sorted=False)
        totals = (None, 4, 6, 3, 0, -1, "a")
        padded = [attempt(lambda t=t: R.pad_packed_sequence(whole, True, -1.5, t)) for t in totals]
        return packed, padded, R.unpack_sequence(whole), attempt(lambda: R.pad_packed_sequence(x))

    same(program)


def test_permutations():
    def program(T):
        invert = T.nn.utils.rnn.invert_permutation
        given = [T.tensor([2, 0, 1]), T.zeros(0, dtype=T.int64), None, T.tensor([0, 5]), T.tensor([-1, 0])]
        return [attempt(lambda p=p: invert(p)) for p in [*given, T.tensor([1, 0], dtype=T.int32)]]

    same(program)


def test_a_length_beyond_the_input_is_refused():
    with pytest.raises(RuntimeError, match="of length 5 cannot be packed from an input of 4"):
        minigrad.nn.utils.rnn.pack_padded_sequence(minigrad.ones(4, 1), [5])


# -- recurrent layers --------------------------------------------------------------------------------------------------

LAYERS = {
    "RNN": lambda T: T.nn.RNN(3, 4, 2, nonlinearity="relu", bidirectional=True),
    "LSTM": lambda T: T.nn.LSTM(3, 4),
    "deep LSTM": lambda T: T.nn.LSTM(3, 4, 2, bidirectional=True, dropout=0.5, batch_first=True),
    "LSTM with a projection": lambda T: T.nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
    "GRU": lambda T: T.nn.GRU(3, 4, 2, bias=False, dropout=0.4),
    "GRU in both directions": lambda T: T.nn.GRU(3, 4, bidirectional=True),
}


def states_for(T: Any, layer: Any, batch: int) -> Any:
    front = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size]
    made = [T.randn(front, batch, size, requires_grad=True) for size in sizes]
    return tuple(made) if isinstance(layer, T.nn.LSTM) else made[0]


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("lengths", [[2, 4, 1, 4], [3, 3, 2], [1]], ids=str)
@pytest.mark.parametrize("given_state", [False, True])
def test_layers_over_packed_sequences(make, lengths, given_state):
    def program(T):
        T.manual_seed(0)
        layer = make(T)
        x = padded(T, lengths, 3, dtype="float32").sin().requires_grad_()
        hx = states_for(T, layer, len(lengths)) if given_state else None
        packed = T.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=lengths != [2, 4, 1, 4])
        output, last = layer(packed, hx)
        last = last if isinstance(last, tuple) else (last,)
        ((output.data**2).sum() + sum((part**3).sum() for part in last)).backward()
        starts = [] if hx is None else [t.grad for t in (hx if isinstance(hx, tuple) else (hx,))]
        return parts(output), last, x.grad, [p.grad for p in layer.parameters()], starts

    same(program, rtol=2e-5)


def test_a_loss_over_padded_words():
    def program(T):
        T.manual_seed(0)
        R, words, layer = T.nn.utils.rnn, T.nn.Embedding(5, 3, padding_idx=0), T.nn.GRU(3, 2, batch_first=True)
        packed = R.pack_padded_sequence(words(T.tensor([[1, 2, 3], [4, 0, 0]])), T.tensor([3, 1]), batch_first=True)
        output, last = layer(packed)
        scores, lengths = R.pad_packed_sequence(output, batch_first=True, total_length=4)
        T.nn.functional.cross_entropy(scores.reshape(-1, 2), T.ones(8, dtype=T.int64)).backward()
        return scores, last, lengths, words.weight.grad

    same(program)


def test_second_derivatives():
    def program(T):
        x = T.ones(3, 2, requires_grad=True)
        packed = T.nn.utils.rnn.pack_padded_sequence(x, [3, 2])
        (first,) = T.autograd.grad((packed.data**3).sum(), x, create_graph=True)
        first.sum().backward()
        return x.grad

    same(program)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_packed_batch_is_its_sequences_one_by_one(make):
    minigrad.manual_seed(0)
    layer, R = make(minigrad).double().eval(), minigrad.nn.utils.rnn
    sequences = [minigrad.randn(n, 3, dtype=minigrad.float64) for n in (2, 4, 1)]
    output, last = layer(R.pack_sequence(sequences, enforce_sorted=False))
    last = last if isinstance(last, tuple) else (last,)
    for i, (sequence, out) in enumerate(zip(sequences, R.unpack_sequence(output), strict=True)):
        alone, end = layer(sequence)
        minigrad.testing.assert_close(out, alone)
        for part, expected in zip(last, end if isinstance(end, tuple) else (end,), strict=True):
            minigrad.testing.assert_close(part[:, i], expected)


REFUSED = {
    "one dim": lambda T, R, layer: layer(T.ones(2)),
    "features": lambda T, R, layer: layer(R.PackedSequence(T.ones(3, 3), T.tensor([2, 1]))),
    "dims": lambda T, R, layer: layer(R.PackedSequence(T.ones(3), T.tensor([2, 1]))),
    "dtype": lambda T, R, layer: layer(R.PackedSequence(T.ones(3, 2).double(), T.tensor([2, 1]))),
    "state of another batch": lambda T, R, layer: layer(R.pack_sequence([T.ones(2, 2)] * 2), T.zeros(1, 1, 3)),
    "state without a batch": lambda T, R, layer: layer(R.pack_sequence([T.ones(2, 2)] * 2), T.zeros(1, 3)),
}


@pytest.mark.parametrize("program", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("name", ["RNN", "GRU"])  # torch's LSTM does not check before it computes
def test_refused(name, program):
    same(lambda T: attempt(lambda: program(T, T.nn.utils.rnn, getattr(T.nn, name)(2, 3))))


def test_on_the_gpu_stand_in():
    def computed(device):
        minigrad.manual_seed(0)
        R, layer = minigrad.nn.utils.rnn, minigrad.nn.LSTM(2, 3, bidirectional=True).to(device)
        packed = R.pack_sequence([minigrad.ones(n, 2).to(device) for n in (1, 3)], enforce_sorted=False)
        output, (h, c) = layer(packed)
        out, lengths = R.pad_packed_sequence(output.cuda() if device == "cuda" else output.cpu())
        (out.sum() + h.sum() + c.sum()).backward()
        assert out.device.type == device
        return [t.cpu() for t in (out, lengths, h, c, *(p.grad for p in layer.parameters()))]

    with strict_cupy.install():
        minigrad.testing.assert_close(computed("cuda"), computed("cpu"))  # float32 sums in another order


def test_the_bases_of_recurrent_layers():
    def program(T):
        nn = T.nn
        T.manual_seed(0)
        base, cell = nn.RNNBase("GRU", 2, 3), nn.RNNCellBase(2, 3, True, 4)
        made = [nn.RNN(1, 1, nonlinearity="relu"), nn.LSTM(1, 1), nn.GRU(1, 1)]
        return (
            [(name, p.shape) for name, p in [*base.named_parameters(), *cell.named_parameters()]],
            *(base.weight_ih_l0, cell.weight_hh, repr(base), repr(cell), [m.mode for m in made]),
            [isinstance(m, nn.RNNBase) for m in made],
            [isinstance(m, nn.RNNCellBase) for m in (nn.RNNCell(1, 1), nn.LSTMCell(1, 1), nn.GRUCell(1, 1))],
            *(attempt(lambda: nn.RNNBase("RNN", 1, 1)), attempt(lambda: base(T.ones(2, 1, 2)))),
        )

    same(program)
