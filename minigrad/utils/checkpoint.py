"""Checkpointing: trade time for memory by computing a part of the network again in backward instead of keeping it.

Of the checkpointed part nothing is kept but its arguments. Each tensor that its nodes would save is replaced by a
number; when backward asks for the first of them, the function runs once more and its saved tensors fill the places.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

from minigrad.autograd import Function, backward, enable_grad, is_grad_enabled, no_grad
from minigrad.autograd.graph import saved_tensors_hooks
from minigrad.autograd.trace import caller, told
from minigrad.autograd.variable import Variable
from minigrad.random import fork_rng, rng_states, set_rng_states

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn", "set_checkpoint_early_stop"]

SAY_WHICH = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, calling "
    "checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, but if you need to "
    "preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
    "differences between the two variants."
)

_early_stop: list[bool | None] = [None]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function saved other tensors than the first."""


class _Enough(Exception):
    """All saved tensors have been computed again: the rest of the function need not run."""


def noop_context_fn() -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts that do nothing, for the first run and the second."""
    return nullcontext(), nullcontext()


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Any:
    """Whether checkpoints made inside stop the second run as soon as they can, whatever they were told themselves."""
    before, _early_stop[0] = _early_stop[0], enable
    try:
        yield
    finally:
        _early_stop[0] = before


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[AbstractContextManager, AbstractContextManager]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose intermediate values are not kept but computed again in backward.

    `preserve_rng_state=True` lets the second run draw the random numbers of the first. CheckpointError if the second
    run saves other tensors (in number, shape, dtype or device) than the first; `determinism_check="none"` checks the
    number only, `debug` adds the lines that saved them. `use_reentrant=True` is the older way by a nested backward,
    which takes no keywords and works with neither `autograd.grad` nor `inputs=`.
    """
    if use_reentrant is None:
        warnings.warn(SAY_WHICH, UserWarning, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if not any(isinstance(a, Variable) and a.requires_grad for a in args) and is_grad_enabled():  # type: ignore[attr-defined]
            warnings.warn(
                "None of the inputs have requires_grad=True. Gradients will be None", UserWarning, stacklevel=2
            )
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'] but got {determinism_check}")
    first, second = context_fn()
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    stop = early_stop if _early_stop[0] is None else _early_stop[0]
    part = _Part(lambda: function(*args, **kwargs), preserve, second, determinism_check, debug, stop)
    with first, saved_tensors_hooks(part.pack, part.unpack):
        return function(*args, **kwargs)


class _Part:
    """A checkpointed part of the computation: how to run it again, and what it has to save."""

    def __init__(
        self, run: Callable[[], Any], preserve: bool, context: Any, check: str, debug: bool, early_stop: bool
    ) -> None:
        self.run, self.context, self.check, self.debug, self.early_stop = run, context, check, debug, early_stop
        self.rng_states = rng_states() if preserve else None
        self.likes: list[dict[str, Any]] = []  # of each saved tensor, what the second run must give again
        self.lines: list[str] = []
        self.again: dict[int, Any] = {}  # by number: what the second run saved, until it is asked for

    def pack(self, tensor: Any) -> int:
        self.likes.append(_like(tensor))
        if self.debug:
            self.lines.append(told(caller()))
        return len(self.likes) - 1

    def unpack(self, number: int) -> Any:
        if number not in self.again:
            self.run_again()
        return self.again.pop(number)

    def run_again(self) -> None:
        """Run the function a second time, under the modes and random numbers of the first, and keep what it saves."""
        self.again = again = {}
        count, lines = 0, []

        def pack(tensor: Any) -> Any:
            nonlocal count
            kept = tensor.detach()
            if count < len(self.likes):
                again[count] = kept
            if self.debug:
                lines.append(told(caller()))
            count += 1
            if self.early_stop and count == len(self.likes):
                raise _Enough
            return kept

        with ExitStack() as stack:
            if self.rng_states is not None:
                stack.enter_context(fork_rng())
                set_rng_states(self.rng_states)
            stack.enter_context(enable_grad())
            stack.enter_context(self.context)
            stack.enter_context(saved_tensors_hooks(pack, lambda kept: kept))
            with suppress(_Enough):
                self.run()
        if count != len(self.likes):
            raise CheckpointError(
                f"torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.likes)}\nNumber of tensors saved "
                f"during recomputation: {count}.{self._told(lines)}"
            )
        if self.check == "default":
            self._compare([_like(again[i]) for i in range(count)], lines)

    def _compare(self, likes: list[dict[str, Any]], lines: list[str]) -> None:
        wrong = [i for i, (a, b) in enumerate(zip(self.likes, likes, strict=True)) if a != b]
        if wrong:
            told_of = "\n".join(
                f"tensor at position {i}:\nsaved metadata: {self.likes[i]}\nrecomputed metadata: {likes[i]}"
                for i in wrong
            )
            raise CheckpointError(
                f"torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                f"during the forward pass.\n{told_of}.{self._told(lines)}"
            )

    def _told(self, lines: list[str]) -> str:
        if not self.debug:
            return "\nThe function must compute the same at each call; debug=True tells where tensors were saved."
        return "\nSaved in forward:\n  " + "\n  ".join(self.lines) + "\nSaved again:\n  " + "\n  ".join(lines)


def _like(tensor: Any) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


class CheckpointFunction(Function):
    """The reentrant checkpoint: forward without a graph, backward through a graph recorded then."""

    @staticmethod
    def forward(ctx: Any, run: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        ctx.run, ctx.args = run, [None if isinstance(a, Variable) else a for a in args]
        ctx.rng_states = rng_states() if preserve else None
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Variable)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with no_grad():
            return run(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        args = list(ctx.args)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[place] = tensor.detach().requires_grad_(tensor.requires_grad)
        with ExitStack() as stack:
            if ctx.rng_states is not None:
                stack.enter_context(fork_rng())
                set_rng_states(ctx.rng_states)
            stack.enter_context(enable_grad())
            returned = ctx.run(*args)
        outputs = returned if isinstance(returned, tuple) else (returned,)
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if isinstance(o, Variable) and o.requires_grad]  # type: ignore[attr-defined]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return None, None, *[a.grad if isinstance(a, Variable) else None for a in args]  # type: ignore[attr-defined]


def checkpoint_sequential(
    functions: Iterable[Callable[[Any], Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """The composition of `functions` (a Sequential, or a list), cut into `segments` of which all but the last are
    checkpointed: only what passes between them is kept.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            "In version 2.9 we will raise an exception if use_reentrant is not passed.",
            UserWarning,
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions)
    size = len(steps) // segments
    end = 0
    for _ in range(segments - 1):
        part, end = steps[end : end + size], end + size
        input = checkpoint(_composed(part), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _composed(steps[end:])(input)


def _composed(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(input: Any) -> Any:
        for function in functions:
            input = function(input)
        return input

    return run
