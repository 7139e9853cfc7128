"""Products of vectors and matrices beyond `matmul`: inner, outer, cross and Kronecker products, chains and powers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.promotion import shape_error
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable, unwrap, wrap
from minigrad.ops.arrange import flip
from minigrad.ops.cast import clone, to
from minigrad.ops.checks import refuse_bool
from minigrad.ops.compare import where
from minigrad.ops.create import ones_like
from minigrad.ops.dims import normalize_dim
from minigrad.ops.expand import expand
from minigrad.ops.forms import forms
from minigrad.ops.join import cat
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.linalg.matmul import dot, matmul, outer, tensordot
from minigrad.ops.linalg.matrices import identity, need_square
from minigrad.ops.linalg.solve import linalg_inv
from minigrad.ops.reduce import sum
from minigrad.ops.scan import cumprod
from minigrad.ops.shape import diagonal, reshape, unsqueeze

__all__ = ["chain_matmul", "cross", "ger", "inner", "kron", "matrix_power", "trace", "vander", "vdot"]


# -- sums of products --------------------------------------------------------------------------------------------------


@forms(out=False)
@Op
def trace(input, *, xp):
    """The sum of the elements on the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    refuse_bool(input, "trace")
    return xp.trace(input, dtype=input.dtype if input.dtype.kind == "f" else "int64")


trace.derivative(input=lambda g, input_shape, xp: g * xp.eye(*input_shape, dtype=unwrap(g).dtype))


@forms(out="exact")
@Op
def vdot(input, other):
    """The sum of the products of the elements of two vectors: of real numbers what `dot` is."""
    return dot.forward(input, other)


vdot.derivative(input=lambda g, other: g * other, other=lambda g, input: g * input)


@forms()
def inner(input: Any, other: Any) -> Any:
    """out[..., i, j] = the sum of input[..., i, :] * other[..., j, :]; with a 0-dim tensor, the product."""
    need_tensor("inner", input=input, other=other)
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return tensordot(input, other, ((-1,), (-1,)))


@forms(method=False, out="exact")
def linalg_vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """The sum of x * y over `dim`, the other dims being broadcast."""
    kinds = [backend.dtype_of(unwrap(t)).type_name for t in (x, y)]
    if unwrap(x).dtype.kind != "f":
        raise RuntimeError(
            f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {kinds[0]}\n"
            f"convert it with .float()"
        )
    if kinds[0] != kinds[1]:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {kinds[0]} and y of type "
            f"{kinds[1]} instead"
        )
    if x.ndim == y.ndim == 1:
        normalize_dim(dim, 1)
        return vdot(x, y)
    return sum(x * y, dim)


# -- outer products ----------------------------------------------------------------------------------------------------


@forms()
def ger(input: Any, vec2: Any) -> Any:
    """`outer`."""
    return outer(input, vec2)


@forms()
def kron(input: Any, other: Any) -> Any:
    """The Kronecker product: every element of `input` times the whole of `other`, in its place."""
    need_tensor("kron", input=input, other=other)
    n = max(input.ndim, other.ndim)
    a, b = [(1,) * (n - x.ndim) + tuple(x.shape) for x in (input, other)]
    spread = reshape(input, [k for size in a for k in (size, 1)]), reshape(other, [k for size in b for k in (1, size)])
    return reshape(spread[0] * spread[1], [i * j for i, j in zip(a, b, strict=True)])


# -- cross products ----------------------------------------------------------------------------------------------------


@forms(method=False, out="exact")
@Op
def linalg_cross(input, other, *, dim: int = -1, xp):
    """The vector at right angles to both, for vectors of three elements along `dim`; the other dims are broadcast."""
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"linalg.cross: inputs must have the same number of dimensions.\nthe shapes are {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    normalize_dim(dim, input.ndim)
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[dim]} and {other.shape[dim]}"
        )
    if input.dtype != other.dtype:
        kinds = [backend.dtype_of(x).type_name for x in (input, other)]
        raise RuntimeError(f"expected scalar type {kinds[0]} but found {kinds[1]}\ncast one of them with .to(dtype)")
    refuse_bool(input, "cross")
    try:
        return xp.cross(input, other, axis=dim)
    except ValueError as error:
        raise shape_error("cross", (input, other), error) from None


linalg_cross.derivative(
    input=lambda g, other, dim: linalg_cross(other, g, dim=dim),
    other=lambda g, input, dim: linalg_cross(g, input, dim=dim),
)


@forms(out="exact")
def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """`linalg.cross` along `dim`, by default the first one of size 3."""
    if dim is None:
        warn(
            "Using torch.cross without specifying the dim arg is deprecated.\n"
            "Please either pass the dim explicitly or simply use torch.linalg.cross."
        )
        if 3 not in input.shape:
            raise RuntimeError(f"no dimension of size 3 in input\nits shape is {list(input.shape)}")
        dim = tuple(input.shape).index(3)
    return linalg_cross(input, other, dim=dim)


