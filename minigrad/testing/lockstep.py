"""Holding one engine to the other: draw samples, run both in turn, and report the smallest sample on which they differ.

A comparison is a generator that runs both engines and yields what must be equal, `(what, minigrad's, torch's)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minigrad.backend import np
from minigrad.testing.close import Options, difference
from minigrad.testing.engines import array_of, is_tensor
from minigrad.testing.strategies import Strategy, hypothesis

Values = tuple[str, Any, Any]  # what it is, minigrad's, torch's

# Between rounding, which differs from engine to engine, and a mistake; float64 values of torch.testing would let an
# epsilon in the wrong place pass.
TOLERANCES = {"float64": 1e-10, "float32": 1e-3, "float16": 5e-2}


class Raised:
    """An error in place of a result."""

    def __init__(self, error: Exception) -> None:
        self.kind, self.text = type(error).__name__, f"{type(error).__name__}: {error}"


def attempt(action: Callable[..., Any], *args: Any) -> Any:
    """The result of a call, or how it failed."""
    try:
        return action(*args)
    except Exception as error:
        return Raised(error)


class Comparison:
    """One sample on both engines. A subclass says what is run, in `values`, and how it is written, in `code`."""

    def values(self) -> Iterator[Values]:
        """Run both engines, yielding what must be equal; ends after the first error."""
        raise NotImplementedError

    def code(self) -> list[str]:
        """Lines of a program that prints the values yielded so far on both engines."""
        raise NotImplementedError


def hold(
    samples: Strategy,
    comparison: Callable[[Any], Comparison],
    examples: int | None,
    rtol: float | None,
    atol: float | None,
) -> None:
    """AssertionError for the smallest of the drawn samples on which the engines differ, and if both refuse every one.

    `examples` is how many are drawn, the Hypothesis profile's number unless given.
    """
    __tracebackhide__ = True
    hyp = hypothesis()
    refusals: list[str] = []
    runs = 0

    def check(sample: Any) -> None:
        nonlocal runs
        runs += 1
        trial = comparison(sample)
        for what, ours, theirs in trial.values():
            text = differ(ours, theirs, rtol, atol)
            if text:
                raise AssertionError(f"{what}: minigrad and torch differ.\n\n{text}\n\n{_program(trial)}")
            if isinstance(theirs, Raised):
                refusals.append(f"{what}: {theirs.text}")

    settings = hyp.settings(  # the rest as in the profile
        **({} if examples is None else {"max_examples": examples}),
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=[hyp.Phase.generate, hyp.Phase.shrink],
        suppress_health_check=list(hyp.HealthCheck),
    )
    try:
        settings(hyp.given(samples)(check))()
    except AssertionError as error:
        raise AssertionError(str(error)) from None  # without Hypothesis's notes, which repeat the sample
    if len(refusals) == runs:
        raise AssertionError(
            f"nothing was compared: minigrad and torch refused all {runs} inputs, the last with\n\n{refusals[-1]}"
        )


def differ(ours: Any, theirs: Any, rtol: float | None, atol: float | None) -> str:
    """How two results or errors differ, "" if they do not."""
    if isinstance(ours, Raised) or isinstance(theirs, Raised):
        if isinstance(ours, Raised) and isinstance(theirs, Raised) and ours.kind == theirs.kind:
            return ""
        texts = (r.text if isinstance(r, Raised) else f"no error, but {r}" for r in (ours, theirs))
        return "minigrad: {}\ntorch:    {}".format(*texts)
    options = Options(rtol=rtol, atol=atol, equal_nan=True)
    try:
        text = difference(ours, theirs, options, _tolerance if rtol is None and atol is None else None)
    except (AssertionError, TypeError) as error:
        text = str(error)
    return f"{text}\n\nminigrad: {ours}\ntorch:    {theirs}" if text else ""


def _tolerance(theirs: Any) -> tuple[float, float]:
    """rtol, and an atol relative to the largest element or 1, for a tensor or a number that torch gave."""
    array = array_of(theirs) if is_tensor(theirs) else np.asarray(theirs)
    tolerance = TOLERANCES.get(array.dtype.name, 0.0)
    return tolerance, tolerance * float(np.abs(array[np.isfinite(array)]).max(initial=1)) if tolerance else 0.0


def _program(trial: Comparison) -> str:
    lines = "\n".join(f"    {line}" for line in trial.code())
    return f"The smallest program found that shows it:\n\n{lines}"


def both_engines(name: str, body: list[str]) -> list[str]:
    """A program that runs `body` with T as minigrad and as torch, and `name` as what was given for each."""
    head = f"for T, {name} in ((minigrad, ours), (torch, theirs)):"
    body = ["T.set_printoptions(precision=12)", *body]
    return ["import minigrad, torch", "", head, *[f"    {line}" for line in body]]
