"""One sample at every level: what torch does with it, what minigrad does, and whether that is the same."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from reference.adapters import MINIGRAD, TORCH, Engine, Trial, flatten, is_tensor
from reference.ledger.compare import Closeness, difference, nearer, zeros_for_none
from reference.ledger.ledger import LEVELS, Settings, Verdict
from reference.ledger.transport import Absent, Unmeasurable


# What a sample does on an engine: the tensors that want gradients, the result, and the part of the result that is
# unique and differentiable (of a singular value decomposition: not the signs).
# With `exact`, float32 arguments are given in float64.
class Program(Protocol):
    def __call__(self, engine: Engine, exact: bool = False) -> tuple[list[Any], Any, Any]: ...


class TooLong(Exception):
    """A sample that exceeded its time."""


def verdicts(
    program: Program, looser: Closeness | None, settings: Settings, second: bool, seed: int
) -> dict[str, Verdict]:
    """Run `program` on both engines, and compare them at every level up to the second order, where `second` is set."""
    wanted = [level for level in LEVELS[: 3 if second else 2] if level in settings.levels]
    theirs = answers(program, TORCH, wanted, settings.seconds, seed)
    ours = answers(program, MINIGRAD, wanted, settings.seconds, seed)
    found = {level: judged(ours[level], theirs[level], level) for level in wanted}
    failing = [n for n in wanted if found[n].text and not found[n].unmeasurable and not isinstance(ours[n], Exception)]
    if failing:
        exact = answers(partial(program, exact=True), TORCH, wanted, settings.seconds, seed)
        for level in failing:
            allowance = allowed(ours[level], theirs[level], exact[level], level, looser)
            if allowance:
                found[level] = Verdict(allowance=allowance)
    return found


def answers(program: Program, engine: Engine, wanted: list[str], seconds: float, seed: int) -> dict[str, Any]:
    """What an engine answers at each level: a value, or the exception that came instead."""
    found: dict[str, Any] = {}

    def start() -> tuple[Trial, Any, Any]:
        engine.module.manual_seed(seed)
        inputs, result, unique = program(engine)
        check_kind(result)
        return Trial(engine, inputs, [], flatten(unique)), result, unique

    def gradient(trial: Trial) -> Any:
        incoming = arrays_like(trial.differentiable(), np.random.default_rng(seed))
        tensors = [engine.tensor(g).to(t.dtype) for g, t in zip(incoming, trial.differentiable())]
        return wants_gradient(trial), trial.gradients(tensors)

    def second(trial: Trial) -> Any:
        rng = np.random.default_rng(seed)
        incoming = [
            g.astype(name_of(t)) for g, t in zip(arrays_like(trial.differentiable(), rng), trial.differentiable())
        ]
        directions = [v.astype(name_of(x)) for v, x in zip(arrays_like(trial.inputs, rng), trial.inputs)]
        return trial.second_gradients(incoming, directions)

    try:
        with limit(seconds):
            trial, result, unique = start()
        found["forward"] = result, unique
    except Exception as error:
        return dict.fromkeys(wanted, error)
    for level, ask in {"gradient": gradient, "second order": second}.items():
        if level in wanted:
            try:
                with limit(seconds):
                    trial = trial if level == "gradient" else start()[0]  # the first gradient freed the graph
                    found[level] = ask(trial)
                    if not any(wants_gradient(trial)) or not trial.inputs:
                        found[level] = Unmeasurable("not differentiable")
            except Exception as error:
                found[level] = error
    return found


def arrays_like(tensors: list[Any], rng: np.random.Generator) -> list[np.ndarray]:
    """Random numbers that float32 can hold, in float64."""
    return [rng.uniform(-2, 2, tuple(t.shape)).astype(np.float32).astype(np.float64) for t in tensors]


def name_of(tensor: Any) -> str:
    """NumPy's name of a tensor's dtype."""
    return str(tensor.dtype).removeprefix("torch.")


def wants_gradient(trial: Trial) -> list[bool]:
    return [t.requires_grad for t in trial.outputs if is_tensor(t)]


def check_kind(result: Any) -> None:
    """Refuse results of torch that minigrad has no kind for."""
    for t in flatten(result):
        if isinstance(t, torch.Tensor):
            if t.layout is not torch.strided:
                raise Unmeasurable("sparse")
            if t.is_complex():
                raise Unmeasurable("complex")


def judged(ours: Any, theirs: Any, level: str, looser: Closeness | None = None) -> Verdict:
    """The verdict on one level's answers."""
    if isinstance(theirs, Exception):
        return Verdict(reason(theirs), unmeasurable=True)
    if isinstance(ours, Exception):
        return Verdict(reason(ours), detail="".join(traceback.format_exception(ours)))
    text = difference(ours, theirs, looser)
    if level == "forward":
        text = difference(ours[0], theirs[0], looser)
        if text and ours[1] is not ours[0]:  # right if all that is unique of it is
            text = difference(ours[1], theirs[1], looser)
    elif level == "gradient":
        flags = difference(ours[0], theirs[0])
        text = f"requires_grad {flags}" if flags else difference(ours[1], theirs[1], looser)
    return Verdict(text, detail=f"ours:   {ours}\ntorch's: {theirs}" if text else "")


def allowed(ours: Any, theirs: Any, exact: Any, level: str, looser: Closeness | None) -> str:
    """Why answers that differ are no fault of ours; empty if nothing excuses them."""
    if level == "second order":
        ours, theirs = zeros_for_none(ours, theirs)
        if not judged(ours, theirs, level).text:
            return "None for a gradient of zeros, or zeros for None"
    elif not isinstance(exact, Exception) and has_float32(theirs) and nearer(ours, theirs, exact):
        return "float32, and as near to the float64 result as torch's"
    if looser and not judged(ours, theirs, level, looser).text:
        return looser.reason
    return ""


def has_float32(answer: Any) -> bool:
    return any(is_tensor(t) and t.dtype == torch.float32 for t in flatten(answer))


def reason(error: Exception) -> str:
    """An exception in a line."""
    text = str(error).strip().partition("\n")[0][:160]
    return text if isinstance(error, (Unmeasurable, Absent)) else f"{type(error).__name__}: {text}"


def error_verdict(program: Callable[[Engine], Any], settings: Settings) -> Verdict:
    """Whether a sample that torch refuses is refused with the same type of exception."""
    theirs, ours = (attempted(program, engine, settings.seconds) for engine in (TORCH, MINIGRAD))
    if theirs is None:
        return Verdict("torch accepts it", unmeasurable=True)
    if isinstance(theirs, Unmeasurable):
        return Verdict(reason(theirs), unmeasurable=True)
    if type(ours) is type(theirs):
        return Verdict()
    return Verdict(f"{reason(ours) if ours else 'accepted'}, not {reason(theirs)}")


def attempted(program: Callable[[Engine], Any], engine: Engine, seconds: float) -> Exception | None:
    """The exception that `program` ends with."""
    try:
        with limit(seconds):
            program(engine)
    except Exception as error:
        return error
    return None


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TooLong in what runs longer (compiled code only when it comes back)."""

    def stop(*_: Any) -> None:
        raise TooLong(f"over {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
