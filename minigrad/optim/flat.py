"""A step of many small parameters at once: their arrays, joined end to end, go through one `update`.

For an array of some hundred elements a call of NumPy costs more than its arithmetic, and on a GPU every call launches a
kernel. So small parameters that are alike are gathered in one buffer, updated as one, and copied back. An element does
not know which parameter it is of: this is the loop's result, bit for bit.

A plan says which parameters go together. It is made for the very arrays of a group's parameters and of their state,
once two steps in succession are about the same parameters, and dropped as soon as one of the arrays is another one:
what users replace, load or add between steps is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad import backend
from minigrad.autograd.variable import Variable
from minigrad.backend import Array, np
from minigrad.kernels.joining import concatenate
from minigrad.optim.loop import count_up

if TYPE_CHECKING:
    from minigrad.optim.optimizer import Optimizer

BUNDLE = 1 << 17  # bytes of parameters that are joined: with their state they stay in the cache
SMALL = 1 << 13  # bytes: of larger parameters the copies cost more than the calls they save
FEW = 8  # fewer parameters than these are not worth it, but are joined where `foreach=True` asks for it
UNKNOWN = 0  # the owner of memory that was not made as an array


def update_joined(
    optimizer: Optimizer, number: int, group: dict[str, Any], params: list[Any], options: dict[str, Any]
) -> list[Any]:
    """Update what can be updated in bundles of the group with this number; returns the parameters left to the loop."""
    plan = optimizer._plans.get(number)
    if plan is None or not _same(plan.params, params):
        optimizer._plans[number] = Plan(params)
        return params
    if plan.arrays and not plan.bundles:
        return params
    nothing: dict[str, Any] = {}
    states = [optimizer.state.get(p, nothing) for p in params]
    values = [v for state in states for v in state.values()]
    if not all(issubclass(kind, Variable) for kind in set(map(type, values))):
        return params  # a number or None instead of a tensor
    arrays = [p.array for p in params] + [v.array for v in values]
    if not plan.arrays:
        plan.make(optimizer, group, states, arrays)
    elif not _same(arrays, plan.arrays):
        optimizer._plans[number] = Plan(params)
        return params
    gradients = [p.gradient.array for p in params]
    if not plan.owners.isdisjoint(map(_owner, gradients)):
        return params
    done: set[int] = set()
    for bundle in plan.bundles:
        if bundle.update(optimizer, group, [gradients[i] for i in bundle.places], options):
            done.update(bundle.places)
    return [p for i, p in enumerate(params) if i not in done]


class Member(NamedTuple):
    """A parameter, its place among those of the step, its array, and those of its state."""

    place: int
    p: Any
    array: Array
    state: dict[str, Array]


class Plan:
    """Which of `params` are updated together. Until it is made, no more than a guess that they come again."""

    def __init__(self, params: list[Any]) -> None:
        self.params = params
        self.arrays: list[Array] = []  # theirs, then those of their state
        self.owners: set[int] = set()  # of these arrays
        self.bundles: list[Bundle] = []

    def make(
        self, optimizer: Optimizer, group: dict[str, Any], states: list[dict[str, Any]], arrays: list[Array]
    ) -> None:
        """Sort the parameters. None are joined if any arrays share memory: then it matters which comes first."""
        self.arrays = arrays
        self.owners = set(map(_owner, arrays))
        apart = len(self.owners) == len(arrays) and UNKNOWN not in self.owners
        self.owners.add(UNKNOWN)
        least = 2 if group.get("foreach") else FEW
        alike: dict[Any, list[Member]] = {}
        for place, (p, state) in enumerate(zip(self.params, states)):
            member = Member(place, p, p.array, {name: v.array for name, v in state.items()})
            kind = _kind(optimizer, member) if apart and p.array.nbytes <= SMALL else None
            if kind is not None:
                alike.setdefault(kind, []).append(member)
        for members in alike.values():
            self.bundles += [Bundle(run, optimizer.numbers) for run in _runs(members) if len(run) >= least]


class Bundle:
    """Parameters of one dtype and device with the same names in their state, and a buffer for each of their arrays."""

    def __init__(self, members: list[Member], numbers: tuple[str, ...]) -> None:
        places, params, arrays, states = zip(*members)
        self.places, self.params, self.arrays = places, params, arrays
        self.xp = backend.module_of(arrays[0])
        self.shapes = [a.shape for a in arrays]
        self.counts = [state["step"] for state in states if "step" in state]
        self.numbers = {name: [state[name] for state in states] for name in states[0] if name in numbers}
        self.numbers.pop("step", None)
        self.p, self.g = Joined(self.xp, arrays), self.xp.empty(sum(a.size for a in arrays), arrays[0].dtype)
        self.state = {name: Joined(self.xp, [s[name] for s in states]) for name in states[0] if name not in numbers}

    def update(
        self, optimizer: Optimizer, group: dict[str, Any], gradients: list[Array], options: dict[str, Any]
    ) -> bool:
        """Gather, update, scatter; False if gradients or numbers of the state do not allow it this time."""
        if not self._ready(gradients):
            return False
        concatenate(self.xp, gradients, None, self.g)
        if group.get("maximize"):
            self.xp.negative(self.g, self.g)
        state = {name: own[0].copy() for name, own in self.numbers.items()}
        for count in self.counts:
            state["step"] = count_up(count)
        for name, joined in self.state.items():
            state[name] = joined.gather()
        known = len(state)
        if "xp" in options:
            options["xp"] = self.xp
        optimizer.update(self.p.gather(), self.g, state, **options)
        self.p.scatter()
        for joined in self.state.values():
            joined.scatter()
        for name, own in self.numbers.items():
            for number in own:
                number[...] = state[name]
        if len(state) > known:
            self._add(optimizer, state)
        return True

    def _ready(self, gradients: list[Array]) -> bool:
        """True if the gradients are laid out as the parameters are, and the numbers of all states are the same."""
        dtype, cls = self.g.dtype, type(self.g)
        return (
            [g.shape for g in gradients] == self.shapes
            and all(type(g) is cls and g.dtype is dtype and g.flags.c_contiguous for g in gradients)
            and len({count.item() for count in self.counts}) < 2
            and all(len({number.tobytes() for number in own}) == 1 for own in self.numbers.values())
        )

    def _add(self, optimizer: Optimizer, state: dict[str, Array]) -> None:
        """Cut up what `update` has added to the state."""
        for name in state.keys() - self.state.keys() - self.numbers.keys() - {"step"}:
            parts = [self.xp.empty_like(a) for a in self.arrays]
            whole = Joined(self.xp, parts)
            whole.buffer[...] = state[name]
            whole.scatter()
            for p, part in zip(self.params, parts):
                optimizer._keep(p, {name: part})


class Joined:
    """A buffer with room for `arrays`, which are row-major, end to end."""

    def __init__(self, xp: Any, arrays: Sequence[Array]) -> None:
        self.xp, self.arrays = xp, arrays
        self.buffer = xp.empty(sum(a.size for a in arrays), arrays[0].dtype)
        ends = np.cumsum([a.size for a in arrays]).tolist()
        self.parts = [self.buffer[end - a.size : end].reshape(a.shape) for a, end in zip(arrays, ends)]

    def gather(self) -> Array:
        return concatenate(self.xp, self.arrays, None, self.buffer)

    def scatter(self) -> None:
        for array, part in zip(self.arrays, self.parts):
            array[...] = part


def _same(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def _kind(optimizer: Optimizer, member: Member) -> Any:
    """What members of a bundle have in common. None for those without the state they should have, with arrays that are
    not row-major or differ in shape or dtype, or with numbers kept on a GPU, not worth waiting for."""
    _, _, array, state = member
    if not state and optimizer._init_names is not None:
        return None
    cls = type(array)
    for name, a in (("", array), *state.items()):
        if name in optimizer.numbers:
            if type(a) is not np.ndarray:
                return None
        elif not (type(a) is cls and a.shape == array.shape and a.dtype == array.dtype and a.flags.c_contiguous):
            return None
    numbers = [a.dtype for name, a in state.items() if name in optimizer.numbers]
    return cls, array.dtype, None if cls is np.ndarray else array.device.id, *state, *numbers


def _runs(members: list[Member]) -> Iterator[list[Member]]:
    """The members in runs of at most BUNDLE bytes."""
    run: list[Member] = []
    filled = 0
    for member in members:
        filled += member.array.nbytes
        if filled > BUNDLE:
            yield run
            run, filled = [], member.array.nbytes
        run.append(member)
    yield run


def _owner(a: Array) -> int:
    """The id of the array whose memory `a` shows."""
    base = a.base
    if base is None:
        return id(a)
    while base is not None:
        a, base = base, getattr(base, "base", None)
    return id(a) if backend.is_array(a) else UNKNOWN
