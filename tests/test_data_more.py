"""Stacked, chained and distributed data, collating by rules of one's own, and names scripts import; on torch too."""

import importlib
import multiprocessing
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.datasets import Squares, xy
from tests.loaders import Items, quiet
from tests.lockstep import attempt, same

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "dataset",
            "ChainDataset ConcatDataset Dataset IterableDataset StackDataset Subset TensorDataset random_split",
        ),
        ("sampler", "BatchSampler RandomSampler Sampler SequentialSampler SubsetRandomSampler WeightedRandomSampler"),
        ("dataloader", "DataLoader default_collate default_convert get_worker_info"),
        ("distributed", "DistributedSampler"),
        ("_utils.collate", "collate default_collate default_convert default_collate_fn_map collate_tensor_fn"),
        ("_utils.worker", "get_worker_info WorkerInfo"),
    ],
)
def test_modules_and_their_names(module, names):
    for engine in ("torch", "minigrad"):
        home = importlib.import_module(f"{engine}.utils.data.{module}")
        assert not [name for name in names.split() if not hasattr(home, name)]


def streams(T):
    class Count(T.utils.data.IterableDataset):
        def __init__(self, start, end):
            self.start, self.end = start, end

        def __iter__(self):
            return iter(range(self.start, self.end))

        def __len__(self):
            return self.end - self.start

    return Count


def test_chained_streams():
    def program(T):
        D, Count = T.utils.data, streams(T)
        chain = D.ChainDataset([Count(0, 3), Count(5, 5), Count(7, 9)])
        both = Count(0, 2) + Count(4, 6)
        wrong = D.ChainDataset([Count(0, 2), Squares(3)])
        lazy = D.ChainDataset(Count(i, i + 2) for i in range(3))
        seen = []
        return (
            [list(chain), list(chain), len(chain), type(both).__name__, list(both), list(lazy), list(lazy)],
            [list(D.DataLoader(chain, 2)), len(D.DataLoader(chain, 2)), list(D.DataLoader(both, None))],
            [attempt(lambda: [seen.append(item) for item in wrong]), seen, attempt(lambda: len(wrong))],
            attempt(lambda: D.ConcatDataset([both])),
            attempt(lambda: D.ChainDataset([Count(0, 1)])[0]),
        )

    same(program)


@pytest.mark.parametrize("named", [False, True])
def test_stacked_datasets(named):
    def program(T):
        D = T.utils.data

        def stacked(*parts):
            return D.StackDataset(**dict(zip("abc", parts))) if named else D.StackDataset(*parts)

        x, y = T.arange(5.0), T.arange(5) * 2
        data = stacked(D.TensorDataset(x, y), D.Subset(Squares(9), [8, 6, 4, 2, 0]), ["p", "q", "r", "s", "t"])
        return (
            [data[1], data[-1], len(data), data.__getitems__([3, 0]), attempt(lambda: data[5])],
            [list(batch.items() if named else batch) for batch in D.DataLoader(data, 2)],
            attempt(lambda: stacked([1, 2], [1])),
            attempt(lambda: stacked()),
            attempt(lambda: D.StackDataset([1], a=[1])),
        )

    same(program)


def test_a_stacked_dataset_that_gives_too_few():
    class Short(Squares):
        def __getitems__(self, indices):
            return [0]

    same(lambda T: attempt(lambda: T.utils.data.StackDataset(Squares(3), Short(3)).__getitems__([0, 1])))


@given(st.integers(1, 23), st.integers(1, 6), st.data(), st.booleans(), st.booleans(), st.integers(0, 100))
def test_distributed_sampler(n, replicas, data, shuffle, drop_last, seed):
    rank, epoch = data.draw(st.integers(0, replicas - 1)), data.draw(st.integers(0, 5))

    def program(T):
        sampler = T.utils.data.DistributedSampler(Squares(n), replicas, rank, shuffle, seed, drop_last)
        first = list(sampler)
        sampler.set_epoch(epoch)
        loader = T.utils.data.DataLoader(xy(T, n), 2, sampler=sampler)
        facts = len(sampler), sampler.num_samples, sampler.total_size, sampler.epoch, len(loader)
        return (
            first,
            list(sampler),
            facts,
            [y for _, y in loader],
            T.utils.data.distributed.DistributedSampler is type(sampler),
        )

    same(program)


@pytest.mark.parametrize("rank", [-1, 2, 5])
def test_a_rank_out_of_range(rank):
    same(lambda T: attempt(lambda: T.utils.data.DistributedSampler(Squares(4), 2, rank)))


