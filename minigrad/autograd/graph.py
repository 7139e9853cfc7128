"""torch.autograd.graph: the graph's nodes and edges, hooks on what is saved, and hooks on several gradients at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.handle import RemovableHandle
from minigrad.autograd.hooks import add_hook
from minigrad.autograd.mode import mode, set_mode
from minigrad.autograd.node import Node, as_node, edge_of
from minigrad.autograd.variable import Variable, wrap
from minigrad.autograd.views import bump
from minigrad.autograd.watched import Watcher

__all__ = [
    "GradientEdge", "Node", "disable_saved_tensors_hooks", "get_gradient_edge", "increment_version",
    "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: a node and which of its outputs the tensor is."""

    node: Node
    output_nr: int
    ownership_token: Node | None = None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge of a tensor that wants a gradient; `autograd.grad` takes it in place of the tensor."""
    edge = edge_of(tensor)
    if edge is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(as_node(edge[0]), edge[1])


def increment_version(tensor: Any) -> None:
    """Say that a tensor (or each of several) was changed by other means, so that backward notices."""
    for t in [tensor] if isinstance(tensor, Variable) else tensor:
        bump(t)


# -- what nodes save ---------------------------------------------------------------------------------------------------


def _use_hooks(hooks: tuple[Any, ...]) -> None:
    anomaly, check_nan = (mode.watcher.anomaly, mode.watcher.check_nan) if mode.watcher else (False, True)
    set_mode(mode.grad, mode.inference, Watcher(anomaly, check_nan, hooks) if anomaly or hooks else None)


class saved_tensors_hooks:
    """While entered, every tensor saved for backward is handed to `pack_hook`, and what that returns is kept.

    `unpack_hook` gets it when backward needs the tensor, and gives back a tensor of the same values. For example

        with saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
            loss = model(x).sum()  # keeps half the memory, and rounds

    What a node saves of its own output comes without history, so that keeping it makes no reference cycle.
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if mode.hooks_refused is not None:
            raise RuntimeError(mode.hooks_refused)
        hooks = mode.watcher.hooks if mode.watcher else ()
        _use_hooks((*hooks, (self.pack_hook, self.unpack_hook)))

    def __exit__(self, *exc: object) -> None:
        _use_hooks(mode.watcher.hooks[:-1])


class save_on_cpu(saved_tensors_hooks):
    """While entered, what is saved for backward waits on the CPU, and goes back to its device when it is needed."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(
            lambda t: (backend.device_of(t.array), t.detach().cpu()),
            lambda packed: wrap(backend.move(packed[1].array, packed[0])),
        )


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """While entered, asking for hooks on saved tensors is a RuntimeError with this message."""
    if mode.watcher is not None and mode.watcher.hooks:
        raise RuntimeError(error_message)
    before, mode.hooks_refused = mode.hooks_refused, error_message
    try:
        yield
    finally:
        mode.hooks_refused = before


# -- several gradients -------------------------------------------------------------------------------------------------


class _Handles(RemovableHandle):
    """The handle of several hooks."""

    def __init__(self, handles: Iterable[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __getstate__(self) -> Any:
        return self.handles

    def __setstate__(self, state: Any) -> None:
        self.handles = state


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[[Any], None], *, mode: str = "all"
) -> RemovableHandle:
    """Call `fn` once in each backward: with the list of the gradients of `tensors`, when all have come that will come
    (None for the others); with mode "any", with the first gradient that comes.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    seen = _Seen()
    edges = [edge_of(t) for t in tensors]

    def hook_of(place: int) -> Callable[[Any], None]:
        def all_of_them(g: Any) -> None:
            gradients = seen.in_this_walk(lambda: [None] * len(edges))
            gradients[place] = g
            seen.missing -= 1
            if not seen.missing:
                fn(gradients)

        def any_of_them(g: Any) -> None:
            first = seen.in_this_walk(list)
            if not first:
                first.append(place)
                fn(g)

        return all_of_them if mode == "all" else any_of_them

    seen.edges = edges
    return _Handles([add_hook(t, hook_of(i)) for i, t in enumerate(tensors)])


class _Seen:
    """What a hook on several gradients knows of the walk that is going on."""

    def __init__(self) -> None:
        self.walk: Any = None
        self.edges: list[Any] = []
        self.gradients: list[Any] = []
        self.missing = 0

    def in_this_walk(self, start: Callable[[], list[Any]]) -> list[Any]:
        """The list for the present walk, made anew when a walk begins."""
        if mode.walk is not self.walk:
            self.walk, self.gradients = mode.walk, start()
            self.missing = sum(self.walk.passes(edge) for edge in self.edges)
        return self.gradients
