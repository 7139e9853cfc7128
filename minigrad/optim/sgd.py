"""Gradient descent with momentum."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim import fused, fused_gpu
from minigrad.optim.checks import check, check_fused, check_tensor_lr
from minigrad.optim.optimizer import Optimizer


class SGD(Optimizer):
    """A step of `lr` against the gradient, or against a running sum of gradients, the velocity v:

        v <- momentum v + (1 - dampening) g        (v starts as the first g)
        p <- p - lr v                              (nesterov: p - lr (g + momentum v))

    where `weight_decay` adds weight_decay p to g. The learning rate stands outside v: after a change of `lr` the whole
    velocity counts at the new rate (Sutskever et al. 2013 have it inside).
    """

    elementwise, fused, on_gpu = True, staticmethod(fused.sgd), fused_gpu.sgd
    late_options = {"nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": False}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_tensor_lr(lr)
        check(not lr < 0.0, "learning rate", lr)
        check(not momentum < 0.0, "momentum value", momentum)
        check(not weight_decay < 0.0, "weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(defaults)

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
        xp: Any,
    ) -> None:
        if weight_decay:
            g = g + weight_decay * p
        if momentum:
            v = state.get("momentum_buffer")
            if v is None:
                v = state["momentum_buffer"] = xp.copy(g)
            else:
                v *= momentum
                v += (1 - dampening) * g if dampening else g
            g = g + momentum * v if nesterov else v
        p -= lr * g
