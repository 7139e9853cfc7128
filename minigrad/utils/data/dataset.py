"""Datasets: anything with `__getitem__` and `__len__` (or `__iter__`), and the ways to combine and split them."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from minigrad.kernels.choices import randperm
from minigrad.random import Generator, default_generator

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset",
    "random_split",
]  # fmt: skip

Item = TypeVar("Item", covariant=True)


class Dataset(Generic[Item]):
    """What a DataLoader reads: a subclass defines `__getitem__(index)` and, for the default samplers, `__len__()`.

    It may also define `__getitems__(indices)`, which returns the items of a whole batch as a list. `a + b` is `a`
    followed by `b`.
    """

    def __getitem__(self, index: Any) -> Item:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Item], Iterable[Item]):
    """A stream: a subclass defines `__iter__()`, and a DataLoader takes its items as they come.

    Each worker process iterates over a copy of its own: `get_worker_info()` says which part it should give.
    """

    def __add__(self, other: Dataset) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Item i is the tuple of the rows i of `tensors`, which must be of equal length."""

    def __init__(self, *tensors: Any) -> None:
        if any(tensors[0].size(0) != tensor.size(0) for tensor in tensors):
            raise AssertionError(f"Size mismatch between tensors\nThey have {[t.size(0) for t in tensors]} rows.")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class ConcatDataset(Dataset[Item]):
    """The items of several datasets, one after the other."""

    def __init__(self, datasets: Iterable[Dataset[Item]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx: int) -> Item:
        if idx < -len(self):
            raise ValueError("absolute value of index should not exceed dataset length")
        idx = idx % len(self) if idx < 0 else idx
        which = bisect_right(self.cumulative_sizes, idx)  # beyond the end: IndexError, as of a list
        return self.datasets[which][idx - self.cumulative_sizes[which - 1] if which else idx]


class ChainDataset(IterableDataset[Item]):
    """The items of several streams, one after the other; AssertionError, once it is reached, for what is no stream."""

    def __init__(self, datasets: Iterable[Dataset[Item]]) -> None:
        self.datasets = datasets

    def _streams(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield dataset

    def __iter__(self) -> Iterator[Item]:
        for stream in self._streams():
            yield from stream

    def __len__(self) -> int:
        return sum(map(len, self._streams()))


class StackDataset(Dataset[Any]):
    """Item i is the tuple of the items i of several datasets of equal length, or the dict of those given by name.

    ValueError for datasets of unequal length, for none, and for some of either kind.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or``dict``- (via ``kwargs``) like input/output, but both "
                "types are given."
            )
        if not (args or kwargs):
            raise ValueError("At least one dataset should be passed")
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in args or kwargs.values()]
        if len({*lengths}) > 1:
            raise ValueError(f"Size mismatch between datasets\nTheir lengths are {lengths}.")
        self._length = lengths[0]

    def _join(self, items: Iterable[Any]) -> Any:
        return dict(zip(self.datasets, items)) if isinstance(self.datasets, dict) else tuple(items)

    def _parts(self) -> Iterable[Any]:
        return self.datasets.values() if isinstance(self.datasets, dict) else self.datasets

    def __getitem__(self, index: Any) -> Any:
        return self._join(dataset[index] for dataset in self._parts())

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        columns = []
        for dataset in self._parts():
            whole = getattr(dataset, "__getitems__", None)
            columns.append(whole(indices) if callable(whole) else [dataset[i] for i in indices])
            if len(columns[-1]) != len(indices):
                raise ValueError(
                    f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(columns[-1])}"
                )
        return [self._join(row) for row in zip(*columns)]

    def __len__(self) -> int:
        return self._length


class Subset(Dataset[Item]):
    """The items of `dataset` at `indices`."""

    def __init__(self, dataset: Dataset[Item], indices: Sequence[int]) -> None:
        own = type(self)
        if own.__getitem__ is not Subset.__getitem__ and own.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{own.__name__} overrides __getitem__ but not __getitems__. When subclassing Subset and overriding "
                "__getitem__, you must also override __getitems__ to ensure DataLoader works correctly with your "
                "custom logic. A simple implementation:\n\n"
                "def __getitems__(self, indices):\n    return [self.__getitem__(idx) for idx in indices]"
            )
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, idx: Any) -> Item:
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices: list[int]) -> list[Item]:
        chosen = [self.indices[i] for i in indices]
        whole = getattr(self.dataset, "__getitems__", None)
        return whole(chosen) if callable(whole) else [self.dataset[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[Item], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[Item]]:
    """Disjoint random subsets of these lengths, or of these fractions of the whole, in torch's order for a seed.

    Fractions must add up to 1; each is rounded down, and what is left goes one by one to the first ones. ValueError if
    lengths do not add up to the length of the dataset.
    """
    n = len(dataset)  # type: ignore[arg-type]
    sizes = _sizes(n, lengths) if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 else list(lengths)
    if sum(sizes) != n:
        raise ValueError(
            "Sum of input lengths does not equal the length of the input dataset!\n"
            f"The lengths {list(lengths)} add up to {sum(sizes)}, the dataset has {n} items."
        )
    order: Iterator[int] = iter(randperm(generator or default_generator, n).tolist())
    return [Subset(dataset, [next(order) for _ in range(int(size))]) for size in sizes]


def _sizes(n: int, fractions: Sequence[float]) -> list[int]:
    for i, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1")
    sizes = [math.floor(n * fraction) for fraction in fractions]
    for i in range(n - sum(sizes)):
        sizes[i % len(sizes)] += 1
    for i, size in enumerate(sizes):
        if size == 0:
            warnings.warn(f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=3)
    return sizes
