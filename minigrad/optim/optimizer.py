"""Optimizer: parameter groups, state, the step over them, and state dicts. What a step does is the subclass's."""

from __future__ import annotations

import inspect
import warnings
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import enable_grad
from minigrad.autograd.trace import caller
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import Array, np
from minigrad.cuda.graphs import is_current_stream_capturing
from minigrad.kernels.gpu.optimizers import clear
from minigrad.optim.checks import check_capture
from minigrad.optim.differentiable import update_recorded
from minigrad.optim.flat import FEW, Plan, update_joined
from minigrad.optim.fused_gpu import Plan as GpuPlan
from minigrad.optim.fused_gpu import Update, update_on_gpu
from minigrad.optim.hooks import OptimizerHooks
from minigrad.optim.loop import update_one


class Optimizer(OptimizerHooks):
    """Base of all optimizers. A subclass says, on raw NumPy or CuPy arrays, what a step does to one parameter:

    init_state(p, *, ...)         a dict of the arrays kept for `p` between steps, under torch's names, and 0 for "step"
    update(p, g, state, *, ...)   change `p` and the arrays of `state` in place, given the gradient `g`; it may add some

    After the star both name the hyper-parameters they use, keys of the parameter's group, and `xp` if they need the
    array module. The base negates `g` if the group says `maximize` and counts "step" up before the update. A class
    whose update works element by element says `elementwise = True`: large arrays are then updated in pieces, small ones
    several at once. `numbers` names those of its state that are numbers, for torch 0-dim float tensors on the host;
    `update` gets them as arrays. With `differentiable` among the defaults, `update` is run on tensors.

    As in torch a subclass may instead have a `step` of its own, under `no_grad`, that works on `self.param_groups` and
    `self.state`.
    """

    elementwise = False
    fused: Callable[..., bool] | None = None  # `update` on flat arrays as a compiled loop; see `optim.fused`
    on_gpu: Update | None = None  # `update` as kernels over many tensors; see `optim.fused_gpu`
    numbers: tuple[str, ...] = ("step",)
    late_options: dict[
        str, Any
    ] = {}  # hyper-parameters that checkpoints of older releases lack, and their values there
    on_device = "params and state_steps"  # what torch's error about capturable lists
    _update_names: tuple[str, ...] = ()
    _init_names: tuple[str, ...] | None = None  # None: there is no state to begin with

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._update_names = _keywords(cls.update)
        if "update" in cls.__dict__:  # what a parent class says holds for the parent's update
            cls.elementwise = cls.__dict__.get("elementwise", False)
            cls.fused, cls.on_gpu = cls.__dict__.get("fused"), cls.__dict__.get("on_gpu")
        if cls.init_state is not Optimizer.init_state:
            cls._init_names = _keywords(cls.init_state)

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_hooks()
        if isinstance(params, Variable):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{_typename(params)}"
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._plans: dict[int, Plan] = {}
        self._gpu_plans: dict[int, GpuPlan] = {}
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def init_state(self, p: Array, *args: Any, **options: Any) -> dict[str, Any]:
        """What is kept for the parameter `p` between steps, before the first one."""
        return {}

    def update(self, p: Array, g: Array, state: dict[str, Any], *args: Any, **options: Any) -> None:
        """Change the parameter `p` in place, given its gradient."""
        raise NotImplementedError(
            f"{type(self).__name__} must define update(p, g, state, *, ...) or step(closure=None)"
        )

    # -- the step ----------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the loss that `closure`, if given, computes anew."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        place = caller()  # for the error about a parameter that backward still needed
        for number, group in enumerate(self.param_groups):
            params = [p for p in group["params"] if p.gradient is not None]
            on_gpu = bool(params) and not isinstance(params[0].array, np.ndarray)
            if group.get("capturable") and any(self._is_on_host(p) for p in params):
                raise AssertionError(f"If capturable=True, {self.on_device} must be on supported devices: ['cuda'].")
            if on_gpu and "capturable" in group:
                check_capture(self, is_current_stream_capturing())
            if self.defaults.get("differentiable"):
                for p in params:
                    update_recorded(self, p, group)
                continue
            stays = on_gpu and (group.get("capturable") or self.on_gpu is not None)
            options = {
                name: None if name == "xp" else as_number(group[name], stays and name == "lr")
                for name in self._update_names
            }
            for p in params:
                p.counter[:] = p.counter[0] + 1, place
            if on_gpu:
                params = update_on_gpu(self, number, group, params, options)
            wanted = group.get("foreach")  # None: where it is faster
            if self.elementwise and (len(params) >= FEW if wanted is None else wanted):
                params = update_joined(self, number, group, params, options)
            for p in params:
                state = self._arrays_of(p, group)
                if added := update_one(self, p.array, p.gradient.array, state, group, options):
                    self._keep(p, added)
        return loss

    def _arrays_of(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        """The arrays of the state of `p`, which is made if there is none."""
        state = self.state.get(p)
        if not state:
            if self._init_names is None:
                return {}
            state = self._first_state(p, group)
        return {name: v.array for name, v in state.items() if isinstance(v, Variable)}

    def _first_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        """The state before the first step."""
        names = self._init_names or ()
        options = {name: as_number(group[name], bool(group.get("capturable"))) for name in names if name != "xp"}
        if "xp" in names:
            options["xp"] = backend.module_of(p.array)
        state = self._keep(p, self.init_state(p.array, **options))
        if group.get("fused") or group.get("capturable"):
            self._put_numbers_beside(p, group)
        return state

    def _put_numbers_beside(self, p: Any, group: dict[str, Any]) -> None:
        """Move the numbers of a state to the parameter's device, where torch has them with `fused` or `capturable`."""
        state = self.state[p]
        for name in state.keys() & set(self.numbers):
            dtype = backend.float32 if group.get("fused") else state[name].dtype
            state[name] = state[name].to(dtype=dtype, device=p.device)

    def _is_on_host(self, p: Any) -> bool:
        """Whether a parameter or its count of steps is not on a GPU."""
        tensors = (p, self.state.get(p, {}).get("step", p))
        return any(isinstance(t.array, np.ndarray) for t in tensors)

    def _keep(self, p: Any, arrays: dict[str, Any]) -> dict[str, Any]:
        """Add arrays to the state of `p`, as tensors."""
        state = self.state[p]
        for name, value in arrays.items():
            if state.get(name) is None:
                state[name] = _as_tensor(value) if name in self.numbers else wrap(backend.as_array(value))
        return state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros if not `set_to_none`."""
        kept = []
        for group in self.param_groups:
            for p in group["params"]:
                g = p.gradient
                if set_to_none:
                    p.gradient = None
                elif g is not None:
                    g.node, g.output_nr, g.needs_grad = None, 0, False
                    g.counter[0] += 1
                    kept.append(g.array)
        clear(kept)

    # -- groups ------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize further parameters: `{"params": tensors or (name, tensor) pairs, hyper-parameters of their own}`."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Variable) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        if names:
            params = [p[1] for p in params]
            param_group["param_names"] = names
        param_group["params"] = params
        for p in params:
            if not isinstance(p, Variable):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_typename(p)}")
            if not (self.defaults.get("differentiable") or p.node is None or p.retains_grad):  # type: ignore[attr-defined]
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                UserWarning,
                stacklevel=3,
            )
        for group in self.param_groups:
            if bool(names) != ("param_names" in group):
                raise ValueError(
                    f"all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with' if names else 'without'} names to the optimizer"
                )
        if not {p for group in self.param_groups for p in group["params"]}.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            entries = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            text += f"\nParameter Group {i}\n" + "".join(entries)
        return text + ")"

    # -- saving ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """`{"state": {number of a parameter: its state}, "param_groups": [{..., "params": [numbers]}]}`.

        Parameters are numbered in the order of the groups. The state's tensors are the live ones: deepcopy keeps them.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():  # type: ignore[attr-defined]
            hook(self)
        number: dict[Any, int] = {}
        groups, start = [], 0
        for group in self.param_groups:
            number.update({p: i for i, p in enumerate(group["params"], start) if p not in number})  # of twins the last
            start += len(group["params"])
            packed = {name: value for name, value in group.items() if name != "params"}
            groups.append({**packed, "params": [number[p] for p in group["params"]]})
        state = {number[k] if isinstance(k, Variable) else k: v for k, v in self.state.items()}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():  # type: ignore[attr-defined]
            result = _or(hook(self, result), result)
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over state and hyper-parameters that `state_dict` gave, for as many parameters in as many groups.

        Tensors are cast to their parameter's dtype and device, all but "step"; those that need no cast are shared with
        `state_dict`, as in torch.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():  # type: ignore[attr-defined]
            state_dict = _or(hook(self, state_dict), state_dict)
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)} instead of "
                f"{len(self.param_groups)}"
            )
        tensors: dict[Any, Any] = {}
        for group, new in zip(self.param_groups, saved, strict=True):
            if len(group["params"]) != len(new["params"]):
                raise ValueError(
                    f"loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"{len(new['params'])} parameters instead of {len(group['params'])}"
                )
            tensors.update(zip(new["params"], group["params"], strict=True))
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, Any] = defaultdict(dict)
        fused = {i for g in state_dict["param_groups"] if g.get("fused") or g.get("capturable") for i in g["params"]}
        for key, value in state_dict["state"].items():
            count = backend.float32 if key in fused else None
            state[tensors.get(key, key)] = _cast_like(tensors[key], value, count) if key in tensors else value
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():  # type: ignore[attr-defined]
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._plans, self._gpu_plans = {}, {}
        self._make_hooks()
        self.defaults.setdefault("differentiable", False)
        for group in self.param_groups:
            for name, value in self.late_options.items():
                group.setdefault(name, value)
            for p in group["params"] if self._init_names is not None else ():  # not what a user's own `step` counts
                entry = self.state.get(p, {})
                for name in self.numbers:
                    if isinstance(entry.get(name), (int, float)):
                        entry[name] = _as_tensor(entry[name])
                        if group.get("fused") or group.get("capturable"):
                            self._put_numbers_beside(p, group)


