"""Differences of neighbours, and what numerical analysis makes of samples: slopes and integrals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable
from minigrad.ops.arithmetic import sub
from minigrad.ops.compare import logical_xor
from minigrad.ops.dims import normalize_dim, normalize_dims
from minigrad.ops.forms import forms
from minigrad.ops.join import cat
from minigrad.ops.parts import narrow
from minigrad.ops.reduce import sum
from minigrad.ops.scan import cumsum
from minigrad.ops.shape import reshape

__all__ = ["cumulative_trapezoid", "diff", "gradient", "trapezoid", "trapz"]


def _neighbours(input: Any, dim: int) -> tuple[Any, Any]:
    """All elements along `dim` but the last, and all but the first."""
    n = input.shape[dim]
    return narrow(input, dim, 0, max(n - 1, 0)), narrow(input, dim, min(n, 1), max(n - 1, 0))


# -- differences -------------------------------------------------------------------------------------------------------


@forms()
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """input[k + 1] - input[k] along `dim`, `n` times over, of truth values whether they differ.

    `prepend` and `append` are put before and after the input. RuntimeError if they do not fit, and for 0-dim tensors.
    """
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    dim = normalize_dim(dim, input.ndim)
    for other in (prepend, append):
        if other is not None:
            _check_attached(input, other, dim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return input.clone()
    if prepend is not None or append is not None:
        input = cat([x for x in (prepend, input, append) if x is not None], dim)
    minus = logical_xor if input.array.dtype.kind == "b" else sub
    for _ in range(min(n, input.shape[dim])):
        earlier, later = _neighbours(input, dim)
        input = minus(later, earlier)
    return input


def _check_attached(input: Any, other: Any, dim: int) -> None:
    if other.ndim != input.ndim:
        raise RuntimeError(
            f"diff expects prepend or append to be the same dimension as input\nthey have {other.ndim} and {input.ndim}"
        )
    for d, (have, want) in enumerate(zip(other.shape, input.shape, strict=True)):
        if have != want and d != dim:
            raise RuntimeError(
                f"diff expects the shape of tensor to prepend or append to match that of input except along the "
                f"differencing dimension; input.size({d}) = {want}, but got tensor.size({d}) = {have}"
            )


# -- integrals ---------------------------------------------------------------------------------------------------------


@forms(method=False, out=False)
def trapezoid(y: Any, x: Any = None, *, dx: float | None = None, dim: int = -1) -> Any:
    """The integral of samples `y` along `dim` by the trapezoidal rule, taken at `x` or at steps of `dx` (1)."""
    areas = _areas("trapezoid", y, x, dx, dim)
    return sum(areas, normalize_dim(dim, y.ndim))


@forms(method=False, out=False)
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float | None = None, dim: int = -1) -> Any:
    """The integrals of `y` up to each sample but the first: running sums of what `trapezoid` adds up."""
    return cumsum(_areas("cumulative_trapezoid", y, x, dx, dim), normalize_dim(dim, y.ndim))


trapz = trapezoid


def _areas(name: str, y: Any, x: Any, dx: float | None, dim: int) -> Any:
    """The areas between neighbours: the mean of the two times the step from the one to the other."""
    both = " `x` or" if x is not None else ""
    if x is not None and (dx is not None or not isinstance(x, Variable)):
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({type(y).__name__}, {type(x).__name__}"
            f"{'' if dx is None else ', dx'}), but expected a Tensor of positions x, or dx=, not both"
        )
    if "b" in [t.array.dtype.kind for t in (y, x) if t is not None]:
        raise RuntimeError(f"{name}: received a bool input for{both} `y`, but bool is not supported")
    if not y.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = normalize_dim(dim, y.ndim)
    left, right = _neighbours(y, dim)
    return (left + right) * (0.5 * (1 if dx is None else dx) if x is None else _steps(name, x, y, dim) / 2)


def _steps(name: str, x: Any, y: Any, dim: int) -> Any:
    """The steps between positions, in a shape that broadcasts with that of `y`."""
    if x.ndim == 1:
        if x.shape[0] != y.shape[dim]:
            raise RuntimeError(
                f"{name}: There must be one `x` value for each sample point\nthere are {x.shape[0]} for {y.shape[dim]}"
            )
        x = reshape(x, [-1 if d == dim else 1 for d in range(y.ndim)])
    elif x.ndim < y.ndim:
        x = reshape(x, (*(1,) * (y.ndim - x.ndim), *x.shape))
    earlier, later = _neighbours(x, dim)
    return later - earlier


# -- slopes ------------------------------------------------------------------------------------------------------------


@forms(method=False, out=False)
def gradient(
    input: Any, *, spacing: Any = None, dim: int | Sequence[int] | None = None, edge_order: int = 1
) -> tuple[Any, ...]:
    """The slopes of samples along each of `dim` (all by default): in the middle those of parabolas through three.

    spacing     the step between samples (1), or a list, for each dim, of steps or of tensors of positions
    edge_order  at both ends the slope of 1: the line to the neighbour, 2: the parabola
    """
    dims = normalize_dims(dim, input.ndim) if dim not in ([], ()) else ()
    several = isinstance(spacing, (tuple, list))
    if input.dtype is backend.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")  # their differences wrap around
    _check_spacing(spacing, several, dim, dims)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError(
                f"torch.gradient expected each dimension size to be at least edge_order+1\n"
                f"dim {d} of the shape {list(input.shape)} is smaller than {edge_order + 1}"
            )
    spacings = spacing if several else [1 if spacing is None else spacing] * len(dims)
    return tuple([_slopes(input, s, d, edge_order) for s, d in zip(spacings, dims, strict=True)])


def _check_spacing(spacing: Any, several: bool, dim: Any, dims: tuple[int, ...]) -> None:
    if isinstance(spacing, Variable):
        raise TypeError(
            "gradient() received an invalid combination of arguments - got (Tensor, spacing=Tensor), but expected a "
            "number or a tuple with a number or a Tensor for each dim"
        )
    if several and len(spacing) != len(dims):
        if dim is None:
            raise RuntimeError(
                f"torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to "
                f"'self.dim() = {len(dims)}', since dim argument was not given, but got a list of length {len(spacing)}"
            )
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have "
            f"the same length, but got a spacing argument of length {len(spacing)} and a dim argument of length "
            f"{len(dims)}."
        )


def _slopes(input: Any, spacing: Any, dim: int, edge_order: int) -> Any:
    """From the lines between neighbours: the parabola through three has the slopes that two lines have midway."""
    step = left_step = right_step = spacing
    if isinstance(spacing, Variable):
        step = reshape(diff(spacing), [-1 if d == dim else 1 for d in range(input.ndim)])
        left_step, right_step = _neighbours(step, dim)
    earlier, later = _neighbours(input, dim)
    lines = (later - earlier) / step
    left, right = _neighbours(lines, dim)
    total = left_step + right_step
    middle = (left * right_step + right * left_step) / total
    if edge_order == 1:
        return cat([narrow(lines, dim, 0, 1), middle, narrow(lines, dim, lines.shape[dim] - 1, 1)], dim)
    bend = (right - left) / total
    first, last = left - bend * left_step, right + bend * right_step
    return cat([narrow(first, dim, 0, 1), middle, narrow(last, dim, last.shape[dim] - 1, 1)], dim)
