"""A step of all parameters on a GPU in a few launches: the updates of SGD, Adam and RMSprop over many tensors at once.

The kernels want tables of addresses. A plan holds those of a group's parameters and of their state for as long as these
are the very same arrays; addresses of gradients, which every backward makes anew, are written into it before each step.
Steps are counted on the host, or on the GPU where the state has its count there (`fused=True`, `capturable=True`): then
nothing in a launch changes from step to step.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad.autograd.variable import Variable
from minigrad.backend import Array, address, is_gpu_array, module_of, np
from minigrad.kernels.gpu import optimizers as kernels
from minigrad.kernels.gpu.launch import takes
from minigrad.optim.loop import count_up

if TYPE_CHECKING:
    from minigrad.optim.optimizer import Optimizer


class Update(NamedTuple):
    """A class's `update` as kernels: the names of the state's arrays that it changes, and how to launch it."""

    names: Callable[[dict[str, Any]], tuple[str, ...]]
    launch: Callable[..., None]
    counts: bool  # whether it needs the count of steps
    begins: bool  # whether it makes the arrays of the state in the first step


def update_on_gpu(
    optimizer: Optimizer, number: int, group: dict[str, Any], params: list[Any], options: dict[str, Any]
) -> list[Any]:
    """Update what kernels can of the group with this number; returns the parameters left to the loop."""
    update, wanted = optimizer.on_gpu, (group.get("fused"), group.get("foreach"))
    first = next((p.array for p in params if p.array.size), None)
    if update is None or first is None or not (any(wanted) or wanted == (None, None)) or not takes(first):
        return params
    nothing: dict[str, Any] = {}
    first_state = optimizer._first_state if optimizer._init_names is not None else lambda p, group: nothing
    states = [optimizer.state.get(p) or first_state(p, group) for p in params]
    asked = update.names(group), is_gpu_array(options["lr"])
    arrays = [p.array for p in params] + [v.array for s in states for v in s.values() if isinstance(v, Variable)]
    plan = optimizer._gpu_plans.get(number)
    if plan is None or plan.asked != asked or not _same(plan.arrays, arrays) or not plan.counts_agree():
        plan = optimizer._gpu_plans[number] = Plan(update, asked, params, states, arrays)
    gradients = plan.take([p.gradient.array for p in params])
    if not gradients:
        return params
    for bundle in plan.bundles:
        if bundle.begins:
            bundle.begin(optimizer, [params[i] for i in bundle.places], asked[0])
        update.launch(bundle, **options, maximize=bool(group.get("maximize")))
    return [params[i] for i in plan.rest]


class Bundle:
    """Tensors of one launch: their places among the parameters, their table, and their counts of steps."""

    def __init__(self, places: list[int], columns: list[list[Array]], counts: list[Array], begins: bool) -> None:
        self.places, self.counts, self.begins = places, counts, begins
        self.table = kernels.Table(columns)

    def begin(self, optimizer: Optimizer, params: list[Any], names: tuple[str, ...]) -> None:
        """Make the arrays of the state, which the kernel fills."""
        for column, name in enumerate(names, 2):
            made = [module_of(p.array).empty_like(p.array) for p in params]
            self.table.point(column, [address(a) for a in made])
            for p, array in zip(params, made, strict=True):
                optimizer._keep(p, {name: array})


class Plan:
    """What of a group goes together, for the very `arrays` of its parameters and of their state."""

    def __init__(
        self, update: Update, asked: tuple[tuple[str, ...], bool], params: list[Any], states: list[Any], arrays: Any
    ) -> None:
        self.asked, self.arrays = asked, arrays
        self.own = [p.array for p in params]
        self.layouts = [_layout(a) for a in self.own]
        self.addresses: list[int] = []  # of the gradients
        self.bundles: list[Bundle] = []
        counts = [address(a) for a in arrays if not is_gpu_array(a)]
        self.apart = len(counts) == len(set(counts))
        self._find_extents([a for a in arrays if is_gpu_array(a)])
        alike: dict[Any, list[int]] = {}
        for i, (p, state) in enumerate(zip(self.own, states, strict=True)):
            kind = _kind(update, asked, p, state) if self.apart else None
            if kind is not None:
                alike.setdefault(kind, []).append(i)
        names = asked[0]
        for (*_, begins), members in alike.items():
            for start in range(0, len(members), kernels.MOST):
                places = members[start : start + kernels.MOST]
                own, of = [self.own[i] for i in places], [states[i] for i in places]
                columns = [own, own, *([] if begins else [[s[name].array for s in of] for name in names])]
                self.bundles.append(Bundle(places, columns, [s["step"].array for s in of if update.counts], begins))
        taken = {i for bundle in self.bundles for i in bundle.places}
        self.rest = [i for i in range(len(params)) if i not in taken]

    def _find_extents(self, arrays: list[Array]) -> None:
        """Sort the stretches of memory. No kernel takes arrays that share any: then it matters which comes first."""
        extents = sorted(_extent(a) for a in arrays if a.size)
        self.starts, self.ends = np.array([(-1, -1), *extents, (1 << 62, 1 << 62)]).T
        self.apart &= bool((self.ends[:-1] <= self.starts[1:]).all())

    def counts_agree(self) -> bool:
        """False if counts on the host, equal when they were put together, are so no more."""
        return all(
            len({count.item() for count in bundle.counts}) < 2
            for bundle in self.bundles
            if bundle.counts and not is_gpu_array(bundle.counts[0])
        )

    def take(self, gradients: list[Array]) -> list[Array]:
        """Point the tables to the gradients; returns those (some are copies), none if they do not fit."""
        if not self.bundles:
            return []
        if [_layout(g) for g in gradients] != self.layouts:
            gradients = [g if _layout(g) == _layout(p) else _laid_out_as(p, g) for p, g in zip(self.own, gradients)]
            begins = any(bundle.begins for bundle in self.bundles)  # a state that begins as the gradient has its layout
            if begins or any(g is None for g in gradients):
                return []
        addresses = [g.data.ptr for g in gradients]
        if addresses != self.addresses:
            starts = np.array(addresses)
            ends = starts + [g.nbytes for g in gradients]
            after = np.searchsorted(self.starts, starts, "right")
            if ((self.ends[after - 1] > starts) | (self.starts[after] < ends)).any():
                return []
            for bundle in self.bundles:
                bundle.table.point(1, starts[bundle.places])
            self.addresses = addresses
        return gradients


def _same(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def _layout(a: Array) -> Any:
    return type(a), a.dtype, a.shape, a.strides


def _laid_out_as(p: Array, g: Array) -> Array | None:
    """A copy of the gradient with the layout of its parameter; None if it is of another shape, dtype or device."""
    if _layout(g)[:3] != _layout(p)[:3]:
        return None
    out = module_of(p).empty_like(p)
    out[...] = g
    return out if out.strides == p.strides else None


def _extent(a: Array) -> tuple[int, int]:
    """The stretch of memory between an array's first byte and its last."""
    reach = [(n - 1) * stride for n, stride in zip(a.shape, a.strides, strict=True)]
    start = address(a)
    return start + sum(r for r in reach if r < 0), start + sum(r for r in reach if r > 0) + a.itemsize


