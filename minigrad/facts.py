"""What torch also asks as functions, of a tensor's methods and attributes."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.size import Size

IN_PLACE = (  # methods that write in place, and that torch has as functions too
    "abs_", "acos_", "acosh_", "addmv_", "arccos_", "arccosh_", "arcsin_", "arcsinh_", "arctan_", "arctanh_",
    "as_strided_", "asin_", "asinh_", "atan_", "atanh_", "ceil_", "clamp_", "clamp_max_", "clamp_min_", "clip_", "cos_",
    "cosh_", "deg2rad_", "detach_", "erf_", "erfc_", "exp2_", "exp_", "expm1_", "fix_", "floor_", "frac_",
    "gcd_", "i0_", "index_put_", "lcm_", "ldexp_", "log10_", "log1p_", "log2_", "log_", "logit_", "nan_to_num_", "neg_",
    "negative_",
    "rad2deg_", "reciprocal_", "relu_", "round_", "rsqrt_", "sigmoid_", "sin_", "sinc_", "sinh_", "sqrt_", "square_",
    "tan_", "tanh_", "trunc_", "xlogy_",
)  # fmt: skip

__all__ = [
    "broadcast_shapes", "detach", "get_device", "is_complex", "is_floating_point", "is_inference", "is_nonzero",
    "is_same_size", "is_signed", "is_tensor", "numel", "typename", *IN_PLACE,
]  # fmt: skip


def is_tensor(obj: Any) -> bool:
    """True for tensors."""
    return isinstance(obj, Variable)


def _asking(method: str) -> Any:
    """The method, as a function of a tensor."""

    def function(input: Any, *others: Any, **named: Any) -> Any:
        if not isinstance(input, Variable):
            raise TypeError(f"{method}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        return getattr(input, method)(*others, **named)

    function.__name__ = function.__qualname__ = method
    function.__doc__ = f"`input.{method}()`."
    return function


is_floating_point, is_complex, is_signed = _asking("is_floating_point"), _asking("is_complex"), _asking("is_signed")
is_inference, is_nonzero, numel = _asking("is_inference"), _asking("is_nonzero"), _asking("numel")
is_same_size, detach, get_device = _asking("is_same_size"), _asking("detach"), _asking("get_device")
globals().update({name: _asking(name) for name in IN_PLACE})


def typename(obj: Any) -> str:
    """`"torch.FloatTensor"` for a tensor, and the full name of any other type, class or function."""
    if isinstance(obj, Variable):
        return obj.type()  # type: ignore[attr-defined]
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None) or ""
    return named.__qualname__ if module in ("", "builtins") else f"{module}.{named.__qualname__}"


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape to which tensors of these shapes broadcast; an int counts as a shape of one dim."""
    result: list[int] = []
    for i, shape in enumerate(shapes):
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        result[:0] = [1] * (len(sizes) - len(result))
        for dim in range(-1, -len(sizes) - 1, -1):
            if sizes[dim] < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            if sizes[dim] != 1 and result[dim] not in (1, sizes[dim]):
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {sizes[dim]} at {dim}! Mismatching argument at "
                    f"index {i} had {sizes}; but expected shape should be broadcastable to {result}"
                )
            result[dim] = sizes[dim] if result[dim] == 1 else result[dim]
    return Size(result)
