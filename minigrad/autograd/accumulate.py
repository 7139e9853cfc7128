"""Where the walk ends: the gradient of a leaf is added to its `.grad`."""

from __future__ import annotations

import threading
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.autograd.watched import run_post_hooks, run_pre_hooks

_adding = threading.Lock()  # two threads may bring gradients to one leaf


def accumulate(leaf: Any, g: Any, create_graph: bool, fresh: bool = False) -> None:
    """Add `g` to `leaf.grad`, in place if there is one; a `fresh` gradient, held by nobody else, is taken as it is."""
    if not leaf.needs_grad:  # a view made under no_grad of what wants a gradient: it says it wants one, and gets none
        return
    with _adding:
        held = leaf.gradient
        if create_graph:
            leaf.gradient = g.clone() if held is None else held + g
        elif held is None:
            leaf.gradient = wrap(g if fresh and g.strides == leaf.array.strides else _copy_like(g, leaf.array))
        elif held.array.shape != g.shape:
            raise RuntimeError(
                f"output with shape {list(held.array.shape)} doesn't match the broadcast shape {list(g.shape)}: a "
                f"gradient was to be added to a .grad that somebody has given another shape"
            )
        else:
            held.array += g
            held.counter[0] += 1


def accumulate_with_hooks(leaf: Any, g: Any, create_graph: bool) -> None:
    """The hooks before the accumulation, the accumulation, and those after it."""
    meta = leaf.meta
    around = meta.node_hooks
    if around is not None:
        (g,) = run_pre_hooks(around, (g,), create_graph)
    accumulate(leaf, g, create_graph)  # not fresh: a hook may hold what it saw or returned
    for hook in list(meta.post_accumulate_hooks.values()):
        if hook(leaf) is not None:
            raise RuntimeError("Tensor post accumulate grad hooks should return None.")
    if around is not None:
        run_post_hooks(around, (), (g,), create_graph)


def retain(tensor: Any, g: Any, create_graph: bool) -> None:
    """Add `g` to the `.grad` of a result that keeps it: a new sum each time."""
    held = tensor.gradient
    if create_graph:
        tensor.gradient = g.clone() if held is None else held + g
    else:
        total = _copy_like(g, tensor.array) if held is None else backend.as_array(held.array + g)
        tensor.gradient = wrap(total)


def _copy_like(g: Any, array: Any) -> Any:
    """A copy of `g` with the memory layout of `array`, so that optimizers run through both in step."""
    out = backend.module_of(g).empty_like(array)
    out[...] = g
    return out
