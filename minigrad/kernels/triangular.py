"""Triangular systems and LU factorisations of stacks of matrices, on raw arrays: what NumPy has no function for."""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import Array


def substitute(t: Array, b: Array, xp: Any) -> Array:
    """X with T X = B for lower triangular T, shapes (..., n, n) and (..., n, k); inf or nan where T is singular.

    By halves: [[P, 0], [Q, R]] [X, Y] = [B, C] is P X = B and then R Y = C - Q X, so most work is matrix products.
    """
    n = t.shape[-1]
    if n <= 1:
        return b / t if n else b
    half = n // 2
    top = substitute(t[..., :half, :half], b[..., :half, :], xp)
    bottom = substitute(t[..., half:, half:], b[..., half:, :] - t[..., half:, :half] @ top, xp)
    shape = xp.broadcast_shapes(top.shape[:-2], bottom.shape[:-2])
    parts = [xp.broadcast_to(part, (*shape, *part.shape[-2:])) for part in (top, bottom)]
    return xp.concatenate(parts, axis=-2)


def solve_triangular(t: Array, b: Array, upper: bool, unitriangular: bool, xp: Any) -> Array:
    """X with T X = B; only the named triangle of `t` is looked at, and with `unitriangular` not its diagonal."""
    if unitriangular:
        t = t * (1 - xp.eye(t.shape[-1], dtype=t.dtype)) + xp.eye(t.shape[-1], dtype=t.dtype)
    if not upper:
        return substitute(t, b, xp)
    return substitute(t[..., ::-1, ::-1], b[..., ::-1, :], xp)[..., ::-1, :]  # read backwards it is lower triangular


def lu(a: Array, xp: Any) -> tuple[Array, Array]:
    """LU factors of (..., m, n) in one array, L's diagonal of ones left out, and the rows exchanged, from 0.

    Gaussian elimination a column at a time (Golub & Van Loan, algorithm 3.4.1), for all matrices at once.
    """
    m, n = a.shape[-2:]
    out = xp.array(a.reshape(math.prod(a.shape[:-2]), m, n), order="C")
    steps, every = min(m, n), xp.arange(len(out))
    rows = xp.zeros((len(out), steps), dtype="int64")
    for k in range(steps):
        largest = k + xp.abs(out[:, k:, k]).argmax(axis=1)
        rows[:, k] = largest
        chosen = out[every, largest]
        out[every, largest] = out[:, k]
        out[:, k] = chosen
        divisor = out[:, k, k]
        below = out[:, k + 1 :, k]
        # A column of zeros is left as it is: that matrix is singular, and its factor has a zero on the diagonal.
        below /= xp.where(divisor == 0, 1, divisor)[:, None]
        out[:, k + 1 :, k + 1 :] -= below[:, :, None] * out[:, k, None, k + 1 :]
    return out.reshape(a.shape), rows.reshape(*a.shape[:-2], steps)


def solve(a: Array, b: Array, xp: Any) -> Array:
    """X with A X = B, shapes (..., n, n) and (..., n, k), by elimination: inf or nan where A is singular."""
    factors, rows = lu(a, xp)
    chosen = xp.arange(a.shape[-1]) == permutation(rows, a.shape[-1], xp)[..., None]
    half = solve_triangular(factors, chosen.astype(a.dtype) @ b, False, True, xp)
    return solve_triangular(factors, half, True, False, xp)


def permutation(rows: Array, m: int, xp: Any) -> Array:
    """The order of `m` rows after exchanging row k with row rows[..., k], for k = 0, 1, ...: shape (..., m)."""
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    order = xp.tile(xp.arange(m), (len(flat), 1))
    every = xp.arange(len(flat))
    for k in range(flat.shape[-1]):
        chosen = order[every, flat[:, k]]
        order[every, flat[:, k]] = order[:, k]
        order[:, k] = chosen
    return order.reshape(*rows.shape[:-1], m)
