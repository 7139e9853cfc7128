"""The handle by which a hook, of whatever kind, is taken out again."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class RemovableHandle:
    """Takes a hook out again: `handle.remove()`, or at the end of `with handle:`.

    It refers weakly to the OrderedDict `hooks_dict`, so that it keeps neither hooks nor their owner alive; `extra_dict`
    is a dict, or a list of dicts, that holds more about the hook under the same id. A copy that is made together with
    the owner of the hooks takes out the copied hook.
    """

    next_id = 0

    def __init__(self, hooks_dict: dict[int, Any], *, extra_dict: Any = None) -> None:
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        self.hooks_dict_ref = _reference(hooks_dict)
        extra = [extra_dict] if isinstance(extra_dict, dict) else extra_dict or ()
        self.extra_dict_ref = tuple(_reference(e) for e in extra)

    def remove(self) -> None:
        """The hook is not called any more."""
        for reference in (self.hooks_dict_ref, *self.extra_dict_ref):
            if (held := reference()) is not None:
                held.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.hooks_dict_ref(), self.id, tuple(e() for e in self.extra_dict_ref)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        hooks, self.id, extra = state
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)
        self.hooks_dict_ref = _reference(OrderedDict() if hooks is None else hooks)
        self.extra_dict_ref = tuple(_reference(e) for e in extra if e is not None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def _reference(hooks: dict[int, Any]) -> Callable[[], Any]:
    """A weak reference; a strong one to a plain dict, which knows no others."""
    return weakref.ref(hooks) if isinstance(hooks, OrderedDict) else lambda: hooks


def add(hooks: dict[int, Any], hook: Callable[..., Any]) -> RemovableHandle:
    """Put `hook` into a dict of hooks; returns its handle."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle
