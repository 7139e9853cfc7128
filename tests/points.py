r"""Points and functions for the transforms of \`func\`."""

from __future__ import annotations

from collections import namedtuple

from tests.test_functional_grad import point

Pair = namedtuple("Pair", "left right")


def cube(x):
    return (x**3).sum()


def points(T):
    """Two points, and a third that requires a gradient."""
    return point(T, 0.5, -1.5), point(T, 2.0, 0.25), point(T, 1.0, 3.0, requires_grad=True)
