"""DataLoaders to time: small and large samples, read in this process and by one and two workers.

A step is 16 batches of 64 from a loader that never ends, so that starting the workers is not in it. Items are made
one by one, as most datasets make them, and every batch is looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workloads import Step

BATCH, BATCHES = 64, 16
SAMPLES = {"small": (784,), "large": (3, 224, 224)}  # 3 KiB and 588 KiB


class Samples:
    """So many images, and their labels, as tensors of a library."""

    def __init__(self, T: Any, shape: tuple[int, ...]) -> None:
        self.T, self.x = T, np.ones((BATCH, *shape), np.float32)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.T.from_numpy(self.x[i]), i


def loading(T: Any, size: str, workers: int) -> Step:
    data = Samples(T, SAMPLES[size])
    loader = T.utils.data.DataLoader(data, BATCH, sampler=itertools.cycle(range(len(data))), num_workers=workers)
    batches = iter(loader)

    def step() -> Any:
        for x, y in itertools.islice(batches, BATCHES):
            seen = x[:, -1].sum() + y.sum()
        return seen

    return step


LOADERS: dict[str, Callable[[Any], Step]] = {
    f"{size}, {workers} worker{'' if workers == 1 else 's'}": partial(loading, size=size, workers=workers)
    for size in SAMPLES
    for workers in (0, 1, 2)
}
