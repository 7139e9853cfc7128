"""Adagrad."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim.checks import check_fused, check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer


class Adagrad(Optimizer):
    """Steps that shrink with the gradients met so far, element by element (Duchi, Hazan & Singer 2011):

        s <- s + g^2
        p <- p - lr_t g / (sqrt(s) + eps),    lr_t = lr / (1 + (t - 1) lr_decay)

    s starts at `initial_accumulator_value`, when the optimizer is made; `weight_decay` adds weight_decay p to g.
    """

    elementwise = True
    late_options = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        check_not_negative("lr_decay value", lr_decay)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("initial_accumulator_value value", initial_accumulator_value)
        check_not_negative("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self._first_state(p, group)

    def init_state(self, p: Array, *, xp: Any) -> dict[str, Any]:
        # The optimizer's own initial value, not the group's: so does torch.
        return {"step": 0, "sum": xp.full_like(p, self.defaults["initial_accumulator_value"])}

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        lr_decay: float,
        eps: float,
        weight_decay: float,
        xp: Any,
    ) -> None:
        t, s = state["step"], state["sum"]
        if weight_decay:
            g = g + weight_decay * p
        s += g * g
        p -= lr / (1 + (t - 1) * lr_decay) * g / (xp.sqrt(s) + eps)