def _keywords(method: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(method).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _as_tensor(number: Any) -> Any:
    """A number of the state as torch keeps it: a 0-dim float tensor, on the CPU if it is not on a GPU already."""
    if backend.is_gpu_array(number):
        return wrap(number.astype(backend.get_default_dtype().numpy))
    return wrap(np.array(in_default_dtype(number)))


def _cast_like(p: Any, value: Any, count: backend.dtype | None, name: Any = None) -> Any:
    """State in the dtype and on the device of its parameter, except the count of steps: that becomes a `count`."""
    if isinstance(value, Variable):
        if name == "step" and count is None:
            return value
        dtype = count if name == "step" else p.dtype if p.array.dtype.kind == "f" else None
        return value.to(dtype=dtype, device=p.device)  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return {k: _cast_like(p, v, count, k) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_cast_like(p, v, count) for v in value)
    return value


def _or(replacement: Any, value: Any) -> Any:
    return value if replacement is None else replacement


def _typename(value: Any) -> str:
    if isinstance(value, Variable):
        return value.type()  # type: ignore[attr-defined]
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


# -- for subclasses ----------------------------------------------------------------------------------------------------


def as_number(value: Any, may_stay: bool = False) -> Any:
    """A hyper-parameter given as a tensor of one element, or a tuple of such, as Python numbers.

    If it `may_stay` on the GPU and is there, a 0-dim array: nobody waits for it.
    """
    if type(value) in (float, bool):  # nearly all are
        return value
    if isinstance(value, Variable):
        on_host = isinstance(value.array, np.ndarray)
        return value.array.item() if on_host or not may_stay else value.array.reshape(())
    return tuple([as_number(v) for v in value]) if type(value) is tuple else value


def number_in(array: Array) -> Any:
    """The number in a 0-dim array of the state; on a GPU the array itself, so that nobody waits for it."""
    return array.item() if type(array) is np.ndarray else array


def in_default_dtype(number: Any) -> Any:
    """The number, rounded to the default dtype: a NumPy scalar."""
    number = as_number(number)
    return np.float64(number) if backend.get_default_dtype() is backend.float64 else np.float32(number)


def move_towards(mean: Array, value: Array, weight: float) -> None:
    """mean += weight (value - mean), in place; from the nearer end, so that weight 1 gives `value` exactly."""
    if weight < 0.5:
        mean += weight * (value - mean)
    else:
        mean[...] = value - (1 - weight) * (value - mean)
