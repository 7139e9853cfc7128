"""Hooks common to all modules, kept here and registered by torch's functions: for profiling and debugging."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minigrad.autograd.hooks import RemovableHandle

Hooks = OrderedDict[int, Callable[..., Any]]  # by the id of the handle
Marks = OrderedDict[int, bool]  # the ids of hooks of which something holds

buffer_registration: Hooks = OrderedDict()
module_registration: Hooks = OrderedDict()
parameter_registration: Hooks = OrderedDict()

forward_pre: Hooks = OrderedDict()
forward: Hooks = OrderedDict()
forward_with_kwargs: Marks = OrderedDict()
forward_always_called: Marks = OrderedDict()
full_backward_pre: Hooks = OrderedDict()
full_backward: Hooks = OrderedDict()
backward: Hooks = OrderedDict()

around_calls: Marks = OrderedDict()  # of all but the registration hooks: what a call has to look at


class _Kind:
    """Which of the two kinds of backward hook has been registered: torch does not mix them, even after removal."""

    full: bool | None = None


def _around_calls(hooks: Hooks, hook: Callable[..., Any], *marks: Marks) -> RemovableHandle:
    handle = RemovableHandle(hooks, extra_dict=[around_calls, forward_with_kwargs, forward_always_called])
    hooks[handle.id] = hook
    for mark in (around_calls, *marks):
        mark[handle.id] = True
    return handle


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, args)` before every `forward`, and before the module's own hooks; it may return other args."""
    return _around_calls(forward_pre, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after every `forward`, before the module's own; it may return another output.

    With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it is called after errors too.
    """
    marks = [m for m, wanted in ((forward_with_kwargs, with_kwargs), (forward_always_called, always_call)) if wanted]
    return _around_calls(forward, hook, *marks)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_pre_hook` for all modules, called before a module's own."""
    return _around_calls(full_backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_hook` for all modules, called before a module's own."""
    _settle(full=True)
    return _around_calls(full_backward, hook)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_backward_hook` for all modules, which torch advises against."""
    _settle(full=False)
    return _around_calls(backward, hook)


def _settle(full: bool) -> None:
    if _Kind.full is (not full):
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. Please use only "
            "one of them."
        )
    _Kind.full = full


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, buffer)` before every buffer is registered; what it returns is registered instead."""
    return _registration(buffer_registration, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, child)` before every child is registered; what it returns is registered instead."""
    return _registration(module_registration, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, parameter)` before every parameter is; what it returns is registered instead."""
    return _registration(parameter_registration, hook)


def _registration(hooks: Hooks, hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def registered(hooks: Hooks, module: Any, name: str, member: Any) -> Any:
    """`member` after the registration hooks, each of which may put another in its place."""
    for hook in hooks.values():
        replaced = hook(module, name, member)
        member = member if replaced is None else replaced
    return member
