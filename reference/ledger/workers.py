"""Processes that measure entries. One that dies or hangs costs the row it was at, and is replaced."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from reference.ledger.entry import Entry
from reference.ledger.ledger import Count, Row, Settings

PATIENCE = 300.0  # seconds for one entry


class Worker:
    """A process forked from this one, so that it has the entries already, and a pipe to it."""

    def __init__(self, entries: Sequence[Entry], settings: Settings) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=serve, args=(entries, settings, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.at: int | None = None
        self.deadline = 0.0

    def give(self, number: int) -> None:
        self.at, self.deadline = number, time.monotonic() + PATIENCE
        self.pipe.send(number)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def serve(entries: Sequence[Entry], settings: Settings, pipe: Connection) -> None:
    """Measure the entries whose numbers come through the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries write there is no part of the report
    while True:
        entry = entries[pipe.recv()]
        try:
            row = entry.measure(settings)
        except Exception as error:
            row = lost(entry, f"{type(error).__name__}: {error}")
        pipe.send(row)


def measured(entries: Sequence[Entry], settings: Settings, jobs: int) -> Iterator[tuple[int, Row]]:
    """The rows of all entries, numbered, in the order in which they are ready."""
    waiting = list(range(len(entries)))[::-1]
    workers: list[Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(Worker(entries, settings))
                workers[-1].give(waiting.pop())
            wait([w.pipe for w in workers], timeout=1.0)
            for worker in list(workers):
                number = worker.at
                assert number is not None
                row = answer(worker, entries[number])
                if row is None:
                    continue
                yield number, row
                if waiting and worker.process.is_alive():
                    worker.give(waiting.pop())
                else:
                    worker.end()
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.end()


def answer(worker: Worker, entry: Entry) -> Row | None:
    """The row that a worker has ready, or one that says how it ended; None while it is at work."""
    try:
        if worker.pipe.poll():
            row: Any = worker.pipe.recv()
            return row
    except (EOFError, ConnectionError):
        worker.process.join()
        return lost(entry, f"the process died (exit status {worker.process.exitcode})")
    if time.monotonic() > worker.deadline:
        worker.end()
        return lost(entry, f"no answer in {PATIENCE:g} s")
    return None


def lost(entry: Entry, why: str) -> Row:
    """The row of an entry that could not be measured to its end: it failed."""
    row = Row(entry.name, entry.function, entry.database, entry.family, entry.is_core, present=True)
    row.counts = {"forward": {"float64": Count(run=1, failure=why)}}
    return row
