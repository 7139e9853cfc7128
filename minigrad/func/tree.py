"""Trees: tuples, lists and dicts, in one another to any depth, whose leaves are tensors or anything else.

>>> leaves({"a": 1, "b": (2, [3])})
[1, 2, 3]
>>> rebuild({"a": 1, "b": (2, [3])}, [10, 20, 30])
{'a': 10, 'b': (20, [30])}
"""

from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

DICTS = (dict, OrderedDict, defaultdict)


def _children(node: Any) -> list[Any] | None:
    """What a node holds, in order; None for a leaf. A named tuple is a node; other subclasses are leaves."""
    if type(node) in DICTS:
        return list(node.values())
    if type(node) in (tuple, list) or (isinstance(node, tuple) and hasattr(node, "_fields")):
        return list(node)
    return None


def leaves(tree: Any) -> list[Any]:
    """The leaves from left to right."""
    children = _children(tree)
    return [tree] if children is None else [leaf for child in children for leaf in leaves(child)]


def rebuild(tree: Any, values: Iterable[Any]) -> Any:
    """A tree of the form of `tree` with `values`, from left to right, as its leaves."""
    values = iter(values)
    children = _children(tree)
    if children is None:
        return next(values)
    built = [rebuild(child, values) for child in children]
    if isinstance(tree, dict):
        new = copy.copy(tree)
        new.update(zip(tree, built, strict=True))
        return new
    return type(tree)(*built) if hasattr(tree, "_fields") else type(tree)(built)


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree of `function(leaf)`."""
    return rebuild(tree, [function(leaf) for leaf in leaves(tree)])


def same_form(a: Any, b: Any) -> bool:
    """True if both have nodes of the same types, sizes and keys in the same places."""
    below_a, below_b = _children(a), _children(b)
    if below_a is None or below_b is None:
        return below_a is below_b
    return _same_node(a, b) and all(same_form(x, y) for x, y in zip(below_a, below_b, strict=True))


def spread(prefix: Any, tree: Any) -> list[Any] | None:
    """For every leaf of `tree` the leaf of `prefix` that stands at or above its place; None if the forms differ.

    Dicts need the same keys, in any order.
    """
    above, below = _children(prefix), _children(tree)
    if above is None:
        return [prefix] * len(leaves(tree))
    if below is None:
        return None
    if type(prefix) in DICTS and type(tree) in DICTS and prefix.keys() == tree.keys():
        above = [prefix[key] for key in tree]
    elif not _same_node(prefix, tree):
        return None
    parts = [spread(p, t) for p, t in zip(above, below, strict=True)]
    return None if None in parts else [leaf for part in parts for leaf in part or ()]


def _same_node(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (list(a) == list(b) if isinstance(a, dict) else len(a) == len(b))


def form(tree: Any) -> str:
    """The tree with `*` for each leaf, for error texts."""
    return repr(map_leaves(lambda leaf: "*", tree)).replace("'*'", "*")
