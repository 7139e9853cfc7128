"""A step as it is meant: one parameter after the other, a large one in pieces of its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad import backend
from minigrad.autograd.promotion import shape_error
from minigrad.backend import Array, np

if TYPE_CHECKING:
    from minigrad.optim.optimizer import Optimizer

CHUNK = 1 << 20  # bytes: an update's arrays and temporaries of this size stay in the cache together
FUSED = 1 << 18  # bytes from which a compiled loop pays if there is one


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
        large, fused = p.nbytes >= 2 * CHUNK, _wants_fused(optimizer, p, group)
        flat = (large or fused) and optimizer.elementwise and _same_layout(optimizer, p, g, state)
        if flat and fused and _update_fused(optimizer, p, g, state, options):
            pass
        elif flat and large:
            _update_in_pieces(optimizer, p, g, state, options)
        else:
            optimizer.update(p, g, state, **options)
    except ValueError as error:
        raise shape_error(type(optimizer).__name__, [*state.values(), g, p], error) from None
    return {name: a for name, a in state.items() if name not in known} if len(state) > len(known) else {}


def count_up(count: Array) -> Any:
    """Add 1 to a 0-dim array; returns the number. (`count += 1` is twenty times slower.)

    On a GPU nobody waits for it: there the number is an array, in double precision as the host's numbers are.
    """
    if type(count) is not np.ndarray:
        count += 1
        return count.astype("float64")
    count[...] = count.item() + 1
    return count.item()


def _wants_fused(optimizer: Optimizer, p: Array, group: dict[str, Any]) -> bool:
    """True if the compiled loop should be used if there is one: where asked for, or for large arrays if not refused."""
    wanted = group.get("fused")
    return optimizer.fused is not None and (p.nbytes >= FUSED if wanted is None else bool(wanted))


def _update_fused(optimizer: Optimizer, p: Array, g: Array, state: dict[str, Any], options: dict[str, Any]) -> bool:
    """The compiled loop, on the memory of all arrays; False if it cannot be used."""
    assert optimizer.fused is not None
    flat_p, flat_g, flat = _flattened(optimizer, p, g, state)
    return optimizer.fused(flat_p, flat_g, {**state, **flat}, **options)


def _flattened(optimizer: Optimizer, p: Array, g: Array, state: dict[str, Any]) -> tuple[Array, Array, dict[str, Any]]:
    """The parameter, its gradient, and the arrays of its state that are as large, each as its memory lies."""
    order: Any = "C" if p.flags.c_contiguous else "F"
    flat = {name: a.reshape(-1, order=order) for name, a in state.items() if name not in optimizer.numbers}
    return p.reshape(-1, order=order), g.reshape(-1, order=order), flat


def _update_in_pieces(optimizer: Optimizer, p: Array, g: Array, state: dict[str, Any], options: dict[str, Any]) -> None:
    """`update` on corresponding stretches of memory, one after the other.

    Temporaries of a whole update of 4M elements go through main memory at every operation; in pieces they stay in
    the cache (Adam 17 -> 10 ms).
    """
    flat_p, flat_g, flat = _flattened(optimizer, p, g, state)
    numbers = {name: state[name] for name in optimizer.numbers if name in state and name != "step"}
    length, pieces = CHUNK // p.itemsize, []
    for start in range(0, p.size, length):
        part = slice(start, start + length)
        own = {name: number.copy() for name, number in numbers.items()}  # each piece changes them in the same way
        pieces.append({**state, **own, **{name: a[part] for name, a in flat.items()}})
        optimizer.update(flat_p[part], flat_g[part], pieces[-1], **options)
    for name, number in numbers.items():
        number[...] = pieces[-1][name]
    for name in pieces[0].keys() - state.keys():
        added = np.concatenate([piece[name] for piece in pieces])
        state[name] = added.reshape(p.shape, order="C" if p.flags.c_contiguous else "F")


def _same_layout(optimizer: Optimizer, p: Array, g: Array, state: dict[str, Any]) -> bool:
    """True if `p`, `g` and the arrays of the state lie in memory without gaps and in the same order."""
    arrays = [g, *[a for name, a in state.items() if name not in optimizer.numbers]]
    return p.flags.forc and all(
        type(a) is np.ndarray and a.shape == p.shape and a.strides == p.strides and a.dtype == p.dtype for a in arrays
    )
