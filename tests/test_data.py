"""Datasets, samplers, collating and the DataLoader, each program run on torch too: values, order, errors, warnings."""

import collections
from types import MappingProxyType

import numpy as np
import pytest
import torch
from hypothesis import event, given
from hypothesis import strategies as st

import minigrad
from minigrad.utils.data import DataLoader, TensorDataset, default_collate
from minigrad.utils.data.fetch import batch_at_once
from reference import strict_cupy
from tests.lockstep import Raised, attempt, same

X = np.arange(46, dtype=np.float32).reshape(23, 2)
Y = np.arange(23)


def xy(T, n=23):
    return T.utils.data.TensorDataset(T.from_numpy(X[:n].copy()), T.from_numpy(Y[:n].copy()))


class Squares:
    """A map-style dataset that is no Dataset, as in torch any class with these two methods will do."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i, float(i * i)


# -- order -------------------------------------------------------------------------------------------------------------


@given(
    n=st.integers(1, 23),
    batch_size=st.none() | st.integers(1, 25),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    own=st.booleans(),
    seed=st.integers(0, 2**40),
)
def test_three_passes(n, batch_size, shuffle, drop_last, own, seed):
    def program(T):
        T.manual_seed(seed)
        generator = T.Generator().manual_seed(seed + 1) if own else None
        loader = T.utils.data.DataLoader(
            xy(T, n), batch_size, shuffle=shuffle, drop_last=drop_last and batch_size is not None, generator=generator
        )
        passes = [[list(batch) for batch in loader] for _ in range(3)]
        # What is drawn next: the loader has taken neither more nor fewer numbers than torch's.
        return passes, len(loader), T.rand(3), T.rand(3, generator=generator)

    same(program)


@given(st.integers(0, 2**40), st.integers(0, 12))
def test_a_pass_that_ends_early(seed, taken):
    def program(T):
        T.manual_seed(seed)
        generator = T.Generator().manual_seed(1)
        loader = T.utils.data.DataLoader(xy(T), batch_size=2, shuffle=True, generator=generator)
        seen = []
        for _ in range(2):
            for i, (_, y) in enumerate(loader):
                if i == taken:
                    break
                seen.append(y)
        return seen, T.rand(2), T.rand(2, generator=generator)

    same(program)


def test_two_passes_at_once():
    def program(T):
        T.manual_seed(3)
        loader = T.utils.data.DataLoader(xy(T), batch_size=5, shuffle=True)
        return [(a[1], b[1]) for a, b in zip(loader, loader)]

    same(program)


def test_dropout_after_a_pass_stays_in_step():
    def program(T):
        T.manual_seed(0)
        drop = T.nn.Dropout(0.5)
        return [drop(x) for shuffle in (True, False) for x, _ in T.utils.data.DataLoader(xy(T), 5, shuffle=shuffle)]

    same(program)


def test_a_sampler_that_draws_when_asked_for_its_iterator():
    def program(T):
        class Eager(T.utils.data.Sampler):
            def __iter__(self):
                return iter(T.randperm(7).tolist())

            def __len__(self):
                return 7

        T.manual_seed(2)
        loaders = [T.utils.data.DataLoader(Squares(7), batch_size=size, sampler=Eager()) for size in (3, None)]
        return [[list(batch) for batch in loader] for loader in loaders * 2], T.rand(2), list(map(len, loaders))

    same(program)


@given(st.integers(0, 2**40), st.integers(1, 70), st.booleans(), st.booleans(), st.integers(1, 40))
def test_random_sampler(seed, n, replacement, own, count):
    def program(T):
        T.manual_seed(seed)
        generator = T.Generator().manual_seed(seed) if own else None
        sampler = T.utils.data.RandomSampler(range(n), replacement, count * 3, generator)
        return list(sampler), list(sampler), len(sampler), T.rand(1), T.rand(1, generator=generator)

    same(program)


@given(st.integers(0, 2**40), st.booleans())
def test_subset_and_weighted_samplers(seed, own):
    def program(T):
        T.manual_seed(seed)
        generator = T.Generator().manual_seed(seed) if own else None
        weights = [0.1, 0.0, 3.0, 0.6, 0.2]
        D = T.utils.data
        samplers = [
            D.SubsetRandomSampler([3, 1, 4, 15], generator),
            D.SubsetRandomSampler(T.tensor([3, 1, 4, 15]), generator),
            D.WeightedRandomSampler(weights, 40, generator=generator),
            D.WeightedRandomSampler(T.tensor(weights), 4, replacement=False, generator=generator),
            D.SequentialSampler("abc"),
        ]
        return [(list(sampler), len(sampler)) for sampler in samplers], T.rand(1), T.rand(1, generator=generator)

    same(program)


@given(st.integers(0, 30), st.integers(1, 9), st.booleans())
def test_batch_sampler(n, size, drop_last):
    def program(T):
        sampler = T.utils.data.BatchSampler(iter(range(n)), size, drop_last)
        return list(sampler), attempt(lambda: len(sampler)), len(T.utils.data.BatchSampler(range(n), size, drop_last))

    same(program)


# -- datasets ----------------------------------------------------------------------------------------------------------


def test_datasets_one_by_one():
    def program(T):
        D = T.utils.data
        x = T.arange(10)
        data = D.TensorDataset(x, x * 2)
        both = data + D.Subset(data, [3, 1])
        nested = D.Subset(both, range(1, 11, 3))
        return (
            [data[3], data[-1], data[1:3], attempt(lambda: data[10]), len(data)],
            [[both[i] for i in (0, 9, 10, 11, -1, -12)], len(both), both.cumulative_sizes],
            [attempt(lambda: both[12]), attempt(lambda: both[-13])],
            [[nested[i] for i in range(4)], nested[-1], nested.__getitems__([1, 2]), len(nested)],
            [D.Subset(data, [5, 6, 7])[[0, 2]], attempt(lambda: D.Subset(data, [1])[1])],
            attempt(lambda: D.Dataset()[0]),
        )

    same(program)


def test_dataset_errors():
    def program(T):
        D = T.utils.data

        class Stream(D.IterableDataset):
            def __iter__(self):
                return iter(range(3))

        class Half(D.Subset):
            def __getitem__(self, i):
                return 0

        data = xy(T)
        return [
            attempt(case)
            for case in (
                lambda: D.TensorDataset(T.ones(3), T.ones(4)),
                lambda: D.TensorDataset(T.ones(3), T.tensor(1)),
                lambda: len(D.Dataset()),
                lambda: D.ConcatDataset([]),
                lambda: D.ConcatDataset([data, Stream()]),
                lambda: Half(data, [1]),
                lambda: D.RandomSampler([]),
                lambda: D.RandomSampler([1], replacement=1),
                lambda: D.RandomSampler([1], num_samples=0),
                lambda: D.RandomSampler([1], num_samples=2.5),
                lambda: D.WeightedRandomSampler([1.0], 0),
                lambda: D.WeightedRandomSampler([1.0], True),
                lambda: D.WeightedRandomSampler([1.0], 1, replacement=2),
                lambda: D.WeightedRandomSampler([[1.0]], 1),
                lambda: list(D.WeightedRandomSampler([1.0], 2, replacement=False)),
                lambda: list(D.WeightedRandomSampler([0.0], 2)),
                lambda: D.BatchSampler([1], 0, False),
                lambda: D.BatchSampler([1], True, False),
                lambda: D.BatchSampler([1], 2.0, False),
                lambda: D.BatchSampler([1], 2, 1),
            )
        ]

    assert all(isinstance(outcome, Raised) for outcome in same(program))


def test_classes_can_be_subscripted():
    class Mine(minigrad.utils.data.Dataset[tuple[minigrad.Tensor, int]]):
        pass

    loader: DataLoader[int] = DataLoader(Squares(2))
    assert minigrad.utils.data.Sampler[int]
    assert len(loader) == 2
    assert issubclass(Mine, minigrad.utils.data.Dataset)


SPLITS = [
    [20, 3], [23], [0, 23], [10, 5, 8], [0.5, 0.5], [0.3, 0.3, 0.4], [1.0], [0.99, 0.01], [0.0, 1.0], [0.1] * 10,
    [1, 2], [24], [0.5, 0.4], [1.5, -0.5],
]  # fmt: skip


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("lengths", SPLITS, ids=str)
def test_random_split(lengths, own):
    def program(T):
        T.manual_seed(5)
        parts = attempt(lambda: T.utils.data.random_split(xy(T), lengths, *([T.Generator().manual_seed(7)] * own)))
        if isinstance(parts, Raised):
            return parts
        return [(list(part.indices), len(part)) for part in parts], [parts[-1][-1]], T.rand(2)

    same(program)


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


# -- the loader --------------------------------------------------------------------------------------------------------


class Bare:
    """Has neither length nor items."""


def refusals(T):
    D = T.utils.data
    data, load = xy(T), T.utils.data.DataLoader

    class Stream(D.IterableDataset):
        def __iter__(self):
            return iter(range(3))

        def __repr__(self):
            return "Stream()"

    sampler = D.SequentialSampler(data)
    loader = load(data, batch_size=2)
    return [
        lambda: load(data, num_workers=-1),
        lambda: load(data, timeout=-1),
        lambda: list(load(data, timeout=1)),
        lambda: load(data, prefetch_factor=2),
        lambda: load(data, num_workers=1, prefetch_factor=-1),
        lambda: list(load(data, num_workers=1, prefetch_factor=0)),
        lambda: load(data, persistent_workers=True),
        lambda: load(data, shuffle=True, sampler=sampler),
        lambda: load(data, batch_sampler=[[0]], batch_size=2),
        lambda: load(data, batch_sampler=[[0]], shuffle=True),
        lambda: load(data, batch_sampler=[[0]], sampler=sampler),
        lambda: load(data, batch_sampler=[[0]], drop_last=True),
        lambda: load(data, batch_size=None, drop_last=True),
        lambda: load(data, batch_size=0),
        lambda: load(data, batch_size=-2),
        lambda: load(data, batch_size=2.5),
        lambda: load(data, batch_size=True),
        lambda: load(data, drop_last=1),
        lambda: load(Stream(), shuffle=True),
        lambda: load(Stream(), sampler=[1]),
        lambda: load(Stream(), batch_sampler=[[1]]),
        lambda: len(load(Stream())),
        lambda: load([], shuffle=True),
        lambda: load(Bare(), shuffle=True),
        lambda: len(load(Bare())),
        lambda: list(load(Bare())),
        lambda: load(data, multiprocessing_context="fork"),
        lambda: load(data, num_workers=1, multiprocessing_context="spoon"),
        lambda: load(data, num_workers=1, multiprocessing_context=3),
        lambda: list(load(data, sampler=[0, 99])),
        lambda: list(load({"a": 1}, sampler=["a", "b"])),
        lambda: setattr(loader, "batch_size", 3),
        lambda: setattr(loader, "sampler", sampler),
        lambda: setattr(loader, "batch_sampler", sampler),
        lambda: setattr(loader, "drop_last", True),
        lambda: setattr(loader, "dataset", data),
        lambda: setattr(loader, "persistent_workers", True),
    ]


# torch's iterator, refused half made for its prefetch_factor, fails once more when it is deleted.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*_MultiProcessingDataLoaderIter:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("i", range(len(refusals(minigrad))))
def test_refusals(i):
    outcome = same(lambda T: attempt(refusals(T)[i]))
    assert isinstance(outcome, Raised)


def test_an_empty_dataset_without_shuffling_gives_nothing():
    same(lambda T: (list(T.utils.data.DataLoader([])), len(T.utils.data.DataLoader([]))))


@pytest.mark.parametrize(
    "error",
    [ValueError("bad item 3"), KeyError("missing"), OSError(5, "unreadable"), IndexError("end"), StopIteration()],
)
def test_an_error_in_an_item_comes_as_it_is(error):
    class Broken(Squares):
        def __getitem__(self, i):
            if i == 3:
                raise error
            return i

    def program(T):
        loader = T.utils.data.DataLoader(Broken(6), batch_size=2)
        seen = []
        outcome = attempt(lambda: [seen.append(batch) for batch in loader])
        return seen, outcome

    same(program)


def test_attributes():
    def program(T):
        D = T.utils.data
        data = xy(T)
        loaders = [
            D.DataLoader(data),
            D.DataLoader(data, 4, True),
            D.DataLoader(data, batch_size=None),
            D.DataLoader(data, batch_sampler=[[1, 2], [3]]),
            D.DataLoader(data, 2, num_workers=1, timeout=3),
        ]
        names = (
            "batch_size",
            "drop_last",
            "num_workers",
            "timeout",
            "prefetch_factor",
            "persistent_workers",
            "pin_memory",
        )
        plain = [[getattr(loader, name) for name in names] for loader in loaders]
        classes = [[type(loader.sampler).__name__, type(loader.batch_sampler).__name__] for loader in loaders]
        functions = [loader.collate_fn.__name__ for loader in loaders]
        return plain, classes, functions, [loader.dataset is data for loader in loaders], len(iter(loaders[1]))

    same(program)


def test_pin_memory_without_a_gpu_warns():
    same(lambda T: [list(batch) for batch in T.utils.data.DataLoader(xy(T, 3), batch_size=2, pin_memory=True)])


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_stream(batch_size, drop_last):
    def program(T):
        class Stream(T.utils.data.IterableDataset):
            def __iter__(self):
                return iter(range(7))

        drop = drop_last and batch_size is not None
        loader = T.utils.data.DataLoader(Stream(), batch_size=batch_size, drop_last=drop)
        return [list(loader), list(loader), [type(item).__name__ for item in loader]]

    same(program)


@pytest.mark.parametrize("promised", [2, 4, 5, 9])
def test_a_stream_of_another_length_than_it_says(promised):
    def program(T):
        class Stream(T.utils.data.IterableDataset):
            def __iter__(self):
                return iter(range(9))

            def __len__(self):
                return promised

            def __repr__(self):
                return "Stream()"

        loader = T.utils.data.DataLoader(Stream(), batch_size=2)
        unasked = list(loader)
        return unasked, len(loader), list(loader)

    same(program)


def test_items_in_batches_where_the_dataset_can_give_them():
    def program(T):
        class Several(Squares):
            def __getitems__(self, indices):
                return [(i, -i) for i in indices]

        return list(T.utils.data.DataLoader(Several(5), batch_size=2)), list(T.utils.data.DataLoader(Several(2), None))

    same(program)
