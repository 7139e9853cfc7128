"""Updates as one loop over the elements, compiled: what takes NumPy up to fourteen passes through memory takes one.

The formulas are `Adam.update` and `SGD.update`, rounding for rounding; tests hold them equal bit for bit. They are used
where numba is installed, for large arrays unless `fused=False`, for all with `fused=True`.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import Array
from minigrad.kernels.loops import compiled


def adam(
    p: Array,
    g: Array,
    state: dict[str, Any],
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled_weight_decay: bool,
    xp: Any,
) -> bool:
    """`Adam.update` on flat arrays. False, and nothing is done, without numba, and for what would need a slower loop:
    half precision, `amsgrad`, and means that keep less than half of the past.
    """
    (b1, b2), t = betas, state["step"]
    loop = compiled(adam_loop) if p.dtype.char in "fd" and not amsgrad and 1 - b1 < 0.5 else None
    if loop is None:
        return False
    number = p.dtype.type  # NumPy rounds a Python number to the array's dtype before it computes
    loop(
        *(p, g, state["exp_avg"], state["exp_avg_sq"]),
        *(number(1 - b1), number(b2), number(1 - b2)),
        *(number(lr / (1 - b1**t)), number((1 - b2**t) ** 0.5), number(eps)),
        number(0 if decoupled_weight_decay else weight_decay),
        number(1 - lr * weight_decay if decoupled_weight_decay else 1),
    )
    return True


def adam_loop(p, g, m, v, new, b2, rest, step, root, eps, decay, shrink):
    for i in range(p.size):
        w, d = p[i] * shrink, g[i]
        if decay != 0:
            d = d + decay * w
        m[i] = m[i] + new * (d - m[i])
        u = v[i] * b2 + rest * d * d
        v[i] = u
        p[i] = w - step * m[i] / (math.sqrt(u) / root + eps)


def sgd(
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
) -> bool:
    """`SGD.update` on flat arrays. False, and nothing is done, without numba, for half precision, and for the first
    step of a momentum, which only makes its buffer.
    """
    v = state.get("momentum_buffer")
    loop = compiled(sgd_momentum_loop if momentum else sgd_loop) if p.dtype.char in "fd" else None
    if loop is None or (momentum and v is None):
        return False
    number = p.dtype.type
    if momentum:
        loop(p, g, v, number(lr), number(weight_decay), number(momentum), number(1 - dampening), nesterov)
    else:
        loop(p, g, number(lr), number(weight_decay))
    return True


def sgd_loop(p, g, lr, decay):
    for i in range(p.size):
        d = g[i]
        if decay != 0:
            d = d + decay * p[i]
        p[i] = p[i] - lr * d


def sgd_momentum_loop(p, g, v, lr, decay, momentum, new, nesterov):
    for i in range(p.size):
        d = g[i]
        if decay != 0:
            d = d + decay * p[i]
        u = v[i] * momentum + new * d
        v[i] = u
        p[i] = p[i] - lr * (d + momentum * u if nesterov else u)
