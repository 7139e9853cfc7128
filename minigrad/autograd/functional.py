"""Jacobians, Hessians and their products with vectors, of functions of tensors: torch.autograd.functional.

A product v J with the Jacobian is one backward walk. J v comes from two: u J is linear in u, and its derivative with
respect to u, taken along v, is J v (the "double backward trick"). A Hessian is the Jacobian of a gradient.

Functions take one tensor or a tuple of tensors and return one or a tuple; results have the same form. They are
detached unless `create_graph`, and zeros stand where an output does not depend on an input, unless `strict` makes that
an error. The tensors given are never touched: a function sees fresh ones on the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.backward import grad
from minigrad.autograd.mode import enable_grad
from minigrad.autograd.rows import Rows
from minigrad.autograd.variable import Variable, wrap

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

OUTPUTS = "outputs of the user-provided function"
Tensors = tuple[Any, ...]


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)` and v J, J being its Jacobian and `v` of the form of the outputs (1 for a single number).

    >>> vjp(lambda x: x**2, tensor([1.0, 2.0]), tensor([1.0, 1.0]))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    several, xs = _points(inputs, "inputs", "vjp", create_graph)
    several_out, outputs = _call(func, xs, "vjp", strict)
    if v is not None:
        v = _direction(v, outputs, several_out, "vjp", create_graph)
    elif len(outputs) != 1 or outputs[0].array.size != 1:
        raise RuntimeError(
            "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
        )
    grads = _pull(outputs, xs, v, create_graph)
    grads = _filled(grads, xs, strict, create_graph, lambda i: _independent("output", f"input {i}"), "jacobian")
    return _answer(outputs, several_out, create_graph), _answer(grads, several, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)` and J v, J being its Jacobian and `v` of the form of the inputs (1 for a single number).

    >>> jvp(lambda x: x**2, tensor([1.0, 2.0]), tensor([1.0, 0.0]))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    several, xs = _points(inputs, "inputs", "jvp", create_graph)
    v = _input_direction(v, xs, several, "jvp", create_graph)
    several_out, outputs = _call(func, xs, "jvp", strict)
    u = tuple(_zeros_like(o).requires_grad_() for o in outputs)
    pulled = _pull(outputs, xs, u, create_graph=True)
    if strict:
        _check_depends(pulled, _constant_gradient)
    pushed = _filled(_pull(pulled, u, v, create_graph), outputs, strict, create_graph, _no_trick, "jacobian")
    return _answer(outputs, several_out, create_graph), _answer(pushed, several_out, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, a single number, and v H, H being its Hessian: two backward walks.

    >>> vhp(lambda x: (x**3).sum(), tensor([1.0, 2.0]), tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    several, xs, v, outputs, slope = _gradient(func, inputs, v, create_graph, strict, "vhp")
    product = _pull(slope, xs, v, create_graph)
    product = _filled(product, xs, strict, create_graph, lambda i: _independent("jacobian", f"input {i}"), "hessian")
    return _answer(outputs, False, create_graph), _answer(product, several, create_graph)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, a single number, and H v, H being its Hessian: three backward walks.

    For a twice continuously differentiable function H is symmetric and `vhp` gives the same for less.

    >>> hvp(lambda x: (x**3).sum(), tensor([1.0, 2.0]), tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    several, xs, v, outputs, slope = _gradient(func, inputs, v, create_graph, strict, "hvp")
    u = tuple(_zeros_like(x).requires_grad_() for x in xs)
    pulled = _pull(slope, xs, u, create_graph=True)
    product = _filled(_pull(pulled, u, v, create_graph), xs, strict, create_graph, _no_second_trick, "hessian")
    return _answer(outputs, False, create_graph), _answer(product, several, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of every element of the outputs with respect to every element of the inputs.

    Its shape is that of the output followed by that of the input; for tuples, `jacobian(...)[i][j]` is that of output i
    with respect to input j. Rows are computed one by one, each by a backward walk: `vectorize` and `strategy` change
    nothing but what is refused, as in torch.

    >>> jacobian(lambda x: x**2, tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy(strategy, create_graph, strict, vectorize)
    several, xs = _points(inputs, "inputs", "jacobian", create_graph)
    several_out, outputs = _call(func, xs, "jacobian", strict)
    if vectorize and strict:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. "
            "Please either set `strict=False` or `vectorize=False`."
        )
    blocks = []
    for i, output in enumerate(outputs):
        rows = [_row(output, k, i, xs, create_graph, strict) for k in range(output.array.size)]
        columns = [_stacked([row[j] for row in rows], output, x) for j, x in enumerate(xs)]
        blocks.append(_answer(columns, several, create_graph))
    return tuple(blocks) if several_out else blocks[0]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of `func(*inputs)`, a single number, with respect to every two elements of the inputs.

    Its shape is that of the input twice over; for tuples, `hessian(...)[i][j]` belongs to inputs i and j.

    >>> hessian(lambda x: (x**3).sum(), tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    several, xs = _tuple_of(inputs, "inputs", "hessian")

    def number(*points: Any) -> Any:
        several_out, outputs = _tuple_of(func(*points), OUTPUTS, "hessian")
        return _single_number(outputs, several_out, "hessian", strict).reshape(())

    def gradient(*points: Any) -> Any:
        slope = jacobian(number, points, create_graph=True)
        if strict:
            _check_depends(slope, _constant_slope)
        return slope

    blocks = jacobian(gradient, xs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return blocks if several else blocks[0][0]


# -- what a function is given and returns ------------------------------------------------------------------------------


def _tuple_of(value: Any, what: str, name: str) -> tuple[bool, Tensors]:
    """Whether `value` is a tuple, and it as a tuple of tensors; TypeError for anything else in it."""
    several = isinstance(value, tuple)
    values = value if several else (value,)
    for i, t in enumerate(values):
        if not isinstance(t, Variable):
            which = f"value at index {i}" if several else f"given {what}"
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the {which} has type "
                f"{type(t)}."
            )
    return several, values


def _points(inputs: Any, what: str, name: str, create_graph: bool, track: bool = True) -> tuple[bool, Tensors]:
    """The tensors given as new ones on the same memory, so that a function which uses one of them by another way, say
    as a global, does not confuse the two. Under `create_graph` they remember where they come from.
    """
    several, given = _tuple_of(inputs, what, name)
    with enable_grad():
        return several, tuple(
            t.view_as(t) if create_graph and t.requires_grad else t.detach().requires_grad_(track) for t in given
        )


def _call(func: Callable[..., Any], xs: Tensors, name: str, strict: bool) -> tuple[bool, Tensors]:
    """Whether `func` returns a tuple, and its outputs as one."""
    with enable_grad():
        several, outputs = _tuple_of(func(*xs), OUTPUTS, name)
    if strict:
        _check_tracked(outputs)
    return several, outputs


def _single_number(outputs: Tensors, several: bool, name: str, strict: bool) -> Any:
    """The output of a function that has to be a single number."""
    if strict:
        _check_tracked(outputs)
    if several:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outputs[0].array.size != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return outputs[0]


def _direction(v: Any, like: Tensors, several: bool, name: str, create_graph: bool) -> Tensors:
    """The vector given, checked to have the form of `like`."""
    _, vs = _points(v, "v", name, create_graph, track=False)
    if len(vs) != len(like):
        if several:
            raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vs)}.")
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (t, x) in enumerate(zip(vs, like, strict=True)):
        if t.shape != x.shape:
            start = f"Entry {i} in v" if several else "v"
            raise RuntimeError(f"{start} has invalid size: should be {x.shape} but got {t.shape}.")
    return vs


def _input_direction(v: Any, xs: Tensors, several: bool, name: str, create_graph: bool) -> Any:
    """The vector given, of the form of the inputs; None, standing for 1, where that is a single number."""
    if v is not None:
        return _direction(v, xs, several, name, create_graph)
    if len(xs) != 1 or xs[0].array.size != 1:
        raise RuntimeError(
            "The vector v can only be None if the input to the user-provided function is a single Tensor with a single "
            "element."
        )
    return None


def _answer(results: Sequence[Any], several: bool, create_graph: bool) -> Any:
    """Results in the form of what was given, with their history only under `create_graph`."""
    kept = tuple(results) if create_graph else tuple(t.detach() for t in results)
    return kept if several else kept[0]


# -- derivatives -------------------------------------------------------------------------------------------------------


def _pull(outputs: Sequence[Any], xs: Tensors, v: Any, create_graph: bool, keep_graph: bool | None = None) -> Tensors:
    """v J: None for an input on which nothing depends. Outputs that are None or have no history are constants."""
    vs = (None,) * len(outputs) if v is None else v
    pairs = [(o, g) for o, g in zip(outputs, vs, strict=True) if o is not None and o.requires_grad]
    if not pairs:
        return (None,) * len(xs)
    sources, weights = zip(*pairs, strict=True)
    return grad(sources, xs, weights, keep_graph, create_graph, allow_unused=True)


def _gradient(
    func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, name: str
) -> tuple[bool, Tensors, Any, Tensors, Tensors]:
    """What `vhp` and `hvp` begin with: whether inputs are a tuple, they, v, outputs, and the recorded gradient."""
    several, xs = _points(inputs, "inputs", name, create_graph)
    v = _input_direction(v, xs, several, name, create_graph)
    several_out, outputs = _call(func, xs, name, strict)
    _single_number(outputs, several_out, name, strict)
    slope = _pull(outputs, xs, None, create_graph=True)
    if strict:
        _check_depends(slope, _constant_slope)
    return several, xs, v, outputs, slope


def _row(output: Any, k: int, number: int, xs: Tensors, create_graph: bool, strict: bool) -> list[Any]:
    """The derivatives of element `k` of `output`, the output with that `number`."""
    unit = backend.module_of(output.array).zeros(output.array.size, output.array.dtype)
    unit[k] = 1
    row = list(_pull((output,), xs, (wrap(unit.reshape(output.array.shape)),), create_graph, keep_graph=True))
    for j, (g, x) in enumerate(zip(row, xs, strict=True)):
        if g is None:
            if strict:
                raise RuntimeError(
                    f"Output {number} of the user-provided function is independent of input {j}. This is not allowed "
                    f"in strict mode."
                )
            row[j] = _zeros_like(x)
        elif strict and create_graph and not g.requires_grad:  # torch's text numbers the output here
            raise RuntimeError(_independent("jacobian", f"input {number}", " when create_graph=True"))
    return row


def _stacked(rows: list[Any], output: Any, x: Any) -> Any:
    """The derivatives of the elements of `output` with respect to `x`, as one tensor."""
    if not rows:
        raise RuntimeError("stack expects a non-empty TensorList: an output without elements has no Jacobian")
    with enable_grad():
        return Rows.apply(*rows).reshape((*output.array.shape, *x.array.shape))


def _zeros_like(t: Any) -> Any:
    return wrap(backend.module_of(t.array).zeros_like(t.array))


# -- what strict refuses -----------------------------------------------------------------------------------------------


def _independent(what: str, of: str, when: str = "") -> str:
    return f"The {what} of the user-provided function is independent of {of}. This is not allowed in strict mode{when}."


def _constant_slope(i: int) -> str:
    return (
        f"While computing the hessian, found that the jacobian of the user-provided function with respect to input {i} "
        f"is independent of the input. This is not allowed in strict mode. You should ensure that your function is "
        f"twice differentiable and that the jacobian depends on the inputs (this would be violated by a linear "
        f"function for example)."
    )


def _constant_gradient(i: int) -> str:
    return (
        f"The gradient with respect to input {i} is independent of the inputs of the user-provided function. This is "
        f"not allowed in strict mode."
    )


def _no_trick(i: int) -> str:
    return (
        f"The gradient with respect to the input is independent of entry {i} in the grad_outputs when using the double "
        f"backward trick to compute forward mode gradients. This is not allowed in strict mode."
    )


def _no_second_trick(i: int) -> str:
    what = _independent("hessian", f"entry {i} in the grad_jacobian").removesuffix(".")
    return f"{what} as it prevents from using the double backward trick to replace forward mode AD."


def _check_tracked(outputs: Tensors) -> None:
    for i, t in enumerate(outputs):
        if not t.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in "
                f"a differentiable manner from the input when running in strict mode."
            )


def _check_depends(grads: Sequence[Any], constant: Callable[[int], str]) -> None:
    """RuntimeError where a gradient is missing, or does not itself depend on anything."""
    for i, g in enumerate(grads):
        if g is None:
            raise RuntimeError(_independent("output", f"input {i}"))
        if not g.requires_grad:
            raise RuntimeError(constant(i))


def _filled(
    grads: Sequence[Any], like: Tensors, strict: bool, create_graph: bool, missing: Callable[[int], str], what: str
) -> Tensors:
    """The gradients with zeros for those that are missing; errors instead where `strict`."""
    filled = []
    for i, (g, x) in enumerate(zip(grads, like, strict=True)):
        if g is None and strict:
            raise RuntimeError(missing(i))
        if g is not None and strict and create_graph and not g.requires_grad:
            raise RuntimeError(_independent(what, f"input {i}", " when create_graph=True"))
        filled.append(_zeros_like(x) if g is None else g)
    return tuple(filled)


def _check_strategy(strategy: str, create_graph: bool, strict: bool, vectorize: bool) -> None:
    """Refuse the combinations that torch refuses."""
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "reverse-mode":
        return
    for given, flag, other in ((create_graph, "create_graph", NotImplementedError), (strict, "strict", RuntimeError)):
        if given:
            raise other(
                f'torch.autograd.functional.jacobian: `{flag}=True` and `strategy="forward-mode"` are not supported '
                f'together (yet). Please either set `{flag}=False` or `strategy="reverse-mode"`.'
            )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is"
            "only implemented for `vectorize=True`."
        )
