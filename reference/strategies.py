"""How samples are drawn: `Draw`, a hand of small drawing methods, and recipes for the commonest signatures.

Shapes, dims and options come from Hypothesis, which shrinks them; the numbers in arrays come from a drawn seed, which
is fast. Comparisons with torch get kinks and ties on purpose; finite differences (`smooth`) get none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference.case import Case, Fixed, Sample, torch_at_least

Recipe = Callable[["Draw"], Sample]
Shape = tuple[int, ...]

MARGIN = 0.02  # smooth samples keep this far from kinks, and tied values from each other: finite differences step less

seeds = st.integers(0, 2**32 - 1)


class Draw:
    """Draws the parts of one sample. With `smooth`, no element is at a kink and no two are tied."""

    def __init__(self, draw: Callable[[Any], Any], smooth: bool) -> None:
        self.draw, self.smooth = draw, smooth

    # -- shapes, dims, options

    def one_of(self, *values: Any) -> Any:
        """One of the values; shrinks to the first."""
        return self.draw(st.sampled_from(values))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def size(self, low: int = 0, high: int = 4) -> int:
        """An integer, both ends included."""
        return self.draw(st.integers(low, high))

    def number(self, low: float, high: float) -> float:
        """A Python float with few digits."""
        return self.draw(st.integers(round(low * 16), round(high * 16))) / 16

    def shape(self, min_dims: int = 0, max_dims: int = 4, min_side: int = 0, max_side: int = 4) -> Shape:
        """0-dim shapes are drawn too, and one in eight with empty sides, unless the bounds exclude them."""
        ndim = self.size(min_dims, max_dims)
        least = min_side or (0 if self.size(0, 7) == 7 else 1)
        return tuple(self.size(least, max_side if ndim < 4 else min(max_side, 3)) for _ in range(ndim))

    def broadcastable(self, count: int, max_dims: int = 3, min_side: int = 0) -> list[Shape]:
        """Shapes that broadcast together: the common one with sides made 1 and leading dims left out."""
        full = self.shape(max_dims=max_dims, min_side=min_side)
        shapes = []
        for _ in range(count):
            ones, missing = self.size(0, 2 ** len(full) - 1), self.size(0, len(full))
            shapes.append(tuple(1 if ones >> i & 1 else n for i, n in enumerate(full))[missing:])
        return shapes

    def dim(self, ndim: int) -> int:
        """A valid dim, counted from either end; 0 or -1 for 0-dim arrays."""
        n = max(ndim, 1)
        return self.draw(st.integers(0, 2 * n - 1)) - n

    def dims(self, ndim: int, min_size: int = 1) -> tuple[int, ...]:
        """Different dims in any order, some counted from the end."""
        n = max(ndim, 1)
        order = self.permutation(n)[: self.size(min_size, n)]
        return tuple(d - n if self.flag() else d for d in order)

    def permutation(self, n: int) -> list[int]:
        return list(self.draw(st.permutations(range(n))))

    # -- arrays

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.draw(seeds))

    def floats(
        self, shape: Shape, low: float = -3, high: float = 3, *, kinks: Sequence[float] = (), ties: bool = False
    ) -> np.ndarray:
        """float64 numbers of [low, high] that float32 can hold.

        kinks   points drawn on purpose (nan and inf may be among them), and kept away from when smooth
        ties    draw few different values; when smooth all are different
        """
        return self.float_arrays([shape], low, high, kinks=kinks, ties=ties)[0]

    def float_arrays(
        self,
        shapes: Sequence[Shape],
        low: float = -3,
        high: float = 3,
        *,
        kinks: Sequence[float] = (),
        ties: bool = False,
    ) -> list[np.ndarray]:
        """The same for several arrays; ties are between them as well."""
        rng = self.rng()
        sizes = [int(np.prod(shape)) for shape in shapes]
        values = self._values(rng, sum(sizes), low, high, kinks, ties)
        values = values.astype(np.float32).astype(np.float64)
        parts = np.split(values, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _values(
        self, rng: np.random.Generator, n: int, low: float, high: float, kinks: Sequence[float], ties: bool
    ) -> np.ndarray:
        if ties and self.smooth:
            values = low + (high - low) * (rng.permutation(n) + 0.5) / max(n, 1)
        elif ties:
            values = rng.choice(np.linspace(low, high, 4), n)
        else:
            values = rng.uniform(low, high, n)
        points = np.array([k for k in kinks if np.isfinite(k)])
        if self.smooth:
            for k in points:
                near = np.abs(values - k) < MARGIN
                values = np.where(near, k + np.where((values < k) & (k > low) | (k >= high), -2, 2) * MARGIN, values)
        elif len(kinks) and n:
            values = np.where(rng.random(n) < 0.3, rng.choice(np.array(kinks, float), n), values)
        return values

    def ints(self, shape: Shape, low: int, high: int) -> np.ndarray:
        """int64 numbers of [low, high], both ends included."""
        return np.asarray(self.rng().integers(low, high + 1, shape), np.int64)

    def labels(self, shape: Shape, classes: int) -> np.ndarray:
        """Class labels, int64 of [0, classes)."""
        return self.ints(shape, 0, classes - 1)

    def bools(self, shape: Shape) -> np.ndarray:
        return np.asarray(self.rng().random(shape) < 0.5)


def samples(case: Case, smooth: bool = False) -> st.SearchStrategy[Sample]:
    """Samples to compare engines on; with `smooth`, away from kinks and ties, where a finite difference is valid."""
    smooth = smooth or not torch_at_least(case.kinks_from)

    @st.composite
    def drawn(draw: Callable[[Any], Any]) -> Sample:
        return case.draw(Draw(draw, smooth))

    return drawn()


# -- recipes ----------------------------------------------------------------------------------------------------------


def unary(
    low: float = -3, high: float = 3, *, kinks: Sequence[float] = (), min_side: int = 0, **options: Sequence[Any]
) -> Recipe:
    """f(x), x of any shape. `options` are keywords with values to choose from: unary(negative_slope=(0.01, 0.5))."""

    def draw(d: Draw) -> Sample:
        x = d.floats(d.shape(min_side=min_side), low, high, kinks=kinks)
        return Sample(x, **{k: d.one_of(*values) for k, values in options.items()})

    return draw


def broadcastable(
    count: int, low: float = -3, high: float = 3, *, kinks: Sequence[float] = (), ties: bool = False
) -> Recipe:
    """f(x, y, ...), `count` arrays that broadcast together."""

    def draw(d: Draw) -> Sample:
        return Sample(*d.float_arrays(d.broadcastable(count), low, high, kinks=kinks, ties=ties))

    return draw


def with_number(low: float = -3, high: float = 3, numbers: Sequence[Any] = (2, -1.5, 0)) -> Recipe:
    """f(x, number), the number a Python one."""
    return lambda d: Sample(d.floats(d.shape(), low, high), d.one_of(*numbers))


def with_dim(
    low: float = -3,
    high: float = 3,
    *,
    kinks: Sequence[float] = (),
    ties: bool = False,
    min_side: int = 0,
    keepdim: bool = False,
) -> Recipe:
    """f(x, dim) with one dim, and `keepdim=` if asked for. min_side=1 for operations that refuse empty dims."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_side=min_side)
        x = d.floats(shape, low, high, kinks=kinks, ties=ties)
        return Sample(x, d.dim(len(shape)), **({"keepdim": d.flag()} if keepdim else {}))

    return draw


