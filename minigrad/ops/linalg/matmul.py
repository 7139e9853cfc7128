"""Products of vectors and matrices. Each is linear in either factor, and its derivatives are such products again.

Of a matrix product A @ B with gradient g: that of A is g @ B.T, that of B is A.T @ g. Operands are never promoted:
dtypes must be equal, as in torch.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable
from minigrad.kernels.products import product, stacked, with_vector
from minigrad.ops.cast import contiguous
from minigrad.ops.checks import not_implemented, refuse_bool
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms
from minigrad.ops.reduce import sum_dim
from minigrad.ops.shape import fresh_view_to, permute, reshape, transpose

__all__ = [
    "bmm",
    "dot",
    "matmul",
    "mm",
    "mv",
    "outer",
    "tensordot",
]


# -- checks ------------------------------------------------------------------------------------------------------------


def _check_dtypes(a: Any, b: Any, text: str, kernel: str) -> None:
    """RuntimeError, made of `text`, unless both dtypes are equal; NotImplementedError for truth values."""
    if a.dtype is not b.dtype and a.dtype != b.dtype:
        names = {"c": backend.dtype_of(a).c_name, "d": backend.dtype_of(b).c_name}
        names.update(a=backend.dtype_of(a).type_name, b=backend.dtype_of(b).type_name)
        raise RuntimeError(f"{text.format(**names)}\nmatrix products do not promote: cast one operand with .to(dtype)")
    if a.dtype.kind == "b":
        not_implemented(kernel, a)


def _check_matrix(array: Any, name: str) -> None:
    if array.ndim != 2:
        raise RuntimeError(f"{name} must be a matrix\nits shape is {list(array.shape)}")


def cannot_multiply(a: Any, b: Any) -> RuntimeError:
    """torch's error for two matrices whose shapes do not fit."""
    return RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and {b.shape[0]}x{b.shape[1]})\n"
        f"the {a.shape[1]} columns of the first must be as many as the {b.shape[0]} rows of the second"
    )


# -- primitives --------------------------------------------------------------------------------------------------------


