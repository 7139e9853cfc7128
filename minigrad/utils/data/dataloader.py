"""DataLoader: a dataset in batches, in order or shuffled, read here or by worker processes."""

from __future__ import annotations

import math
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from itertools import repeat
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

from minigrad.backend import gpu_available
from minigrad.kernels.choices import draw_seed
from minigrad.random import Generator, default_generator
from minigrad.utils.data._utils.collate import default_collate, default_convert
from minigrad.utils.data._utils.fetch import fetcher
from minigrad.utils.data._utils.pin_memory import pin_memory
from minigrad.utils.data._utils.worker import Job, get_worker_info
from minigrad.utils.data._utils.workers import Workers
from minigrad.utils.data.dataset import Dataset, IterableDataset
from minigrad.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

Item = TypeVar("Item", covariant=True)

FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[Item]):
    """Iterates over `dataset` in batches; each `for` is a new pass.

    batch_size      items a batch; None for single items, unbatched
    shuffle         a new random order each pass; under a seed it is torch's
    sampler         gives the indices instead; batch_sampler gives lists of them, one a batch
    drop_last       leave out a last batch that is not full
    collate_fn      makes a batch of a list of items: `default_collate` unless given
    generator       what the order and the workers' seeds are drawn from, instead of the default generator
    num_workers     processes that read batches, in the same order; 0 reads in this process. `prefetch_factor` is how
                    many batches each is ahead, `timeout` how many seconds to wait for one, `worker_init_fn(id)` is
                    called at the start of each, `persistent_workers` keeps them from one pass to the next,
                    `in_order=False` gives batches as they come, and `multiprocessing_context` is how workers are
                    started ("fork", "spawn", ...)
    pin_memory      batches come in page-locked memory, if there is a GPU, so that `to("cuda", non_blocking=True)` does
                    not wait; a type of batch of one's own is asked with its method `pin_memory()`. `pin_memory_device`
                    changes nothing

    ValueError and TypeError for options that do not fit together, as in torch.
    """

    _ready = False

    def __init__(
        self,
        dataset: Dataset[Item],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        streams = isinstance(dataset, IterableDataset)
        _check_order(streams, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if sampler is None:
            if streams:
                sampler = repeat(None)  # one for each item of a stream whose length need not be known
            else:
                items: Any = dataset
                sampler = RandomSampler(items, generator=generator) if shuffle else SequentialSampler(items)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler, self.batch_sampler, self.collate_fn, self.generator = (
            sampler,
            batch_sampler,
            collate_fn,
            generator,
        )
        self.num_workers, self.timeout, self.worker_init_fn = num_workers, timeout, worker_init_fn
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers, self.pin_memory = persistent_workers, pin_memory
        self.pin_memory_device, self.in_order = pin_memory_device, in_order
        self.multiprocessing_context = multiprocessing_context
        self._announced: int | None = None  # what len() last said of a stream
        self._iterator: _Iterator | None = None  # kept with persistent workers
        self._ready = True
        _warn_of_many(num_workers)

    @property
    def multiprocessing_context(self) -> Any:
        """How worker processes are started; None for Python's own way on this system."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, method: str | BaseContext | None) -> None:
        self._context = _context(method, self.num_workers)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ready and name in FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        if not self.persistent_workers:
            _warn_of_many(self.num_workers)
            return _Iterator(self)
        if self._iterator is None or not self._iterator.has_workers():
            _warn_of_many(self.num_workers)
            self._iterator = _Iterator(self)
        else:
            self._iterator.restart(self)
        return self._iterator

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self) -> int:
        """The number of batches. Of a stream, what its own length promises."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        self._announced = n = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)


class _Iterator(Iterator[Any]):
    """One pass over a loader; with persistent workers, one after the other."""

    def __init__(self, loader: DataLoader) -> None:
        if loader.pin_memory and loader.pin_memory_device:
            warnings.warn(
                "pin_memory_device is deprecated, the current accelerator will be used as the device,"
                f"ignore pin_memory_device='{loader.pin_memory_device}'.",
                stacklevel=3,
            )
        if loader.pin_memory and not gpu_available():
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
                "used.",
                stacklevel=3,
            )
        self._pins = loader.pin_memory and gpu_available()
        self._start(loader)
        # torch draws a seed for the workers even where there are none; later numbers stay in step with torch's.
        base_seed = draw_seed(loader.generator or default_generator)
        how = (loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)
        self._workers: Workers | None = None
        if loader.num_workers:
            if not loader.prefetch_factor:
                raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
            job = Job(*how, base_seed, loader.num_workers, loader.worker_init_fn)
            context = loader.multiprocessing_context or multiprocessing.get_context()
            self._workers = Workers(job, context, loader.prefetch_factor, loader.timeout, loader.in_order)
            self.restart(loader)  # a second iter() of the sampler, as in torch: one that draws at once draws twice
        else:
            if loader.timeout:
                raise AssertionError(
                    "_SingleProcessDataLoaderIter requires timeout == 0: only workers can be waited for"
                )
            self._fetch = fetcher(*how)

    def _start(self, loader: DataLoader) -> None:
        self._sampler = loader._index_sampler
        self._indices = iter(self._sampler)
        self._announced, self._stream, self._given = loader._announced, loader.dataset, 0

    def restart(self, loader: DataLoader) -> None:
        """Begin another pass with the workers there are; they go on with their random numbers."""
        assert self._workers is not None
        self._start(loader)
        self._workers.start(self._indices, loader.persistent_workers)

    def has_workers(self) -> bool:
        """False once they have been stopped."""
        return self._workers is not None and self._workers.stop.alive

    def __next__(self) -> Any:
        batch = self._workers.next_batch() if self._workers else self._fetch(next(self._indices))
        self._given += 1
        if self._announced is not None and self._given > self._announced:
            hint = (
                "For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker: get_worker_info() tells it which part to give."
            )
            warnings.warn(
                f"Length of IterableDataset {self._stream} was reported to be {self._announced}(when accessing "
                f"len(dataloader)), but {self._given} samples have been fetched. {hint if self._workers else ''}",
                stacklevel=2,
            )
        return pin_memory(batch) if self._pins else batch

    def __getstate__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")

    def __len__(self) -> int:
        return len(self._sampler)


# -- checks of the options --------------------------------------------------------------------------------------------


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent: bool) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_order(
    streams: bool, batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if streams:
        unfit = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in unfit.items():
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    if batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


def _context(method: str | BaseContext | None, num_workers: int) -> Any:
    """A way to start worker processes, or None for Python's own."""
    if method is None:
        return None
    if not num_workers:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
            f"num_workers={num_workers}"
        )
    if isinstance(method, str):
        known = multiprocessing.get_all_start_methods()
        if method not in known:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {known!r}, but got "
                f"multiprocessing_context={method!r}"
            )
        return multiprocessing.get_context(method)
    if not isinstance(method, BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got multiprocessing_context={method}"
        )
    return method


def _warn_of_many(num_workers: int) -> None:
    """torch's warning, at each start, for more workers than processors."""
    if not num_workers:
        return
    bound = hasattr(os, "sched_getaffinity")
    processors = len(os.sched_getaffinity(0)) if bound else os.cpu_count()
    if processors is None or num_workers > processors:
        of = "" if bound else " (`cpuset` is not taken into account)"
        found = (
            f"Our suggested max number of worker in current system is {processors}{of}, which is smaller than what "
            "this DataLoader is going to create."
            if processors
            else "DataLoader is not able to compute a suggested max number of worker in current system."
        )
        warnings.warn(
            f"This DataLoader will create {num_workers} worker processes in total. {found} Please be aware that "
            "excessive worker creation might get DataLoader running slow or even freeze, lower the worker number to "
            "avoid potential slowness/freeze if necessary.",
            stacklevel=3,
        )
