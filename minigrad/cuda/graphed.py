"""`make_graphed_callables`: parts of a network as CUDA graphs, one for the forward pass and one for the backward pass.

For networks that cannot be recorded whole, because something between the parts needs a number on the host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd import grad
from minigrad.autograd.function import Function, once_differentiable
from minigrad.autograd.variable import Variable
from minigrad.cuda.graphs import CUDAGraph, graph, graph_pool_handle
from minigrad.cuda.streams import Stream, stream

__all__ = ["make_graphed_callables"]


def make_graphed_callables(
    callables: Any,
    sample_args: Any,
    num_warmup_iters: int = 3,
    allow_unused_input: bool = False,
    pool: tuple[int, int] | None = None,
) -> Any:
    """Record modules or functions for arguments like `sample_args`; what is returned takes their place.

    One callable and a tuple of tensors (or of tuples, lists and dicts of tensors), or a tuple of callables and a tuple
    of such tuples; several are recorded in their order, which must be that in which they run. A module is returned
    itself, with a new `forward` that is used in the mode (training or not) in which it was recorded. Shapes must stay
    the samples', and an output is overwritten by the next call. There are no second derivatives. AssertionError for
    arguments that are no tensors, for modules with hooks and for buffers that need gradients.
    """
    single = not isinstance(callables, tuple)
    functions, samples = ((callables,), (sample_args,)) if single else (callables, sample_args)
    handle = graph_pool_handle() if pool is None else pool
    parts = [_Part(f, args, allow_unused_input) for f, args in zip(functions, samples, strict=True)]

    backend.gpu_module().cuda.Device().synchronize()
    with stream(Stream()):
        for part in parts:
            for _ in range(num_warmup_iters):
                part.warm_up()
    backend.gpu_module().cuda.Device().synchronize()
    for part in parts:
        part.record_forward(handle)
    for part in reversed(parts):
        part.record_backward(handle)
    results = tuple(part.replacement() for part in parts)
    return results[0] if single else results


class _Part:
    """One callable, the tensors its graphs read and write, and the graphs."""

    def __init__(self, function: Any, args: Sequence[Any], allow_unused: bool) -> None:
        self.function, self.args, self.allow_unused = function, args, allow_unused
        self.is_module = hasattr(function, "parameters") and hasattr(function, "forward")
        if self.is_module:
            _check_module(function)
        self.samples = _checked(args)
        self.inputs = (*self.samples, *(function.parameters() if self.is_module else ()))
        self.wanted = [x for x in self.inputs if x.requires_grad]
        self.forward_graph, self.backward_graph = CUDAGraph(), CUDAGraph()
        self.outputs: Any = None
        self.flat: list[Any] = []
        self.incoming: list[Any] = []  # the gradient of each output, None for those without
        self.gradients: list[Any] = []  # of each input

    def warm_up(self) -> None:
        """Run it once, so that all is compiled, loaded and chosen before the recording."""
        flat = [y for y in _flattened(self.function(*self.args)) if y.requires_grad]
        if flat and self.wanted:
            grad(flat, self.wanted, [y.detach() for y in flat], allow_unused=self.allow_unused)

    def record_forward(self, pool: tuple[int, int]) -> None:
        with graph(self.forward_graph, pool):
            self.outputs = self.function(*self.args)
        self.flat = _flattened(self.outputs)

    def record_backward(self, pool: tuple[int, int]) -> None:
        self.incoming = [y.detach().clone() if y.requires_grad else None for y in self.flat]  # room, no values
        found: list[Any] = [None] * len(self.wanted)
        ends = [y for y in self.flat if y.requires_grad]
        if ends and self.wanted:
            with graph(self.backward_graph, pool):
                seeds = [g for g in self.incoming if g is not None]
                found = list(grad(ends, self.wanted, seeds, allow_unused=self.allow_unused))
        of = {id(x): g for x, g in zip(self.wanted, found, strict=True)}
        self.gradients = [of.get(id(x)) for x in self.inputs]

    def replacement(self) -> Any:
        """What is given for the callable."""
        graphed = self._graphed()
        if not self.is_module:
            return graphed
        module, plain, training = self.function, self.function.forward, self.function.training

        @functools.wraps(plain)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return (graphed if module.training == training else plain)(*args, **kwargs)

        module.forward = forward
        return module

    def _graphed(self) -> Callable[..., Any]:
        parameters = self.inputs[len(self.samples) :]

        def call(*args: Any) -> Any:
            tensors = _checked(args)
            if len(tensors) != len(self.samples):
                raise TypeError(f"a graphed callable was recorded with {len(self.samples)} tensors, got {len(tensors)}")
            for i, (given, sample) in enumerate(zip(tensors, self.samples)):
                if given.shape != sample.shape or given.dtype is not sample.dtype:
                    raise RuntimeError(
                        f"a graphed callable was recorded with argument {i} of shape {list(sample.shape)} and "
                        f"{sample.dtype}, got {list(given.shape)} and {given.dtype}: record it anew for other inputs"
                    )
            out = _Replay.apply(self, *tensors, *parameters)
            return _like(self.outputs, iter(out if isinstance(out, tuple) else (out,)))

        return call


class _Replay(Function):
    """The node of a graphed callable: its forward and its backward are replays."""

    @staticmethod
    def forward(ctx: Any, part: _Part, *inputs: Any) -> Any:
        ctx.part = part
        for given, sample in zip(inputs, part.samples, strict=False):
            _copy(given, sample)
        part.forward_graph.replay()
        outputs = tuple(y.detach() for y in part.flat)
        ctx.mark_non_differentiable(*(y for y, like in zip(outputs, part.flat) if not like.requires_grad))
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        part = ctx.part
        for given, incoming in zip(gradients, part.incoming, strict=True):
            if incoming is not None:
                _copy(given, incoming)
        part.backward_graph.replay()
        return (None, *(None if g is None else g.detach() for g in part.gradients))


def _checked(args: Sequence[Any]) -> tuple[Any, ...]:
    """The tensors among arguments; AssertionError if there is something else."""
    leaves = _leaves(args)
    if not all(isinstance(leaf, Variable) for leaf in leaves):
        raise AssertionError(
            "In the beta API, sample_args for each callable must contain only Tensors. Other types are not allowed.\n"
            f"got {', '.join(type(leaf).__name__ for leaf in leaves)}"
        )
    return tuple(leaves)


def _check_module(module: Any) -> None:
    hooks = ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks")
    if any(getattr(module, name, None) for name in hooks):
        raise AssertionError(
            "Modules must not have hooks registered at the time they are passed. However, registering hooks on modules "
            "after passing them through make_graphed_callables is allowed."
        )
    if any(b.requires_grad for b in module.buffers()):
        raise AssertionError(
            "In any :class:`~torch.nn.Module` passed to :func:`~make_graphed_callables`, only parameters may be "
            "trainable. All buffers must have ``requires_grad=False``."
        )


def _leaves(value: Any) -> list[Any]:
    """What is in tuples, lists and dicts within each other, one after the other."""
    if not isinstance(value, (dict, tuple, list)):
        return [value]
    return [leaf for part in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(part)]


def _flattened(value: Any) -> list[Any]:
    """The tensors of an output, which may hold other things besides."""
    return [leaf for leaf in _leaves(value) if isinstance(leaf, Variable)]


def _like(value: Any, tensors: Any) -> Any:
    """`value` with its tensors replaced, one after the other."""
    if isinstance(value, Variable):
        return next(tensors)
    if isinstance(value, dict):
        return {key: _like(part, tensors) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts: Sequence[Any] = [_like(part, tensors) for part in value]
        return type(value)(parts) if not hasattr(value, "_make") else value._make(parts)
    return value


def _copy(source: Any, target: Any) -> None:
    """The values of one tensor into the memory of another, unless they are there already."""
    if source.array is not target.array:
        target.array[...] = source.array
