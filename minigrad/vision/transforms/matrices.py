"""The matrices behind rotations, affine maps and changes of perspective, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def inverse_affine(
    center: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float]
) -> list[float]:
    """The first two rows of the inverse of M = T C R S C^-1: from a pixel of the result to one of the image.

    T translates, C moves the origin to `center`, R S rotates by `angle` after a shear, both in degrees, and scales:
    R S = scale [[cos(r - y) / cos y, -cos(r - y) tan x / cos y - sin r],
                 [sin(r - y) / cos y, -sin(r - y) tan x / cos y + cos r]],  r the angle, (x, y) the shear.
    Its determinant is scale^2, so its inverse needs no division but by `scale`.
    """
    r, x, y = (math.radians(degrees) for degrees in (angle, *shear))
    (cx, cy), (tx, ty) = center, translate
    a = math.cos(r - y) / math.cos(y)
    b = -math.cos(r - y) * math.tan(x) / math.cos(y) - math.sin(r)
    c = math.sin(r - y) / math.cos(y)
    d = -math.sin(r - y) * math.tan(x) / math.cos(y) + math.cos(r)
    a, b, c, d = d / scale, -b / scale, -c / scale, a / scale
    return [a, b, a * (-cx - tx) + b * (-cy - ty) + cx, c, d, c * (-cx - tx) + d * (-cy - ty) + cy]


def perspective(startpoints: Sequence[Sequence[int]], endpoints: Sequence[Sequence[int]]) -> list[float]:
    """(a, ..., h) with x' = (a x + b y + c) / (g x + h y + 1), y' = (d x + e y + f) / (...), from ends to starts.

    Each of the four pairs of corners gives two linear equations in the eight numbers.
    """
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"Please provide exactly four corners, got {len(startpoints)} startpoints and {len(endpoints)} endpoints."
        )
    rows: list[list[Any]] = []
    for (x, y), (to_x, to_y) in zip(endpoints, startpoints):
        rows.append([x, y, 1, 0, 0, 0, -to_x * x, -to_x * y])
        rows.append([0, 0, 0, x, y, 1, -to_y * x, -to_y * y])
    solution = np.linalg.lstsq(np.array(rows, np.float64), np.array(startpoints, np.float64).reshape(8), rcond=None)[0]
    return solution.astype(np.float32).tolist()


def expanded_size(matrix: Sequence[float], width: int, height: int) -> tuple[int, int]:
    """(width, height) of the smallest upright image that holds all of one mapped by `matrix`, origin in its middle."""
    halves = np.array([width, height], np.float32) * np.float32(0.5)
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], np.float32) * halves
    theta = np.array(matrix, np.float32).reshape(2, 3)
    points = np.hstack([corners, np.ones((4, 1), np.float32)]) @ theta.T
    tolerance = np.float32(1e-4)  # so that a right angle gains no row by rounding
    first = np.floor(np.trunc((points.min(axis=0) + halves) / tolerance) * tolerance)
    last = np.ceil(np.trunc((points.max(axis=0) + halves) / tolerance) * tolerance)
    new_width, new_height = (int(size) for size in last - first)
    return new_width, new_height
