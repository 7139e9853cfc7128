"""Interpolation along axes: every output position is a weighted sum of a few input positions.

What is summed is said by a `Table` for each axis, whose transpose is the table with its two sides exchanged: so what
adds gradients up is `resample` again, and nothing is ever scattered.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import device_of
from minigrad.kernels.windows import half_in_single

Array = Any
Positions = Any  # a slice, or an array where they are not evenly spaced


class Tap(NamedTuple):
    """Some triples of a table, each output in one of them at most; `first` if nothing has been added there before."""

    output: Positions
    input: Positions
    weight: Array | None  # None: all 1
    first: bool


class Table:
    """The nonzeros (output, input, weight) of a matrix `outputs` x `inputs`; equal triples count twice."""

    def __init__(self, outputs: int, inputs: int, output: Array, input: Array, weight: Array) -> None:
        self.outputs, self.inputs = outputs, inputs
        self.output, self.input, self.weight = output, input, weight
        self.sent: dict[Any, list[Tap]] = {}  # by device and dtype

    @functools.cached_property
    def T(self) -> Table:
        """The transpose."""
        return Table(self.inputs, self.outputs, self.input, self.output, self.weight)

    @functools.cached_property
    def is_complete(self) -> bool:
        """True if every output has a triple."""
        return len(np.unique(self.output)) == self.outputs

    @functools.cached_property
    def taps(self) -> list[Tap]:
        """The first triple of every output, the second, ..., each parted into slices where a few of them do."""
        order = np.argsort(self.output, kind="stable")
        outputs = self.output[order]
        rank = np.arange(len(order)) - np.searchsorted(outputs, outputs)
        taps = []
        for n in range(int(rank.max(initial=-1)) + 1):
            part = order[rank == n]
            for run in _even_runs(self.output[part], self.input[part], self.outputs // self.inputs):
                at = part[run]
                weight = None if (self.weight[at] == 1).all() else self.weight[at]
                taps.append(Tap(_positions(self.output[at]), _positions(self.input[at]), weight, n == 0))
        return taps

    def taps_for(self, x: Array, xp: ModuleType) -> list[Tap]:
        """`taps` with weights of the dtype of `x`, on its device: sent there once, as no CUDA graph may send them."""
        key = device_of(x), x.dtype
        if key not in self.sent:
            self.sent[key] = [
                Tap(
                    tap.output if type(tap.output) is slice else xp.asarray(tap.output),
                    tap.input if type(tap.input) is slice else xp.asarray(tap.input),
                    None if tap.weight is None else xp.asarray(tap.weight.astype(x.dtype)),
                    tap.first,
                )
                for tap in self.taps
            ]
        return self.sent[key]


def _even_runs(output: Array, input: Array, ratio: int) -> list[slice]:
    """Slices of both arrays in which both are evenly spaced; one of all, if it took more than a few of them.

    Where an image grows `ratio` times, every ratio-th output reads the next input, but for the edges.
    """
    for step in (1, max(ratio, 1)):
        runs = [run for start in range(step) for run in _runs_of_every(step, start, output, input)]
        if len(runs) <= 4 * step:
            return runs
    return [slice(None)]


def _runs_of_every(step: int, start: int, output: Array, input: Array) -> list[slice]:
    """Runs of every step-th element; a run ends where the spacing of either array changes."""
    output, input = output[start::step], input[start::step]
    bends = (np.diff(output, 2) != 0) | (np.diff(input, 2) != 0)
    cuts = [0, *(np.flatnonzero(bends) + 2).tolist(), len(output)]
    return [slice(start + i * step, start + j * step, step) for i, j in itertools.pairwise(cuts) if i < j]


def _positions(positions: Array) -> Positions:
    """`positions` as a slice where they are evenly spaced, or all the same: slices are several times faster."""
    step = int(positions[1] - positions[0]) if len(positions) > 1 else 1
    if step < 0 or (np.diff(positions) != step).any():
        return positions
    return slice(int(positions[0]), int(positions[-1]) + 1, step or 1)


@half_in_single
def resample(x: Array, tables: tuple[Table, ...], xp: ModuleType) -> Array:
    """`x` (..., *inputs) multiplied along its last axes by the matrices of `tables`: (..., *outputs)."""
    for axis, table in zip(range(-1, -1 - len(tables), -1), reversed(tables)):
        x = _along(x, table, axis, xp)
    return x


def _along(x: Array, table: Table, axis: int, xp: ModuleType) -> Array:
    shape = (*x.shape[:axis], table.outputs, *x.shape[x.ndim + axis + 1 :])
    out = (xp.empty if table.is_complete else xp.zeros)(shape, x.dtype)
    after = (slice(None),) * (-1 - axis)
    for tap in table.taps_for(x, xp):
        part = x[(..., tap.input, *after)] if type(tap.input) is slice else x.take(tap.input, axis=axis)
        if tap.weight is not None:
            part = part * tap.weight.reshape(-1, *(1,) * (-1 - axis))
        where = (..., tap.output, *after)
        if tap.first:
            out[where] = part
        else:
            out[where] += part
    return out


# -- what is read ------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def table(mode: str, inputs: int, outputs: int, factor: float | None, align_corners: bool, single: bool) -> Table:
    """How `outputs` positions are interpolated between `inputs`, in torch's arithmetic: float32 if `single`.

    `factor` is outputs / inputs where it was asked for, which need not be the ratio of the two. Position o lies at
    o * (inputs - 1) / (outputs - 1) in the input with `align_corners`, else at (o + 1/2) / factor - 1/2.
    """
    real: Any = np.float32 if single else np.float64
    if align_corners:
        scale = real(inputs - 1) / real(outputs - 1) if outputs > 1 else real(0)
    else:
        scale = real(1 / factor) if factor is not None and factor > 0 else real(inputs) / real(outputs)
    o = np.arange(outputs)
    if mode.endswith("antialias") and inputs == outputs:
        return Table(outputs, inputs, o, o, np.ones(outputs, real))
    if mode.endswith("antialias"):
        return _smooth(mode.removesuffix(" antialias"), inputs, outputs, scale)
    place = scale * o.astype(real)
    if mode != "nearest" and not align_corners:
        place = scale * (o.astype(real) + real(0.5)) - real(0.5)
    if mode == "cubic":
        return _cubic(inputs, place)
    place = np.maximum(place, 0)
    if mode != "linear":
        exact = place + (real(0.5) if mode == "nearest-exact" else real(0))
        source = np.minimum(np.floor(exact.astype(np.float32)).astype(np.int64), inputs - 1)
        return Table(outputs, inputs, o, source, np.ones(outputs, real))
    if inputs == outputs:
        return Table(outputs, inputs, o, o, np.ones(outputs, real))
    left = np.minimum(place.astype(np.int64), inputs - 1)
    part = np.clip(place - left.astype(real), 0, 1)
    right = np.minimum(left + 1, inputs - 1)
    return Table(outputs, inputs, np.tile(o, 2), np.concatenate([left, right]), np.concatenate([1 - part, part]))


def _cubic(inputs: int, place: Array) -> Table:
    """Four neighbours, weighted by the convolution kernel of Keys (1981) with a = -3/4; edges repeat."""
    left = np.minimum(np.floor(place).astype(np.int64), inputs - 1)
    part = np.clip(place - left.astype(place.dtype), 0, 1)
    weights = [keys(abs(part - k), -0.75) for k in (-1, 0, 1, 2)]
    sources = [np.clip(left + k, 0, inputs - 1) for k in (-1, 0, 1, 2)]
    outputs = len(place)
    return Table(outputs, inputs, np.tile(np.arange(outputs), 4), np.concatenate(sources), np.concatenate(weights))


def keys(x: Array, a: float) -> Array:
    """Keys' kernel at a distance of x, 0 <= x <= 2."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, far)


