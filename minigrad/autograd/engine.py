"""The backward walk: from the outputs, newest operation first, to the leaves. No derivatives are known here."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.node import Edge, Node
from minigrad.autograd.variable import Variable, wrap

by_sequence = attrgetter("sequence")


def reachable(edges: Sequence[Edge]) -> tuple[list[Node], dict[Any, int]]:
    """The nodes behind `edges`, newest first, and for each leaf how many gradients will arrive there.

    Every edge leads to an older node, so newest first is an order in which a node comes after all its users.
    """
    order: list[Node] = []
    waiting: dict[Any, int] = {}
    seen: set[Node] = set()
    targets = [edge[0] for edge in edges]
    for target in targets:  # which grows on the way
        if isinstance(target, Variable):
            waiting[target] = waiting.get(target, 0) + 1
        elif target not in seen:
            seen.add(target)
            order.append(target)
            targets += [edge[0] for edge in target.edges if edge is not None]
    order.sort(key=by_sequence, reverse=True)
    return order, waiting


def walk(
    roots: Sequence[Edge],
    gradients: Sequence[Any],
    keep_graph: bool,
    create_graph: bool,
    wanted: Sequence[Edge] | None = None,
) -> list[Any]:
    """Carry `gradients` from `roots` back through the graph.

    With `wanted`, the gradients that arrive at those edges are returned (None where none does) and no leaf is touched;
    without, every leaf accumulates its own. Gradients are arrays, or tensors under `create_graph`.

    A gradient that arrives first is borrowed; where a second arrives, the sum is a new array that belongs to the walk,
    and further ones are added to it in place.
    """
    order, waiting = reachable(roots)
    capture = {} if wanted is None else {_key(edge): None for edge in wanted}
    useful = None if wanted is None else _leading_to(capture, order)
    arrived: dict[Any, Any] = {}  # by _key: the gradient so far
    owned: set[Any] = set()

    edges: Sequence[Edge | None] = roots
    results, g = gradients, None
    for node in (*order, None):
        # Deliver `results`, which the node before computed from `g`, to the ends of its `edges`. A rule returns `g`
        # itself, a view, or a new array, which a leaf may keep.
        for edge, result in zip(edges, results):
            if edge is None:
                continue
            key: Any = edge if edge[1] else edge[0]
            if result is not None:
                before = arrived.get(key)
                if before is None:
                    arrived[key] = result
                elif key in owned and not create_graph:
                    before += result
                else:
                    arrived[key] = backend.as_array(before + result)
                    owned.add(key)
            left = waiting.get(key)
            if left is None:  # no leaf
                continue
            waiting[key] = left - 1
            if left == 1 and (total := arrived.pop(key, None)) is not None:
                if key.meta is not None and (wanted is None or key in capture):
                    total = _run_hooks(key.meta, total, create_graph)
                if wanted is None:
                    fresh = key in owned or (g is not None and result is not g and result.base is None)
                    if key.meta is not None and key.meta.hooks:  # which may hold what they saw or returned
                        fresh = False
                    accumulate(key, total, fresh, create_graph)
                elif key in capture:
                    capture[key] = total
        if node is None:
            break
        # Run the node on what has arrived there.
        runs = useful is None or node in useful
        if node.outputs == 1:
            grads = g = arrived.pop(node, None)
            if g is not None and (node.hooks is not None or node in capture):
                grads = g = _arrival(node, 0, g, capture, runs, create_graph)
        else:
            grads, g = [arrived.pop(_key((node, i)), None) for i in range(node.outputs)], None
            grads = [
                None if gi is None else _arrival(node, i, gi, capture, runs, create_graph) for i, gi in enumerate(grads)
            ]
        if not runs:
            edges = results = ()
            continue
        edges, results = node.edges, node.apply_graph(grads) if create_graph else node.apply(grads)
        if not keep_graph:
            node.release()

    return [capture[_key(edge)] for edge in wanted or ()]


def _key(edge: Edge) -> Any:
    """What gradients in transit are filed under: the target, or the edge where the target has several outputs."""
    return edge if edge[1] else edge[0]


def _leading_to(capture: dict[Any, Any], order: list[Node]) -> set[Node]:
    """The nodes through which a captured edge can be reached: the others need not run."""
    useful: set[Node] = set()
    for node in reversed(order):
        for edge in node.edges:
            if edge is not None and (edge[0] in useful or _key(edge) in capture):
                useful.add(node)
                break
    return useful


def _arrival(node: Node, output_nr: int, g: Any, capture: dict[Any, Any], runs: bool, create_graph: bool) -> Any:
    """Run the hooks of a node's output on its complete gradient, and keep the gradient where somebody wants it.

    As in torch, a wanted gradient is the one before the hooks if the node `runs` too, and else the one after them.
    """
    key = _key((node, output_nr))
    captured = key in capture
    if captured and runs:
        capture[key] = g
    if node.hooks is not None and output_nr in node.hooks and (captured or runs):
        meta, tensor = node.hooks[output_nr]
        g = _run_hooks(meta, g, create_graph)
        if meta.retains_grad and (holder := tensor()) is not None:
            accumulate(holder, g, False, create_graph)
    if captured and not runs:
        capture[key] = g
    return g


def _run_hooks(meta: Any, g: Any, create_graph: bool) -> Any:
    """Pass a gradient through a tensor's hooks in the order of their registration; each may replace it."""
    if meta is None or not meta.hooks:
        return g
    tensor = g if create_graph else wrap(g)
    for hook in list(meta.hooks.values()):
        replaced = hook(tensor)
        if replaced is None:
            continue
        if not isinstance(replaced, Variable):
            raise TypeError(
                f"expected Variable, but hook returned '{type(replaced).__name__}': return a Tensor or None"
            )
        if replaced.array.shape != tensor.array.shape:
            name = getattr(hook, "__name__", "<unknown>")
            raise RuntimeError(f"hook '{name}' has changed the size of value")
        tensor = replaced
    return tensor if create_graph else tensor.array


def accumulate(leaf: Any, g: Any, fresh: bool, create_graph: bool) -> None:
    """Add `g` to `leaf.grad`, in place if there is one; a `fresh` gradient, held by nobody else, is taken as it is."""
    held = leaf.gradient
    if create_graph:
        leaf.gradient = g.clone() if held is None else held + g
    elif held is None:
        leaf.gradient = wrap(g if fresh and g.strides == leaf.array.strides else _copy_like(g, leaf.array))
    else:
        held.array += g
        held.counter[0] += 1
    if leaf.meta is not None and leaf.meta.post_accumulate_hooks:
        for hook in list(leaf.meta.post_accumulate_hooks.values()):
            hook(leaf)


def _copy_like(g: Any, array: Any) -> Any:
    """A copy of `g` with the memory layout of `array`, so that optimizers run through both in step."""
    out = backend.module_of(g).empty_like(array)
    out[...] = g
    return out


def run(
    tensors: Sequence[Any],
    gradients: Sequence[Any],
    keep_graph: bool,
    create_graph: bool,
    wanted: Sequence[Edge] | None = None,
) -> list[Any]:
    """`walk` from tensors: their gradients as tensors in, the wanted gradients as tensors out."""
    roots = [(t, 0) if t.node is None else (t.node, t.output_nr) for t in tensors]
    before = mode.grad
    mode.grad = create_graph
    try:
        if create_graph:
            return walk(roots, gradients, keep_graph, True, wanted)
        results = walk(roots, [g.array for g in gradients], keep_graph, False, wanted)
    finally:
        mode.grad = before
    return [None if g is None else wrap(g) for g in results]
