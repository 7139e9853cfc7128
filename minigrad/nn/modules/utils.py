"""torch.nn.modules.utils: small helpers that scripts' own layers and loading of checkpoints use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

__all__ = ["consume_prefix_in_state_dict_if_present"]


def _ntuple(n: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    """The function that makes a tuple of an iterable, and of any other value n times that value."""

    def parse(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    parse.__name__ = name
    return parse


_single, _pair = _ntuple(1, "_single"), _ntuple(2, "_pair")
_triple, _quadruple = _ntuple(3, "_triple"), _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t: Any, n: int) -> tuple[Any, ...]:
    """The entries from the last to the first, each n times: a convolution's padding as `F.pad` takes it."""
    return tuple(x for x in reversed(t) for _ in range(n))


def consume_prefix_in_state_dict_if_present(state_dict: MutableMapping[str, Any], prefix: str) -> None:
    """Take `prefix` off the names in `state_dict`, in place, such as the "module." of a DataParallel's state.

    Entries that are renamed go to the end. The versions of the modules' layouts are renamed too.
    """
    for name in [n for n in state_dict if n.startswith(prefix)]:
        state_dict[name.removeprefix(prefix)] = state_dict.pop(name)
    versions = getattr(state_dict, "_metadata", {})
    for name in [n for n in versions if n and f"{n}.".startswith(prefix)]:
        versions[name[len(prefix) :]] = versions.pop(name)