# Filters of smoothing interpolation: how far they reach, and their value at a distance of x.
FILTERS: dict[str, tuple[int, Callable[[Array], Array]]] = {
    "linear": (1, lambda x: np.maximum(1 - abs(x), 0)),
    "cubic": (2, lambda x: np.where(abs(x) < 2, keys(abs(x), -0.5), 0)),
    "lanczos": (3, lambda x: np.where(abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}


def _smooth(mode: str, inputs: int, outputs: int, scale: Any) -> Table:
    """A filter as wide as the scale, where that is larger than 1, so that nothing between the positions is missed."""
    reach, weigh = FILTERS[mode]
    stretch = max(scale, type(scale)(1))
    found = []
    for o in range(outputs):
        center = scale * type(scale)(o + 0.5)
        first = max(int(center - reach * stretch + 0.5), 0)
        end = min(int(center + reach * stretch + 0.5), inputs)
        sources = np.arange(first, end)
        weights = weigh((sources.astype(scale.dtype) - center + type(scale)(0.5)) / stretch)
        found.append((np.full(len(sources), o), sources, weights / weights.sum()))
    output, input, weight = (np.concatenate(parts) for parts in zip(*found))
    return Table(outputs, inputs, output, input, weight.astype(scale.dtype))


def output_size(size: int, factor: float) -> int:
    """How many positions `size` of them are with a scale factor; towards 0, as C++ has it."""
    return math.trunc(size * factor)
