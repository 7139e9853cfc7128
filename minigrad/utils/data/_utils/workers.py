"""The worker processes of a DataLoader, as the main process sees them.

Every worker has a pipe of its own. Batch k goes to the worker whose turn it is, and batches are received in the order
in which they were handed out, so the order never depends on which worker is faster, unless `in_order` is False.

    main process                                  worker i
    indices of a batch        --- pipe i --->     fetch and collate
    batch, or what went wrong <-- pipe i ---      (large arrays in shared memory)
"""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

from minigrad.utils.data._utils.segments import Receiver
from minigrad.utils.data._utils.worker import Failure, Job, Mark, work

__all__ = ["Workers"]

PATIENCE = 5.0  # seconds that a worker has to end by itself


class _Worker:
    """A process, our end of its pipe, and whether it has more to give in this pass."""

    __slots__ = ("active", "pipe", "process", "receiver")

    def __init__(self, context: Any, job: Job, number: int) -> None:
        self.pipe, theirs = context.Pipe()
        name = f"DataLoader worker {number}"
        self.process = context.Process(target=work, args=(theirs, job, number), name=name, daemon=True)
        self.active, self.receiver = True, Receiver()
        try:
            self.process.start()
        except (TypeError, AttributeError, pickle.PicklingError):
            warnings.warn(
                "Got pickle error when attempting to start a worker Process. This might be because the worker Process "
                "arguments are not picklable. Python 3.14+ changed the multiprocessing start method in non-Mac POSIX "
                "platforms to 'forkserver', which requires the worker Process arguments to be picklable. You can also "
                "try multiprocessing.set_start_method('fork').",
                stacklevel=5,
            )
            raise
        finally:
            theirs.close()  # so that the pipe ends when the worker does

    def tell(self, message: Any) -> None:
        """Send it something to do. If it is dead, that will be seen when its answer is due."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send((message, self.receiver.no_longer_needed()))

    def answer(self) -> Any:
        """What it has sent; waits for it."""
        return self.receiver.open(self.pipe.recv(), self.pipe)


class Workers:
    """The workers of one loader. They are stopped when this object goes, at the latest."""

    def __init__(self, job: Job, context: Any, ahead: int, timeout: float, in_order: bool) -> None:
        self.ahead, self.timeout, self.in_order = ahead, timeout, in_order
        self.workers: list[_Worker] = []
        self.stop = weakref.finalize(self, _stop, self.workers, os.getpid())
        for number in range(job.num_workers):
            self.workers.append(_Worker(context, job, number))
        self.fresh = True

    def start(self, indices: Iterator[Any], persistent: bool) -> None:
        """Begin a pass: hand out the first batches. What is left of the pass before is thrown away."""
        if not self.fresh:
            for worker in self.workers:
                worker.tell(Mark.RESTART)
            for worker in self.workers:
                while self._receive([worker])[1] is not Mark.RESTART:
                    pass
                worker.active = True
        self.fresh, self.persistent, self.indices = False, persistent, indices
        self.handed_out: deque[_Worker] = deque()  # whose batches are due, in order
        self.turns = itertools.cycle(self.workers)
        for _ in range(self.ahead * len(self.workers)):
            self._hand_out()

    def _hand_out(self) -> None:
        """Give the indices of the next batch, if there is one, to the worker whose turn it is."""
        able = [w for w in self.workers if w.active and (self.in_order or self.handed_out.count(w) < self.ahead)]
        if not able:
            return
        for index in self.indices:
            worker = next(worker for worker in self.turns if worker in able)
            worker.tell(index)
            self.handed_out.append(worker)
            return

    def next_batch(self) -> Any:
        """The next batch, in order or as they come; raises what the worker raised, StopIteration at the end."""
        while self.handed_out:
            worker, batch = self._receive([self.handed_out[0]] if self.in_order else list({*self.handed_out}))
            self.handed_out.remove(worker)
            if batch is Mark.END:
                worker.active = False
                self.handed_out = deque(other for other in self.handed_out if other is not worker)
            self._hand_out()
            if isinstance(batch, Failure):
                batch.raise_again()
            if worker.active:
                return batch
        if not self.persistent:
            self.stop()
        raise StopIteration

    def _receive(self, workers: list[_Worker]) -> tuple[_Worker, Any]:
        """One of `workers` and what it has sent.

        RuntimeError if nothing comes: after the timeout, or because any worker died.
        """
        pipes = [worker.pipe for worker in workers]
        ready = wait([*pipes, *(w.process.sentinel for w in self.workers)], self.timeout or None)
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds")
        for worker in workers:
            if worker.pipe in ready:
                try:
                    return worker, worker.answer()
                except (EOFError, OSError):  # it died while sending
                    ready.append(worker.process.sentinel)
        dead = [w.process for w in self.workers if w.process.sentinel in ready]
        for process in dead:
            process.join(PATIENCE)  # dying, it closes its files first
        ends = ", ".join(_how_it_ended(process.exitcode) for process in dead)
        self.handed_out.clear()
        self.stop()
        pids = ", ".join(str(process.pid) for process in dead)
        raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly\nHow it ended: {ends}.")


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit status {code}"
    hint = ", often the system's act when memory runs out" if code == -signal.SIGKILL else ""
    return f"killed by signal {signal.Signals(-code).name}{hint}"


def _stop(workers: list[_Worker], owner: int) -> None:
    """Let every worker end: by itself if it can be told and does so soon, else by force."""
    if os.getpid() != owner:
        return  # in a process forked from the main one, which has no say
    for worker in workers:
        try:
            os.set_blocking(worker.pipe.fileno(), False)  # a pipe full of work must not hold us up
            worker.pipe.send((Mark.STOP, []))
        except OSError:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()
