"""Rprop."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim.checks import check, check_not_negative, check_tensor_lr
from minigrad.optim.optimizer import Optimizer


class Rprop(Optimizer):
    """Steps that go by the sign of the gradient alone, each element with a step size of its own (Riedmiller & Braun
    1993). The size s starts at `lr`; with `etas` = (a, b) and g' the gradient before:

        s <- s b, s a or s, as g g' is positive, negative or 0, kept between the two `step_sizes`
        g <- 0 where g g' is negative: no step just past a minimum
        p <- p - s sign(g)
    """

    elementwise = True
    late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            check(False, "eta values", f"{etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, lr: float, xp: Any) -> dict[str, Any]:
        return {"step": 0, "prev": xp.zeros_like(p), "step_size": xp.full_like(p, lr)}

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        etas: tuple[float, float],
        step_sizes: tuple[float, float],
        xp: Any,
    ) -> None:
        (less, more), before, size = etas, state["prev"], state["step_size"]
        same = g * before  # positive where the sign stayed
        size *= xp.where(same > 0, more, xp.where(same < 0, less, xp.ones_like(g)))
        xp.clip(size, *step_sizes, out=size)
        before[...] = xp.where(same < 0, xp.zeros_like(g), g)
        p -= size * (before > 0)  # not sign(g): a nan has no sign for torch, and moves nothing
        p += size * (before < 0)
