"""The operations of linear algebra as methods of a tensor, one line each."""

from __future__ import annotations

from minigrad import ops
from minigrad.autograd.variable import Variable


class LinearOps(Variable):
    """Products, solutions and factors of matrices: torch's Tensor methods, bound to `ops`."""

    # linalg
    bmm = ops.bmm
    dot = ops.dot
    matmul = ops.matmul
    mm = ops.mm
    mv = ops.mv
    outer = ops.outer

    # affine
    addbmm = ops.addbmm
    addmm = ops.addmm
    addmv = ops.addmv
    addr = ops.addr
    baddbmm = ops.baddbmm

    # products
    cross = ops.cross
    ger = ops.ger
    inner = ops.inner
    kron = ops.kron
    matrix_power = ops.matrix_power
    trace = ops.trace
    vdot = ops.vdot

    # covariance
    corrcoef = ops.corrcoef
    cov = ops.cov

    # solve
    det = ops.det
    inverse = ops.inverse
    logdet = ops.logdet
    slogdet = ops.slogdet

    # triangular
    cholesky_inverse = ops.cholesky_inverse
    cholesky_solve = ops.cholesky_solve
    triangular_solve = ops.triangular_solve

    # decompositions
    cholesky = ops.cholesky
    qr = ops.qr
    svd = ops.svd

    # lu
    lu = ops.lu
    lu_solve = ops.lu_solve

    # householder
    ormqr = ops.ormqr

    # least_squares
    pinverse = ops.pinverse

    # matrix_exp
    matrix_exp = ops.matrix_exp