# -- chains and powers -------------------------------------------------------------------------------------------------


def cheapest(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to cut each stretch i..j of a chain of matrices, the i-th of which is sizes[i] by sizes[i + 1], so that the
    fewest numbers are multiplied (T. Cormen et al., "Introduction to algorithms", section 15.2).
    """
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cut = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return cut


def _check_chain(tensors: Any) -> None:
    for i, x in enumerate(tensors):
        if not isinstance(x, Variable):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    last = len(tensors) - 1
    if last < 1:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {last + 1}")
    for i, name in ((0, "first"), (last, "last")):
        if tensors[i].ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {name} tensor must be 1D or 2D but got {tensors[i].ndim}D")
    for i, x in enumerate(tensors):
        if 0 < i < last and x.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {x.ndim}D")
        if x.dtype is not tensors[0].dtype:
            kinds = [backend.dtype_of(t.array).c_name for t in (tensors[0], x)]
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {kinds[0]} and tensor {i} "
                f"{kinds[1]}"
            )
        if i and tensors[i - 1].shape[-1] != x.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i - 1} and {i} with shapes {list(tensors[i - 1].shape)} and {list(x.shape)} "
                f"cannot be multiplied"
            )


def linalg_multi_dot(tensors: Any) -> Any:
    """The product of two or more matrices, in the order that takes the fewest multiplications. The first may be a
    vector, which counts as a row, and the last one, which counts as a column; that dim is left out of the result.
    """
    if isinstance(tensors, Variable):
        raise TypeError("linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    _check_chain(tensors)
    row, column = tensors[0].ndim == 1, tensors[-1].ndim == 1
    middle = [x.shape[0] for x in tensors[1:]]
    sizes = [1 if row else tensors[0].shape[0], *middle, 1 if column else tensors[-1].shape[1]]
    cut = cheapest(sizes)

    def between(i: int, j: int) -> Any:
        return tensors[i] if i == j else matmul(between(i, cut[i, j]), between(cut[i, j] + 1, j))

    return between(0, len(tensors) - 1)


@forms(method=False)
def chain_matmul(*matrices: Any) -> Any:
    """The product of one or more matrices: `linalg.multi_dot`."""
    warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot "
        "instead, which accepts a list of two or more tensors rather than multiple parameters."
    )
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for x in matrices:
        if x.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {x.ndim}, expected 2 instead.")
    return matrices[0] if len(matrices) == 1 else linalg_multi_dot(matrices)


@forms(method=False)
def linalg_matrix_power(input: Any, n: int) -> Any:
    """A^n of square matrices, by repeated squaring; of the inverse for a negative n; the identity for n = 0."""
    if not isinstance(n, int):
        raise TypeError(f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}")
    need_square("linalg.matrix_power", input)
    if n == 0:
        nothing = wrap(backend.module_of(input.array).zeros((), bool))
        return where(nothing, input, identity(input))
    base = power = linalg_inv(input) if n < 0 else input
    for bit in f"{abs(n):b}"[1:]:
        power = matmul(power, power)
        if bit == "1":
            power = matmul(power, base)
    return clone(power) if n == 1 else power


@forms()
def matrix_power(input: Any, n: int) -> Any:
    """`linalg.matrix_power`."""
    return linalg_matrix_power(input, n)


# -- powers of numbers -------------------------------------------------------------------------------------------------


def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """out[..., i, j] = x[..., i]^j for j < N, by default as many as there are i. RuntimeError for truth values."""
    if x.array.dtype.kind == "b":
        raise RuntimeError("linalg.vander supports floating point, complex, and integer tensors, but got Bool")
    x = x if x.ndim else reshape(x, (1,))
    n = x.shape[-1] if N is None else N
    if n <= 1:
        raise RuntimeError("N must be greater than 1.")
    return _powers(x, n)


def _powers(x: Any, n: int) -> Any:
    column = unsqueeze(x, -1)
    return cat((ones_like(column), cumprod(expand(column, (*x.shape, n - 1)), -1)), -1)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """out[i, j] = x[i]^j, the powers falling from left to right unless `increasing`; N of them, or as many as i."""
    if x.ndim != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor.\nits shape is {list(x.shape)}")
    n = x.shape[0] if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    if x.array.dtype.kind != "f":
        x = to(x, backend.int64)
    if n < 2:
        return ones_like(expand(unsqueeze(x, -1), (x.shape[0], n)))
    powers = _powers(x, n)
    return powers if increasing else flip(powers, (1,))


# -- a view ------------------------------------------------------------------------------------------------------------


def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """A view of the diagonals of matrices: `diagonal` with other defaults."""
    return diagonal(A, offset, dim1, dim2)
