"""A product and a sum in one op: `addmm` and its kin, and the linear layer, of which most networks are made.

The derivatives are those of the product (see `linalg`); the summand gets the gradient as it is.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable
from minigrad.backend import np
from minigrad.kernels.gpu import bias as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.kernels.products import product
from minigrad.ops.checks import not_implemented
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms
from minigrad.ops.linalg.matmul import bmm, cannot_multiply, matmul, matmul_stacks, mm, mv, outer_product, vm
from minigrad.ops.reduce import sum_dim
from minigrad.ops.shape import fresh_view_to, reshape, transpose

__all__ = ["addbmm", "addmm", "addmv", "addr", "baddbmm", "linear"]


# -- beta * input + alpha * product ------------------------------------------------------------------------------------


def _sum_of(input: Any, product: Any, beta: float, alpha: float) -> Any:
    """beta * input + alpha * product; with beta = 0 even nan in `input` counts for nothing."""
    if product.dtype.kind != "f":
        beta, alpha = int(beta), int(alpha)
    product = _scaled(product, alpha)
    _check_expansion(input, product.shape)
    if beta != 0:
        product += _scaled(input, beta)
    return product


def _scaled(x: Any, factor: float) -> Any:
    return x if factor == 1 else x * factor


def _check_expansion(summand: Any, target: tuple[int, ...]) -> None:
    """RuntimeError if a summand cannot be expanded to the shape of the product."""
    shape = summand.shape
    if len(shape) > len(target):
        raise RuntimeError(
            f"expand(torch.{backend.dtype_of(summand).type_name}Tensor{{{list(shape)}}}, size={list(target)}): the "
            f"number of sizes provided ({len(target)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(shape)})"
        )
    for i in range(1, len(shape) + 1):
        if shape[-i] not in (1, target[-i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({target[-i]}) must match the existing size ({shape[-i]}) at "
                f"non-singleton dimension {len(target) - i}.  Target sizes: {list(target)}.  Tensor sizes: "
                f"{list(shape)}"
            )


def _check_summand(input: Any, factor: Any, name: str) -> None:
    if input.dtype is not factor.dtype and input.dtype != factor.dtype:
        a, b = backend.dtype_of(input).type_name, backend.dtype_of(factor).type_name
        raise RuntimeError(f"{name} must have the same dtype, but got {a} and {b}\ncast one of them with .to(dtype)")


@forms(in_place=True, out="exact")
@Op
def addmm(input, mat1, mat2, *, beta: float = 1, alpha: float = 1):
    """beta * input + alpha * (mat1 @ mat2)."""
    for name, matrix in (("mat1", mat1), ("mat2", mat2)):
        if matrix.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {matrix.ndim}-D tensor")
    _check_summand(input, mat2, "self and mat2")
    _check_summand(mat1, mat2, "mat1 and mat2")
    return _sum_of(input, mm.forward(mat1, mat2), beta, alpha)


@forms(in_place=True, out="exact")
@Op
def addmv(input, mat, vec, *, beta: float = 1, alpha: float = 1):
    """beta * input + alpha * (mat @ vec)."""
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}")
    if not input.dtype == mat.dtype == vec.dtype:
        names = [backend.dtype_of(x).type_name for x in (input, mat, vec)]
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {names[0]}, {names[1]}, and {names[2]}\n"
            f"cast them with .to(dtype)"
        )
    if mat.shape[1] != len(vec) or (input.ndim and len(input) not in (1, mat.shape[0])):
        if not input.ndim:
            raise IndexError(
                f"Dimension specified as 0 but tensor has no dimensions\nmat: {mat.shape}, vec: {vec.shape}"
            )
        n, k = mat.shape
        raise RuntimeError(f"size mismatch, got input ({len(input)}), mat ({n}x{k}), vec ({len(vec)})")
    return _sum_of(input, mv.forward(mat, vec), beta, alpha)


@forms(in_place=True, out="exact")
@Op
def baddbmm(input, batch1, batch2, *, beta: float = 1, alpha: float = 1):
    """beta * input + alpha * (batch1 @ batch2), pair by pair."""
    for dim, batch in ((1, batch1), (2, batch2)):
        normalize_dim(dim, batch.ndim)
    _check_summand(input, batch2, "self and batch2")
    _check_summand(batch1, batch2, "batch1 and batch2")
    product = bmm.forward(batch1, batch2)
    return _sum_of(input, product, beta, alpha)


@forms(in_place=True, out="exact")
@Op
def addbmm(input, batch1, batch2, *, beta: float = 1, alpha: float = 1):
    """beta * input + alpha * the sum of all batch1[i] @ batch2[i]."""
    for dim, batch in ((1, batch1), (2, batch2)):
        normalize_dim(dim, batch.ndim)
    _check_summand(input, batch2, "self and mat2")
    _check_summand(batch1, batch2, "mat1 and mat2")
    for dim, batch in ((1, batch1), (2, batch2)):
        if batch.ndim != 3:
            raise RuntimeError(f"batch{dim} must be a 3D tensor\nits shape is {list(batch.shape)}")
    (b, n, k), (c, l, m) = batch1.shape, batch2.shape
    if b != c:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {b} and {c}")
    if k != l:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({n}x{k} and {l}x{m})")
    if input.dtype.kind == "b":
        not_implemented("addmm_impl_cpu_", input)
    rows = batch1.swapaxes(0, 1).reshape(n, b * k)  # side by side the matrices are one, and the sum one product
    return _sum_of(input, product(rows, batch2.reshape(b * k, m)), beta, alpha)


@forms(in_place=True)
@Op(promote="common")
def addr(input, vec1, vec2, *, beta: float = 1, alpha: float = 1):
    """beta * input + alpha * outer(vec1, vec2); of truth values, `or` and `and`."""
    for name, vector in (("vec1", vec1), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {vector.ndim}-D")
    product = outer_product.forward(vec1, vec2)
    if product.dtype.kind == "b":
        _check_expansion(input, product.shape)
        return product & bool(alpha) | (input if beta else False)
    for name, factor in (("beta", beta), ("alpha", alpha)):
        if product.dtype.kind != "f" and isinstance(factor, float):
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    return _sum_of(input, product, beta, alpha)


addmm.derivative(
    input=lambda g, beta: _scaled(g, beta),
    mat1=lambda g, mat2, alpha: _scaled(mm(g, mat2.T), alpha),
    mat2=lambda g, mat1, alpha: _scaled(mm(mat1.T, g), alpha),
)
addmv.derivative(
    input=lambda g, beta: _scaled(g, beta),
    mat=lambda g, vec, alpha: _scaled(outer_product(g, vec), alpha),
    vec=lambda g, mat, alpha: _scaled(vm(g, mat), alpha),
)
baddbmm.derivative(
    input=lambda g, beta: _scaled(g, beta),
    batch1=lambda g, batch2, alpha: _scaled(bmm(g, transpose(batch2, 1, 2)), alpha),
    batch2=lambda g, batch1, alpha: _scaled(bmm(transpose(batch1, 1, 2), g), alpha),
)
addbmm.derivative(
    input=lambda g, beta: _scaled(g, beta),
    batch1=lambda g, batch2, alpha: _scaled(matmul_stacks(g, transpose(batch2, 1, 2)), alpha),
    batch2=lambda g, batch1, alpha: _scaled(matmul_stacks(transpose(batch1, 1, 2), g), alpha),
)
addr.derivative(
    input=lambda g, beta: _scaled(g, beta),
    vec1=lambda g, vec2, alpha: _scaled(mv(g, vec2), alpha),
    vec2=lambda g, vec1, alpha: _scaled(vm(vec1, g), alpha),
)


# -- the linear layer --------------------------------------------------------------------------------------------------


@Op(node="AddmmBackward0")
def affine(input, weight, bias):
    """input @ weight.T + bias, for an input of rows: one op, for it is the layer of which most networks are made."""
    if bias.dtype is not weight.dtype:
        _check_summand(bias, weight, "self and mat2")
    if input.dtype is not weight.dtype:
        _check_summand(input, weight, "mat1 and mat2")
    try:
        out = product(input, weight.T)
    except ValueError:
        raise cannot_multiply(input, weight.T) from None
    if out.dtype.kind == "b":
        not_implemented("addmm_impl_cpu_", input)
    if type(out) is not np.ndarray and takes(out, bias) and bias.shape == out.shape[1:] and out.flags.c_contiguous:
        return gpu.add_bias(out, bias)
    try:
        out += bias
    except ValueError:
        _check_expansion(bias, out.shape)
        raise
    return out


@Op(node="MmBackward0")
def affine_without_bias(input, weight):
    """input @ weight.T, for an input of rows."""
    return mm.forward(input, weight.T)


affine.derivative(
    input=lambda g, weight: mm(g, weight),
    weight=lambda g, input: mm(g.T, input),
    bias=lambda g, bias_shape: sum_dim(g, (0,), False) if len(bias_shape) == 1 else g,
)
affine_without_bias.derivative(input=lambda g, weight: mm(g, weight), weight=lambda g, input: mm(g.T, input))


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input @ weight.T + bias, over the last dim of `input`; `weight` is (out, in), or (in,) for a single output.

    RuntimeError for shapes that do not fit and for two dtypes.
    """
    try:
        a, b = input.array.ndim, weight.array.ndim
    except AttributeError:
        at, name, odd = (2, "weight", weight) if isinstance(input, Variable) else (1, "input", input)
        kind = type(odd).__name__
        raise TypeError(f"linear(): argument '{name}' (position {at}) must be Tensor, not {kind}") from None
    if a == 2 and b == 2:
        return affine_without_bias(input, weight) if bias is None else affine(input, weight, bias)
    if not a or not b:
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {a}D and {b}D")
    if b > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {b}D\nweight must be (out, in)")
    row_bias = bias is not None and _is_row(bias.array)
    if b == 1 and bias is not None and (a == 2 or row_bias):
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor\na weight of one dim takes no bias of one dim")
    if b == 2 and (row_bias or (a > 1 and bias is None)):
        *front, n = input.array.shape
        rows, shape = reshape(input, (math.prod(front), n)), (*front, weight.array.shape[0])
        if bias is None:
            return fresh_view_to(affine_without_bias(rows, weight), shape)
        return reshape(affine(rows, weight, bias), shape)
    product = matmul(input, transpose(weight, 0, 1) if b == 2 else weight)
    if bias is None:
        return product
    out = product + bias
    if out.shape != product.shape:
        raise RuntimeError(
            f"output with shape {list(product.shape)} doesn't match the broadcast shape {list(out.shape)}\n"
            f"the bias has the shape {list(bias.shape)}"
        )
    return out


def _is_row(bias: Any) -> bool:
    """True for a bias that torch adds within the product: one dim, or one row of several elements."""
    return bias.ndim == 1 or (bias.ndim == 2 and bias.shape[0] == 1 and bias.size > 1)
