"""The exponential of matrices, sum(A^k / k!)."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.kernels.products import stacked
from minigrad.ops.forms import forms
from minigrad.ops.join import joined
from minigrad.ops.linalg.matrices import T, identity, need_square

__all__ = ["matrix_exp"]

# The coefficients of p in the approximant p(A) / p(-A) of degree 13, and the 1-norm up to which it is right to 2^-53
# (N. Higham 2005, "The scaling and squaring method for the matrix exponential revisited", algorithm 2.3).
PADE = [math.factorial(26 - k) // (math.factorial(k) * math.factorial(13 - k)) for k in range(14)]
LARGEST = 5.371920351148152


def _approximant(a: Any, xp: Any) -> Any:
    """p(A) / p(-A), for a small A: with U the odd and V the even terms of p, (V - U)^-1 (V + U)."""
    b, one, a2 = PADE, identity(a), stacked(a, a)
    a4 = stacked(a2, a2)
    a6 = stacked(a2, a4)
    u = stacked(a6, b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one
    u = stacked(a, u)
    v = stacked(a6, b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    return xp.linalg.solve(v - u, v + u)


@Op
def linalg_matrix_exp(input, *, xp):
    """exp(A) = exp(A / 2^s)^(2^s), the inner one by Pade's approximant; s is each matrix's own. Halves in float32."""
    need_square("linalg.matrix_exp", input)
    if input.dtype.kind != "f":
        kind = backend.dtype_of(input).type_name
        raise RuntimeError(f"linalg.matrix_exp: Expected a floating point or complex tensor as input. Got {kind}")
    if not input.size:
        return input.copy()
    a = input.astype("float32") if input.dtype == "float16" else input
    norm = backend.to_numpy(xp.asarray(xp.abs(a).sum(axis=-2).max(axis=-1)))
    squarings = backend.np.ceil(backend.np.log2(backend.np.maximum(norm / LARGEST, 1)))
    squarings = backend.np.where(backend.np.isfinite(norm), squarings, 0).astype("int64")
    scale = xp.asarray(0.5**squarings, a.dtype)[..., None, None]
    out = _approximant(a * scale, xp)
    if not backend.np.isfinite(norm).all():
        out = xp.where(xp.isfinite(a).all(axis=(-2, -1), keepdims=True), out, math.nan)
    for i in range(int(squarings.max())):
        out = xp.where(xp.asarray(squarings > i)[..., None, None], stacked(out, out), out)
    return out.astype(input.dtype, copy=False)


def _matrix_exp_rule(g, input):
    """The upper right corner of exp([[A^T, g], [0, A^T]]) (R. Mathias 1996, "A chain rule for matrix functions")."""
    n, a = input.shape[-1], T(input)
    block = joined(joined(a, g, dim=-1), joined(g * 0, a, dim=-1), dim=-2)
    return linalg_matrix_exp(block)[..., :n, n:]


linalg_matrix_exp.derivative(input=_matrix_exp_rule)


@forms(out=False)
def matrix_exp(input: Any) -> Any:
    """`linalg.matrix_exp`."""
    return linalg_matrix_exp(input)
