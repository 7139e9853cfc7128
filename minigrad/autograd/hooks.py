"""Hooks on tensors: functions called with a gradient on its way, and handles to remove them."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from minigrad.autograd.variable import Meta

_next_id = itertools.count().__next__


class RemovableHandle:
    """Takes a hook out again: `handle.remove()`, or at the end of `with handle:`."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.id = _next_id()
        self.hooks = hooks

    def remove(self) -> None:
        """The hook is not called any more."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def meta_of(tensor: Any) -> Meta:
    """The tensor's hooks, made and hung on its node at first use."""
    if tensor.meta is None:
        tensor.meta = Meta()
    if tensor.node is not None:
        if tensor.node.hooks is None:
            tensor.node.hooks = {}
        tensor.node.hooks.setdefault(tensor.output_nr, (tensor.meta, weakref.ref(tensor)))
    return tensor.meta


def add_hook(tensor: Any, hook: Callable[..., Any], after_accumulation: bool = False) -> RemovableHandle:
    """Register a gradient hook, or one that runs after a leaf has accumulated."""
    if not tensor.needs_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if after_accumulation and tensor.node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    meta = meta_of(tensor)
    hooks = meta.post_accumulate_hooks if after_accumulation else meta.hooks
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def keep_gradient(tensor: Any) -> None:
    """Let a non-leaf keep its gradient; a leaf does anyway."""
    if tensor.node is not None:
        meta_of(tensor).retains_grad = True
