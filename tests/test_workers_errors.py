"""Worker processes of a DataLoader: torch's errors, and none is ever left behind."""

import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import minigrad
from minigrad.utils.data._utils import workers
from tests.loaders import Items, ours, quiet
from tests.lockstep import attempt, same

# From Python 3.12 on, forking warns where NumPy's or torch's threads exist; workers use none of them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    if ours():
        gc.collect()  # what an error's traceback holds on to
    assert not ours(), "a worker is still running"


@pytest.fixture
def impatient(monkeypatch):
    """Both engines wait 0.1 s, not five, for a worker that does not end."""
    monkeypatch.setattr(workers, "PATIENCE", 0.1)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    yield
    gc.collect()


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
    batches = iter(quiet(minigrad, Items(2, lambda i: bytes(10_000_000)), num_workers=1))
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
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started all this in the background
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
