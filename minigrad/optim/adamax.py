"""Adamax."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim.checks import check_betas, check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, move_towards


class Adamax(Optimizer):
    """Adam with the largest gradient of late for the mean square (Kingma & Ba 2015, algorithm 2):

        m <- b1 m + (1 - b1) g
        u <- max(b2 u, |g| + eps)
        p <- p - lr m' / u,    m' = m / (1 - b1^t)

    `weight_decay` adds weight_decay p to g.
    """

    elementwise = True
    late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, xp: Any) -> dict[str, Any]:
        return {"step": 0, "exp_avg": xp.zeros_like(p), "exp_inf": xp.zeros_like(p)}

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
        xp: Any,
    ) -> None:
        (b1, b2), t, m, u = betas, state["step"], state["exp_avg"], state["exp_inf"]
        if weight_decay:
            g = g + weight_decay * p
        move_towards(m, g, 1 - b1)
        u *= b2
        xp.maximum(u, abs(g) + eps, out=u)
        p -= lr / (1 - b1**t) * m / u