def with_dims(
    low: float = -3, high: float = 3, *, kinks: Sequence[float] = (), ties: bool = False, min_side: int = 0
) -> Recipe:
    """f(x), f(x, dim) or f(x, (dim, dim), keepdim=...): a reduction over all, one or several dims."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_side=min_side)
        x = d.floats(shape, low, high, kinks=kinks, ties=ties)
        how = d.one_of("all", "one", "several")
        if how == "all":
            return Sample(x)
        return Sample(x, d.dim(len(shape)) if how == "one" else d.dims(len(shape)), keepdim=d.flag())

    return draw


def with_target(
    low: float = -3,
    high: float = 3,
    *,
    target_low: float = -3,
    target_high: float = 3,
    kinks: Sequence[float] = (),
    **options: Sequence[Any],
) -> Recipe:
    """loss(input, target, reduction=...), both of one shape, the target wanting a gradient in half of the samples."""

    def draw(d: Draw) -> Sample:
        shape = d.shape()
        x, y = d.floats(shape, low, high), d.floats(shape, target_low, target_high)
        if kinks:  # of input - target
            y = x - d.floats(shape, min(kinks) - 2, max(kinks) + 2, kinks=kinks)
        target = y if d.flag() else Fixed(y)
        reduction = d.one_of("mean", "sum", "none")
        return Sample(x, target, reduction=reduction, **{k: d.one_of(*values) for k, values in options.items()})

    return draw
