"""Collating, item by item and whole batches at once, each program run on torch too."""

import collections
from types import MappingProxyType

import numpy as np
import pytest
import torch
from hypothesis import event, given
from hypothesis import strategies as st

import minigrad
from minigrad.utils.data import DataLoader, TensorDataset, default_collate
from minigrad.utils.data._utils.fetch import batch_at_once
from reference import strict_cupy
from tests.datasets import X, Y
from tests.lockstep import Raised, attempt, same

# -- collating ---------------------------------------------------------------------------------------------------------

Point = collections.namedtuple("Point", "x y")


class Sequence(collections.UserList):
    """A mutable sequence of its own type."""


def described(value):
    """The value with the types of its containers, to compare those as well."""
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        return value
    if isinstance(value, collections.abc.Mapping):
        return type(value).__name__, [(key, described(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple, Sequence)):
        return type(value).__name__, [described(item) for item in value]
    return type(value).__name__, value


class Odd:
    pass


ITEMS = {
    "int": [1, 2, 3],
    "bool": [True, False],
    "float": [0.1, 2.5],
    "int then float": [1, 2.5],
    "float then int": [2.5, 1],
    "float32 scalars": [np.float32(0.1), np.float32(2)],
    "float64 scalars": [np.float64(0.1), np.float64(2)],
    "int8 scalars": [np.int8(1), np.int8(2)],
    "bool scalars": [np.bool_(True), np.bool_(False)],
    "strings": ["a", "bc"],
    "bytes": [b"a", b"bc"],
    "NumPy strings": [np.str_("a"), np.str_("bc")],
    "arrays": [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)],
    "0-dim arrays": [np.array(1.5), np.array(2.5)],
    "arrays of two dtypes": [np.ones(2, np.float32), np.ones(2)],
    "ragged arrays": [np.ones(3), np.ones(4)],
    "string arrays": [np.array(["a"]), np.array(["b"])],
    "object arrays": [np.array([Odd()]), np.array([Odd()])],
    "tuples": [(1, 2.5, "a"), (2, 3.5, "b")],
    "tuples of one": [("a",), ("b",)],
    "lists": [[1, 2], [3, 4]],
    "named tuples": [Point(1, 2.5), Point(3, 4.5)],
    "dicts": [{"a": 1, "b": [2, 3]}, {"b": [4, 5], "a": 6}],
    "ordered dicts": [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "default dicts": [collections.defaultdict(int, a=1), collections.defaultdict(int, a=2)],
    "frozen dicts": [MappingProxyType({"a": 1}), MappingProxyType({"a": 2})],
    "user lists": [Sequence([1, 2]), Sequence([3, 4])],
    "ranges": [range(2), range(1, 3)],
    "nested": [{"a": (np.ones(2), [1, (2.0, "x")])}, {"a": (np.zeros(2), [3, (4.0, "y")])}],
    "ragged lists": [[1, 2], [3]],
    "ragged tuples": [(1, 2), (3,)],
    "missing keys": [{"a": 1}, {"b": 1}],
    "None": [None, None],
    "None in a tuple": [(1, None), (2, None)],
    "None in a dict": [{"a": None}, {"a": None}],
    "sets": [{1}, {2}],
    "objects": [Odd(), Odd()],
    "dates": [np.datetime64("2020-01-01")],
    "empty": [],
    "empty lists": [[], []],
    "an int, then text": [1, "a"],
}


@pytest.mark.parametrize("name", ITEMS)
def test_collating(name):
    def program(T):
        D = T.utils.data
        items = ITEMS[name]
        return described(D.default_collate(items)), [described(list(D.DataLoader(items, batch_size=2)))]

    same(program)


@pytest.mark.parametrize("name", sorted(set(ITEMS) - {"object arrays", "objects", "dates"}))
def test_converting(name):
    same(lambda T: [described(T.utils.data.default_convert(item)) for item in ITEMS[name]])
    same(lambda T: [described(item) for item in T.utils.data.DataLoader(ITEMS[name], batch_size=None)])


def test_objects_are_refused_by_name():
    for name in ("objects", "object arrays"):
        with pytest.raises(
            TypeError, match="default_collate: batch must contain tensors, numpy arrays, numbers, dicts or"
        ):
            default_collate(ITEMS[name])


def test_collating_tensors():
    def program(T):
        collate = T.utils.data.default_collate
        return [
            attempt(lambda batch=batch: collate(batch))
            for batch in (
                [T.ones(2), T.zeros(2)],
                [T.tensor(1), T.tensor(2)],
                [T.ones(2), T.ones(2, dtype=T.float64)],
                [T.ones(2, requires_grad=True), T.ones(2)],
                [T.ones(3), T.ones(4)],
                [T.ones(3), 1],
                [{"a": T.ones(1)}, {"a": T.ones(1)}],
            )
        ]

    same(program)


def test_a_gradient_goes_through_collating():
    def program(T):
        x = T.arange(6.0).reshape(3, 2).requires_grad_()
        (batch,) = next(iter(T.utils.data.DataLoader(T.utils.data.TensorDataset(x), batch_size=3, shuffle=False)))
        (batch * batch).sum().backward()
        return x.grad

    same(program)


def test_ragged_items_and_a_function_that_pads_them():
    def pad(batch):
        width = max(map(len, batch))
        return np.stack([np.pad(item, (0, width - len(item))) for item in batch])

    def program(T):
        data = [np.arange(n) for n in (3, 4, 2)]
        padded = T.utils.data.DataLoader(data, batch_size=2, collate_fn=lambda batch: T.from_numpy(pad(batch)))
        return attempt(lambda: list(T.utils.data.DataLoader(data, batch_size=2))), list(padded)

    same(program)


# -- whole batches at once ---------------------------------------------------------------------------------------------


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 4), min_size=1, max_size=6) | st.lists(st.integers(-3, 6), min_size=1, max_size=6),
    st.sampled_from(["whole", "subset", "twice"]),
    st.sampled_from(["plain", "grad", "inference", "strided", "odd"]),
)
def test_a_batch_at_once_equals_item_by_item(seed, indices, nesting, kind):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(6, 2, 3)), rng.integers(0, 9, 6), rng.random((6, 0)).astype(np.float32)]
    if kind == "strided":
        arrays = [np.repeat(a, 2, axis=0).swapaxes(0, -1).copy().swapaxes(0, -1)[::2] for a in arrays]
    if kind == "odd":
        indices = [indices[0], np.int64(indices[-1])]
    data = TensorDataset(*map(minigrad.from_numpy, arrays))
    if kind == "grad":
        data.tensors[0].requires_grad_()
    for _ in range(("whole", "subset", "twice").index(nesting)):
        data = minigrad.utils.data.Subset(data, rng.integers(-2, 6, 5).tolist())
    with minigrad.inference_mode(kind == "inference"):
        fast = attempt(lambda: next(iter(DataLoader(data, batch_sampler=[indices]))))
        slow = attempt(
            lambda: next(iter(DataLoader(data, batch_sampler=[indices], collate_fn=lambda b: default_collate(b))))
        )
        at_once = batch_at_once(data, indices) is not None
        event("at once" if at_once else "item by item")
    if isinstance(slow, Raised):
        assert repr(fast) == repr(slow)
        return
    assert type(fast) is type(slow) is list
    for a, b in zip(fast, slow, strict=True):
        assert a.is_contiguous() or not at_once
        assert a.dtype == b.dtype
        assert (a.requires_grad, a.is_inference()) == (b.requires_grad, b.is_inference())
        np.testing.assert_array_equal(a.array, b.array, strict=True)
        assert not any(np.shares_memory(a.array, t.array) for t in arrays_of(data))


