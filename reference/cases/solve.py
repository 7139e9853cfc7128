"""Linear equations, inverses, determinants and triangular systems."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import Case, Sample, Tolerance
from reference.strategies import Draw, Recipe, Shape

SOLVED = Tolerance(1e-11, 1e-5, "two eliminations round differently, and the condition number multiplies that")
OWN_NAME = {"grad_fn": "composed of other operations than torch's"}
NO_METHOD = {"method": "torch keeps the name for a function that it gave up"}
EMPTY = {"half": "torch looks at dtypes only where there is something to compute"}
ONE_TRIANGLE = {"finite_difference": "one triangle is looked at, but torch's gradient has both"}


def regular(d: Draw, shape: Shape, scale: float = 1.0) -> np.ndarray:
    """Square matrices far from singular, whose determinants have both signs: a permutation and a little of all else."""
    n = shape[-1]
    return d.floats(shape, -scale, scale) + (n + 1) * np.eye(n)[d.permutation(n)]


def front(d: Draw) -> Shape:
    """The dims of a stack of matrices; most often there are none."""
    return d.shape(max_dims=1, max_side=2) if d.flag() else ()


def square(d: Draw) -> Sample:
    """f(A), A square and regular."""
    n = d.size(0, 4)
    return Sample(regular(d, (*front(d), n, n)))


def of_rank_one_less(d: Draw) -> Sample:
    """f(A), A of integers, its last row the sum of the others: singular without any rounding."""
    n = d.size(2, 4)
    a = np.rint(regular(d, (n, n), 2))
    a[-1] = a[:-1].sum(axis=0)
    return Sample(a)


def triangle(d: Draw, shape: Shape) -> np.ndarray:
    """Matrices whose triangles both have a diagonal that stays away from zero; both are filled."""
    return d.floats(shape, -1, 1) + 3 * np.eye(shape[-1])


def equation(matrix: Any, **options: tuple[Any, ...]) -> Recipe:
    """f(A, B, left=..., ...) with A X = B, or X A = B; stacks are broadcast."""

    def draw(d: Draw) -> Sample:
        n, k = d.size(1, 4), d.size(1, 3)
        a, b = d.broadcastable(2, max_dims=1, min_side=1)
        left = d.flag() or (*b, k, n) == (*a, n)  # those would be right-hand sides that are vectors
        sides = (n, k) if left else (k, n)
        named = {name: d.one_of(*values) for name, values in options.items()}
        return Sample(matrix(d, (*a, n, n)), d.floats((*b, *sides)), left=left, **named)

    return draw


def with_vector(d: Draw) -> Sample:
    """solve(A, b), b a vector or one for each matrix."""
    n, stack = d.size(1, 4), front(d)
    return Sample(regular(d, (*stack, n, n)), d.floats((*stack, n)))


def factor_and_sides(d: Draw) -> Sample:
    """cholesky_solve(B, L, upper)."""
    n, k = d.size(1, 4), d.size(1, 3)
    a, b = d.broadcastable(2, max_dims=1, min_side=1)
    return Sample(d.floats((*b, n, k)), triangle(d, (*a, n, n)), upper=d.flag())


def with_factor(T: Any, B: Any, L: Any, upper: bool) -> Any:
    return T.cholesky_solve(B, T.triu(L) if upper else T.tril(L), upper)


def factor(d: Draw) -> Sample:
    """cholesky_inverse(L, upper)."""
    n = d.size(1, 4)
    return Sample(triangle(d, (*front(d), n, n)), d.flag())


def inverse_by_factor(T: Any, L: Any, upper: bool) -> Any:
    return T.cholesky_inverse(T.triu(L) if upper else T.tril(L), upper)


def old_triangular(d: Draw) -> Sample:
    """triangular_solve(B, A, ...)."""
    sample = factor_and_sides(d)
    options = {name: d.flag() for name in ("upper", "transpose", "unitriangular")}
    return Sample(*sample.args, **options)


def tensor_rows(d: Draw) -> Sample:
    """tensorinv(A, ind), A a regular matrix with its sides cut into dims."""
    a, b = d.size(1, 2), d.size(1, 3)
    matrix = regular(d, (a * b, a * b))
    return Sample(*d.one_of((matrix.reshape(a, b, a * b), 2), (matrix.reshape(a * b, b, a), 1)))


def tensor_equation(d: Draw) -> Sample:
    """tensorsolve(A, B), perhaps with dims of A to be moved to its end."""
    a, b = d.size(1, 2), d.size(1, 3)
    matrix = regular(d, (a * b, a * b))
    if d.flag():
        return Sample(
            np.ascontiguousarray(np.moveaxis(matrix.reshape(a * b, a, b), 2, 0)), d.floats((a * b,)), dims=(0,)
        )
    return Sample(matrix.reshape(a, b, b, a), d.floats((a, b)))


CASES = [
    Case("linalg.inv", square, tolerance=SOLVED, covers=("inverse",)),
    Case("linalg.inv_ex", square, tolerance=SOLVED, skip={"verdict": "of singular matrices LAPACK leaves anything"}),
    Case("linalg.det", square, tolerance=SOLVED, covers=("det",), skip=EMPTY),
    Case(
        "linalg.det",
        of_rank_one_less,
        "singular",
        tolerance=SOLVED,
        skip=dict.fromkeys(
            ("values", "float32", "layouts", "method"),
            "torch's gradient is zero there, and right only under create_graph",
        )
        | {"second_order": "torch divides by zero there", "device": "nobody looks there"},
    ),
    Case("linalg.slogdet", square, tolerance=SOLVED, covers=("slogdet",)),
    Case("logdet", square, tolerance=SOLVED),
    Case("linalg.solve", equation(regular), tolerance=SOLVED, skip=NO_METHOD),
    Case("linalg.solve", with_vector, "vector", tolerance=SOLVED, skip=NO_METHOD),
    Case("linalg.solve_ex", equation(regular), tolerance=SOLVED),
    Case(
        "linalg.solve_triangular",
        equation(triangle, upper=(False, True), unitriangular=(False, True)),
        tolerance=SOLVED,
    ),
    Case("triangular_solve", old_triangular, tolerance=SOLVED),
    Case("cholesky_solve", factor_and_sides, tolerance=SOLVED, skip=ONE_TRIANGLE),
    Case("cholesky_solve", factor_and_sides, "factor", call=with_factor, tolerance=SOLVED),
    Case("cholesky_inverse", factor, tolerance=SOLVED, skip=ONE_TRIANGLE),
    Case("cholesky_inverse", factor, "factor", call=inverse_by_factor, tolerance=SOLVED),
    Case("linalg.tensorinv", tensor_rows, tolerance=SOLVED, skip=OWN_NAME),
    Case("linalg.tensorsolve", tensor_equation, tolerance=SOLVED, skip=OWN_NAME),
]
