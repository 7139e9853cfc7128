"""Worker processes of a DataLoader: torch's order, seeds and errors, and none is ever left behind."""

import collections
import contextlib
import gc
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import minigrad
from minigrad.utils.data import TensorDataset, workers
from tests.lockstep import attempt, same

# From Python 3.12 on, forking warns where NumPy's or torch's threads exist; workers use none of them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

X = np.arange(46, dtype=np.float32).reshape(23, 2)
ROOT = Path(__file__).resolve().parent.parent


def quiet(T, *args, **options):
    """A loader without the warning that this machine has few processors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        return T.utils.data.DataLoader(*args, **options)


class Items:
    """A dataset of n items that a function computes."""

    def __init__(self, n, function):
        self.n, self.function = n, function

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.function(i)


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    if ours():
        gc.collect()  # what an error's traceback holds on to
    assert not ours(), "a worker is still running"


def ours():
    """The workers that minigrad started."""
    return [p for p in multiprocessing.active_children() if p.name.startswith("DataLoader worker")]


@pytest.fixture
def impatient(monkeypatch):
    """Both engines wait 0.1 s, not five, for a worker that does not end."""
    monkeypatch.setattr(workers, "PATIENCE", 0.1)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    yield
    gc.collect()


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


# -- errors ------------------------------------------------------------------------------------------------------------


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def broken(error):
    def item(i):
        if i == 2:
            raise error
        return i

    return Items(5, item)


def local_error():
    class Local(Exception):
        pass

    return Local("here")


ERRORS = [ValueError("bad 2"), KeyError("missing"), IndexError("end"), TwoArguments(1, 2), OSError(5, "unreadable")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_in_a_worker(error):
    def program(T):
        batches = iter(quiet(T, broken(error), 2, num_workers=2))
        outcomes = []
        for _ in range(4):
            try:
                outcomes.append(next(batches))
            except Exception as raised:
                text = str(raised)
                assert "in item\n    raise error" in text
                outcomes.append([type(raised).__name__, *text.splitlines()[:2], text.splitlines()[-1]])
        return outcomes

    same(program)


def test_an_error_whose_type_cannot_be_sent():
    with pytest.raises(RuntimeError, match=r"(?s)Caught RuntimeError in DataLoader worker process 0.*Local: here"):
        list(quiet(minigrad, broken(local_error()), num_workers=1))


def test_an_item_that_cannot_be_sent():
    loader = quiet(minigrad, Items(3, lambda i: (lambda: i) if i == 1 else i), None, num_workers=1)
    batches = iter(loader)
    assert next(batches) == 0
    with pytest.raises(RuntimeError, match=r"(?s)Caught RuntimeError in DataLoader worker process 0.*pickle"):
        next(batches)
    assert next(batches) == 2


@pytest.mark.usefixtures("impatient")
def test_an_error_at_the_start():
    def refuse(k):
        raise ValueError(f"worker {k} has no licence")

    def program(T):
        try:
            list(quiet(T, [1, 2, 3], num_workers=2, worker_init_fn=refuse))
        except ValueError as raised:
            return str(raised).splitlines()[:2], str(raised).splitlines()[-1]

    same(program)


@pytest.mark.parametrize("how", ["killed", "exits", "raises SystemExit"])
def test_a_worker_that_dies(how):
    def item(i):
        if i == 3:
            time.sleep(0.1)
            {"killed": lambda: os.kill(os.getpid(), signal.SIGKILL), "exits": lambda: os._exit(3)}.get(how, sys.exit)()
        return i

    def program(T):
        try:
            list(quiet(T, Items(8, item), num_workers=2, collate_fn=list))
        except RuntimeError as raised:
            return re.sub(r"\d+", "N", str(raised).splitlines()[0])

    if how != "raises SystemExit":  # which torch finds out after five seconds
        assert same(program) == "DataLoader worker (pid(s) N) exited unexpectedly"
    ends = {"killed": "killed by signal SIGKILL", "exits": "exit status 3", "raises SystemExit": "exit status 0"}
    loader = quiet(minigrad, Items(8, item), num_workers=2, persistent_workers=True)
    with pytest.raises(RuntimeError, match=rf"How it ended: {ends[how]}"):
        list(loader)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):  # with new workers
        list(loader)


def test_a_worker_that_dies_while_it_sends():
    batches = iter(quiet(minigrad, Items(2, lambda i: np.zeros(10_000_000)), num_workers=1))
    time.sleep(0.5)  # the pipe is full long before all of it has been sent
    (worker,) = ours()
    worker.kill()
    with pytest.raises(RuntimeError, match="exited unexpectedly\nHow it ended: killed by signal SIGKILL"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_a_worker_that_dies_between_passes():
    loader = quiet(minigrad, list(range(4)), None, num_workers=2, persistent_workers=True)
    assert list(loader) == [0, 1, 2, 3]
    worker = ours()[0]
    worker.kill()
    worker.join()
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader)
    assert list(loader) == [0, 1, 2, 3]


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_takes_too_long():
    def program(T):
        loader = quiet(T, Items(2, lambda i: time.sleep(20 * i) or i), num_workers=1, timeout=1)
        batches = iter(loader)
        first = next(batches).tolist()
        return first, attempt(lambda: next(batches))

    same(program)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_pass_that_ends_early_stops_the_workers():
    loader = quiet(minigrad, Items(100, lambda i: np.zeros(100_000)), 1, num_workers=2)
    for _ in loader:
        assert len(ours()) == 2
        break
    assert not ours()
    batches = iter(loader)
    assert len(ours()) == 2
    del batches
    assert not ours()


def test_a_busy_worker_is_waited_for_a_while_then_killed(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.3)
    batches = iter(quiet(minigrad, Items(2, lambda i: time.sleep(60)), num_workers=1))
    start = time.perf_counter()
    del batches
    assert 0.2 < time.perf_counter() - start < 5
    assert not ours()


def test_a_worker_with_a_full_pipe_is_ended_by_force():
    batches = iter(quiet(minigrad, Items(1, lambda i: time.sleep(60)), num_workers=1))
    pipe = batches._workers.workers[0].pipe.fileno()
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, bytes(1000))
    start = time.perf_counter()
    del batches
    assert time.perf_counter() - start < 2


def test_persistent_workers_stay():
    loader = quiet(minigrad, Items(6, lambda i: os.getpid()), None, num_workers=2, persistent_workers=True)
    first = set(loader)
    assert len(first) == 2
    for i, _ in enumerate(loader):
        if i == 1:
            break  # what is left of this pass is not seen in the next
    assert [set(loader), set(loader)] == [first, first]
    assert len(ours()) == 2
    del loader
    assert not ours()


def test_persistent_workers_after_a_pass_that_ended_early():
    def program(T):
        loader = quiet(T, list(range(9)), 2, num_workers=2, persistent_workers=True)
        for _ in loader:
            break
        return [list(loader), list(loader)]

    same(program)


def test_other_workers_each_pass_unless_persistent():
    loader = quiet(minigrad, Items(2, lambda i: os.getpid()), None, num_workers=1)
    assert not set(loader) & set(loader)


def test_a_fork_of_the_main_process_leaves_the_workers_alone():
    batches = iter(quiet(minigrad, list(range(40)), 2, num_workers=2))
    next(batches)
    child = os.fork()
    if not child:
        del batches
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert [batch.tolist() for batch in batches] == [[i, i + 1] for i in range(2, 40, 2)]


SCRIPT = """
import os, signal, sys, time, warnings
warnings.simplefilter("ignore")
from minigrad.utils.data import DataLoader

class Slow:
    def __len__(self):
        return 1000
    def __getitem__(self, i):
        time.sleep(0.01)
        return os.getpid()

batches = iter(DataLoader(Slow(), batch_size=None, num_workers=2))
print(next(batches), next(batches), flush=True)
"""
ENDS = {
    "by its last line": "",
    "by an error": "1 / 0",
    "by sys.exit": "sys.exit(0)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "by Ctrl-C": "os.kill(0, signal.SIGINT); time.sleep(60)",
}


@pytest.mark.parametrize("end", ENDS)
def test_workers_end_with_the_program(end):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + ENDS[end]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    errors = {"by an error": "ZeroDivisionError: division by zero", "by Ctrl-C": "KeyboardInterrupt"}
    assert done.stderr.count("Traceback") == (end in errors)
    assert done.stderr.strip().endswith(errors.get(end, ""))
    for _ in range(50):
        if not any(map(alive, pids)):
            return
        time.sleep(0.1)
    raise AssertionError("workers are still running")


def alive(pid):
    """True if the process runs: one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