@forms(out="exact")
@Op
def dot(input, tensor):
    """The sum of the products of the elements of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    _check_dtypes(input, tensor, "dot : expected both vectors to have same dtype, but found {a} and {b}", "dot")
    n, m = len(input), len(tensor)
    if n != m:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{n}] and src [{m}] to have the same number of elements, but "
            f"got {n} and {m} elements respectively"
        )
    return with_vector(input, tensor)


@forms(out="exact")
@Op
def mv(input, vec):
    """A matrix times a vector."""
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions\nthe first operand must be a matrix")
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim}")
    _check_dtypes(
        input, vec, "addmv input tensors must have the same dtype, but got {b}, {a}, and {b}", "addmv_impl_cpu"
    )
    if input.shape[1] != len(vec):
        n, k = input.shape
        raise RuntimeError(f"size mismatch, got input ({n}), mat ({n}x{k}), vec ({len(vec)})")
    return with_vector(input, vec)


@Op(node="SqueezeBackward4")
def vm(input, other):
    """A vector times a matrix."""
    _check_dtypes(input, other, "expected m1 and m2 to have the same dtype, but got: {c} != {d}", "addmm_impl_cpu_")
    if len(input) != other.shape[0]:
        raise cannot_multiply(input[None], other)
    return with_vector(input, other)


@forms(out="exact")
@Op
def mm(input, mat2):
    """The product of two matrices."""
    _check_matrix(input, "self")
    _check_matrix(mat2, "mat2")
    _check_dtypes(input, mat2, "expected m1 and m2 to have the same dtype, but got: {c} != {d}", "addmm_impl_cpu_")
    if input.shape[1] != mat2.shape[0]:
        raise cannot_multiply(input, mat2)
    return product(input, mat2)


@Op
def outer_product(input, vec2):
    """out[i, j] = input[i] * vec2[j]."""
    return input[:, None] * vec2


@forms(out="exact")
@Op
def bmm(input, mat2):
    """The products of two stacks of matrices, pair by pair."""
    for name, array in (("batch1", input), ("batch2", mat2)):
        if array.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor\nits shape is {list(array.shape)}")
    refuse_bool(input, "bmm")
    _check_dtypes(input, mat2, "expected scalar type {a} but found {b}", "bmm")
    if input.shape[::2] != mat2.shape[:2]:
        raise _batches_differ(input.shape, mat2.shape)
    return stacked(input, mat2)


def _batches_differ(a: tuple[int, ...], b: tuple[int, ...]) -> RuntimeError:
    return RuntimeError(
        f"Expected size for first two dimensions of batch2 tensor to be: [{a[0]}, {a[2]}] but got: [{b[0]}, {b[1]}]."
    )


@Op(node="UnsafeViewBackward0")
def matmul_stacks(input, other):
    """The products of two stacks of matrices; the dims in front of the matrices are broadcast."""
    refuse_bool(input, "bmm")
    _check_dtypes(input, other, "expected scalar type {a} but found {b}", "bmm")
    try:
        return stacked(input, other)
    except ValueError:
        raise _stacks_differ(input.shape, other.shape) from None


def _stacks_differ(a: tuple[int, ...], b: tuple[int, ...]) -> RuntimeError:
    front = max(len(a), len(b)) - 2
    batch = [1] * (front + 2 - len(a)) + list(a[:-2]), [1] * (front + 2 - len(b)) + list(b[:-2])
    for i, (n, m) in enumerate(zip(*batch)):
        if n != m and 1 not in (n, m):
            return RuntimeError(
                f"The size of tensor a ({n}) must match the size of tensor b ({m}) at non-singleton dimension {i}\n"
                f"matmul got the shapes {list(a)} and {list(b)}"
            )
    count = math.prod([max(n, m) for n, m in zip(*batch)])
    return _batches_differ((count, *a[-2:]), (count, *b[-2:]))


dot.derivative(input=lambda g, tensor: g * tensor, tensor=lambda g, input: g * input)
mv.derivative(input=lambda g, vec: outer_product(g, vec), vec=lambda g, input: vm(g, input))
vm.derivative(input=lambda g, other: mv(other, g), other=lambda g, input: outer_product(input, g))
mm.derivative(input=lambda g, mat2: mm(g, mat2.T), mat2=lambda g, input: mm(input.T, g))
outer_product.derivative(input=lambda g, vec2: mv(g, vec2), vec2=lambda g, input: vm(input, g))
bmm.derivative(
    input=lambda g, mat2: bmm(g, transpose(mat2, 1, 2)),
    mat2=lambda g, input: bmm(transpose(input, 1, 2), g),
)
matmul_stacks.derivative(
    input=lambda g, other: matmul_stacks(g, transpose(other, -2, -1)),
    other=lambda g, input: matmul_stacks(transpose(input, -2, -1), g),
)


@forms(out="exact")
def matmul(input: Any, other: Any) -> Any:
    """The matrix product over the last two dims; those in front are broadcast.

    A vector counts as a row on the left and as a column on the right, and that dim is left out of the result.
    RuntimeError for shapes that do not fit and for two dtypes.
    """
    for place, x in (("'input' (position 1)", input), ("'other' (position 2)", other)):
        if not isinstance(x, Variable):
            raise TypeError(f"matmul(): argument {place} must be Tensor, not {type(x).__name__}")
    a, b = input.array.ndim, other.array.ndim
    if a == 2 and b == 2:
        return mm(input, other)
    if not a or not b:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D")
    if a <= 2 and b == 1:
        return dot(input, other) if a == 1 else mv(input, other)
    if a == 1:
        return vm(input, other) if b == 2 else matmul(transpose(other, -2, -1), input)
    if a == 2:  # many right factors: transposed, they are rows of one left factor
        return contiguous(transpose(matmul(transpose(other, -2, -1), transpose(input, 0, 1)), -2, -1))
    if b <= 2:  # many left factors: one below the other they are a single matrix
        *front, n = input.array.shape
        rows = reshape(input, (math.prod(front), n))
        return fresh_view_to((mm if b == 2 else mv)(rows, other), (*front, *other.array.shape[1:]))
    return matmul_stacks(input, other)


# -- of any number of dims ---------------------------------------------------------------------------------------------


@forms()
def outer(input: Any, vec2: Any) -> Any:
    """out[i, j] = input[i] * vec2[j]. RuntimeError unless both are vectors; dtypes are promoted, as in any product."""
    for name, x in (("self", input), ("vec2", vec2)):
        if x.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.ndim}-D")
    return reshape(input, (-1, 1)) * vec2


@forms(method=False, out="exact")
def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """The sum of products over pairs of dims: the last `dims` of `a` with the first of `b`, or two lists of dims.

    RuntimeError for lists of two lengths, dims of two sizes, or two dtypes.
    """
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        of_a, of_b = [i - dims for i in range(dims)], list(range(dims))
    else:
        of_a, of_b = list(dims[0]), list(dims[1])
    if len(of_a) != len(of_b):
        raise RuntimeError(f"both dimension lists should have same length\nthey are {of_a} and {of_b}")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"both inputs should have same dtype\nthey have {a.dtype} and {b.dtype}")
    of_a, of_b = [normalize_dim(i, a.ndim) for i in of_a], [normalize_dim(j, b.ndim) for j in of_b]
    for i, j in zip(of_a, of_b):
        if a.shape[i] == b.shape[j]:
            continue
        if a.shape[i] == 1:  # broadcast: every element of the other is multiplied by the same one
            b = sum_dim(b, (j,), True)
        elif b.shape[j] == 1:
            a = sum_dim(a, (i,), True)
        else:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size "
                f"{b.shape[j]} in dim {j}"
            )
    rest_a, rest_b = [i for i in range(a.ndim) if i not in of_a], [j for j in range(b.ndim) if j not in of_b]
    shape_a, shape_b = [a.shape[i] for i in rest_a], [b.shape[j] for j in rest_b]
    n = math.prod([a.shape[i] for i in of_a])
    product = mm(
        reshape(permute(a, (*rest_a, *of_a)), (math.prod(shape_a), n)),
        reshape(permute(b, (*of_b, *rest_b)), (n, math.prod(shape_b))),
    )
    return reshape(product, (*shape_a, *shape_b))
