"""The DataLoader, each program run on torch too."""

import pytest

import minigrad
from tests.datasets import Squares, xy
from tests.lockstep import Raised, attempt, same


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
