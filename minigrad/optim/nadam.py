"""NAdam."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim.checks import check_betas, check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, move_towards, number_in


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the new gradient counts at once (Dozat 2016, algorithm 2):

        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        p <- p - lr (g (1 - mu_t) / (1 - M_t) + m mu_(t+1) / (1 - M_(t+1))) / (sqrt(v / (1 - b2^t)) + eps)

    where mu_t = b1 (1 - 0.96^(t momentum_decay) / 2) grows towards b1, and M_t is the product of all mu up to t.
    `weight_decay` adds weight_decay p to g, or, if decoupled, first shrinks p by lr weight_decay p.
    """

    elementwise = True
    numbers = ("step", "mu_product")
    on_device = "params, mu_products and state_steps"
    late_options = {
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
    }

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check_not_negative("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, xp: Any) -> dict[str, Any]:
        return {"step": 0, "mu_product": 1, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}

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
        momentum_decay: float,
        decoupled_weight_decay: bool,
        xp: Any,
    ) -> None:
        (b1, b2), t, m, v = betas, state["step"], state["exp_avg"], state["exp_avg_sq"]
        if weight_decay and decoupled_weight_decay:
            p *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * p
        mu, next_mu = (b1 * (1 - 0.5 * 0.96 ** (s * momentum_decay)) for s in (t, t + 1))
        state["mu_product"] *= mu
        product = number_in(state["mu_product"])
        move_towards(m, g, 1 - b1)
        v *= b2
        v += (1 - b2) * g * g
        size = xp.sqrt(v / (1 - b2**t)) + eps
        p -= lr * (1 - mu) / (1 - product) * g / size
        p -= lr * next_mu / (1 - product * next_mu) * m / size
