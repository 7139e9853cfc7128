"""`backward` and `grad`: the two ways to start a backward walk, with torch's checks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.accumulate import accumulate, accumulate_with_hooks
from minigrad.autograd.engine import run
from minigrad.autograd.hooks import keep_gradient
from minigrad.autograd.mode import set_grad_enabled
from minigrad.autograd.node import AccumulateGrad, edge_of
from minigrad.autograd.rows import Rows
from minigrad.autograd.variable import Variable, wrap

CYCLE_WARNING = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient "
    "which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you "
    "have to use this function, make sure to reset the .grad fields of your parameters to None after use to break the "
    "cycle and avoid the leak."
)


def _as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, Variable) or hasattr(value, "output_nr") else list(value)


def _one_like(array: Any) -> Any:
    """1, in the array's shape of one element."""
    if type(array) is not backend.ndarray:
        return backend.module_of(array).ones_like(array)  # made on the GPU: nothing is copied there
    one = backend.np.array(1, array.dtype)  # a third of the time of ones_like
    return one.reshape(array.shape) if array.ndim else one


def _initial_gradients(tensors: list[Any], given: Any) -> list[Any]:
    """The gradient to start with at each tensor: the one given, or 1 for a scalar."""
    gradients: list[Any] = (
        [None] * len(tensors) if given is None else [given] if isinstance(given, Variable) else list(given)
    )
    if len(gradients) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(gradients)} gradients")
    for i, (t, g) in enumerate(zip(tensors, gradients, strict=True)):
        if edge_of(t) is None:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn: nothing behind it was "
                f"recorded, so there is nothing to differentiate. Does any input have requires_grad=True, and was it "
                f"computed outside no_grad()?"
            )
        if g is None:
            if t.array.size != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs; this one has shape "
                    f"{list(t.array.shape)}: reduce it (.sum(), .mean()) or pass gradient="
                )
            gradients[i] = wrap(_one_like(t.array))
        elif not isinstance(g, Variable):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        elif g.array.shape != t.array.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of torch.Size({list(g.array.shape)}) and output[{i}] "
                f"has a shape of torch.Size({list(t.array.shape)})."
            )
        elif g.array.dtype != t.array.dtype:
            gradients[i] = g.to(backend.dtype_of(t.array))  # type: ignore[attr-defined]  # a Tensor's method
    return gradients


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add to `.grad` of every leaf (or of `inputs` only) the gradient of the sum of `tensors`.

    `grad_tensors` are the gradients of some final scalar with respect to `tensors`; they may be left out for scalars.
    The saved values are freed on the way unless `retain_graph` (which `create_graph` implies).
    """
    outputs = _as_list(tensors)
    gradients = _initial_gradients(outputs, grad_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run(outputs, gradients, keep, create_graph)
    else:
        _accumulate_into(_as_list(inputs), outputs, gradients, keep, create_graph)
    if create_graph:
        warnings.warn(CYCLE_WARNING, UserWarning, stacklevel=3)


def _accumulate_into(
    inputs: list[Any], outputs: list[Any], gradients: list[Any], keep: bool, create_graph: bool
) -> None:
    """Add to `.grad` of `inputs`, leaves or results, and of no other tensor."""
    if not inputs:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    targets = list(dict.fromkeys(inputs))
    for t in targets:
        keep_gradient(t)  # results add it to their `.grad` on the walk, after their hooks
    wanted = [_wanted_edge(t) for t in targets]
    results = run(outputs, gradients, keep, create_graph, wanted, run_wanted=True)
    with set_grad_enabled(create_graph):
        for t, g in zip(targets, results, strict=True):
            if g is not None and t.node is None:
                add = accumulate if t.meta is None else accumulate_with_hooks
                add(t, g if create_graph else g.array, create_graph)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`, leaves or results; `.grad` is untouched.

    An input that does not take part is an error, or None with `allow_unused`, or zeros with `materialize_grads`. With
    `is_grads_batched` each of `grad_outputs` has one gradient more in front of its output's shape, and so have the
    results: the rows of a Jacobian, a walk for each.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    sources, targets = _as_list(outputs), _as_list(inputs)
    if is_grads_batched:
        keep = create_graph if retain_graph is None else retain_graph
        return _grad_of_rows(sources, targets, grad_outputs, keep, create_graph, allow_unused, materialize_grads)
    gradients = _initial_gradients(sources, grad_outputs)
    wanted = [_wanted_edge(t) for t in targets]
    keep = create_graph if retain_graph is None else retain_graph
    results = run(sources, gradients, keep, create_graph, wanted)
    return _with_unused(targets, results, allow_unused, materialize_grads)


def _with_unused(
    targets: list[Any], results: list[Any], allow_unused: bool | None, materialize_grads: bool
) -> tuple[Any, ...]:
    """The results, with what is asked for in place of None."""
    for i, (t, g) in enumerate(zip(targets, results, strict=True)):
        if g is None and materialize_grads:
            results[i] = wrap(backend.module_of(t.array).zeros_like(t.array))
        elif g is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {i} appears to not have been used in the graph. Set "
                f"allow_unused=True if this is the desired behavior."
            )
    return tuple(results)


def _grad_of_rows(
    sources: list[Any], targets: list[Any], given: Any, keep: bool, create_graph: bool, *unused: Any
) -> tuple[Any, ...]:
    """`grad` for each row of the given gradients, the results stacked."""
    batches = [None] * len(sources) if given is None else _as_list(given)
    for i, (batch, output) in enumerate(zip(batches, sources, strict=False)):
        if batch is not None and batch.array.shape[1:] != output.array.shape:
            raise RuntimeError(
                f"If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch "
                f"dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding "
                f"output, but a mismatch was detected: grad_output[{i}] has a shape of "
                f"torch.Size({list(batch.array.shape[1:])}) and output[{i}] has a shape of "
                f"torch.Size({list(output.array.shape)})."
            )
    sizes = [len(batch.array) for batch in batches if batch is not None]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
            f"mapped dimension"
        )
    if not sizes:
        return grad(sources, targets, None, keep, create_graph)
    rows = []
    for i in range(sizes[0]):
        row = [None if batch is None else batch[i] for batch in batches]
        again = keep or i < sizes[0] - 1
        rows.append(grad(sources, targets, row, again, create_graph, allow_unused=True))
    columns = [None if column[0] is None else Rows.apply(*column) for column in zip(*rows, strict=True)]
    return _with_unused(targets, columns, *unused)


def _wanted_edge(t: Any) -> Any:
    if not isinstance(t, Variable):  # a GradientEdge
        return t.node.variable if isinstance(t.node, AccumulateGrad) else t.node, t.output_nr
    tensor: Any = t
    edge = edge_of(tensor)
    if edge is None and tensor.requires_grad:  # a view made under no_grad of what wants a gradient takes no part
        return t, 0
    if edge is None:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return edge


def tensor_backward(
    self: Any,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Any] | None = None,
) -> None:
    """Add to `.grad` of the leaves behind this tensor its gradient; see `autograd.backward`."""
    backward(self, gradient, retain_graph, create_graph, inputs)
