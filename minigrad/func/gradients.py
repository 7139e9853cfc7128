"""Gradients of functions and products with their Jacobian: `grad`, and its general form `vjp`; `jvp` and `linearize`.

All follow one course: copy the inputs in a new level, call the function, close the level, differentiate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minigrad import autograd, backend
from minigrad.autograd.mode import is_grad_enabled
from minigrad.autograd.variable import Variable
from minigrad.func.level import Level, outward, pull, wanted, zeros_like
from minigrad.func.tree import form, leaves, map_leaves, rebuild, same_form

__all__ = ["grad", "grad_and_value", "jvp", "linearize", "vjp"]

Argnums = int | tuple[int, ...]
JVP = "jvp(f, primals, tangents)"


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of `func`, a single 0-dim number, at its arguments.

    `argnums` says with respect to which positional arguments: a tuple of gradients for a tuple. An argument may be a
    tree of tensors, and then so is its gradient. With `has_aux`, func returns `(output, aux)` and this
    `(gradient, aux)`. Errors: RuntimeError for outputs of other shapes.

    >>> grad(lambda x: x**3)(tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        slope, value = both(*args, **kwargs)
        return (slope, value[1]) if has_aux else slope

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, but the function gives `(gradient, output)`, or `(gradient, (output, aux))` with `has_aux`.

    >>> grad_and_value(lambda x: x**3)(tensor(2.0))
    (tensor(12.), tensor(8.))
    """
    name = "grad_and_value(f)(*args)"

    @functools.wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        with Level() as level:
            chosen, inputs = copied(level, args, argnums)
            output, aux = split_aux(name, func(*inputs, **kwargs), has_aux)
        if not isinstance(output, Variable):
            raise RuntimeError(f"{name}: Expected f(*args) to return a Tensor, got {type(output)}")
        if output.array.ndim:
            raise RuntimeError(
                f"{name}: Expected f(*args) to return a scalar Tensor, got tensor with {output.array.ndim} dims. Maybe "
                f"you wanted to use the vjp or jacrev APIs instead?"
            )
        grads = pull([output], leaves(chosen), [None], is_grad_enabled() and wanted([output]))
        slope = rebuild(chosen, map(outward, grads))
        return slope, (outward(output), map_leaves(outward, aux)) if has_aux else outward(output)

    return gradient_and_value


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """`func(*primals)` and the function from v, of the form of the output, to v J as a tuple: a part for each primal.

    J is the Jacobian at `primals`; the function may be called any number of times. With `has_aux`, aux comes third.

    >>> output, pull_back = vjp(lambda x: x**2, tensor([1.0, 2.0]))
    >>> pull_back(tensor([1.0, 1.0]))
    (tensor([2., 4.]),)
    """
    output, pull_back, aux = vjp_at(func, primals, None, has_aux)
    return (output, pull_back, aux) if has_aux else (output, pull_back)


