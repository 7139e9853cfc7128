"""A worker process of a DataLoader: what it does, what it sends back, and `get_worker_info`."""

from __future__ import annotations

import multiprocessing
import queue
import random
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection, wait
from typing import Any

from minigrad.backend import np
from minigrad.kernels.threads import set_num_threads
from minigrad.random import manual_seed
from minigrad.utils.data._utils.fetch import Fetch, fetcher
from minigrad.utils.data._utils.segments import Parcel, Sender, send
from minigrad.utils.data.dataset import IterableDataset

__all__ = ["Failure", "Job", "Mark", "WorkerInfo", "get_worker_info", "work"]


@dataclass(frozen=True)
class WorkerInfo:
    """What `get_worker_info()` tells in a worker."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: None = None
    worker_method: str = "multiprocessing"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process: its id, their number, its seed and its copy of the dataset. None in the main process."""
    return _info


@dataclass(frozen=True)
class Job:
    """What every worker of a loader does."""

    dataset: Any
    batched: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    num_workers: int
    init: Callable[[int], None] | None


class Mark(Enum):
    """What goes through a pipe beside indices, batches and failures."""

    STOP = 0  # to a worker: end
    RESTART = 1  # to a worker, and its answer: begin another pass
    END = 2  # from a worker: its stream has ended


@dataclass(frozen=True)
class Failure:
    """An exception on its way from a worker to the main process."""

    kind: type[BaseException]
    text: str  # the worker's traceback
    worker: int

    @staticmethod
    def of(error: BaseException, worker: int) -> Failure:
        return Failure(type(error), "".join(traceback.format_exception(error)), worker)

    def raise_again(self) -> None:
        """Raise the same type with the worker's traceback as its text; RuntimeError if that type takes no text."""
        text = f"Caught {self.kind.__name__} in DataLoader worker process {self.worker}.\nOriginal {self.text}"
        if self.kind is KeyError:
            raise KeyError(_Plain(text))
        try:
            make: Any = self.kind
            error = make(message=text) if getattr(make, "message", None) else make(text)
        except Exception:
            error = RuntimeError(text)
        raise error


class _Plain(str):
    """Text that a KeyError shows as it is: it shows the repr of its argument."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def work(pipe: Connection, job: Job, number: int) -> None:
    """The whole life of worker `number`: answer what comes through the pipe until told to stop.

    When the main process is interrupted or gone it ends in silence.
    """
    with suppress(KeyboardInterrupt, EOFError):
        _serve(pipe, job, number)


def _serve(pipe: Connection, job: Job, number: int) -> None:
    # Answers are sent by a thread, so that the next batch is read while one waits to be received.
    outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    parent: Any = multiprocessing.parent_process()
    threading.Thread(target=_send_all, args=(outbox, pipe, parent.pid), daemon=True).start()
    sender = Sender()
    failure: Failure | None = None
    fetch: Fetch | None = None
    try:
        _prepare(job, number)
    except Exception as error:
        failure = Failure.of(error, number)
    while pipe in wait([pipe, parent.sentinel]):
        message, returned = pipe.recv()
        sender.take_back(returned)
        if message is Mark.STOP:
            return
        if message is Mark.RESTART:
            fetch = None
            outbox.put(sender.pack(Mark.RESTART))
        elif fetch is not _ended:
            answer: Any = failure
            try:
                if failure is None:
                    fetch = fetch or fetcher(job.dataset, job.batched, job.collate_fn, job.drop_last)
                    answer = fetch(message)
            except Exception as error:
                if isinstance(error, StopIteration) and isinstance(job.dataset, IterableDataset):
                    answer, fetch = Mark.END, _ended
                else:
                    answer = Failure.of(error, number)
            outbox.put(_packed(sender, answer, number))
            answer = None  # the next batch is read without this one in memory


def _ended(index: Any) -> None:
    """Stands for fetching from a stream that has ended: further requests stay unanswered."""


def _prepare(job: Job, number: int) -> None:
    """torch's seeds: base_seed + id for Python's and minigrad's generator, a hash of both for NumPy's."""
    global _info
    set_num_threads(1)  # the cores are the workers', as in torch
    seed = job.base_seed + number
    random.seed(seed)
    manual_seed(seed)
    words = [number, job.base_seed & 0xFFFFFFFF, job.base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))
    _info = WorkerInfo(number, job.num_workers, seed, job.dataset)
    if job.init is not None:
        job.init(number)


def _packed(sender: Sender, answer: Any, number: int) -> Parcel:
    """The parcel of an answer; what cannot be pickled becomes a failure that says so."""
    try:
        return sender.pack(answer)
    except Exception as error:
        text = answer.text if isinstance(answer, Failure) else Failure.of(error, number).text
        return sender.pack(Failure(RuntimeError, text, number))


def _send_all(outbox: queue.SimpleQueue[Any], pipe: Connection, receiver: int) -> None:
    with suppress(OSError):  # until the main process closes its end
        while True:
            send(pipe, outbox.get(), receiver)
