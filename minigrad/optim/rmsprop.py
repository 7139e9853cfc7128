"""RMSprop."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim import fused_gpu
from minigrad.optim.checks import check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, move_towards


class RMSprop(Optimizer):
    """Gradients divided by a running mean of their size (Tieleman & Hinton 2012, lecture 6.5):

        v <- alpha v + (1 - alpha) g^2
        d  = g / (sqrt(v) + eps)
        p <- p - lr d

    `centered` subtracts the square of the running mean of g from v (Graves 2013); `momentum` sums up d as
    b <- momentum b + d and steps by lr b; `weight_decay` adds weight_decay p to g.
    """

    elementwise, on_gpu = True, fused_gpu.rmsprop
    late_options = {
        "momentum": 0,
        "centered": False,
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        check_not_negative("epsilon value", eps)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, momentum: float, centered: bool, xp: Any) -> dict[str, Any]:
        state = {"step": 0, "square_avg": xp.zeros_like(p)}
        if momentum > 0:
            state["momentum_buffer"] = xp.zeros_like(p)
        if centered:
            state["grad_avg"] = xp.zeros_like(p)
        return state

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        alpha: float,
        eps: float,
        weight_decay: float,
        momentum: float,
        centered: bool,
        xp: Any,
    ) -> None:
        v = state["square_avg"]
        if weight_decay:
            g = g + weight_decay * p
        v *= alpha
        v += (1 - alpha) * g * g
        if centered:
            mean = state["grad_avg"]
            move_towards(mean, g, 1 - alpha)
            v = v - mean * mean
        size = xp.sqrt(v) + eps
        if momentum > 0:
            b = state["momentum_buffer"]
            b *= momentum
            b += g / size
            p -= lr * b
        else:
            p -= lr * g / size
