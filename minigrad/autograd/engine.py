"""The backward walk: from the outputs, newest operation first, to the leaves. No derivatives are known here."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.node import Edge, Node
from minigrad.autograd.variable import Variable, wrap

by_sequence = attrgetter("sequence")


def reachable(edges: list[Edge]) -> tuple[list[Node], dict[Any, int]]:
    """The nodes behind `edges`, newest first, and for each leaf how many gradients will arrive there.

    Every edge leads to an older node, so newest first is an order in which a node comes after all its users.
    """
    waiting: dict[Any, int] = {}
    seen: dict[Node, None] = {}
    stack = [target for target, _ in edges]
    while stack:
        target = stack.pop()
        if isinstance(target, Variable):
            waiting[target] = waiting.get(target, 0) + 1
        elif target not in seen:
            seen[target] = None
            stack.extend([edge[0] for edge in target.edges if edge is not None])
    return sorted(seen, key=by_sequence, reverse=True), waiting


def walk(
    roots: list[Edge], gradients: list[Any], *, keep_graph: bool, create_graph: bool, wanted: list[Edge] | None = None
) -> list[Any]:
    """Carry `gradients` from `roots` back through the graph.

    With `wanted`, the gradients that arrive at those edges are returned (None where none does) and no leaf is touched;
    without, every leaf accumulates its own. Gradients are arrays, or tensors under `create_graph`.

    A gradient that arrives first is borrowed; where a second arrives, the sum is a new array that belongs to the walk,
    and further ones are added to it in place.
    """
    order, waiting = reachable(roots)
    capture = {_key(edge): None for edge in wanted or ()}
    useful = None if wanted is None else _leading_to(capture, order)
    arrived: dict[Any, Any] = {}
    owned: set[Any] = set()

    def deliver(edge: Edge, g: Any, fresh: bool) -> None:
        target = edge[0]
        key = edge if edge[1] else target
        if g is not None:
            before = arrived.get(key)
            if before is None:
                arrived[key] = g
            elif create_graph or key not in owned:
                arrived[key] = backend.as_array(before + g)
                owned.add(key)
            else:
                before += g
        if target in waiting:
            waiting[target] -= 1
            if waiting[target] == 0:
                finish(target, fresh and g is arrived.get(target) or target in owned)

    def finish(leaf: Any, fresh: bool) -> None:
        g = arrived.pop(leaf, None)
        if g is None:
            return
        if leaf.meta is not None:
            g = _run_hooks(leaf.meta, g, create_graph)
        if leaf in capture:
            capture[leaf] = g
        elif wanted is None:
            accumulate(leaf, g, fresh=fresh, create_graph=create_graph)

    for edge, g in zip(roots, gradients, strict=True):
        deliver(edge, g, fresh=False)

    for node in order:
        if node.outputs == 1:
            grads = g = arrived.pop(node, None)
            if (node.hooks is not None or node in capture) and g is not None:
                grads = g = _arrival(node, 0, node, g, capture, create_graph)
        else:
            grads, g = [arrived.pop((node, i) if i else node, None) for i in range(node.outputs)], None
            for i, gi in enumerate(grads):
                if gi is not None:
                    grads[i] = _arrival(node, i, (node, i) if i else node, gi, capture, create_graph)
        if useful is not None and node not in useful:
            continue
        results = node.apply_graph(grads) if create_graph else node.apply(grads)
        if not keep_graph:
            node.release()
        for edge, result in zip(node.edges, results, strict=True):
            if edge is not None:
                deliver(edge, result, result is not g and result is not None and result.base is None)

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


def _arrival(node: Node, output_nr: int, key: Any, g: Any, capture: dict[Any, Any], create_graph: bool) -> Any:
    """Run the hooks of a node's output on its complete gradient, and keep the gradient where somebody wants it."""
    if node.hooks is not None and output_nr in node.hooks:
        meta, tensor = node.hooks[output_nr]
        g = _run_hooks(meta, g, create_graph)
        if meta.retains_grad and (holder := tensor()) is not None:
            accumulate(holder, g, fresh=False, create_graph=create_graph)
    if key in capture:
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
                f"hook '{hook.__name__}' has returned a {type(replaced).__name__}: expected a Tensor or None"
            )
        if replaced.array.shape != tensor.array.shape:
            raise RuntimeError(f"hook '{hook.__name__}' has changed the size of value")
        tensor = replaced
    return tensor if create_graph else tensor.array


def accumulate(leaf: Any, g: Any, *, fresh: bool, create_graph: bool) -> None:
    """Add `g` to `leaf.grad`, in place if there is one; a `fresh` gradient, held by nobody else, is taken as it is."""
    held = leaf.gradient
    if create_graph:
        leaf.gradient = g if held is None else held + g
    elif held is None:
        leaf.gradient = wrap(g if fresh and g.strides == leaf.array.strides else _copy_like(g, leaf.array))
    elif held.node is None and not held.needs_grad:
        held.array += g
        held.counter[0] += 1
    else:
        leaf.gradient = wrap(held.array + g)
    if leaf.meta is not None and leaf.meta.post_accumulate_hooks:
        for hook in list(leaf.meta.post_accumulate_hooks.values()):
            hook(leaf)


def _copy_like(g: Any, array: Any) -> Any:
    """A copy of `g` with the memory layout of `array`, so that optimizers run through both in step."""
    out = backend.module_of(g).empty_like(array)
    out[...] = g
    return out


def run(
    tensors: list[Any],
    gradients: list[Any],
    *,
    keep_graph: bool,
    create_graph: bool,
    wanted: list[Edge] | None = None,
) -> list[Any]:
    """`walk` from tensors: their gradients as tensors in, the wanted gradients as tensors out."""
    roots = [(t, 0) if t.node is None else (t.node, t.output_nr) for t in tensors]
    before = mode.grad
    mode.grad = create_graph
    try:
        if create_graph:
            return walk(roots, gradients, keep_graph=keep_graph, create_graph=True, wanted=wanted)
        results = walk(roots, [g.array for g in gradients], keep_graph=keep_graph, create_graph=False, wanted=wanted)
        return [None if g is None else wrap(g) for g in results]
    finally:
        mode.grad = before
