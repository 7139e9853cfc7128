"""What is only done when somebody looks: hooks of tensors and nodes on the walk, and anomaly detection."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.node import Node, NodeHooks
from minigrad.autograd.trace import stack
from minigrad.autograd.variable import Variable, wrap


class Watcher:
    """Is told of every node recorded, while anomaly detection is on or saved tensors are to be packed.

    anomaly    remember where in the program each node was recorded
    check_nan  with it, refuse gradients that are nan on the walk
    hooks      pairs (pack, unpack); the last one serves
    """

    def __init__(self, anomaly: bool = False, check_nan: bool = True, hooks: tuple[Any, ...] = ()) -> None:
        self.anomaly, self.check_nan, self.hooks = anomaly, check_nan, hooks
        self.running: Node | None = None  # the node whose backward is recording other nodes

    def recorded(self, node: Any) -> None:
        """A recorder has finished `node`."""
        if self.anomaly:
            node.metadata["traceback_"] = stack()
            if self.running is not None:
                node.metadata["parent_"] = self.running
        if self.hooks:
            node.pack_saved(*self.hooks[-1])


# -- hooks -------------------------------------------------------------------------------------------------------------


def run_tensor_hooks(meta: Any, g: Any, create_graph: bool) -> Any:
    """Pass a gradient through a tensor's hooks in the order of their registration; each may replace it."""
    if meta is None or not meta.hooks:
        return g
    (tensor,) = _as_tensors((g,), create_graph)
    for hook in list(meta.hooks.values()):
        replaced = hook(tensor)
        if replaced is not None:
            tensor = _checked(hook, replaced, tensor)
    return tensor if create_graph or tensor is None else tensor.array


def run_pre_hooks(hooks: NodeHooks, grads: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    """The gradients that come to a node, after its prehooks; each may replace them."""
    for hook in list(hooks.pre.values()):
        tensors = _as_tensors(grads, create_graph)
        grads = _replaced(hook, hook(tensors), tensors, grads, create_graph)
    return grads


def run_post_hooks(
    hooks: NodeHooks, results: tuple[Any, ...], grads: tuple[Any, ...], create_graph: bool
) -> tuple[Any, ...]:
    """The gradients that a node computed, after its hooks; each may replace them."""
    for hook in list(hooks.post.values()):
        tensors = _as_tensors(results, create_graph)
        results = _replaced(hook, hook(tensors, _as_tensors(grads, create_graph)), tensors, results, create_graph)
    return results


def _as_tensors(grads: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
    return tuple(grads) if create_graph else tuple([None if g is None else wrap(g) for g in grads])


def _replaced(hook: Any, returned: Any, tensors: tuple[Any, ...], grads: Any, create_graph: bool) -> tuple[Any, ...]:
    """`grads` (shown to the hook as `tensors`), or what the hook returned in their place."""
    if returned is None:
        return grads
    if not isinstance(returned, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(returned).__name__}'")
    if len(returned) != len(tensors):
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(returned)}, but expected "
            f"{len(tensors)})"
        )
    checked = [None if new is None else _checked(hook, new, old) for new, old in zip(returned, tensors, strict=True)]
    return tuple([new if create_graph or new is None else new.array for new in checked])


def _checked(hook: Any, replaced: Any, tensor: Any) -> Any:
    """What a hook returned for a gradient: a tensor of the same dtype and shape."""
    if not isinstance(replaced, Variable):
        raise TypeError(f"expected Variable, but hook returned '{type(replaced).__name__}': return a Tensor or None")
    new: Any = replaced
    if tensor is not None and new.type() != tensor.type():
        raise RuntimeError(f"hook '{_name(hook)}' has changed the type of value (was {tensor.type()} got {new.type()})")
    if tensor is not None and replaced.array.shape != tensor.array.shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
    return replaced


def _name(hook: Any) -> str:
    return getattr(hook, "__name__", "<unknown>")


# -- running a node ----------------------------------------------------------------------------------------------------


def run_watched(node: Node, grads: Any, create_graph: bool, watcher: Watcher | None) -> Sequence[Any]:
    """Run a node with its hooks; under anomaly detection say where it was recorded if it fails or makes a nan."""
    hooks, several = node.hooks, node.outputs > 1
    if hooks is not None and hooks.pre:
        listed = run_pre_hooks(hooks, tuple(grads) if several else (grads,), create_graph)
        grads = list(listed) if several else listed[0]
    run = node.apply_graph if create_graph else node.apply
    if watcher is None:
        results = run(grads)
    else:
        results = _run_traced(node, run, grads, watcher)
    if hooks is not None and hooks.post:
        results = run_post_hooks(hooks, tuple(results), tuple(grads) if several else (grads,), create_graph)
    return results


def _run_traced(node: Node, run: Any, grads: Any, watcher: Watcher) -> Sequence[Any]:
    before, watcher.running = watcher.running, node
    try:
        results = run(grads)
        if watcher.anomaly and watcher.check_nan:
            _refuse_nan(node, results, grads)
        return results
    except Exception:
        if watcher.anomaly:
            _tell_where(node)
        raise
    finally:
        watcher.running = before


def _refuse_nan(node: Node, results: Sequence[Any], grads: Any) -> None:
    """RuntimeError if a gradient is nan; it says where, and whether the nan came in or arose here."""
    for number, (result, edge) in enumerate(zip(results, node.edges)):
        if result is None or edge is None:
            continue
        array = result.array if isinstance(result, Variable) else result
        nan = array != array
        if not bool(nan.any()):
            continue
        places = backend.module_of(array).argwhere(nan)
        arrived = [g.array if isinstance(g, Variable) else g for g in (grads if node.outputs > 1 else [grads])]
        came_in = any(not bool(backend.module_of(g).isfinite(g).all()) for g in arrived if g is not None)
        raise RuntimeError(
            f"Function '{node.name()}' returned nan values in its {number}th output. {len(places)} of {array.size} "
            f"elements are nan, the first at {tuple(places[0].tolist())}; the gradient that came in "
            f"{'was not finite already' if came_in else 'was finite: the nan arose here'}"
            f"{_at(node, places[0].tolist(), array.shape)}."
        )


def _at(node: Any, place: list[int], shape: tuple[int, ...]) -> str:
    """What the node had saved at `place`, of values in the shape of the gradient."""
    names, saved = getattr(node, "saved_names", ()), getattr(node, "saved", None) or ()
    there = [
        f"{name} = {value[tuple(place)].item():g}"
        for name, value in zip(names, saved)
        if backend.is_array(value) and value.shape == shape
    ]
    return f" ({', '.join(there)} there)" if there else ""


def _tell_where(node: Node) -> None:
    """Warn with the place where a failing node was recorded, and where the walk was asked for that recorded it."""
    if "traceback_" not in node.metadata:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during "
            f"forward pass for more information.",
            UserWarning,
            stacklevel=2,
        )
        return
    text = "".join(node.metadata["traceback_"])
    warnings.warn(
        f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{text}",
        UserWarning,
        stacklevel=2,
    )
    parent = node.metadata.get("parent_")
    while parent is not None:
        if "traceback_" in parent.metadata:
            where = "Traceback of forward call that induced the previous calculation:\n" + "".join(
                parent.metadata["traceback_"]
            )
        else:
            where = "No forward pass information available."
        warnings.warn(f"\n\nPrevious calculation was induced by {parent.name()}. {where}", UserWarning, stacklevel=2)
        parent = parent.metadata.get("parent_")
