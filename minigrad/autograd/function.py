"""`Function`: an operation of one's own, with `forward` and `backward` written on tensors, as in torch."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode, no_grad, set_grad_enabled
from minigrad.autograd.node import FREED, Node, edge_of, next_sequence, wants_grad
from minigrad.autograd.op_node import INFERENCE_SAVED
from minigrad.autograd.saved import Packed
from minigrad.autograd.trace import place_of, told
from minigrad.autograd.variable import OF_FUNCTION, ONE_OF_MANY, Variable, wrap
from minigrad.autograd.views import bump, move_history, refusal

NO_BACKWARD = (
    "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward "
    "mode AD."
)


class FunctionCtx(Node):
    """The `ctx` of a Function: the graph node itself, on which forward leaves what backward needs."""

    function: type[Function]

    def __init__(self) -> None:
        self.sequence = -1
        self.hooks = None
        self.edges = ()
        self.outputs = 1
        self.needs_input_grad: tuple[bool, ...] = ()
        self.to_save: tuple[Any, ...] = ()
        self.saved: list[Any] | None = []
        self.non_differentiable: set[int] = set()
        self.dirty: tuple[Any, ...] = ()
        self.materialize_grads = True
        self.input_like: list[Any] = []  # (shape, torch dtype) of each tensor argument, that its gradient must have
        self.output_like: list[Any] = []  # (shape, dtype, array module) of each output that is a tensor

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs or outputs for backward; they are checked for in-place changes, and freed after it."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Variable):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}: put "
                    f"other values on ctx as attributes"
                )
        self.to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that were saved, with their histories."""
        if self.saved is None:
            raise RuntimeError(FREED)
        return tuple(None if s is None else s.unpack(self) for s in self.saved)

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """These outputs need no gradient; backward gets zeros for them."""
        self.non_differentiable = {id(t) for t in outputs}

    def mark_dirty(self, *inputs: Any) -> None:
        """These inputs were changed in place and are returned."""
        self.dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, not zeros, for outputs to which no gradient came."""
        self.materialize_grads = value

    def _as_output(self, value: Any, number: int, inputs: set[int], record: bool, origin: Any) -> Any:
        """A value that forward returned, as an output of this node where it can have a gradient."""
        if not isinstance(value, Variable):
            return value
        differentiable = record and id(value) not in self.non_differentiable and value.array.dtype.kind == "f"
        if any(value is d for d in self.dirty):
            bump(value)
            if differentiable:
                _check_dirty(value)
                move_history(value, wrap(value.array, True, self, number))
            return value
        if id(value) in inputs:  # an input returned as it is becomes another tensor, with a history of its own
            value = _alias(value, as_view=differentiable)
        if differentiable:
            value.node, value.output_nr, value.needs_grad = self, number, True
            if value.base is not None:
                value.origin = origin
        return value

    def pack_saved(self, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        for s in self.saved or ():
            if s is not None:
                s.packed = Packed(s.unpack(self) if s.output_nr is None else wrap(s.array), pack, unpack)
                s.array = None

    def release(self) -> None:
        if self.saved:
            self.saved = None

    def apply(self, grads: Any) -> Sequence[Any]:
        several = grads if self.outputs > 1 else [grads]
        results = self.apply_graph([None if g is None else wrap(g) for g in several], listed=True)
        # As views: the walk takes an array that owns its memory for a new one, and these may be held elsewhere.
        return [None if r is None else r.array.view() for r in results]

    def apply_graph(self, grads: Any, listed: bool = False) -> Sequence[Any]:
        several = grads if listed or self.outputs > 1 else [grads]
        if self.materialize_grads:
            several = [_zeros(like) if g is None else g for g, like in zip(several, self.output_like, strict=True)]
        rule = self.function.backward if self.function.backward is not Function.backward else self.function.vjp
        returned = rule(self, *several)
        results = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        expected = len(self.edges)
        while len(results) > expected and results[-1] is None:
            results.pop()
        if len(results) != expected:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {expected}, got "
                f"{len(results)}): backward returns one gradient, or None, for every argument of forward"
            )
        return [
            None if e is None else self._checked(i, r) for i, (r, e) in enumerate(zip(results, self.edges, strict=True))
        ]

    def _checked(self, index: int, g: Any) -> Any:
        """A returned gradient in the input's shape and dtype; a broadcast one is summed, others are errors."""
        if g is None:
            return None
        if not isinstance(g, Variable):
            raise RuntimeError(
                f"expected Variable or None (got {type(g).__name__}) from {self.name()} at index {index}"
            )
        tensor: Any = g
        shape, dtype = self.input_like[index]
        if g.array.shape != shape:
            broadcast = len(g.array.shape) >= len(shape) and all(
                n in (1, m) for n, m in zip(reversed(shape), reversed(g.array.shape), strict=False)
            )
            if not broadcast:
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {index} - got {list(g.array.shape)} "
                    f"but expected shape compatible with {list(shape)}"
                )
            tensor = tensor.sum_to_size(shape)
        return tensor if backend.dtype_of(tensor.array) is dtype else tensor.to(dtype)

    def __repr__(self) -> str:
        return f"<torch.autograd.function.{self.name()} object at {id(self):#x}>"


def _alias(tensor: Any, as_view: bool) -> Any:
    """Another tensor on the same memory, without a history of its own yet."""
    alias = wrap(tensor.array)
    alias.counter = tensor.counter
    if as_view and tensor.counter is not None:
        alias.base = tensor if tensor.base is None else tensor.base
        alias.seen, alias.origin = tensor.counter[0], None
    return alias


