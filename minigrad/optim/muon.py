"""Muon."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, np
from minigrad.kernels.products import unsplit
from minigrad.optim.checks import check_at_least, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, move_towards


class Muon(Optimizer):
    """Momentum, a matrix, made orthogonal: all its singular values are about 1 then (Jordan et al. 2024).

        B <- momentum B + (1 - momentum) g
        U  = orthogonal(B)    (nesterov: of momentum B + (1 - momentum) g instead)
        p <- (1 - lr weight_decay) p - lr' U

    where lr' = lr sqrt(max(1, rows / columns)), or with `adjust_lr_fn="match_rms_adamw"` (Liu et al. 2025)
    0.2 lr sqrt(max(rows, columns)).
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_tensor_lr(lr)
        check_at_least(0, "Learning rate", lr)
        check_at_least(0, "momentum", momentum)
        check_at_least(0, "weight decay", weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def init_state(self, p: Array, *, xp: Any) -> dict[str, Any]:
        return {"momentum_buffer": xp.zeros_like(p)}

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        weight_decay: float,
        momentum: float,
        nesterov: bool,
        ns_coefficients: tuple[float, float, float],
        eps: float,
        ns_steps: int,
        adjust_lr_fn: str | None,
        xp: Any,
    ) -> None:
        if g.ndim != 2:  # of a group added later
            raise ValueError(f"Param gradient must be a 2D matrix: it has shape {list(g.shape)}")
        B = state["momentum_buffer"]
        move_towards(B, g, 1 - momentum)
        if nesterov:
            g = g.copy()
            move_towards(g, B, momentum)
        U = orthogonal(g if nesterov else B, ns_coefficients, ns_steps, eps, xp)
        p *= 1 - lr * weight_decay
        rows, columns = p.shape
        if adjust_lr_fn == "match_rms_adamw":
            lr *= 0.2 * max(rows, columns) ** 0.5
        else:
            lr *= max(1, rows / columns) ** 0.5
        p -= lr * U.astype(xp.result_type(U, p), copy=False)


def orthogonal(G: Array, coefficients: tuple[float, float, float], steps: int, eps: float, xp: Any) -> Array:
    """Nearly U V^T, where G = U S V^T, in float32: `steps` times X <- a X + (b X X^T + c (X X^T)^2) X from G / |G|.

    The iteration takes every singular value s to a s + b s^3 + c s^5, which by torch's coefficients ends up between 0.7
    and 1.2. As there, whatever is stored is a bfloat16; products are summed in float32, and what is added to them, by a
    fused multiply-add, is not rounded before. ValueError for 100 steps.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = (float(np.float32(x)) for x in coefficients)
    tall = G.shape[0] > G.shape[1]
    X = bfloat16(G.T if tall else G, xp)
    X = bfloat16(X / bfloat16(xp.maximum(bfloat16(xp.sqrt((X * X).sum()), xp), eps), xp), xp)
    for _ in range(steps):
        A = bfloat16(unsplit(X, X.T), xp)
        B = bfloat16(b * A.astype(xp.float64) + c * unsplit(A, A), xp)
        X = bfloat16(a * X.astype(xp.float64) + unsplit(B, X), xp)
    return X.T if tall else X


def bfloat16(x: Array, xp: Any) -> Array:
    """`x` rounded to 8 significant bits, ties to even, as float32: the upper half of a float32 is a bfloat16."""
    bits = xp.asarray(x, xp.float32).view(xp.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(xp.float32)
