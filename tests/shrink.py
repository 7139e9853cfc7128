"""Cutting a failing program down to its shortest."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def shortest(
    program: Sequence[str], stays: Callable[[list[str]], bool], without: Callable[..., list[str]]
) -> list[str]:
    """Leave out lines, as many as can be, while what `stays` says of the program remains true.

    `without(lines, i, n)` are the lines without n of them from the i-th on. Half of the program is tried first, then
    ever shorter stretches, at last single lines until none can go.
    """
    lines, n = list(program), len(program)
    while n:
        before = len(lines)
        for i in range(len(lines) - n, -1, -n):
            fewer = without(lines, i, n)
            if stays(fewer):
                lines = fewer
        if n > 1:
            n //= 2
        elif len(lines) == before:
            break
    return lines