def _check_dirty(value: Any) -> None:
    """RuntimeError if what forward marked as dirty must not be written to."""
    if value.base is not None and value.origin is not None:
        raise refusal(value)
    base = value if value.base is None else value.base
    if base.needs_grad and base.node is None:
        if base is value:
            raise RuntimeError(
                "a leaf Variable that requires grad has been used in an in-place operation: clone it first, or work "
                "under no_grad()"
            )
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation: clone it first, or "
            "work under no_grad()"
        )


def _zeros(like: tuple[Any, Any, Any] | None) -> Any:
    """The gradient of an output to which none came; None for an output that is no tensor."""
    if like is None:
        return None
    shape, dtype, module = like
    return wrap(module.zeros(shape, dtype))


class _Saved:
    """One saved tensor: its array and edge rather than the tensor, so that a saved output makes no reference cycle."""

    def __init__(self, tensor: Any, output_nr: int | None) -> None:
        if tensor.counter is None:
            raise RuntimeError(INFERENCE_SAVED)
        self.array, self.counter, self.version = tensor.array, tensor.counter, tensor.counter[0]
        self.output_nr = output_nr
        self.packed: Packed | None = None
        self.edge = edge_of(tensor) if output_nr is None else None

    def unpack(self, node: FunctionCtx) -> Any:
        array = self.array if self.packed is None else self.packed.unpack()
        if self.packed is None and self.counter[0] != self.version:
            raise RuntimeError(
                f"one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[torch.{backend.dtype_of(self.array).type_name}Tensor {list(self.array.shape)}] is at version "
                f"{self.counter[0]}; expected version {self.version} instead. {node.name()} saved it; the last change "
                f"was made in {told(place_of(self.counter))}. Clone the tensor before changing it, or change it after "
                f"backward."
            )
        if self.output_nr is not None:
            return wrap(array, True, node, self.output_nr)
        if self.edge is None:
            return wrap(array)
        target, number = self.edge
        return target if isinstance(target, Variable) else wrap(array, True, target, number)


class FunctionMeta(type):
    """Gives each Function the node class that its results show as grad_fn: `Exp` -> `ExpBackward`."""

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        cls.node_class = type(f"{name}Backward", (FunctionCtx,), {"function": cls})


class Function(metaclass=FunctionMeta):
    """Base class of operations of one's own: static `forward(ctx, ...)` and `backward(ctx, *grads)`, used by `apply`.

    `setup_context(ctx, inputs, output)` may be written beside a `forward` that then takes no ctx.
    """

    node_class: type[FunctionCtx]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            f"invoke them on the class itself. Instantiating an autograd function will raise an error in a future "
            f"version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            "function with static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The result, from `(ctx, *inputs)`, or from `(*inputs)` where `setup_context` is written."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save on `ctx` what backward needs."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient (or None) for every input of forward, from the gradients of its outputs."""
        raise NotImplementedError(NO_BACKWARD)

    vjp = backward

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute forward and record it as one node of the graph."""
        ctx = cls.node_class()
        ctx.needs_input_grad = tuple(isinstance(a, Variable) and wants_grad(a) for a in args)
        record = bool(mode.recording) and any(ctx.needs_input_grad)
        with set_grad_enabled(False):
            if cls.setup_context is not Function.setup_context:
                returned = cls.forward(*args)
                cls.setup_context(ctx, args, returned)
            else:
                returned = cls.forward(ctx, *args)
        outputs = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        edges = tuple(edge_of(a) if isinstance(a, Variable) else None for a in args)
        ctx.sequence = next_sequence()  # after those of the edges
        inputs = {id(a) for a in args if isinstance(a, Variable)}
        origin = ONE_OF_MANY if sum(isinstance(t, Variable) for t in outputs) > 1 else OF_FUNCTION
        results = [ctx._as_output(t, i, inputs, record, origin) for i, t in enumerate(outputs)]
        if record:
            ctx.edges, ctx.outputs = edges, len(outputs)
            ctx.input_like = [
                (a.array.shape, backend.dtype_of(a.array)) if isinstance(a, Variable) else None for a in args
            ]
            ctx.output_like = [
                (t.array.shape, t.array.dtype, backend.module_of(t.array)) if isinstance(t, Variable) else None
                for t in results
            ]
            numbers = {id(t): i for i, t in enumerate(outputs)}
            numbers = {
                key: i for key, i in numbers.items() if key not in inputs or any(key == id(d) for d in ctx.dirty)
            }
            ctx.saved = [None if t is None else _Saved(t, numbers.get(id(t))) for t in ctx.to_save]
            if mode.recording is not True:
                mode.recording.recorded(ctx)
        ctx.to_save = ctx.dirty = ()  # an output kept here would hold the node that holds it
        return tuple(results) if isinstance(returned, (tuple, list)) else results[0]


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `backward` that computes outside the graph: differentiating its result again is an error."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        recording = mode.grad and any(isinstance(g, Variable) and g.needs_grad for g in grads)
        with no_grad():
            returned = backward(ctx, *grads)
        if not recording:
            return returned
        results = returned if isinstance(returned, tuple) else (returned,)
        refused = tuple(_Refusal.apply(r, *grads) if isinstance(r, Variable) else r for r in results)
        return refused if isinstance(returned, tuple) else refused[0]

    return wrapped


class _Refusal(Function):
    """Passes a gradient on, and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, value: Any, *sources: Any) -> Any:
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
