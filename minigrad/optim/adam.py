"""Adam."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.backend import Array
from minigrad.optim import fused, fused_gpu
from minigrad.optim.checks import check_betas, check_fused, check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, move_towards


class Adam(Optimizer):
    """A step of about `lr` along m / sqrt(v) (Kingma & Ba 2015, algorithm 1):

        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        p <- p - lr m' / (sqrt(v') + eps),    m' = m / (1 - b1^t),  v' = v / (1 - b2^t)

    m and v are running means of g and g^2, and the divisions undo their start at zero. `weight_decay` adds
    weight_decay p to g, or, if decoupled, first shrinks p by lr weight_decay p. `amsgrad` takes for v the largest so
    far (Reddi, Kale & Kumar 2018).
    """

    elementwise, fused, on_gpu = True, staticmethod(fused.adam), fused_gpu.adam
    late_options = {
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "fused": None,
    }

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Variable) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        betas = tuple(betas)
        _check_kinds(betas, foreach=bool(foreach) and not capturable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)
        check_fused(defaults)

    def init_state(self, p: Array, *, amsgrad: bool, xp: Any) -> dict[str, Any]:
        state = {"step": 0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}
        return {**state, "max_exp_avg_sq": xp.zeros_like(p)} if amsgrad else state

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        amsgrad: bool,
        decoupled_weight_decay: bool,
        xp: Any,
    ) -> None:
        (b1, b2), t, m, v = betas, state["step"], state["exp_avg"], state["exp_avg_sq"]
        if weight_decay and decoupled_weight_decay:
            p *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * p
        move_towards(m, g, 1 - b1)
        v *= b2
        v += (1 - b2) * g * g
        if amsgrad:
            v = xp.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        p -= lr / (1 - b1**t) * m / (xp.sqrt(v) / (1 - b2**t) ** 0.5 + eps)  # in this order float32 rounds as in torch


def _check_kinds(betas: tuple[Any, Any], foreach: bool) -> None:
    """ValueError unless both betas are floats or both are tensors of one element."""
    tensors = [isinstance(beta, Variable) for beta in betas]
    if not all(tensors) and not all(isinstance(beta, float) for beta in betas):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if tensors[i] and foreach:
            raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
        if tensors[i] and beta.array.size != 1:
            raise ValueError(f"Tensor betas[{i}] must be 1-element")
