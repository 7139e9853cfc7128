"""nn.functional.interpolate: images of other sizes, by neighbours or by weighted sums of them.

It is linear in the input and goes along one axis after the other. Its transpose is the same operation with transposed
tables of weights, so `resampled` is the derivative of all of them, and its own.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NoReturn

from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable
from minigrad.kernels import resampling as kernel
from minigrad.ops.checks import not_implemented
from minigrad.ops.layers import adaptive_pool

__all__: list[str] = []

MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"


@Op
def resampled(input, tables: tuple, *, xp):
    """`input` with its last dimensions resampled by a table of weights each."""
    return kernel.resample(input, tables, xp)


def _transposed(tables: tuple) -> tuple:
    return tuple([table.T for table in tables])


resampled.derivative(input=lambda g, tables: resampled(g, _transposed(tables)))


def _mode_op(node_name: str) -> Callable[..., Any]:
    """The same operation for one mode, which torch names apart."""

    @Op(node=f"Upsample{node_name}Backward0")
    def mode_op(input, tables: tuple, *, xp):
        """`input` with its last dimensions resampled by a table of weights each."""
        return kernel.resample(input, tables, xp)

    mode_op.derivative(input=lambda g, tables: resampled(g, _transposed(tables)))
    return mode_op


# For a mode and a number of dimensions: what is done along each, the operation, the kernel that torch's errors name.
_MODES = {
    **{("nearest", n): ("nearest", _mode_op(f"Nearest{n}D"), "nearest") for n in (1, 2, 3)},
    **{("nearest-exact", n): ("nearest-exact", _mode_op(f"NearestExact{n}D"), "nearest") for n in (1, 2, 3)},
    ("linear", 1): ("linear", _mode_op("Linear1D"), "linear"),
    ("bilinear", 2): ("linear", _mode_op("Bilinear2D"), "linear"),
    ("trilinear", 3): ("linear", _mode_op("Trilinear3D"), "linear"),
    ("bicubic", 2): ("cubic", _mode_op("Bicubic2D"), "cubic"),
}
_SMOOTH = {
    "bilinear": ("linear antialias", _mode_op("Bilinear2DAa")),
    "bicubic": ("cubic antialias", _mode_op("Bicubic2DAa")),
    "lanczos": ("lanczos antialias", _mode_op("Lanczos2DAa")),
}
_AVERAGES = {
    1: adaptive_pool.adaptive_avg_pool1d,
    2: adaptive_pool.adaptive_avg_pool2d,
    3: adaptive_pool.adaptive_avg_pool3d,
}


def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Any:  # fmt: skip
    """`input` (N, C, *sizes) resampled to `size`, or to `scale_factor` times its sizes, cut to whole numbers.

    nearest, nearest-exact      the element at floor(o * scale), or nearest to the middle of pixel o; 1 to 3 dimensions
    linear, bilinear, trilinear between the two neighbours along 1, 2 or 3 dimensions
    bicubic                     of four neighbours along 2 dimensions, by Keys' kernel; lanczos only with `antialias`
    area                        the average of what an output pixel covers

    With `align_corners` the middles of the first and last pixels coincide, else their outer edges. `antialias` widens
    the filter where the image becomes smaller. ValueError for options that do not fit together.
    """
    ndim = input.dim()
    n, sizes = ndim - 2, tuple(input.shape[2:])
    _check_options(mode, align_corners, antialias, ndim)
    factors = None
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        size = _for_each("output size", size, sizes, "output size in (o1, o2, ...,oK)")
    elif scale_factor is not None:
        factors = _for_each("scale_factor", scale_factor, sizes, "scale_factor in (s1, s2, ...,sK)")
        size = tuple([kernel.output_size(m, f) for m, f in zip(sizes, factors)])
    else:
        raise ValueError("either size or scale_factor should be defined")
    if recompute_scale_factor and factors is None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if recompute_scale_factor:
        factors = None
    if mode == "area" and n in _AVERAGES:
        return _AVERAGES[n](input, size)
    if antialias:
        along, op = _SMOOTH[mode]
        if input.array.dtype not in ("float32", "float64") and sizes != size:
            not_implemented("compute_index_ranges_weights", input.array)
    elif (mode, n) in _MODES:
        along, op, kind = _MODES[mode, n]
        if input.array.dtype.kind != "f" and not (kind == "nearest" and input.array.dtype == "uint8"):
            not_implemented(f"compute_indices_weights_{kind}", input.array)
    else:
        _refuse(mode, ndim)
    _check_sizes(input.array.shape, size)
    single = input.array.dtype != "float64"
    tables = [
        kernel.table(along, m, k, factor, bool(align_corners), single)
        for m, k, factor in zip(sizes, size, factors or (None,) * n)
    ]
    return op(input, tuple(tables))


def _check_options(mode: str, align_corners: bool | None, antialias: bool, ndim: int) -> None:
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    elif mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")
    if antialias and not (mode in _SMOOTH and ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")


def _for_each(what: str, value: Any, sizes: tuple[int, ...], form: str) -> tuple[Any, ...]:
    """A number for each spatial dimension."""
    if not isinstance(value, (list, tuple)):
        value = (value,) * len(sizes)
    elif len(value) != len(sizes):
        verb = "output size of" if what == "output size" else "scale_factor of shape"
        raise ValueError(
            f"Input and {'output' if what == 'output size' else what} must have the same number of spatial dimensions, "
            f"but got input with spatial dimensions of {list(sizes)} and {verb} {value}. Please provide input tensor "
            f"in (N, C, d1, d2, ...,dK) format and {form} format."
        )
    kinds: tuple[type, ...] = (Integral, Variable) if what == "output size" else (Real,)
    if not all(isinstance(v, kinds) for v in value):
        raise TypeError(
            f"expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got "
            f"{'size' if what == 'output size' else what} with types {[type(v) for v in value]}"
        )
    return tuple([int(v) if what == "output size" else float(v) for v in value])


def _check_sizes(shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    n = len(size)
    if min(*shape[2:], *size) < 1:
        names = "DHW"[-n:]
        before, after = (", ".join(f"{x}: {m}" for x, m in zip(names, sizes)) for sizes in (shape[2:], size))
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({before}) "
            f"{'and ' if n == 1 else ''}output ({after})"
        )
    if not shape[1]:
        raise RuntimeError(f"Non-empty {n + 2}D data tensor expected but got a tensor with sizes {list(shape)}")


def _refuse(mode: str, ndim: int) -> NoReturn:
    needs = {"linear": 3, "bilinear": 4, "trilinear": 5}.get(mode)
    if needs is not None and ndim in (3, 4, 5):
        raise NotImplementedError(f"Got {ndim}D input, but {mode} mode needs {needs}D input")
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: {MODES} (got {mode})"
    )


# -- the names of before -----------------------------------------------------------------------------------------------


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Any:
    """`interpolate`, with a warning."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` in mode nearest, with a warning."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` in mode bilinear with aligned corners, with a warning."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _deprecated(name: str) -> None:
    warn(f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.")