def _kind(update: Update, asked: tuple[tuple[str, ...], bool], p: Array, state: dict[str, Any]) -> Any:
    """What tensors of a launch have in common; None for those that the kernel cannot take."""
    names, rate_on_gpu = asked
    if not takes(p) or not p.flags.forc or p.size >= kernels.LARGEST:
        return None
    held = [state.get(name) for name in names]
    begins = update.begins and bool(names) and all(v is None for v in held)
    if not begins and not all(isinstance(v, Variable) and _layout(v.array) == _layout(p) for v in held):
        return None
    count: Any = None
    if update.counts:
        step: Any = getattr(state.get("step"), "array", None)
        if is_gpu_array(step) and step.dtype == "float32" and step.size == 1:
            count = "on the GPU"
        elif type(step) is np.ndarray and not rate_on_gpu:
            count = step.dtype, step.item()
        else:
            return None
    return p.dtype, p.device.id, count, begins


# -- the three that there are ------------------------------------------------------------------------------------------


def _launch_sgd(bundle: Bundle, xp: Any, **options: Any) -> None:
    kernels.sgd(bundle.table, begins=bundle.begins, **options)


def _launch_adam(bundle: Bundle, xp: Any, **options: Any) -> None:
    step: Any
    if is_gpu_array(bundle.counts[0]):
        lr, betas, decay = options["lr"], options["betas"], options["weight_decay"]
        step = kernels.adam_factors(bundle.counts, bundle.table.like, lr, betas, decay)
    else:
        step = [count_up(count) for count in bundle.counts][-1]
    kernels.adam(bundle.table, step=step, **options)


def _adam_names(group: dict[str, Any]) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))


def _launch_rmsprop(bundle: Bundle, xp: Any, **options: Any) -> None:
    if is_gpu_array(bundle.counts[0]):
        kernels.count_up(bundle.counts, bundle.table.like)
    else:
        for count in bundle.counts:
            count_up(count)
    kernels.rmsprop(bundle.table, **options)


def _rmsprop_names(group: dict[str, Any]) -> tuple[str, ...]:
    more = ("momentum_buffer", group["momentum"] > 0), ("grad_avg", group["centered"])
    return ("square_avg", *(name for name, wanted in more if wanted))


sgd = Update(lambda group: ("momentum_buffer",) if group["momentum"] else (), _launch_sgd, counts=False, begins=True)
adam = Update(_adam_names, _launch_adam, counts=True, begins=False)
rmsprop = Update(_rmsprop_names, _launch_rmsprop, counts=True, begins=False)
