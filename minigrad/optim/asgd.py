"""Averaged gradient descent."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim.checks import check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, in_default_dtype, number_in


class ASGD(Optimizer):
    """Gradient descent with a falling rate, and the mean of all parameters since step `t0` (Polyak & Juditsky 1992):

        p  <- (1 - lambd eta) p - eta g
        ax <- ax + mu (p - ax)
        eta, mu <- lr / (1 + lambd lr t)^alpha, 1 / max(1, t - t0)

    eta starts at `lr` and mu at 1; the mean stays in the state, as "ax". `weight_decay` adds weight_decay p to g.
    """

    elementwise = True
    numbers = ("step", "eta", "mu")
    on_device = "params, mus, etas, and state_steps"
    late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, lr: float, xp: Any) -> dict[str, Any]:
        return {"step": 0, "eta": lr, "mu": 1, "ax": xp.zeros_like(p)}

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        lambd: float,
        alpha: float,
        t0: float,
        weight_decay: float,
    ) -> None:
        t, ax, eta, mu = state["step"], state["ax"], number_in(state["eta"]), number_in(state["mu"])
        if weight_decay:
            g = g + weight_decay * p
        p *= 1 - lambd * eta
        p -= eta * g
        if isinstance(mu, float) and mu == 1:
            ax[...] = p
        else:
            ax += mu * (p - ax)
        if isinstance(t, float):
            state["eta"][...] = in_default_dtype(lr / (1 + lambd * lr * t) ** alpha)
            state["mu"][...] = in_default_dtype(1 / max(1, t - t0))
        else:
            state["eta"][...] = lr / (1 + lambd * lr * t) ** alpha
            state["mu"][...] = 1 / (t - t0).clip(1)
