"""Triangular systems and LU factorisations of stacks of matrices, on raw arrays: what NumPy has no function for."""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import Array
from minigrad.kernels.products import stacked

FEW = 16  # columns that are eliminated one by one


def substitute(t: Array, b: Array, xp: Any) -> Array:
    """X with T X = B for lower triangular T, shapes (..., n, n) and (..., n, k); inf or nan where T is singular.

    By halves: [[P, 0], [Q, R]] [X, Y] = [B, C] is P X = B and then R Y = C - Q X, so most work is matrix products.
    """
    n = t.shape[-1]
    if n <= 1:
        return b / t if n else b
    half = n // 2
    top = substitute(t[..., :half, :half], b[..., :half, :], xp)
    bottom = substitute(t[..., half:, half:], b[..., half:, :] - stacked(t[..., half:, :half], top), xp)
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

    Gaussian elimination of all matrices at once, by halves of the columns, so that most work is matrix products
    (S. Toledo 1997, "Locality of reference in LU decomposition with partial pivoting", section 2).
    """
    m, n = a.shape[-2:]
    out = xp.array(a.reshape(math.prod(a.shape[:-2]), m, n), order="C")
    rows = xp.zeros((len(out), min(m, n)), dtype="int64")
    _eliminate(out, rows, 0, min(m, n), xp)
    if n > m:
        out[..., m:] = solve_triangular(out[..., :m], out[..., m:], False, True, xp)
    return out.reshape(a.shape), rows.reshape(*a.shape[:-2], min(m, n))


def _eliminate(out: Array, rows: Array, first: int, last: int, xp: Any) -> None:
    """Columns `first` to `last`, those before them being done; whole rows are exchanged."""
    if last - first <= FEW:
        for k in range(first, last):
            _eliminate_one(out, rows, k, last, xp)
        return
    middle = (first + last) // 2
    _eliminate(out, rows, first, middle, xp)
    done, beside = slice(first, middle), slice(middle, last)
    out[:, done, beside] = solve_triangular(out[:, done, done], out[:, done, beside], False, True, xp)
    out[:, middle:, beside] -= stacked(out[:, middle:, done], out[:, done, beside])
    _eliminate(out, rows, middle, last, xp)


def _eliminate_one(out: Array, rows: Array, k: int, last: int, xp: Any) -> None:
    """Column k, and what it changes in those before `last` (Golub & Van Loan, algorithm 3.4.1)."""
    every = xp.arange(len(out))
    rows[:, k] = largest = k + xp.abs(out[:, k:, k]).argmax(axis=1)
    chosen = out[every, largest]
    out[every, largest] = out[:, k]
    out[:, k] = chosen
    pivot, below = out[:, k, k], out[:, k + 1 :, k]
    # A column of zeros is left as it is: that matrix is singular, and its factor has a zero on the diagonal.
    below /= xp.where(pivot == 0, 1, pivot)[:, None]
    out[:, k + 1 :, k + 1 : last] -= below[:, :, None] * out[:, k, None, k + 1 : last]


def solve(a: Array, b: Array, xp: Any) -> Array:
    """X with A X = B, shapes (..., n, n) and (..., n, k), by elimination: inf or nan where A is singular."""
    factors, rows = lu(a, xp)
    chosen = xp.arange(a.shape[-1]) == permutation(rows, a.shape[-1], xp)[..., None]
    half = solve_triangular(factors, stacked(chosen.astype(a.dtype), b), False, True, xp)
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
