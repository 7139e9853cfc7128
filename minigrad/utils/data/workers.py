"""The worker processes of a DataLoader, as the main process sees them.

Every worker has a pipe of its own. Batch k goes to the worker whose turn it is, and batches are received in the order
in which they were handed out, so the order never depends on which worker is faster.

    main process                                  worker i
    indices of a batch        --- pipe i --->     fetch and collate
    batch, or what went wrong <-- pipe i ---
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

from minigrad.utils.data.worker import Failure, Job, Mark, work

__all__ = ["Workers"]

PATIENCE = 5.0  # seconds that a worker has to end by itself


class _Worker:
    """A process, our end of its pipe, and whether it has more to give in this pass."""

    __slots__ = ("active", "pipe", "process")

    def __init__(self, context: Any, job: Job, number: int) -> None:
        self.pipe, theirs = context.Pipe()
        name = f"DataLoader worker {number}"
        self.process = context.Process(target=work, args=(theirs, job, number), name=name, daemon=True)
        self.active = True
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
            self.pipe.send(message)


class Workers:
    """The workers of one loader. They are stopped when this object goes, at the latest."""

    def __init__(self, job: Job, context: Any, ahead: int, timeout: float) -> None:
        self.ahead, self.timeout = ahead * job.num_workers, timeout
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
                while self._receive(worker) is not Mark.RESTART:
                    pass
                worker.active = True
        self.fresh, self.persistent, self.indices = False, persistent, indices
        self.handed_out: deque[_Worker] = deque()  # whose batches are due, in order
        self.turns = itertools.cycle(self.workers)
        for _ in range(self.ahead):
            self._hand_out()

    def _hand_out(self) -> None:
        if not any(worker.active for worker in self.workers):
            return
        for index in self.indices:
            worker = next(worker for worker in self.turns if worker.active)
            worker.tell(index)
            self.handed_out.append(worker)
            return

    def next_batch(self) -> Any:
        """The next batch in order; raises what the worker raised, StopIteration at the end."""
        while self.handed_out:
            worker = self.handed_out.popleft()
            if not worker.active:
                continue  # its stream has ended since
            batch = self._receive(worker)
            worker.active = batch is not Mark.END
            self._hand_out()
            if isinstance(batch, Failure):
                batch.raise_again()
            if worker.active:
                return batch
        if not self.persistent:
            self.stop()
        raise StopIteration

    def _receive(self, worker: _Worker) -> Any:
        """What the worker has sent, or RuntimeError if none comes: after the timeout, or because a worker died."""
        ready = wait([worker.pipe, *(w.process.sentinel for w in self.workers)], self.timeout or None)
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds")
        if worker.pipe in ready:
            try:
                return worker.pipe.recv()
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
            worker.pipe.send(Mark.STOP)
        except OSError:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()
