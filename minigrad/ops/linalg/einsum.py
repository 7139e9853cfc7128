"""Sums of products by Einstein's convention, made of matrix products.

Every subscript names a dim. Two operands at a time are contracted: their dims are sorted into those kept in both (a
stack), those kept in one (rows or columns) and those summed over (the inner dim of a matrix product).
"""

from __future__ import annotations

import math
import string
from collections import Counter
from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.ops.linalg.matmul import bmm, mm
from minigrad.ops.reduce import sum_dim
from minigrad.ops.shape import diagonal, permute, reshape

__all__ = ["einsum"]

LETTERS = string.ascii_uppercase + string.ascii_lowercase  # torch's order: it sorts what is left out of an equation
DOTS = "..."

Labels = list[str]  # one per dim; those that an ellipsis stands for are "...0", "...1", counted from the last dim


def einsum(*args: Any) -> Any:
    """The sum of products that an equation such as "ij,jk->ik" describes.

    Subscripts on the left name the dims of the operands, those on the right the dims of the result; what is not on the
    right is summed over. Without "->" the result has the subscripts that occur once, in alphabetical order. "..."
    stands for any dims, which are broadcast; a subscript that an operand repeats means its diagonal. Also with lists:
    einsum(a, [0, 1], b, [1], [0]). RuntimeError for an equation that does not fit the operands.
    """
    inputs, output, operands = _parsed(args)
    labels = [_labels(text, x, i) for i, (text, x) in enumerate(zip(inputs, operands))]
    sizes = _sizes(labels, operands)
    result_labels = _output_labels(output, labels)
    terms = [_diagonals(x, names, i) for i, (x, names) in enumerate(zip(operands, labels))]
    result, have = terms[0]
    for i, (x, names) in enumerate(terms[1:], 2):
        later = {name for _, others in terms[i:] for name in others} | set(result_labels)
        result, have = _contract(result, have, x, names, later)
    result, have = _summed(result, have, set(result_labels))
    result = _permuted(result, [have.index(name) for name in result_labels])
    shape = tuple(sizes[name] for name in result_labels)
    return result if result.array.shape == shape else result.expand(shape)


# -- what is asked for -------------------------------------------------------------------------------------------------


def _parsed(args: tuple[Any, ...]) -> tuple[list[str], str | None, list[Any]]:
    """The operands' subscripts, the result's (None if not given), and the operands, from either form of call."""
    if not args or not (isinstance(args[0], str) or len(args) > 1):
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if not isinstance(args[0], str):
        lists = [_letters(subscripts) for subscripts in args[1::2]]
        output = _letters(args[-1]) if len(args) % 2 else None
        return lists, output, list(args[: 2 * len(lists) : 2])
    equation = args[0]
    operands = list(args[1]) if len(args) == 2 and isinstance(args[1], (list, tuple)) else list(args[1:])
    left, arrow, right = equation.partition("->")
    for i, character in enumerate(equation):
        if character not in LETTERS + " .," and not (arrow and i - len(left) in (0, 1)):
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {i} in the equation string, subscripts must be in [a-zA-Z]"
            )
    inputs = left.replace(" ", "").split(",")
    if len(inputs) != len(operands):
        more = "fewer" if len(operands) < len(inputs) else "more"
        raise RuntimeError(f"einsum(): {more} operands were provided than specified in the equation '{equation}'")
    return inputs, right.replace(" ", "") if arrow else None, operands


def _letters(subscripts: Any) -> str:
    return "".join([DOTS if s is Ellipsis else LETTERS[s] for s in subscripts])


def _labels(text: str, operand: Any, number: int) -> Labels:
    """The name of every dim of an operand."""
    if not isinstance(operand, Variable):
        raise TypeError(f"einsum(): operand {number} must be Tensor, not {type(operand).__name__}")
    before, dots, after = text.partition(DOTS)
    if "." in before + after:
        raise RuntimeError(f"einsum(): found '.' for operand {number} that is not part of any ellipsis")
    ndim, named = operand.array.ndim, len(before + after)
    if named > ndim or (named < ndim and not dots):
        how, tail = ("is more than", "") if dots else ("does not match", " and no ellipsis was given")
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) {how} the number of dimensions ({ndim}) for "
            f"operand {number}{tail}"
        )
    return [*before, *[f"{DOTS}{i}" for i in reversed(range(ndim - named))], *after]


