"""torch.linalg: the operations of linear algebra under their newer names."""

from minigrad.ops.linalg.decompositions import linalg_cholesky as cholesky
from minigrad.ops.linalg.decompositions import linalg_cholesky_ex as cholesky_ex
from minigrad.ops.linalg.decompositions import linalg_eigh as eigh
from minigrad.ops.linalg.decompositions import linalg_eigvalsh as eigvalsh
from minigrad.ops.linalg.decompositions import linalg_qr as qr
from minigrad.ops.linalg.decompositions import linalg_svd as svd
from minigrad.ops.linalg.decompositions import linalg_svdvals as svdvals
from minigrad.ops.linalg.householder import linalg_householder_product as householder_product
from minigrad.ops.linalg.least_squares import linalg_lstsq as lstsq
from minigrad.ops.linalg.least_squares import linalg_matrix_rank as matrix_rank
from minigrad.ops.linalg.least_squares import linalg_pinv as pinv
from minigrad.ops.linalg.lu import linalg_lu as lu
from minigrad.ops.linalg.lu import linalg_lu_factor as lu_factor
from minigrad.ops.linalg.lu import linalg_lu_factor_ex as lu_factor_ex
from minigrad.ops.linalg.lu import linalg_lu_solve as lu_solve
from minigrad.ops.linalg.matmul import matmul
from minigrad.ops.linalg.matrices import LinAlgError
from minigrad.ops.linalg.matrix_exp import linalg_matrix_exp as matrix_exp
from minigrad.ops.linalg.norms import linalg_cond as cond
from minigrad.ops.linalg.norms import linalg_matrix_norm as matrix_norm
from minigrad.ops.linalg.norms import linalg_norm as norm
from minigrad.ops.linalg.norms import linalg_vector_norm as vector_norm
from minigrad.ops.linalg.products import linalg_cross as cross
from minigrad.ops.linalg.products import linalg_diagonal as diagonal
from minigrad.ops.linalg.products import linalg_matrix_power as matrix_power
from minigrad.ops.linalg.products import linalg_multi_dot as multi_dot
from minigrad.ops.linalg.products import linalg_vander as vander
from minigrad.ops.linalg.products import linalg_vecdot as vecdot
from minigrad.ops.linalg.solve import linalg_det as det
from minigrad.ops.linalg.solve import linalg_inv as inv
from minigrad.ops.linalg.solve import linalg_inv_ex as inv_ex
from minigrad.ops.linalg.solve import linalg_slogdet as slogdet
from minigrad.ops.linalg.solve import linalg_solve as solve
from minigrad.ops.linalg.solve import linalg_solve_ex as solve_ex
from minigrad.ops.linalg.solve import linalg_tensorinv as tensorinv
from minigrad.ops.linalg.solve import linalg_tensorsolve as tensorsolve
from minigrad.ops.linalg.triangular import linalg_solve_triangular as solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh",
    "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul",
    "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet",
    "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot",
    "vector_norm",
]  # fmt: skip
