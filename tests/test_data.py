"""Samplers and datasets, each program run on torch too: values, order, errors, warnings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.utils.data import DataLoader
from tests.datasets import Squares, xy
from tests.lockstep import Raised, attempt, same

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