def vjp_at(
    func: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums | None, has_aux: bool
) -> tuple[Any, Callable[..., Any], Any]:
    """`vjp` with respect to some of the arguments; the third is None without `has_aux`."""
    with Level() as level:
        chosen, inputs = copied(level, args, argnums)
        output, aux = split_aux("vjp(f, *primals)", func(*inputs), has_aux)
    flat_output = tensors_of(output, "vjp(f, *primals)")
    for o in flat_output:
        if o.array.dtype.kind != "f":
            raise RuntimeError(
                f"vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype "
                f"{backend.dtype_of(o.array)}"
            )
    flat_inputs, outer = leaves(chosen), wanted(flat_output)

    def pull_back(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        if not same_form(cotangents, output):
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                f"function. cotangents: {form(cotangents)}, primal output: {form(output)}"
            )
        weights = leaves(cotangents)
        record = is_grad_enabled() if create_graph is None else create_graph
        grads = pull(flat_output, flat_inputs, weights, record and (outer or wanted(weights)))
        return rebuild(chosen, map(outward, grads))

    return map_leaves(outward, output), pull_back, map_leaves(outward, aux) if has_aux else None


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """`func(*primals)` and J v, J being the Jacobian there and v the `tangents`, of the form of the primals.

    With `has_aux`, aux comes third. `strict` refuses outputs that do not depend on the primals. Computed by two
    backward walks, so that what `func` does inside `no_grad()` counts as constant.

    >>> jvp(lambda x: x**2, (tensor([1.0, 2.0]),), (tensor([1.0, 0.0]),))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    if not same_form(primals, tangents):
        raise RuntimeError(
            f"{JVP}: Expected primals and tangents to have the same python structure. For example, if primals is a "
            f"tuple of 3 tensors, tangents also must be. Got primals with structure {form(primals)} and tangents with "
            f"structure {form(tangents)}"
        )
    pairs = list(zip(leaves(primals), leaves(tangents), strict=True))
    if not pairs:
        raise RuntimeError(f"{JVP}: Expected primals to contain at least one Tensor.")
    for what, place in (("primals", 0), ("tangents", 1)):
        for pair in pairs:
            if not isinstance(pair[place], Variable):
                raise RuntimeError(f"{JVP}: Expected {what} to only contain Tensors, got {type(pair[place])}")
    for x, v in pairs:
        if x.array.shape != v.array.shape:
            raise RuntimeError(
                f"Trying to set a forward gradient that has a different size than that of the original Tensor, this is "
                f"not supported. Tensor is of size {list(x.shape)} while the given forward gradient is of size "
                f"{list(v.shape)}."
            )
    output, push, aux = linearize_at(func, primals, None, has_aux)
    pushed = push([v for _, v in pairs], strict)
    return (output, pushed, aux) if has_aux else (output, pushed)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """`func(*primals)` and the function from tangents, one for each primal, to J times them.

    >>> output, push = linearize(lambda x: x**2, tensor([1.0, 2.0]))
    >>> push(tensor([1.0, 0.0]))
    tensor([2., 0.])
    """
    output, push, _ = linearize_at(func, primals, None, False)
    flat = leaves(primals)

    def push_forward(*tangents: Any) -> Any:
        if not same_form(tangents, primals):
            raise RuntimeError(
                f"Expected the tangents {form(tangents)} to have the same argspec as the primals {form(primals)}"
            )
        vs = leaves(tangents)
        for i, (x, v) in enumerate(zip(flat, vs, strict=True)):
            for what in ("shape", "device", "dtype"):
                if getattr(v, what) != getattr(x, what):
                    raise RuntimeError(
                        f"tangent:{i} with {what} {getattr(v, what)} in flattened pytree doesn't match the {what} "
                        f"{getattr(x, what)} of the corresponding primal."
                    )
        return push(vs)

    return output, push_forward


def linearize_at(
    func: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums | None, has_aux: bool
) -> tuple[Any, Callable[..., Any], Any]:
    """The output of `func`, the function from the list of all tangents to J times them, and aux.

    u J is linear in u, and its derivative with respect to u, taken along v, is J v.
    """
    with Level() as level:
        chosen, inputs = copied(level, args, argnums, differentiable)
        output, aux = split_aux(JVP, func(*inputs), has_aux)
        flat_output = tensors_of(output, JVP)
        us = [level.leaf(zeros_like(o)) if o.requires_grad else None for o in flat_output]
        pulled = pull(flat_output, leaves(chosen), us, graph=True)
    outer = wanted(pulled)

    def push(tangents: Sequence[Any], strict: bool = False) -> Any:
        pairs = [(p, v) for p, v in zip(pulled, tangents, strict=True) if p.requires_grad]
        record = is_grad_enabled() and (outer or wanted(tangents))
        some = [u for u in us if u is not None]
        grads = iter(
            autograd.grad([p for p, _ in pairs], some, [v for _, v in pairs], True, record, allow_unused=True)
        )  # fmt: skip
        pushed = []
        for o, u in zip(flat_output, us, strict=True):
            g = None if u is None else next(grads)
            if g is None and strict:
                raise RuntimeError(
                    f"{JVP[:-1]}, strict=True): The output of f is independent of the inputs. This is not allowed with "
                    f"strict=True."
                )
            pushed.append(zeros_like(o) if g is None else outward(g))
        return rebuild(output, pushed)

    return map_leaves(outward, output), push, map_leaves(outward, aux) if has_aux else None


# -- arguments and results ---------------------------------------------------------------------------------------------


def chosen_of(args: tuple[Any, ...], argnums: Any) -> tuple[int, ...]:
    """The places of the arguments that `argnums`, an int or a tuple, means; RuntimeError if there are none such."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    places = []
    for n in argnums if isinstance(argnums, tuple) else (argnums,):
        if not isinstance(n, int):
            raise RuntimeError(f"argnum must be int, got: {type(n)}")
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
        places.append(n % len(args))
    if not places:
        raise RuntimeError("argnums must be non-empty")
    if len(set(places)) != len(places):
        raise RuntimeError(f"argnums elements must be unique, got {tuple(places)}")
    return tuple(places)


def copied(
    level: Level, args: tuple[Any, ...], argnums: Argnums | None, check: Callable[[Any], None] | None = None
) -> tuple[Any, list[Any]]:
    """The copies of the chosen arguments (all for None) in the form of `argnums`, and all arguments with them in."""
    places = tuple(range(len(args))) if argnums is None else chosen_of(args, argnums)
    inputs = list(args)
    for n in places:
        for leaf in leaves(args[n]) if check else ():
            check(leaf)  # type: ignore[misc]
        inputs[n] = map_leaves(level.copy, args[n])
    chosen = tuple(inputs[n] for n in places)
    return chosen[0] if isinstance(argnums, int) else chosen, inputs


def differentiable(t: Any) -> None:
    """ValueError if `t` is a tensor that can have no tangent."""
    if isinstance(t, Variable) and t.array.dtype.kind != "f":
        raise ValueError(f"Expected primal to be floating point or complex, but got: {backend.dtype_of(t.array)}")


def split_aux(name: str, returned: Any, has_aux: bool) -> tuple[Any, Any]:
    """What a function returned as (output, aux)."""
    if not has_aux:
        return returned, None
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return returned


def tensors_of(output: Any, name: str) -> list[Any]:
    """The leaves of an output, which must be tensors, one at least."""
    flat = leaves(output)
    if not flat or (len(flat) == 1 and flat[0] is None):
        raise RuntimeError(f"{name}: Expected f to be a function that has non-empty output (got output = {flat})")
    for o in flat:
        if not isinstance(o, Variable):
            raise RuntimeError(f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(o)}")
    return flat
