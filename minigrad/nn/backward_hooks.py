"""Full backward hooks: a module's inputs and outputs pass through a node each, on which the hooks are called."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.function import Function
from minigrad.autograd.mode import mode
from minigrad.autograd.node import wants_grad
from minigrad.autograd.variable import Variable, wrap

NO_INPUT_WANTS_A_GRADIENT = (
    "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs require "
    "gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
    "#torch.nn.Module.register_full_backward_hook for more details."
)


class BackwardHookFunction(Function):
    """Returns its inputs as they are: a node where their gradients can be seen together."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> Any:
        ctx.mark_non_differentiable(*(t for t in tensors if not t.requires_grad))
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads


class BackwardHooks:
    """The full backward hooks of one call of a module.

    Behind the outputs `grad_output` is complete: the pre-hooks are called and may replace it. Before the inputs
    `grad_input` is: the hooks are called and may replace that. Where no input wants a gradient, the hooks are called
    behind the outputs. Both tuples have an entry for each argument or output, None for those that are no tensors.
    """

    def __init__(self, module: Any, hooks: Sequence[Callable[..., Any]], pre_hooks: Sequence[Callable[..., Any]]):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.n_inputs = self.n_outputs = 0
        self.inputs: list[int] | None = None  # which of the arguments are tensors; None where none wants a gradient
        self.zeros: dict[int, Callable[[], Any]] = {}  # makes the gradients of those tensors that want none
        self.outputs: list[int] = []
        self.grad_output: Any = None  # from the time when it is complete until the hooks have been called

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments for `forward`."""
        self.n_inputs = len(args)
        self.zeros = {i: _zeros_like(a) for i, a in enumerate(args) if isinstance(a, Variable) and not wants_grad(a)}
        args, self.inputs = _watched(args, self._at_inputs)
        return args

    def watch_output(self, result: Any) -> Any:
        """The result for the caller, from that of `forward`."""
        if not isinstance(result, (Variable, tuple)):
            warnings.warn(
                f"For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                f"{type(result)}",
                stacklevel=5,
            )
        outputs, tensors = _watched(result if isinstance(result, tuple) else (result,), self._at_outputs)
        self.n_outputs, self.outputs = len(outputs), tensors or []
        return outputs if isinstance(result, tuple) else outputs[0]

    def _at_outputs(self, _: Any, grads: Sequence[Any]) -> Any:
        grad_output: Any = _spread(grads, self.outputs, self.n_outputs)
        for hook in self.pre_hooks:
            grad_output = _replaced(grad_output, hook(self.module, grad_output), "pre hook", "grad_output")
        if self.inputs is not None:
            self.grad_output = grad_output
        else:
            warnings.warn(NO_INPUT_WANTS_A_GRADIENT, stacklevel=5)
            for hook in self.hooks:
                result = hook(self.module, (None,) * self.n_inputs, grad_output)
                if result is not None and not (isinstance(result, tuple) and all(g is None for g in result)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
        return tuple(grad_output[i] for i in self.outputs)

    def _at_inputs(self, grads: Sequence[Any], _: Any) -> Any:
        grad_output, self.grad_output = self.grad_output, None
        if grad_output is None or self.inputs is None:  # the gradient did not come through the outputs
            return None
        grad_input: Any = _spread(grads, self.inputs, self.n_inputs)
        grad_input = tuple(self.zeros[i]() if i in self.zeros else g for i, g in enumerate(grad_input))
        for hook in self.hooks:
            grad_input = _replaced(grad_input, hook(self.module, grad_input, grad_output), "hook", "grad_input")
        return tuple(None if i in self.zeros else grad_input[i] for i in self.inputs)


def _watched(values: tuple[Any, ...], watcher: Callable[..., Any]) -> tuple[tuple[Any, ...], list[int] | None]:
    """The values, with the tensors passed through a node that calls `watcher`, and their places.

    These are None if no tensor wants a gradient.
    """
    places = [i for i, v in enumerate(values) if isinstance(v, Variable)]
    if not (mode.grad and any(wants_grad(values[i]) for i in places)):
        return values, None
    passed = BackwardHookFunction.apply(*(values[i] for i in places))

    def hook(grad_inputs: Any, grad_outputs: Any) -> Any:  # torch's name, which stands in error messages
        return watcher(grad_inputs, grad_outputs)

    next(t.grad_fn for t in passed if wants_grad(t)).register_hook(hook)
    several = list(values)
    for i, t in zip(places, passed, strict=True):
        several[i] = t
    return tuple(several) if type(values) is tuple else type(values)(*several), places  # a named one takes arguments


def _zeros_like(tensor: Variable) -> Callable[[], Any]:
    """Makes zeros of the shape of `tensor`, which it does not keep."""
    shape, dtype, xp = tensor.array.shape, tensor.array.dtype, backend.module_of(tensor.array)
    return lambda: wrap(xp.zeros(shape, dtype))


def _spread(grads: Sequence[Any], places: Sequence[int], size: int) -> tuple[Any, ...]:
    """A tuple of `size` with `grads` in their `places` and None in the others."""
    entries: list[Any] = [None] * size
    for i, g in zip(places, grads, strict=True):
        entries[i] = g
    return tuple(entries)


def _replaced(before: Any, returned: Any, kind: str, what: str) -> Any:
    """What a hook `returned` for the gradients `before`; these where it returned None."""
    if returned is None:
        return before
    if len(returned) != len(before):
        raise RuntimeError(
            f"Backward {kind} returned an invalid number of {what}, got {len(returned)}, but expected {len(before)}"
        )
    return returned
