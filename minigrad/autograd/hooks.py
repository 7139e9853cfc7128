"""Hooks: functions called with a gradient on its way, at a tensor or around a node, and handles to remove them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from minigrad.autograd.handle import RemovableHandle, add
from minigrad.autograd.node import wants_grad
from minigrad.autograd.variable import Meta


def meta_of(tensor: Any) -> Meta:
    """The tensor's hooks, made and hung on its node at first use."""
    if tensor.meta is None:
        tensor.meta = Meta()
        if tensor.node is not None:
            tensor.node.all_hooks().tensors.setdefault(tensor.output_nr, []).append((tensor.meta, weakref.ref(tensor)))
    return tensor.meta


def add_hook(tensor: Any, hook: Callable[..., Any], after_accumulation: bool = False) -> RemovableHandle:
    """Register a gradient hook, or one that runs after a leaf has accumulated."""
    if not wants_grad(tensor):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if after_accumulation and tensor.node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    meta = meta_of(tensor)
    hooks = meta.post_accumulate_hooks if after_accumulation else meta.hooks
    return add(hooks, hook)


def keep_gradient(tensor: Any) -> None:
    """Let a non-leaf keep its gradient; a leaf does anyway."""
    if wants_grad(tensor) and tensor.node is not None:
        meta_of(tensor).retains_grad = True
