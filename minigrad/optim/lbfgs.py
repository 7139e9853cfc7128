"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import enable_grad
from minigrad.autograd.trace import caller
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import Array
from minigrad.optim.checks import check_not_negative, check_tensor_lr
from minigrad.optim.line_search import Point, strong_wolfe
from minigrad.optim.optimizer import Optimizer, as_number

KEPT = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")  # between steps, for torch


class LBFGS(Optimizer):
    """Quasi-Newton steps p <- p + t d, d = -H g, where H, near the inverse of the second derivative, is told by the
    last `history_size` pairs of a step s and the change y that it made in g (Nocedal & Wright 2006, algorithm 7.4).

    `step(closure)` makes up to `max_iter` of them, with up to `max_eval` calls of `closure`, which computes the loss
    and its gradients; t is `lr`, or what a line search finds. It ends early where no gradient exceeds `tolerance_grad`,
    or where neither loss nor parameters change by more than `tolerance_change`. All parameters are one vector, in one
    group, whose state is kept as that of the first parameter.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_tensor_lr(lr)
        check_not_negative("learning rate", lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Several iterations; returns the loss before them."""
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        group = self.param_groups[0]
        lr, most, tolerance = as_number(group["lr"]), group["max_eval"], group["tolerance_change"]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss, loss, g = self._evaluate(closure)
        evaluations = 1
        state["func_evals"] += 1
        if abs(g).max() <= group["tolerance_grad"]:
            return first_loss
        memory = Memory(group["history_size"], state)
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                memory.start(g)
                t = min(1.0, 1.0 / abs(g).sum()) * lr
            else:
                memory.add(g)
                t = lr
            d, before = memory.d, loss
            memory.t, memory.prev_loss = t, loss
            slope = g @ d
            if slope > -tolerance:
                break
            tried = 0
            if group["line_search_fn"] is not None:
                here = Point(0, loss, g, slope)
                (t, loss, g, _), tried = self._search(closure, here, t, d, most - evaluations, group["line_search_fn"])
                self._move(t * d)
            else:
                self._move(t * d)
                if iteration < group["max_iter"]:  # after the last one the next step computes it anyway
                    _, loss, g = self._evaluate(closure)
                    tried = 1
            memory.t = t
            evaluations += tried
            state["func_evals"] += tried
            if (
                iteration == group["max_iter"]
                or evaluations >= most
                or abs(g).max() <= group["tolerance_grad"]
                or abs(d * t).max() <= tolerance
                or abs(loss - before) < tolerance
            ):
                break
        memory.save(state)
        if memory.t is lr:
            state["t"] = group["lr"]  # which may be a tensor
        return first_loss

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[Any, float, Array]:
        """What `closure` returns, as a number too, and all gradients as one vector."""
        with enable_grad():
            loss = closure()
        flat = []
        for p in self.param_groups[0]["params"]:
            xp = backend.module_of(p.array)
            flat.append(xp.zeros(p.array.size, p.array.dtype) if p.gradient is None else p.gradient.array.reshape(-1))
        number = float(loss.detach() if isinstance(loss, Variable) else loss)  # type: ignore[attr-defined]
        return loss, number, xp.concatenate(flat)

    def _move(self, step: Array) -> None:
        """Add the parts of a vector to the parameters."""
        place, start = caller(), 0
        for p in self.param_groups[0]["params"]:
            part = step[start : start + p.array.size]
            p.array += part.reshape(p.array.shape)
            p.counter[:] = p.counter[0] + 1, place
            start += p.array.size

    def _search(
        self, closure: Callable[[], Any], here: Point, t: Any, d: Array, most: int, name: str
    ) -> tuple[Point, int]:
        """The point that the line search takes along `d`, and the number of evaluations; nothing is moved."""
        if name != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        params = self.param_groups[0]["params"]
        values = [p.array.copy() for p in params]

        def evaluate(t: Any) -> Point:
            self._move(t * d)
            _, loss, g = self._evaluate(closure)
            for p, value in zip(params, values, strict=True):
                p.array[...] = value
            return Point(t, loss, g, g @ d)

        return strong_wolfe(evaluate, here, t, abs(d).max(), most)


class Memory:
    """The pairs s and y, what is computed from them, and the direction d that they lead to, under torch's names."""

    d: Array
    t: Any
    H_diag: Any  # the multiple of the identity that H is without the pairs: (y . s) / (y . y)
    prev_flat_grad: Array
    prev_loss: float

    def __init__(self, size: int, state: dict[str, Any]) -> None:
        self.size = size
        self.__dict__.update({name: as_arrays(state[name]) for name in (*KEPT, "al") if name in state})

    def start(self, g: Array) -> None:
        """No pairs yet: straight down."""
        self.old_dirs: list[Array] = []  # each y
        self.old_stps: list[Array] = []  # each s
        self.ro: list[Any] = []  # each 1 / (y . s)
        self.d, self.H_diag, self.prev_flat_grad = -g, 1, g.copy()

    def add(self, g: Array) -> None:
        """Take the last step and its change of g for a pair, if they tell of a minimum, and find d: two loops over the
        pairs compute H g without H."""
        y, s = g - self.prev_flat_grad, self.d * self.t
        ys = y @ s
        if ys > 1e-10:
            if len(self.old_dirs) == self.size:
                for oldest_first in (self.old_dirs, self.old_stps, self.ro):
                    oldest_first.pop(0)
            self.old_dirs.append(y)
            self.old_stps.append(s)
            self.ro.append(1.0 / ys)
            self.H_diag = ys / (y @ y)
        if not hasattr(self, "al"):
            self.al: list[Any] = [None] * self.size
        q = -g
        pairs = list(enumerate(zip(self.old_dirs, self.old_stps, self.ro)))
        for i, (y, s, ro) in reversed(pairs):
            self.al[i] = (s @ q) * ro
            q -= self.al[i] * y
        q = q * self.H_diag
        for i, (y, s, ro) in pairs:
            q += (self.al[i] - (y @ q) * ro) * s
        self.d, self.prev_flat_grad = q, g.copy()

    def save(self, state: dict[str, Any]) -> None:
        """Keep it all in the state, as tensors."""
        for name in ("al", *KEPT) if hasattr(self, "al") else KEPT:
            state[name] = as_tensors(getattr(self, name))


def as_arrays(value: Any) -> Any:
    """A part of the state with arrays for its tensors."""
    if isinstance(value, list):
        return [as_arrays(v) for v in value]
    return value.array if isinstance(value, Variable) else value


def as_tensors(value: Any) -> Any:
    """A part of the state with tensors for its arrays and for its scalars of NumPy."""
    if isinstance(value, list):
        return [as_tensors(v) for v in value]
    return value if value is None or type(value) in (int, float) else wrap(backend.as_array(value))
