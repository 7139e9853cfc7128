"""The backward walk: from the outputs, newest operation first, to the leaves. No derivatives are known here."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.accumulate import accumulate, accumulate_with_hooks, retain
from minigrad.autograd.mode import mode, set_mode
from minigrad.autograd.node import Edge, Node, edge_of
from minigrad.autograd.variable import Variable, wrap
from minigrad.autograd.watched import run_tensor_hooks, run_watched

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


class Walk(NamedTuple):
    """What hooks may ask of the walk that calls them."""

    order: list[Node]
    leaves: dict[Any, int]
    useful: set[Node] | None
    capture: dict[Any, Any]

    def passes(self, edge: Edge) -> bool:
        """True if a gradient will come to `edge`."""
        if self.useful is not None:
            return edge[0] in self.useful or _key(edge) in self.capture
        return edge[0] in self.leaves or edge[0] in set(self.order)


def walk(
    roots: Sequence[Edge],
    gradients: Sequence[Any],
    keep_graph: bool,
    create_graph: bool,
    wanted: Sequence[Edge] | None = None,
    run_wanted: bool = False,
) -> list[Any]:
    """Carry `gradients` from `roots` back through the graph.

    With `wanted`, the gradients that arrive at those edges are returned (None where none does), no leaf is touched, and
    only nodes on the way there are run (those wanted too if `run_wanted`); without, every leaf accumulates its own.
    Gradients are arrays, or tensors under `create_graph`.

    A gradient that arrives first is borrowed; where a second arrives, the sum is a new array that belongs to the walk,
    and further ones are added to it in place.
    """
    order, waiting = reachable(roots)
    capture = {} if wanted is None else {_key(edge): None for edge in wanted}
    ends: set[Any] = set() if wanted is None else {edge[0] for edge in wanted}
    useful = None if wanted is None else _leading_to(ends, order, run_wanted)
    first = {roots[0][0]} if len(roots) == 1 else ()  # whose hooks are called in any case
    mode.walk = Walk(order, waiting, useful, capture)
    arrived: dict[Any, Any] = {}  # by _key: the gradient so far
    owned: set[Any] = set()
    watcher = mode.watcher

    edges: Sequence[Edge | None] = roots
    results: Any = gradients
    g: Any = None
    for node in (*order, None):
        # Deliver `results`, which the node before computed from `g` (a list for several outputs), to the ends of its
        # `edges`. A rule returns `g` itself, a view, or a new array, which a leaf may keep.
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
                if wanted is not None:
                    if key in capture or key in first:
                        capture[key] = run_tensor_hooks(key.meta, total, create_graph)
                elif key.meta is None:
                    new = g is not None and result is not g and result.base is None
                    fresh = key in owned or (new and (type(g) is not list or all(result is not one for one in g)))
                    accumulate(key, total, create_graph, fresh)
                else:
                    accumulate_with_hooks(key, run_tensor_hooks(key.meta, total, create_graph), create_graph)
        if node is None:
            break
        # Run the node on what has arrived there.
        runs = useful is None or node in useful
        hooked = runs or node in ends or node in first
        if node.outputs == 1:
            grads = g = arrived.pop(node, None)
            if g is not None and (node.hooks is not None or node in capture):
                grads = g = _arrival(node, 0, g, capture, runs, hooked, create_graph)
        else:
            grads = g = [arrived.pop(_key((node, i)), None) for i in range(node.outputs)]
            if node.hooks is not None or capture:
                grads = g = [_arrival(node, i, gi, capture, runs, hooked, create_graph) for i, gi in enumerate(g)]
        if not runs:
            edges = results = ()
            continue
        edges = node.edges
        if node.hooks is None and watcher is None:
            results = node.apply_graph(grads) if create_graph else node.apply(grads)
        else:
            results, g = run_watched(node, grads, create_graph, watcher), None  # a hook may hold what it was shown
        if not keep_graph:
            node.release()

    return [capture[_key(edge)] for edge in wanted or ()]


def _key(edge: Edge) -> Any:
    """What gradients in transit are filed under: the target, or the edge where the target has several outputs."""
    return edge if edge[1] else edge[0]


def _leading_to(ends: set[Any], order: list[Node], run_ends: bool) -> set[Node]:
    """The nodes through which one of `ends`, whichever of its outputs is wanted, can be reached: no others need run."""
    useful: set[Any] = {*ends} if run_ends else set()
    for node in reversed(order):
        for edge in node.edges:
            if edge is not None and (edge[0] in useful or edge[0] in ends):
                useful.add(node)
                break
    return useful


def _arrival(
    node: Node, output_nr: int, g: Any, capture: dict[Any, Any], runs: bool, hooked: bool, create_graph: bool
) -> Any:
    """Run the hooks of a node's output, if `hooked`, on its complete gradient, and keep that where somebody wants it.

    As in torch, a wanted gradient is the one before the hooks if the node `runs` too, and else the one after them.
    """
    key = _key((node, output_nr))
    captured = key in capture
    if captured and runs:
        capture[key] = g
    if node.hooks is not None and output_nr in node.hooks.tensors and hooked:
        for meta, tensor in node.hooks.tensors[output_nr]:
            g = run_tensor_hooks(meta, g, create_graph)
            if g is not None and meta.retains_grad and (holder := tensor()) is not None:
                retain(holder, g, create_graph)
    if captured and not runs:
        capture[key] = g
    return g


def run(
    tensors: Sequence[Any],
    gradients: Sequence[Any],
    keep_graph: bool,
    create_graph: bool,
    wanted: Sequence[Edge] | None = None,
    run_wanted: bool = False,
) -> list[Any]:
    """`walk` from tensors: their gradients as tensors in, the wanted gradients as tensors out."""
    roots = [edge_of(t) or (t, 0) for t in tensors]
    before, outer = (mode.grad, mode.inference), mode.walk
    set_mode(create_graph, False, mode.watcher)
    try:
        if create_graph:
            return walk(roots, gradients, keep_graph, True, wanted, run_wanted)
        results = walk(roots, [g.array for g in gradients], keep_graph, False, wanted, run_wanted)
    finally:
        set_mode(*before, mode.watcher)
        mode.walk = outer
    return [None if g is None else wrap(g) for g in results]
