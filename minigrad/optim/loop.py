"""A step as it is meant: one parameter after the other, a large one in pieces of its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad import backend
from minigrad.autograd.promotion import shape_error
from minigrad.backend import Array, np

if TYPE_CHECKING:
    from minigrad.optim.optimizer import Optimizer

CHUNK = 1 << 20  # bytes: an update's arrays and temporaries of this size stay in the cache together


def update_one(
    optimizer: Optimizer, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """Run `update` on a parameter, its gradient and the arrays of its state; returns what it added to these."""
    if "xp" in options:
        options["xp"] = np if type(p) is np.ndarray else backend.module_of(p)
    if group.get("maximize"):
        g = -g
    known = tuple(state)
    if "step" in state:
        state["step"] = count_up(state["step"])
    try:
        large = p.nbytes >= 2 * CHUNK
        fused = optimizer.fused if optimizer.fused is not None and _wants_fused(p, group) else None
        if (large or fused) and optimizer.elementwise and _same_layout(optimizer, p, g, state):
            _update_flat(optimizer, p, g, state, options, fused)
        else:
            optimizer.update(p, g, state, **options)
    except ValueError as error:
        raise shape_error(type(optimizer).__name__, [*state.values(), g, p], error) from None
    return {name: a for name, a in state.items() if name not in known} if len(state) > len(known) else {}


def count_up(count: Array) -> Any:
    """Add 1 to a 0-dim array; returns the number. (`count += 1` is twenty times slower.)"""
    count[...] = count.item() + 1
    return count.item()


def _wants_fused(p: Array, group: dict[str, Any]) -> bool:
    """True if a compiled loop should be used if there is one: where asked for, or for large arrays if not refused."""
    wanted = group.get("fused")
    return p.nbytes >= CHUNK if wanted is None else bool(wanted) and p.size > 0


def _update_flat(
    optimizer: Optimizer, p: Array, g: Array, state: dict[str, Any], options: dict[str, Any], fused: Any
) -> None:
    """`fused` on the memory of all arrays, or else `update` on corresponding stretches of it, one after the other.

    Temporaries of a whole update of 4M elements go through main memory at every operation; in pieces they stay in
    the cache (Adam 17 -> 10 ms).
    """
    order: Any = "C" if p.flags.c_contiguous else "F"
    flat = {name: a.reshape(-1, order=order) for name, a in state.items() if name not in optimizer.numbers}
    numbers = {name: state[name] for name in optimizer.numbers if name in state and name != "step"}
    flat_p, flat_g = p.reshape(-1, order=order), g.reshape(-1, order=order)
    if fused is not None and fused(flat_p, flat_g, {**state, **flat}, **options):
        return
    length, pieces = CHUNK // p.itemsize, []
    for start in range(0, p.size, length):
        part = slice(start, start + length)
        own = {name: number.copy() for name, number in numbers.items()}  # each piece changes them in the same way
        pieces.append({**state, **own, **{name: a[part] for name, a in flat.items()}})
        optimizer.update(flat_p[part], flat_g[part], pieces[-1], **options)
    for name, number in numbers.items():
        number[...] = pieces[-1][name]
    for name in pieces[0].keys() - state.keys():
        state[name] = np.concatenate([piece[name] for piece in pieces]).reshape(p.shape, order=order)


def _same_layout(optimizer: Optimizer, p: Array, g: Array, state: dict[str, Any]) -> bool:
    """True if `p`, `g` and the arrays of the state lie in memory without gaps and in the same order."""
    arrays = [g, *[a for name, a in state.items() if name not in optimizer.numbers]]
    return p.flags.forc and all(
        type(a) is np.ndarray and a.shape == p.shape and a.strides == p.strides and a.dtype == p.dtype for a in arrays
    )
