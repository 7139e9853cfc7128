"""A step that is recorded: the same `update`, run on tensors, so that gradients flow through it (differentiable=True).

With it a program can differentiate a loss after some steps by what the steps began with: parameters, gradients, state,
and hyper-parameters given as tensors. The parameters are then results, such as clones, for a leaf must not be written
to where that is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.autograd.mode import enable_grad
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import is_gpu_array
from minigrad.ops.create import ones_like, zeros_like
from minigrad.ops.extrema import maximum
from minigrad.ops.masks import where
from minigrad.optim.loop import count_up

if TYPE_CHECKING:
    from minigrad.optim.optimizer import Optimizer


class Tensors:
    """What updates need of an array module, for tensors."""

    ones_like, zeros_like, where = staticmethod(ones_like), staticmethod(zeros_like), staticmethod(where)

    @staticmethod
    def sqrt(x: Any) -> Any:
        return x.sqrt()

    @staticmethod
    def copy(x: Any) -> Any:
        """The values alone, as in torch: a velocity begins without a history."""
        return x.detach().clone()

    @staticmethod
    def maximum(a: Any, b: Any, out: Any) -> Any:
        return out.copy_(maximum(a.clone(), b))

    @staticmethod
    def clip(x: Any, low: float, high: float, out: Any) -> Any:
        return out.copy_(x.clone().clamp(low, high))


def update_recorded(optimizer: Optimizer, p: Any, group: dict[str, Any]) -> None:
    """Run `update` on one parameter, its gradient and its state, and record it.

    It works on clones of the state, which are written back: what one step has saved the next one leaves alone.
    """
    names, numbers = optimizer._update_names, optimizer.numbers
    options = {name: Tensors if name == "xp" else _as_scalar(group[name]) for name in names}
    arrays = optimizer._arrays_of(p, group)
    kept = {name: v for name, v in optimizer.state.get(p, {}).items() if name in arrays and name not in numbers}
    if "step" in arrays:
        arrays["step"] = count_up(arrays["step"])
    arrays.update({name: wrap(arrays[name]) for name in numbers if is_gpu_array(arrays.get(name))})
    with enable_grad():
        state = {**arrays, **{name: v.clone() for name, v in kept.items()}}
        g = p.gradient
        optimizer.update(p, -g if group.get("maximize") else g, state, **options)
        for name, v in kept.items():
            v.copy_(state[name])
    for name in state.keys() - arrays.keys():
        optimizer.state[p][name] = state[name].clone()


def _as_scalar(value: Any) -> Any:
    """A hyper-parameter; tensors of one element stay tensors, without dimensions."""
    if isinstance(value, Variable):
        return value.squeeze()  # type: ignore[attr-defined]
    return tuple([_as_scalar(v) for v in value]) if type(value) is tuple else value
