"""Adadelta."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim.checks import check, check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer


class Adadelta(Optimizer):
    """Steps in the units of the parameter: as large as the steps before were, in proportion to the gradients
    (Zeiler 2012, algorithm 1):

        v <- rho v + (1 - rho) g^2
        d  = g sqrt(u + eps) / sqrt(v + eps)
        u <- rho u + (1 - rho) d^2
        p <- p - lr d

    `weight_decay` adds weight_decay p to g.
    """

    elementwise = True
    late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        check(0.0 <= rho <= 1.0, "rho value", rho)
        check_not_negative("epsilon value", eps)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, xp: Any) -> dict[str, Any]:
        return {"step": 0, "square_avg": xp.zeros_like(p), "acc_delta": xp.zeros_like(p)}

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        rho: float,
        eps: float,
        weight_decay: float,
        xp: Any,
    ) -> None:
        v, u = state["square_avg"], state["acc_delta"]
        if weight_decay:
            g = g + weight_decay * p
        v *= rho
        v += (1 - rho) * g * g
        d = xp.sqrt(u + eps) / xp.sqrt(v + eps) * g
        u *= rho
        u += (1 - rho) * d * d
        p -= lr * d