def _sizes(labels: list[Labels], operands: list[Any]) -> dict[str, int]:
    """The size of every named dim; a dim of size 1 is broadcast."""
    sizes: dict[str, int] = {}
    for number, (names, x) in enumerate(zip(labels, operands)):
        for name, size in zip(names, x.array.shape):
            before = sizes.setdefault(name, size)
            if size != before and 1 not in (size, before):
                raise RuntimeError(
                    f"einsum(): subscript {name} has size {size} for operand {number} which does not broadcast with "
                    f"previously seen size {before}"
                )
            if before == 1:
                sizes[name] = size
    return sizes


def _output_labels(output: str | None, labels: list[Labels]) -> Labels:
    """The names of the result's dims."""
    counts = Counter(name for names in labels for name in names)
    dots = sorted([name for name in counts if name.startswith(DOTS)], key=lambda name: -int(name[len(DOTS) :]))
    if output is None:
        return dots + [letter for letter in LETTERS if counts[letter] == 1]
    before, ellipsis, after = output.partition(DOTS)
    for name in before + after:
        if name not in counts:
            raise RuntimeError(
                f"einsum(): output subscript {name} does not appear in the equation for any input operand"
            )
        if (before + after).count(name) > 1:
            raise RuntimeError(f"einsum(): output subscript {name} appears more than once in the output")
    return [*before, *(dots if ellipsis else []), *after]


# -- one operand -------------------------------------------------------------------------------------------------------


def _diagonals(x: Any, names: Labels, number: int) -> tuple[Any, Labels]:
    """Dims of one name become their diagonal."""
    names = list(names)
    while len(set(names)) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        i = names.index(name)
        j = names.index(name, i + 1)
        if x.array.shape[i] != x.array.shape[j]:
            raise RuntimeError(
                f"einsum(): subscript {name} is repeated for operand {number} but the sizes don't match, "
                f"{x.array.shape[j]} != {x.array.shape[i]}"
            )
        x = diagonal(x, 0, i, j)
        names = [n for k, n in enumerate(names) if k not in (i, j)] + [name]
    return x, names


def _summed(x: Any, names: Labels, keep: set[str]) -> tuple[Any, Labels]:
    """Sum over the dims that nobody needs any more."""
    dims = tuple(i for i, name in enumerate(names) if name not in keep)
    return (sum_dim(x, dims, False) if dims else x), [name for name in names if name in keep]


def _permuted(x: Any, order: list[int]) -> Any:
    return x if order == sorted(order) else permute(x, tuple(order))


def _without(x: Any, names: Labels, gone: list[str]) -> tuple[Any, Labels]:
    """Leave out dims of size 1."""
    if not gone:
        return x, names
    kept = [i for i, name in enumerate(names) if name not in gone]
    return reshape(x, tuple(x.array.shape[i] for i in kept)), [names[i] for i in kept]


# -- two operands ------------------------------------------------------------------------------------------------------


def _contract(a: Any, of_a: Labels, b: Any, of_b: Labels, later: set[str]) -> tuple[Any, Labels]:
    """The product of `a` and `b`, summed over the dims that both have and `later` does not need."""
    size_a, size_b = dict(zip(of_a, a.array.shape)), dict(zip(of_b, b.array.shape))
    broadcast = [name for name in of_a if name in size_b and size_a[name] != size_b[name]]
    a, of_a = _without(a, of_a, [name for name in broadcast if size_a[name] == 1])
    b, of_b = _without(b, of_b, [name for name in broadcast if size_b[name] == 1])
    a, of_a = _summed(a, of_a, later | set(of_b))
    b, of_b = _summed(b, of_b, later | set(of_a))
    stack = [name for name in of_a if name in of_b and name in later]
    inner = [name for name in of_a if name in of_b and name not in later]
    rows, columns = [name for name in of_a if name not in of_b], [name for name in of_b if name not in of_a]
    a = _permuted(a, [of_a.index(name) for name in stack + rows + inner])
    b = _permuted(b, [of_b.index(name) for name in stack + inner + columns])
    size_a.update(size_b | {name: max(size_a.get(name, 1), size_b.get(name, 1)) for name in broadcast})
    sizes = [[size_a[name] for name in names] for names in (stack, rows, inner, columns)]
    s, r, n, c = [math.prod(group) for group in sizes]
    if not inner:
        product = reshape(a, (s, r, 1)) * reshape(b, (s, 1, c))
    elif stack:
        product = bmm(reshape(a, (s, r, n)), reshape(b, (s, n, c)))
    else:
        product = mm(reshape(a, (r, n)), reshape(b, (n, c)))
    return reshape(product, (*sizes[0], *sizes[1], *sizes[3])), stack + rows + columns