def arrays_of(data):
    while not isinstance(data, TensorDataset):
        data = data.dataset
    return data.tensors


def test_what_is_read_at_once():
    data = TensorDataset(minigrad.ones(3))
    assert batch_at_once(data, [0, 2])[0].tolist() == [1, 1]
    for indices in ([], [0, 3], [-1], [True], [np.int64(1)], (0,), [0.0]):
        assert (batch_at_once(data, indices) is None) == (indices != (0,))

    class Noisy(TensorDataset):
        def __getitem__(self, i):
            return "noise"

    assert batch_at_once(Noisy(minigrad.ones(3)), [0]) is None
    assert list(DataLoader(Noisy(minigrad.ones(3)), batch_size=2)) == [["noise", "noise"], ["noise"]]


def test_tensors_on_the_gpu_stay_there():
    with strict_cupy.install():
        data = TensorDataset(minigrad.from_numpy(X).to("cuda"), minigrad.from_numpy(Y).to("cuda"))
        for options in ({}, {"collate_fn": lambda batch: default_collate(batch)}):
            minigrad.manual_seed(0)
            batches = list(DataLoader(data, batch_size=5, shuffle=True, **options))
            assert all(t.device.type == "cuda" for batch in batches for t in batch)
            rows = np.concatenate([y.cpu().numpy() for _, y in batches])
            np.testing.assert_array_equal(np.concatenate([x.cpu().numpy() for x, _ in batches]), X[rows])
        weights = minigrad.ones(3, device="cuda")
        assert len(list(minigrad.utils.data.WeightedRandomSampler(weights, 5))) == 5
