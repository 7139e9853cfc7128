"""Jacobians of functions: `jacrev` row by row, `jacfwd` column by column, and `hessian`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.func.gradients import Argnums, chosen_of, linearize_at, vjp_at
from minigrad.func.level import zeros_like
from minigrad.func.tree import leaves, rebuild
from minigrad.ops.join import stack

__all__ = ["hessian", "jacfwd", "jacrev"]


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Callable[..., Any]:
    """The function that gives the Jacobian of `func`: a backward walk for each element of the output.

    Its shape is that of the output followed by that of the input. For trees it is the tree of the output with a tree of
    the input (a tuple for a tuple of `argnums`) at each leaf. With `has_aux`, `(jacobian, aux)`. `chunk_size`, how many
    rows torch computes at once, changes nothing here.

    >>> jacrev(lambda x: x**2)(tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        output, pull_back, aux = vjp_at(func, args, argnums, has_aux)
        flat = leaves(output)
        form = _form(args, argnums)
        blocks = []
        for i, o in enumerate(flat):
            rows = []
            for unit in _units(o):
                cotangents = [unit if j == i else zeros_like(other) for j, other in enumerate(flat)]
                rows.append(leaves(pull_back(rebuild(output, cotangents))))
            blocks.append(rebuild(form, [_block([r[j] for r in rows], 0, o, x) for j, x in enumerate(leaves(form))]))
        result = rebuild(output, blocks)
        return (result, aux) if has_aux else result

    return jacobian


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """The same by a walk for each element of the input: for functions with more outputs than inputs.

    `func` is called once, so that `randomness` (see `vmap`) does not matter.

    >>> jacfwd(lambda x: x**2)(tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        form = _form(args, argnums)
        flat = leaves(form)
        output, push, aux = linearize_at(func, args, argnums, has_aux)
        columns = []  # by input, then by element of it: what it does to each output
        for i, x in enumerate(flat):
            zeros = [zeros_like(other) for other in flat]
            columns.append([leaves(push([*zeros[:i], unit, *zeros[i + 1 :]])) for unit in _units(x)])
        blocks = [
            rebuild(form, [_block([c[k] for c in columns[j]], -1, o, x) for j, x in enumerate(flat)])
            for k, o in enumerate(leaves(output))
        ]
        result = rebuild(output, blocks)
        return (result, aux) if has_aux else result

    return jacobian


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that gives the Jacobian of the Jacobian of `func`: for a number, its second derivatives.

    >>> hessian(lambda x: (x**3).sum())(tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


def _form(args: tuple[Any, ...], argnums: Argnums) -> Any:
    """The arguments that `argnums` means, as they stand in a Jacobian."""
    chosen = tuple(args[n] for n in chosen_of(args, argnums))
    return chosen[0] if isinstance(argnums, int) else chosen


def _units(t: Any) -> list[Any]:
    """The tensors of the shape of `t` that are 1 in one element and 0 elsewhere."""
    xp, size = backend.module_of(t.array), t.array.size
    return [wrap(row.reshape(t.array.shape)) for row in xp.eye(size, dtype=t.array.dtype)]


def _block(parts: list[Any], dim: int, output: Any, x: Any) -> Any:
    """The derivatives of one output by one input: its rows stacked along dim 0, or its columns along the last one."""
    shape = (*output.array.shape, *x.array.shape)
    return stack(parts, dim).reshape(shape) if parts else zeros_like(output).new_zeros(shape)
