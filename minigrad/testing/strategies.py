"""Hypothesis strategies that draw shapes and tensors: small, of few digits, and at or away from chosen points.

Hypothesis is imported when the first strategy is made, so that `import minigrad` does without it.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend, ops
from minigrad.backend import np

Shape = tuple[int, ...]
Strategy = Any  # hypothesis.strategies.SearchStrategy

ONE_BY_ONE = (
    200  # elements of a tensor that are drawn singly, and so shrink singly; those of larger ones come of a seed
)
DIGITS = 3  # of an element, about: enough that values rarely tie, few enough to be read


def hypothesis() -> Any:
    """Hypothesis; ModuleNotFoundError that says how to get it."""
    try:
        return importlib.import_module("hypothesis")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"minigrad.testing draws inputs with Hypothesis, which cannot be imported ({error}). Install it "
            f"(pip install 'minigrad-engine[testing]' or pip install hypothesis); `assert_close` and `make_tensor` do "
            f"without."
        ) from None


def composite(draw_one: Callable[[Callable[[Strategy], Any]], Any]) -> Strategy:
    """The strategy of what `draw_one(draw)` returns."""
    return hypothesis().strategies.composite(draw_one)()


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 4) -> Strategy:
    """Shapes as tuples, () among them unless `min_dims` forbids it, and one in eight with empty sides unless `min_side`
    does; all bounds are included.

    >>> from hypothesis import given
    >>> from minigrad.testing import shapes
    >>> @given(shapes(min_dims=1, max_side=3))
    ... def test(shape):
    ...     assert len(shape) >= 1 and max(shape) <= 3
    >>> test()
    """
    st = hypothesis().strategies

    def draw_one(draw: Callable[[Strategy], Any]) -> Shape:
        least = min_side or (0 if draw(st.integers(0, 7)) == 7 else min(1, max_side))
        return tuple(draw(st.lists(st.integers(least, max_side), min_size=min_dims, max_size=max_dims)))

    return composite(draw_one)


def broadcastable_shapes(count: int, max_dims: int = 3, min_side: int = 0, max_side: int = 4) -> Strategy:
    """`count` shapes that broadcast together: one shape with sides made 1 and leading ones left out.

    >>> from hypothesis import given
    >>> from minigrad.testing import broadcastable_shapes
    >>> @given(broadcastable_shapes(2))
    ... def test(pair):
    ...     (minigrad.zeros(pair[0]) + minigrad.zeros(pair[1])).shape
    >>> import minigrad
    >>> test()
    """
    st = hypothesis().strategies

    def draw_one(draw: Callable[[Strategy], Any]) -> tuple[Shape, ...]:
        full = draw(shapes(0, max_dims, min_side, max_side))

        def part() -> Shape:
            kept = draw(st.integers(0, len(full)))
            return tuple(1 if draw(st.integers(0, 3)) == 3 else n for n in full[len(full) - kept :])

        return tuple(part() for _ in range(count))

    return composite(draw_one)


def tensors(
    shape: Any = None,
    *,
    dtype: Any = backend.float64,
    low: float = -3,
    high: float = 3,
    include: Sequence[float] = (),
    avoid: Sequence[float] = (),
    unique: bool = False,
    requires_grad: bool | None = None,
) -> Strategy:
    """Tensors with elements of [low, high], of few digits, on the CPU.

    shape          a tuple, or a strategy such as `shapes()`, which it is unless given
    include        further values, drawn often: kinks such as 0 for relu, nan, inf
    avoid          points from which all elements keep 1/50 of the range away, so that finite differences are valid
    unique         no two elements are equal: for max and sort, which have a kink where elements tie
    requires_grad  whether they want a gradient; unless given they do if they are floats

    >>> from hypothesis import given
    >>> import minigrad
    >>> from minigrad.testing import tensors
    >>> @given(tensors((2, 3), include=[0.0, float("inf")]))
    ... def test(x):
    ...     assert bool((x.relu() >= 0).all())
    >>> test()
    """
    st = hypothesis().strategies
    kind = backend.numpy_dtype(dtype)
    wants = kind.kind == "f" if requires_grad is None else requires_grad

    grid = _grid(kind, low, high, tuple(avoid))
    sizes = shapes() if shape is None else shape if isinstance(shape, st.SearchStrategy) else st.just(tuple(shape))

    def draw_one(draw: Callable[[Strategy], Any]) -> Any:
        size = draw(sizes)
        values = _numbers(draw, math.prod(size), grid, include, unique)
        return ops.from_numpy(np.array(values, kind).reshape(size)).requires_grad_(wants)

    return composite(draw_one)


def broadcastable_tensors(count: int, max_dims: int = 3, min_side: int = 0, **how: Any) -> Strategy:
    """`count` tensors that broadcast together, drawn as `tensors(**how)` are: the arguments of a binary function.

    >>> import torch
    >>> import minigrad
    >>> from minigrad.testing import assert_same_function, broadcastable_tensors
    >>> assert_same_function(minigrad.mul, torch.mul, broadcastable_tensors(2))
    """

    def draw_one(draw: Callable[[Strategy], Any]) -> tuple[Any, ...]:
        together = draw(broadcastable_shapes(count, max_dims, min_side))
        return tuple(draw(tensors(shape, **how)) for shape in together)

    return composite(draw_one)


@functools.lru_cache
def _grid(kind: np.dtype, low: float, high: float, avoid: tuple[float, ...]) -> list[Any]:
    """The values that elements take, about a hundred to a thousand, the simplest first: 1, where few derivatives
    vanish, then numbers of few digits."""
    if kind.kind == "b":
        return [False, True]
    if not low <= high:
        raise ValueError(f"no number is at least {low=} and at most {high=}")
    digits = DIGITS - 1 - math.floor(math.log10((high - low) or 1.0))  # behind the point
    if kind.kind in "iu":
        digits = min(digits, 0)
    first, last = math.ceil(round(low * 10.0**digits, 6)), math.floor(round(high * 10.0**digits, 6))
    values = [float(low)] if low == high else [round(n * 10.0**-digits, max(digits, 0)) for n in range(first, last + 1)]
    values = [v for v in values if all(abs(v - point) >= (high - low) / 50 for point in avoid)]
    if not values:
        raise ValueError(f"no number of [{low}, {high}] is left that is not near to one of {list(avoid)}")
    return sorted(
        map(int, values) if kind.kind in "iu" else values, key=lambda v: (v != 1, len(str(abs(v))), abs(v), v)
    )


def _numbers(
    draw: Callable[[Strategy], Any], count: int, grid: list[Any], include: Sequence[float], unique: bool
) -> list[Any]:
    """`count` numbers of the grid, some of them of `include`."""
    st = hypothesis().strategies
    if count <= ONE_BY_ONE:
        one = st.sampled_from(grid) | st.sampled_from(list(include)) if include else st.sampled_from(grid)
        return draw(st.lists(one, min_size=count, max_size=count, unique=unique))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.choice(grid, count, replace=not unique)
    if include:
        some = rng.random(count) < 0.3
        values[some] = rng.choice(include, int(some.sum()))
    return list(values)
