"""Adafactor."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array
from minigrad.optim.checks import check_at_least, check_tensor_lr
from minigrad.optim.optimizer import Optimizer, move_towards


class Adafactor(Optimizer):
    """Adam without m, and of v only the means over rows and over columns (Shazeer & Stern 2018, algorithms 4 and 5):

        r <- (1 - w) r + w mean(g^2 along the last dim),    c <- likewise along the last but one,    w = t^beta2_decay
        v = r c / max(mean(r), eps1)
        u = g / sqrt(max(v, eps1^2)),    shortened to a root mean square of `d`
        p <- (1 - lr weight_decay) p - a u,    a = min(lr, 1 / sqrt(t)) max(eps2, root mean square of p)

    with `eps` = (eps1, eps2); eps1 None stands for the dtype's epsilon. Vectors keep v whole.
    """

    late_options = {"foreach": None}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_tensor_lr(lr)
        check_at_least(0, "Learning rate", lr)
        if not 0.0 >= beta2_decay:  # noqa: SIM300  what cannot be compared is refused with torch's words
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None:
            check_at_least(0, "epsilon1", eps[0])
        check_at_least(0, "epsilon2", eps[1])
        check_at_least(1, "Clipping threshold d", d)
        check_at_least(0, "weight_decay", weight_decay)
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init_state(self, p: Array, *, xp: Any) -> dict[str, Any]:
        if p.ndim < 2:
            return {"step": 0, "variance": xp.zeros_like(p)}
        rows, columns = (*p.shape[:-1], 1), (*p.shape[:-2], 1, p.shape[-1])
        return {"step": 0, "row_var": xp.zeros(rows, p.dtype), "col_var": xp.zeros(columns, p.dtype)}

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        beta2_decay: float,
        eps: tuple[float | None, float],
        d: float,
        weight_decay: float,
        xp: Any,
    ) -> None:
        t, (eps1, eps2) = state["step"], eps
        if eps1 is None:
            eps1 = float(xp.finfo(p.dtype).eps)
        weight = t**beta2_decay
        # fmax, as torch's max of numbers, passes a nan over.
        rate = min(lr, t**-0.5) * xp.fmax(_root_mean_square(p, xp), eps2)
        if weight_decay:
            p *= 1 - lr * weight_decay
        squares = _squares(g, xp)
        if p.ndim < 2:
            v = state["variance"]
            move_towards(v, squares, weight)
        else:
            r, c = state["row_var"], state["col_var"]
            move_towards(r, squares.mean(-1, keepdims=True), weight)
            move_towards(c, squares.mean(-2, keepdims=True), weight)
            v = r * c / xp.maximum(r.mean(-2, keepdims=True), eps1)
        u = g / xp.sqrt(xp.maximum(v, eps1 * eps1))
        p -= rate / xp.fmax(_root_mean_square(u, xp) / d, 1) * u


def _squares(a: Array, xp: Any) -> Array:
    """a^2, of halves in float32."""
    return xp.square(a, dtype=xp.float32 if a.itemsize == 2 else a.dtype)


def _root_mean_square(a: Array, xp: Any) -> Any:
    return xp.sqrt(_squares(a, xp).sum()) * (1 / a.size**0.5)  # of nothing: a ZeroDivisionError, as in torch
