"""`assert_same_function`: a function of tensors, and its derivatives, compared with torch's."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Generator, Iterator
from typing import Any

from minigrad.backend import np
from minigrad.testing.engines import MINIGRAD, Engine, is_tensor, torch_engine
from minigrad.testing.lockstep import Comparison, Raised, Values, attempt, both_engines, hold
from minigrad.testing.samples import Sample, samples, tensor_code, weights

ORDINALS = {1: "gradient", 2: "second-order gradient", 3: "third-order gradient"}


def assert_same_function(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    inputs: Any,
    *,
    orders: int = 2,
    examples: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """AssertionError unless `ours`, such as `MyFunction.apply`, is on minigrad what `theirs` is on torch.

    inputs    one entry for each argument: a shape, a Hypothesis strategy (`tensors(...)`, or of NumPy arrays or
              numbers) or any other value; or one strategy of lists of arguments, as `broadcastable_tensors(2)` is
    orders    how often the function is differentiated
    examples  how many inputs are drawn; the Hypothesis profile's number unless given
    rtol, atol  as in `assert_close`; unless given 1e-10 in float64 and 1e-5 in float32, of the largest element or 1

    Compared are values, shapes, dtypes, and the gradients of every input that wants one, for random incoming gradients,
    in float64 and float32 and for inputs with other strides. Where torch raises an error, `ours` must raise one of the
    same type. The message says which value differs and ends with a program that shows it on the smallest inputs found.

    >>> import minigrad, torch
    >>> from minigrad.testing import assert_same_function
    >>> class Square(minigrad.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return 2 * g * ctx.saved_tensors[0]
    >>> assert_same_function(Square.apply, torch.square, [(2, 3)])
    >>> assert_same_function(lambda x: x * x.detach(), torch.square, [(2, 3)])
    Traceback (most recent call last):
    AssertionError: the gradient of input 0: minigrad and torch differ.
    ...
    """
    __tracebackhide__ = True
    torch = torch_engine()
    for order in range(orders + 1):  # what is wrong with the values is not reported as the gradient's fault
        hold(samples(inputs), lambda sample: FunctionTrial(sample, ours, theirs, order, torch), examples, rtol, atol)  # noqa: B023  used at once


class FunctionTrial(Comparison):
    """Both functions on one sample, differentiated `orders` times, the last time without a graph, as most are.

    To differentiate, what came out is made one number, the sum of value * weight with random weights: a value's
    incoming gradient is its weight. The weights of one order are further inputs of the next.
    """

    def __init__(self, sample: Sample, ours: Any, theirs: Any, orders: int, torch: Engine) -> None:
        self.sample, self.orders = sample, orders
        self.engines, self.functions = (MINIGRAD, torch), (ours, theirs)
        self.weights: list[list[np.ndarray]] = []  # of each order that has been run

    def values(self) -> Iterator[Values]:
        args = [self.sample.arguments(engine) for engine in self.engines]
        results = [run(e, f, a) for e, f, a in zip(self.engines, self.functions, args, strict=True)]
        yield "the result", *results
        if isinstance(results[1], Raised):
            return
        for i, (a, b) in enumerate(zip(*args, strict=True)):
            if is_tensor(b):
                yield f"input {i} after the call", a, b
        outputs = [flatten(result) for result in results]
        ours, theirs = ([y.requires_grad for y in ys] for ys in outputs)
        yield "requires_grad of the result", ours, theirs
        wanted = [[x for x in xs if is_tensor(x) and x.requires_grad] for xs in args]
        names = [f"input {i}" for i, x in enumerate(args[1]) if is_tensor(x) and x.requires_grad]
        if not names or not any(theirs):
            return
        for order in range(1, self.orders + 1):
            outputs = yield from self._differentiate(outputs, wanted, names, order)
            if not outputs:
                return
            names = names + [f"incoming gradient {i} of order {order}" for i in range(len(self.weights[-1]))]

    def _differentiate(
        self, outputs: list[list[Any]], wanted: list[list[Any]], names: list[str], order: int
    ) -> Generator[Values, None, list[list[Any]]]:
        """Yield the gradients of `wanted`, which the weights then join, and return them; nothing after an error."""
        rng = np.random.default_rng([self.sample.seed, order])
        self.weights.append([weights(rng, y.shape, self.sample.dtype) for y in outputs[1]])
        found = []
        for engine, ys, xs in zip(self.engines, outputs, wanted, strict=True):
            leaves = [engine.leaf(w, requires_grad=True) for w in self.weights[-1]]
            found.append(attempt(gradients, engine, ys, leaves, list(xs), order < self.orders))
            xs += leaves
        what = f"the {ORDINALS.get(order, f'order-{order} gradient')}"
        if any(isinstance(gs, Raised) for gs in found):
            yield what, *found
            return []
        for name, a, b in zip(names, *found, strict=True):
            yield f"{what} of {name}", a, b
        return found

    def code(self) -> list[str]:
        names = self.sample.names()
        wanted = [n for n, a in zip(names, self.sample.args, strict=True) if getattr(a, "requires_grad", False)]
        body = [*self.sample.code(), f"ys = f({', '.join(names)})", "print(ys)"]
        if self.weights:
            body.append("ys = ys if isinstance(ys, (tuple, list)) else [ys]")
        for order, arrays in enumerate(self.weights, 1):
            body += [
                f"w{order} = [{', '.join(tensor_code(w, ', requires_grad=True') for w in arrays)}]",
                f"total = sum((y * w).sum() for y, w in zip(ys, w{order}))",
                f"xs = [{', '.join(wanted)}]",
                f"ys = T.autograd.grad(total, xs, create_graph={order < self.orders}, materialize_grads=True)",
                "print(ys)",
            ]
            wanted.append(f"*w{order}")
        return both_engines("f", body)


def run(engine: Engine, function: Callable[..., Any], args: list[Any]) -> Any:
    """The result of a call, or how it failed, with the engine's random numbers started from 0."""
    with engine.fork_rng(devices=[]):
        engine.manual_seed(0)
        return attempt(function, *args)


def flatten(result: Any) -> list[Any]:
    """The tensors of a result, which may be a tuple, list or dict of them."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [t for part in result for t in flatten(part)]
    return [result] if is_tensor(result) else []


def weighted_sum(values: list[Any], leaves: list[Any]) -> Any:
    """The sum of value * weight."""
    return functools.reduce(operator.add, [(y * w).sum() for y, w in zip(values, leaves, strict=True)])


def gradients(engine: Engine, values: list[Any], leaves: list[Any], inputs: list[Any], create_graph: bool) -> list[Any]:
    """The gradients of `inputs` of a weighted sum of `values`; zeros where there is no influence."""
    total = weighted_sum(values, leaves)
    return list(engine.grad(total, inputs, create_graph=create_graph, materialize_grads=True))
