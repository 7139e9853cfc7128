"""nn.functional.pad: more elements (or, for negative numbers, fewer) before and after the dims.

Padding with zeros is undone by padding with negated numbers, which is also its adjoint. Borders that repeat elements
of the input (reflect, replicate, circular) read them by an index along each dim; their adjoint adds at those places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad.autograd.op import Op
from minigrad.kernels import places
from minigrad.ops.checks import as_integer, refuse_bool
from minigrad.ops.shape import numbers

__all__ = ["constant_pad_nd", "pad"]

Pads = tuple[tuple[int, int], ...]  # for every dim: how many before, how many after
ALL = slice(None)


# -- a constant --------------------------------------------------------------------------------------------------------


@Op(node="ConstantPadNdBackward0")
def padded(input, pads: Pads, value: float, *, xp):
    """`input` with `value` around it."""
    shape = [n + before + after for n, (before, after) in zip(input.shape, pads, strict=True)]
    out = xp.full(shape, value, input.dtype)
    kept, inner = [], []
    for n, (before, after) in zip(input.shape, pads, strict=True):
        kept.append(slice(max(-before, 0), n - max(-after, 0)))
        inner.append(slice(max(before, 0), n + before + after - max(after, 0)))
    out[tuple(inner)] = input[tuple(kept)]
    return out


padded.derivative(input=lambda g, pads: padded(g, tuple([(-before, -after) for before, after in pads]), 0.0))


# -- borders made of the input -----------------------------------------------------------------------------------------


def _sources(mode: str, n: int, before: int, after: int, xp: Any) -> Any:
    """Where along a dim of size `n` each element of the padded one comes from."""
    if mode == "circular":
        start, end = max(-before, 0), n - max(-after, 0)  # what negative numbers leave is what goes round
        return start + xp.arange(-max(before, 0), end - start + max(after, 0)) % max(end - start, 1)
    at = xp.arange(-before, n + after)
    return xp.clip(at, 0, n - 1) if mode == "replicate" else n - 1 - abs(n - 1 - abs(at))


def _bordered(input: Any, pads: Pads, mode: str, xp: Any) -> Any:
    out = input
    for dim, (before, after) in enumerate(pads):
        if before or after:
            out = out.take(_sources(mode, input.shape[dim], before, after, xp), axis=dim)
    return out if out is not input else input.copy()


@Op
def fold_borders(input, pads: Pads, mode: str, *, xp):
    """The elements in the border added to those that they repeat: the adjoint of padding in `mode`."""
    out = input
    for dim, (before, after) in enumerate(pads):
        if before or after:
            n = input.shape[dim] - before - after
            where = (*(ALL,) * dim, _sources(mode, n, before, after, xp))
            out = places.added(out, where, (*out.shape[:dim], n, *out.shape[dim + 1 :]), xp)
    return out if out is not input else input.copy()


def _border_op(node_name: str) -> Callable[..., Any]:
    """The op of one mode and one number of dims, which torch names apart."""

    @Op(node=node_name)
    def bordered(input, pads: Pads, mode: str, *, xp):
        """`input` with elements of its own around it."""
        return _bordered(input, pads, mode, xp)

    bordered.derivative(input=lambda g, pads, mode: fold_borders(g, pads, mode))
    return bordered


circular = _border_op("CircularPadBackward0")
BORDERS = {
    (mode, n): _border_op(f"{name}Pad{n}DBackward0")
    for mode, name in (("reflect", "Reflection"), ("replicate", "Replication"))
    for n in (1, 2, 3)
}
BORDERS |= {("circular", n): circular for n in (1, 2, 3)}

fold_borders.derivative(input=lambda g, pads, mode: circular(g, pads, mode))


def _check_border(mode: str, shape: Sequence[int], pads: Pads, count: int) -> None:
    """torch's errors for shapes and paddings that a mode does not take."""
    ndim, n = len(shape), count // 2
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(
            f"Unrecognised padding mode {mode}\nthere are constant, reflect, replicate and circular"
        )
    if n not in (1, 2, 3) or ndim not in (n + 1, n + 2):
        raise NotImplementedError(
            f"Padding size {count} is not supported for {ndim}D input tensor.\nmode={mode!r} pads the last 1, 2 or 3 "
            f"dims, with a channel and perhaps a batch dim before them"
        )
    if mode != "circular" and 0 in shape[ndim - n - 1 :]:
        raise RuntimeError(
            f"Expected {n + 1}D or {n + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    for k, dim in enumerate(reversed(range(ndim - n, ndim))):
        (before, after), size = pads[dim], shape[dim]
        if mode == "reflect" and max(before, after) >= size:
            raise RuntimeError(
                f"Argument #{4 + 2 * k}: Padding size should be less than the corresponding input dimension, but got: "
                f"padding ({before}, {after}) at dimension {dim} of input {list(shape)}"
            )
        if mode == "circular" and max(before, after) > size:
            raise RuntimeError(
                f"Padding value causes wrapping around more than once.\n({before}, {after}) at dimension {dim} of size "
                f"{size}"
            )
        if mode == "circular" and size + before + after < 0:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
    results = [m + sum(p) for m, p in zip(shape[-n:], pads[-n:], strict=True)]
    if mode != "circular" and (max(results) < 1 or min(results) < 0):
        names = "DHW"[3 - n :]
        sizes = ", ".join([f"{name}: {m}" for name, m in zip(names, shape[-n:], strict=True)])
        found = " ".join([f"{name}: {m}" for name, m in zip(names, results, strict=True)])
        raise RuntimeError(f"input ({sizes}) is too small. Calculated output {found}")
    if mode == "circular" and any(
        n + min(p[0], 0) + min(p[1], 0) < 1 <= max(p) for n, p in zip(shape, pads, strict=True)
    ):
        raise RuntimeError(
            f"Negative padding value is resulting in an empty dimension\nnothing of {list(shape)} is left to go round"
        )


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """`input` with elements added around it; `pad` counts them from the last dim on: (left, right, top, bottom, ...).

    constant   `value`, by default 0, around any number of dims
    reflect    the input mirrored at its edge, which is not repeated; circular: the input again; replicate: its edge.
               These three pad the last 1, 2 or 3 dims of tensors with a channel and perhaps a batch dim before them.

    Negative numbers remove elements.
    """
    widths = numbers("pad", "pad", (pad,)) if not isinstance(pad, int) else None
    if widths is None:
        raise TypeError("pad(): argument 'pad' (position 2) must be tuple of ints, not int")
    if len(widths) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2\ngot {list(widths)}")
    shape = tuple(input.shape)
    if len(widths) > 2 * len(shape):
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(widths)} and input of dimension {len(shape)}"
        )
    ends = list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    pads = (*((0, 0),) * (len(shape) - len(ends)), *ends)
    if mode == "constant":
        if any(n + min(p[0], 0) + min(p[1], 0) < 0 or n + sum(p) < 0 for n, p in zip(shape, pads, strict=True)):
            raise RuntimeError(
                f"narrow(): length must be non-negative.\npad={list(widths)} removes more than {list(shape)}"
            )
        dtype, number = input.array.dtype, float(value or 0)
        return padded(input, pads, number if dtype.kind == "f" else as_integer(number, dtype))
    if value:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    _check_border(mode, shape, pads, len(widths))
    if mode != "circular":
        refuse_bool(input.array, f"{'reflection' if mode == 'reflect' else 'replication'}_pad{len(widths) // 2}d")
    return BORDERS[mode, len(widths) // 2](input, pads, mode)


_pad = pad  # a parameter of the next function has its name


def constant_pad_nd(input: Any, pad: Sequence[int], value: float = 0) -> Any:
    """`input` with `value` around it; `pad` as for `F.pad`."""
    if isinstance(pad, int):
        raise TypeError("constant_pad_nd(): argument 'pad' (position 2) must be tuple of ints, not int")
    widths, ndim = tuple(pad), input.dim()
    if len(widths) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(widths)}")
    if len(widths) > 2 * ndim:
        raise RuntimeError(
            f"Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(widths)}while the input has {ndim}dimensions."
        )
    return _pad(input, widths, value=value)
