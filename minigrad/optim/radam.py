"""RAdam."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, is_gpu_array
from minigrad.optim.checks import check_betas, check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, move_towards


class RAdam(Optimizer):
    """Adam that divides by sqrt(v) only once v is known well enough (Liu et al. 2020, algorithm 2):

        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        p <- p - lr m'                                       while rho_t <= 5, with m' = m / (1 - b1^t)
        p <- p - lr r_t m' sqrt(1 - b2^t) / (sqrt(v) + eps)  from then on

    rho_t is about the number of gradients that v is a mean of, and tends to rho = 2 / (1 - b2) - 1; r_t, which tends to
    1, makes up for the spread of 1 / sqrt(v). `weight_decay` adds weight_decay p to g, or, if decoupled, first shrinks
    p by lr weight_decay p.
    """

    elementwise = True
    late_options = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, xp: Any) -> dict[str, Any]:
        return {"step": 0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}

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
        rate = lr / (1 - b1**t)
        rho = 2 / (1 - b2) - 1
        rho_t = rho - 2 * t * b2**t / (1 - b2**t)
        if is_gpu_array(t):  # nobody waits to see which of the two it is
            known = xp.maximum(rho_t, 5.0)
            r = ((known - 4) * (known - 2) * rho / ((rho - 4) * (rho - 2) * known)) ** 0.5
            p -= rate * m * xp.where(rho_t > 5, r * (1 - b2**t) ** 0.5 / (xp.sqrt(v) + eps), 1)
        elif rho_t > 5:
            r = ((rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t)) ** 0.5
            p -= rate * r * (1 - b2**t) ** 0.5 * m / (xp.sqrt(v) + eps)
        else:
            p -= rate * m
