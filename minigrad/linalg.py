"""torch.linalg: the operations of linear algebra under their newer names."""

from minigrad.ops.decompositions import linalg_cholesky as cholesky
from minigrad.ops.decompositions import linalg_cholesky_ex as cholesky_ex
from minigrad.ops.decompositions import linalg_eigh as eigh
from minigrad.ops.decompositions import linalg_eigvalsh as eigvalsh
from minigrad.ops.decompositions import linalg_qr as qr
from minigrad.ops.decompositions import linalg_svd as svd
from minigrad.ops.decompositions import linalg_svdvals as svdvals
from minigrad.ops.linalg import matmul
from minigrad.ops.matrices import LinAlgError
from minigrad.ops.solve import linalg_det as det
from minigrad.ops.solve import linalg_inv as inv
from minigrad.ops.solve import linalg_inv_ex as inv_ex
from minigrad.ops.solve import linalg_slogdet as slogdet
from minigrad.ops.solve import linalg_solve as solve
from minigrad.ops.solve import linalg_solve_ex as solve_ex
from minigrad.ops.solve import linalg_tensorinv as tensorinv
from minigrad.ops.solve import linalg_tensorsolve as tensorsolve
from minigrad.ops.triangular import linalg_solve_triangular as solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "det", "eigh", "eigvalsh", "inv", "inv_ex", "matmul", "qr", "slogdet",
    "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve",
]  # fmt: skip
