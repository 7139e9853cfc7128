"""A wrong Jacobian: what is known of it, and the report of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.autograd.numerical import as_tuple, jacobian, numbers
from minigrad.autograd.variable import wrap

# The spacing of the numbers near 1.
PRECISION = {"torch.float64": 2.0**-52, "torch.float32": 2.0**-23, "torch.float16": 2.0**-10, "torch.bfloat16": 2.0**-7}


@dataclass
class Evidence:
    """A function at a point where the Jacobian of output i by input j is wrong.

    places, columns   where the inputs that require grad stand among `inputs`, and the outputs among the floating ones
    all_analytical    the Jacobians of output i: [input]
    all_numerical     the Jacobians of all outputs, with differences of `eps`: [output][input]
    grads_from        where the function is itself a gradient: from which input on they are grad_outputs
    """

    func: Callable
    inputs: Sequence[Any]
    places: list[int]
    columns: list[int]
    outputs: list[Any]
    i: int
    j: int
    all_analytical: list[np.ndarray]
    all_numerical: list[list[np.ndarray]]
    eps: float
    atol: float
    rtol: float
    grads_from: int | None

    def __post_init__(self) -> None:
        self.input, self.output = self.inputs[self.places[self.j]], self.outputs[self.i]
        self.shape, self.out_shape = tuple(self.input.shape), tuple(self.output.shape)
        self.analytical, self.given = self.all_analytical[self.j], self.all_numerical[self.i][self.j]
        self.wrong = ~np.isclose(self.analytical, self.given, self.rtol, self.atol)
        self.precision = max(PRECISION.get(str(t.dtype), 2.0**-52) for t in (self.input, self.output))

    def steps(self, precision: float) -> np.ndarray:
        """The steps with which differences are most exact: rounding costs precision/h, curvature h**2."""
        return np.cbrt(precision) * np.maximum(1, np.abs(numbers(self.input)))

    def measured(self, precision: float) -> np.ndarray:
        """The numerical Jacobian with those steps; nan where the function refuses a point so far away."""
        sizes = [o.numel() for o in as_tuple(self.func(*self.inputs)) if o.is_floating_point()]
        try:
            steps = self.steps(precision)
            return jacobian(self.func, self.inputs, self.places[self.j], sizes, steps)[self.columns[self.i]]
        except Exception:
            return np.full_like(self.given, np.nan)

    def doubt(self, precision: float) -> float:
        """How far such differences may be off: the rounding of the largest values, over the steps, and some."""
        return 20 * precision ** (2 / 3) * self.largest

    @cached_property
    def largest(self) -> float:
        """The largest value of the output or of its gradient."""
        return float(max(np.abs(values).max(initial=0) for values in (self.analytical, numbers(self.output))))

    @cached_property
    def numerical(self) -> np.ndarray:
        """The numerical Jacobian with the best steps; with those given where the best leave the function's domain."""
        better = self.measured(self.precision)
        return better if np.isfinite(better).all() else self.given

    def close(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Equal as far as differences can tell."""
        slack = 1e-6 * np.abs(b).max(initial=0) + self.doubt(self.precision)
        return a.shape == b.shape and np.allclose(a, b, 1e-3, slack)

    def explains(self, expected: np.ndarray) -> bool:
        """True if the analytical Jacobian is `expected`, and that is another one than the numerical."""
        return self.close(self.analytical, expected) and not self.close(expected, self.numerical)


# -- the report --------------------------------------------------------------------------------------------------------

SHOWN = 8  # rows and columns of a Jacobian


def report(e: Evidence, cause: str | None, fast: tuple[float, float] | None = None) -> str:
    """The text of the error; `fast` are v' J u, numerical and analytical, where only those were compared.

    No cause: then only those are wrong.
    """
    head = f"Jacobian mismatch for output {e.i} with respect to input {e.j},\n"
    if fast is None:
        return head + _jacobians(e) + _findings(e, cause)
    numerical, analytical = fast
    head += (
        f"numerical:{numerical}\nanalytical:{analytical}\n\nThese are v' J u for random vectors u and v (fast mode). "
        f"The Jacobians themselves (slow mode):\n\n{_jacobians(e)}"
        f"The max per-element difference (slow mode) is: {np.abs(e.given - e.analytical).max(initial=0)}.\n"
    )
    if cause is None:
        return head + (
            "\nFast gradcheck failed but element-wise differences are small. This means that the test might've passed "
            "in slow_mode! Call with fast_mode=False."
        )
    return head + _findings(e, cause)


def _jacobians(e: Evidence) -> str:
    """Both Jacobians, cut to a window around the worst entry."""
    note, cuts = [], []
    for name, worst, size in zip(("rows", "columns"), _worst(e), e.given.shape, strict=True):
        start = int(min(max(worst - SHOWN // 2, 0), max(size - SHOWN, 0)))
        cuts.append(slice(start, start + SHOWN))
        if size > SHOWN:
            note.append(f"{name} {start} to {start + SHOWN - 1} of {size}")
    text = "".join(
        f"{name}:{wrap(np.ascontiguousarray(matrix[cuts[0], cuts[1]]))!r}\n"
        for name, matrix in (("numerical", e.given), ("analytical", e.analytical))
    )
    note = [f"only {' and '.join(note)} are shown"] if note else []
    return text + f"({'; '.join(['a row for each element of the input', *note])})\n"


def _findings(e: Evidence, cause: str | None) -> str:
    row, column = _worst(e)
    n, a = e.given[row, column], e.analytical[row, column]
    lines = [
        f"\nWorst entry: {place_in('output', e.i, e.out_shape, column)} by {place_in('input', e.j, e.shape, row)}: "
        f"numerical {n:.6g}, analytical {a:.6g}, relative error {abs(a - n) / max(abs(a), abs(n)):.2g}.",
        f"Wrong: {np.count_nonzero(e.wrong)} of {e.wrong.size} entries{_common_place(e)}.",
    ]
    if e.places[e.j] != e.j:
        lines.append(f"Input {e.j} is argument {e.places[e.j]} of the function: only those that require grad count.")
    if others := [j for j in range(len(e.places)) if j != e.j]:
        right = [j for j in others if np.allclose(e.all_analytical[j], e.all_numerical[e.i][j], e.rtol, e.atol)]
        verdicts = [f"{j} {'right' if j in right else 'wrong too'}" for j in others]
        lines.append(f"The gradients of its other inputs: {', '.join(verdicts)}.")
    if e.grads_from is not None:
        lines.append(
            f"This is the second derivative: outputs are gradients of the function, inputs from {e.grads_from} on its "
            f"grad_outputs. What forward computes and keeps is a constant here: save inputs and outputs, and let "
            f"backward compute the rest with operations that are themselves differentiable."
        )
    return "\n".join([*lines, f"Likely cause: {cause}"])


def _worst(e: Evidence) -> tuple[int, int]:
    """Row and column of the entry that is furthest off what is allowed; not a number is furthest."""
    off = np.abs(e.analytical - e.given) / (e.atol + e.rtol * np.abs(e.given) + 1e-300)
    row, column = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    return int(row), int(column)


def _common_place(e: Evidence) -> str:
    """The indices that all wrong entries have in common."""
    texts = []
    for name, axis, shape in (("input", 0, e.shape), ("output", 1, e.out_shape)):
        held = np.unravel_index(np.unique(np.nonzero(e.wrong)[axis]), shape) if shape else ()
        index = [str(k[0]) if size > 1 and len(set(k)) == 1 else ":" for k, size in zip(held, shape)]
        if any(text != ":" for text in index):
            texts.append(f"{name}[{', '.join(index)}]")
    return f", all at {' and '.join(texts)}" if texts else ""


def place_in(what: str, number: int, shape: tuple[int, ...], flat_index: Any) -> str:
    """`input 0[1, 2]`, or `input 0` of a scalar."""
    place = ", ".join(str(int(k)) for k in np.unravel_index(int(flat_index), shape)) if shape else ""
    return f"{what} {number}" + (f"[{place}]" if place else "")


def slices(places: list[int], d: int, ndim: int) -> str:
    """`[:, 2]` for place 2 of dimension 1; several places in a list."""
    where = str(places[0]) if len(places) == 1 else str(places)
    return f"[{', '.join(where if k == d else ':' for k in range(ndim))}]"
