"""A line search for the strong Wolfe conditions, of LBFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

DESCENT, CURVATURE = 1e-4, 0.9  # c1 and c2 of the conditions
SHORTEST = 1e-9  # a bracket that moves no parameter by more is not divided further


class Point(NamedTuple):
    """A step length t, the loss f there, its gradient g, and its slope along the line, g . d."""

    t: Any
    f: float
    g: Any
    slope: Any


def strong_wolfe(evaluate: Callable[[Any], Point], start: Point, t: Any, size: Any, most: int) -> tuple[Point, int]:
    """A point along a line where f(t) <= f(0) + c1 t f'(0) and |f'(t)| <= c2 |f'(0)|, and the number of evaluations.

    From `t` on longer and longer steps are tried, until two bracket such a point (Nocedal & Wright 2006, algorithm
    3.5); then the bracket is narrowed (3.6). Each try is where the cubic through both ends has its minimum. After
    `most` tries, or when the bracket times `size`, the direction's largest element, is too short, the lowest point
    found is taken.
    """

    def too_high(point: Point) -> bool:
        return bool(point.f > start.f + DESCENT * point.t * start.slope)

    def flat(point: Point) -> bool:
        return bool(abs(point.slope) <= -CURVATURE * start.slope)

    before, new, tries = start, evaluate(t), 0
    bracket: list[Point] = []
    while tries < most:
        if too_high(new) or (tries > 1 and new.f >= before.f):
            bracket = [before, new]
            break
        if flat(new):
            return new, tries + 1
        if new.slope >= 0:
            bracket = [before, new]
            break
        longer = cubic_minimum(before, new, (new.t + 0.01 * (new.t - before.t), new.t * 10))
        before, new, tries = new, evaluate(longer), tries + 1
    if tries == most:
        bracket = [start._replace(t=0), new]

    low, high = _order(bracket)
    near_an_end = False
    while tries < most and abs(bracket[1].t - bracket[0].t) * size >= SHORTEST:
        least, largest = min(p.t for p in bracket), max(p.t for p in bracket)
        t = cubic_minimum(bracket[0], bracket[1], (least, largest))
        margin = 0.1 * (largest - least)
        if min(largest - t, t - least) < margin:  # a second time, or at the end itself, keep away from it
            keep_away = near_an_end or t >= largest or t <= least
            if keep_away:
                t = largest - margin if abs(t - largest) < abs(t - least) else least + margin
            near_an_end = not keep_away
        else:
            near_an_end = False
        new, tries = evaluate(t), tries + 1
        if too_high(new) or new.f >= bracket[low].f:
            bracket[high] = new
            low, high = _order(bracket)
            continue
        done = flat(new)
        if not done and new.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
        if done:
            break
    return bracket[low], tries + 1


def cubic_minimum(a: Point, b: Point, bounds: tuple[Any, Any]) -> Any:
    """Where the cubic with the values and slopes of `a` and `b` is least, kept in the bounds; if nowhere, their middle.

    Nocedal & Wright 2006, equation 3.59.
    """
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (bounds[0] + bounds[1]) / 2.0
    d2 = square**0.5
    near, far = (a, b) if a.t <= b.t else (b, a)
    t = far.t - (far.t - near.t) * ((far.slope + d2 - d1) / (far.slope - near.slope + 2 * d2))
    return min(max(t, bounds[0]), bounds[1])


def _order(bracket: list[Point]) -> tuple[int, int]:
    """Which end of the bracket is the lower, and which the higher."""
    return (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