class Text:
    """A type that has no rule of its own."""

    def __init__(self, text):
        self.text = text


def test_rules_for_types_of_items():
    def program(T):
        home = importlib.import_module(f"{T.__name__}.utils.data._utils.collate")

        def join(batch, *, collate_fn_map=None):
            return "+".join(item.text for item in batch)

        def total(batch, *, collate_fn_map=None):
            return sum(batch)

        items = [{"a": Text("x"), "n": (1, True)}, {"a": Text("y"), "n": (2, False)}]
        before = attempt(lambda: home.default_collate(items))
        home.default_collate_fn_map[Text] = join
        try:
            after = home.default_collate(items), list(T.utils.data.DataLoader([Text("p"), Text("q")], 2))
        finally:
            del home.default_collate_fn_map[Text]
        return (
            [before, after],
            home.collate(items, collate_fn_map={Text: join, int: total}),
            home.collate([True, 2], collate_fn_map={(int, float): total}),
            attempt(lambda: home.collate([1, 2])),
            home.collate([np.float64(1), 2.0], collate_fn_map=home.default_collate_fn_map),
            home.default_collate_fn_map[T.Tensor]([T.ones(2), T.zeros(2)]),
        )

    same(program)


# -- the loader's attributes and iterators -----------------------------------------------------------------------------


def test_attributes_and_iterators():
    def program(T):
        data = xy(T)
        loader = T.utils.data.DataLoader(data, 4, pin_memory_device="cuda", in_order=False)
        single = T.utils.data.DataLoader(data, None)
        loader.num_workers, loader.generator, loader.timeout = 0, None, 0
        iterator = iter(loader)
        return (
            [loader.pin_memory_device, loader.in_order, loader.multiprocessing_context, loader._auto_collation],
            [type(x._index_sampler).__name__ for x in (loader, single)],
            [iter(iterator) is iterator, len(iterator), single._auto_collation],
            attempt(lambda: pickle.dumps(iterator)).type,
            attempt(lambda: setattr(loader, "multiprocessing_context", "fork")),
            attempt(lambda: setattr(loader, "multiprocessing_context", None)),
            [len(list(iterator)), attempt(lambda: next(iterator)), attempt(lambda: next(iterator))],
        )

    same(program)


def test_pinning_to_a_device_warns():
    same(lambda T: len(list(T.utils.data.DataLoader(xy(T), 4, pin_memory=True, pin_memory_device="cuda"))))


def test_a_context_set_afterwards():
    def program(T):
        loader = quiet(T, xy(T), 4, num_workers=1)
        loader.multiprocessing_context = "fork"
        first = loader.multiprocessing_context.get_start_method()
        return first, attempt(lambda: setattr(loader, "multiprocessing_context", "spoon")), len(list(loader))

    same(program)


def test_a_stream_longer_than_it_says_with_workers():
    def program(T):
        stream = streams(T)(0, 3)
        type(stream).__repr__ = lambda self: "Count"
        loader = quiet(T, stream, None, num_workers=2)
        return len(loader), sorted(loader)

    same(program)


# -- batches as they come ----------------------------------------------------------------------------------------------


def test_out_of_order_all_come_once_and_a_slow_worker_holds_up_no_other():
    gate = multiprocessing.Event()

    def item(i):
        if i == 0 and not gate.wait(20):
            raise TimeoutError
        return i

    def program(T):
        gate.clear()
        batches = iter(quiet(T, Items(12, item), 1, num_workers=2, in_order=False))
        first = [next(batches).item() for _ in range(4)]
        gate.set()
        rest = [batch.item() for batch in batches]
        return 0 in first, sorted(first + rest)

    assert same(program) == (False, list(range(12)))


@pytest.mark.parametrize("lengths", [(4, 4), (6, 1), (0, 3)])
def test_streams_out_of_order(lengths):
    def program(T):
        class Stream(T.utils.data.IterableDataset):
            def __iter__(self):
                k = T.utils.data.get_worker_info().id
                return iter(range(100 * k, 100 * k + lengths[k]))

        loader = quiet(T, Stream(), 1, num_workers=2, in_order=False, persistent_workers=True)
        return [sorted(batch.item() for batch in loader) for _ in range(2)]

    same(program)


def test_errors_out_of_order():
    def item(i):
        if i == 2:
            raise ValueError("bad 2")
        return i

    def program(T):
        batches = iter(quiet(T, Items(6, item), 1, num_workers=2, in_order=False))
        outcomes = [attempt(lambda: next(batches).item()) for _ in range(6)]
        return sorted(map(str, outcomes)), attempt(lambda: next(batches))

    same(program)
