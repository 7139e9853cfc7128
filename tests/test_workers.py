"""Worker processes of a DataLoader: torch's order, seeds and values."""

import collections
import gc
import multiprocessing
import random
import time

import numpy as np
import pytest

import minigrad
from minigrad.utils.data import TensorDataset
from tests.loaders import Items, ours, quiet
from tests.lockstep import attempt, same

# From Python 3.12 on, forking warns where NumPy's or torch's threads exist; workers use none of them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


X = np.arange(46, dtype=np.float32).reshape(23, 2)


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    if ours():
        gc.collect()  # what an error's traceback holds on to
    assert not ours(), "a worker is still running"


# -- order, seeds, values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"persistent_workers": True}, {"prefetch_factor": 1, "drop_last": True}], ids=str
)
@pytest.mark.parametrize("own", [False, True])
def test_order_and_what_is_drawn_next(options, own):
    def program(T):
        T.manual_seed(4)
        generator = T.Generator().manual_seed(5) if own else None
        data = T.utils.data.TensorDataset(T.from_numpy(X.copy()))
        loader = quiet(T, data, 4, shuffle=True, num_workers=2, generator=generator, **options)
        passes = [[list(batch) for batch in loader] for _ in range(2)]
        return passes, T.rand(2), T.rand(2, generator=generator)

    same(program)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_any_number_of_workers_gives_the_same(count):
    def batches(n):
        minigrad.manual_seed(1)
        return [x.tolist() for (x,) in quiet(minigrad, TensorDataset(minigrad.from_numpy(X)), 3, True, num_workers=n)]

    assert batches(count) == batches(0)


def test_a_sampler_that_draws_when_asked_for_its_iterator():
    def program(T):
        class Eager(T.utils.data.Sampler):
            def __iter__(self):
                return iter(T.randperm(7).tolist())

            def __len__(self):
                return 7

        T.manual_seed(2)
        loader = quiet(T, list(range(7)), None, sampler=Eager(), num_workers=1)
        return list(loader), T.rand(2)

    same(program)


def test_seeds_and_worker_info():
    def program(T):
        def item(i):
            info = T.utils.data.get_worker_info()
            numbers = [random.random(), float(np.random.rand()), T.rand(2).tolist(), T.initial_seed()]
            return numbers, info.id, info.num_workers, info.seed, info.dataset is data

        data = Items(6, item)
        assert T.utils.data.get_worker_info() is None
        T.manual_seed(11)
        return list(quiet(T, data, 2, num_workers=2, collate_fn=list)), list(
            quiet(T, data, 2, num_workers=2, collate_fn=list)
        )

    same(program)


def test_a_function_at_the_start_of_each_worker():
    def program(T):
        started = []
        loader = quiet(
            T, Items(4, lambda i: started[0] + i), 1, num_workers=2, worker_init_fn=lambda k: started.append(k * 10)
        )
        return list(loader)

    same(program)


Pair = collections.namedtuple("Pair", "a b")


def test_all_kinds_of_values_come_through():
    arrays = [np.ones((2, 0), np.float16), np.array(True), np.arange(6).reshape(2, 3).T, np.float64(2) * np.ones(())]
    items = [Pair({"x": minigrad.from_numpy(np.asarray(a))}, [a.shape, str(a.dtype), None, "text"]) for a in arrays]
    items[3].a["x"].requires_grad_()
    back = list(quiet(minigrad, Items(4, lambda i: items[i]), None, num_workers=1, collate_fn=lambda item: item))
    for got, sent in zip(back, items, strict=True):
        assert type(got) is Pair
        assert got.b == sent.b
        np.testing.assert_array_equal(got.a["x"].array, sent.a["x"].array, strict=True)
        assert got.a["x"].requires_grad == sent.a["x"].requires_grad


@pytest.mark.parametrize("method", ["spawn", multiprocessing.get_context("forkserver")], ids=["spawn", "forkserver"])
def test_other_ways_to_start(method):
    data = TensorDataset(minigrad.from_numpy(X))
    loader = quiet(minigrad, data, 6, num_workers=1, multiprocessing_context=method)
    assert [x.tolist() for (x,) in loader] == [X[i : i + 6].tolist() for i in range(0, 23, 6)]


def test_what_cannot_be_sent_to_a_spawned_worker():
    def program(T):
        return attempt(lambda: list(quiet(T, Items(2, lambda i: i), num_workers=1, multiprocessing_context="spawn")))

    same(program)


def test_batches_and_index_lists_larger_than_a_pipe():
    data = TensorDataset(minigrad.arange(300_000))
    for options in ({"batch_size": 100_000}, {"batch_size": 300_000, "shuffle": True}):
        batches = [x for (x,) in quiet(minigrad, data, num_workers=2, prefetch_factor=4, **options)]
        assert sorted(np.concatenate([x.array for x in batches])) == list(range(300_000))


def test_how_far_workers_are_ahead():
    read = multiprocessing.Value("i")

    def item(i):
        with read.get_lock():
            read.value += 1
        return i

    batches = iter(quiet(minigrad, Items(20, item), 1, num_workers=1, prefetch_factor=3))
    for taken in (0, 1, 2):
        for _ in range(100):  # until it is as far ahead as it may be
            if read.value == 3 + taken:
                break
            time.sleep(0.1)
        time.sleep(0.1)
        assert read.value == 3 + taken
        next(batches)


def test_more_workers_than_processors():
    same(lambda T: T.utils.data.DataLoader([1], num_workers=1000).num_workers)


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("lengths", [(4, 4), (6, 1), (0, 3)])
def test_streams(lengths, batch_size, persistent):
    def program(T):
        class Stream(T.utils.data.IterableDataset):
            def __iter__(self):
                k = T.utils.data.get_worker_info().id
                return iter(range(100 * k, 100 * k + lengths[k]))

        loader = quiet(T, Stream(), batch_size, num_workers=2, persistent_workers=persistent, prefetch_factor=1)
        return [sorted(map(str, loader)) for _ in range(2)]

    same(program)


def test_streams_take_turns():
    class Stream(minigrad.utils.data.IterableDataset):
        def __iter__(self):
            k = minigrad.utils.data.get_worker_info().id
            return iter(range(100 * k, 100 * k + (5, 2)[k]))

    for _ in range(3):
        assert list(quiet(minigrad, Stream(), None, num_workers=2)) == [0, 100, 1, 101, 2, 3, 4]
