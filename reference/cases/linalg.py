"""Products of vectors and matrices, einsum, and the linear layer."""

from __future__ import annotations

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw, Recipe

EMPTY = {"dtypes": "torch looks at dtypes only where there is something to multiply"}
OWN_NAME = {"grad_fn": "composed of other operations than torch's"}


def two_factors(d: Draw) -> Sample:
    """matmul(x, y) of vectors, matrices, or stacks of matrices that are broadcast."""
    n, k, m = d.size(1, 3), d.size(1, 4), d.size(1, 3)
    a, b = d.broadcastable(2, max_dims=2, min_side=1)
    stacks = (2, *(1,) * max(0, len(b) - len(a)), *a, n, k), (*(b or (1,)), k, m)
    first, second = d.one_of(((n, k), (k, m)), ((k,), (k,)), ((n, k), (k,)), ((k,), (k, m)), stacks)
    return Sample(d.floats(first), d.floats(second))


def stack_and_one(d: Draw) -> Sample:
    """matmul(x, y) of a stack of matrices with one matrix or vector, on either side."""
    n, k, m = d.size(1, 3), d.size(1, 4), d.size(1, 3)
    front = d.shape(min_dims=1, max_dims=2, min_side=2, max_side=3)
    one = d.one_of("matrix", "vector")
    if d.flag():
        return Sample(d.floats((*front, n, k)), d.floats((k, m) if one == "matrix" else (k,)))
    return Sample(d.floats((n, k) if one == "matrix" else (k,)), d.floats((*front, k, m)))


def of_shapes(*names: str, low: int = 1, high: int = 4) -> Recipe:
    """f(x, y, ...), a letter for each dim: of_shapes("nk", "km") draws two matrices that can be multiplied."""

    def draw(d: Draw) -> Sample:
        sizes = {letter: d.size(low, high) for letter in sorted(set("".join(names)))}
        return Sample(*[d.floats(tuple(sizes[letter] for letter in name)) for name in names])

    return draw


def with_summand(product: str, *factors: str) -> Recipe:
    """f(input, x, y, beta=..., alpha=...), the input broadcast to the product."""

    def draw(d: Draw) -> Sample:
        sizes = {letter: d.size(1, 3) for letter in sorted(set("".join(factors)))}
        full = tuple(sizes[letter] for letter in product)
        shape = tuple(1 if d.flag() else n for n in full)[d.size(0, len(full)) if d.flag() else 0 :]
        arrays = [d.floats(tuple(sizes[letter] for letter in name)) for name in factors]
        options = {k: d.one_of(2, 0.5, 0, 1.5) for k in ("beta", "alpha") if d.flag()}
        return Sample(d.floats(shape), *arrays, **options)

    return draw


def layer(d: Draw) -> Sample:
    """linear(x, weight, bias): rows, a vector, or any dims in front; a bias of one dim, or none."""
    front, i, o = d.shape(max_dims=3, max_side=3), d.size(1, 4), d.size(1, 3)
    x, weight = d.floats((*front, i)), d.floats((o, i))
    return Sample(x, weight, d.floats((o,))) if d.flag() else Sample(x, weight)


def odd_layer(d: Draw) -> Sample:
    """linear with a weight of one dim, or a bias of a single element."""
    i, o = d.size(1, 3), d.size(1, 3)
    if d.flag():
        return Sample(d.floats((*d.shape(max_dims=2, min_side=1), i)), d.floats((i,)))
    bias = d.one_of((), (1,))
    return Sample(d.floats((*d.shape(max_dims=2), i)), d.floats((o, i)), d.floats(bias))


def equation(d: Draw) -> Sample:
    sizes = {letter: d.size(1, 3) for letter in "bijkl"}
    text, shapes = d.one_of(
        ("ij,jk->ik", ("ij", "jk")),
        ("bij,bjk->bik", ("bij", "bjk")),
        ("bij,bkj->bik", ("bij", "bkj")),
        ("ij,jk", ("ij", "jk")),
        ("i,j->ij", ("i", "j")),
        ("ij,ij->", ("ij", "ij")),
        ("ij,ij->i", ("ij", "ij")),
        ("ij->ji", ("ij",)),
        ("ij->j", ("ij",)),
        ("bij->b", ("bij",)),
        ("ii->i", ("ii",)),
        ("ii", ("ii",)),
        ("iij,jk->ik", ("iij", "jk")),
        ("...ij,...jk->...ik", ("bij", "jk")),
        ("i...,i->...", ("ibj", "i")),
        ("ij,jk,kl->il", ("ij", "jk", "kl")),
        ("i,i,i->i", ("i", "i", "i")),
        ("bi,ijk,bk->bj", ("bi", "ijk", "bk")),
    )
    return Sample(text, *[d.floats(tuple(sizes[letter] for letter in shape)) for shape in shapes])


def contraction(d: Draw) -> Sample:
    """tensordot(x, y, n) and tensordot(x, y, (dims, dims)), the dims of y in an order of their own."""
    count = d.size(0, 2)
    inner, left, right = d.shape(count, count), d.shape(max_dims=2), d.shape(max_dims=2)
    if d.flag():
        return Sample(d.floats(left + inner), d.floats(inner + right), dims=count)
    order = d.permutation(count)
    b = d.floats(tuple(inner[i] for i in order) + right)
    return Sample(d.floats(left + inner), b, dims=([len(left) + i for i in order], list(range(count))))


CASES = [
    Case("matmul", two_factors, tolerance=SUMS),
    Case(
        "matmul",
        stack_and_one,
        "stack and one",
        tolerance=SUMS,
        skip={
            "grad_fn": "torch makes one matrix of the stack, or not, according to who wants a gradient",
            "dtypes": "and the error for two dtypes is that of the one product or the other",
        },
    ),
    Case("mm", of_shapes("nk", "km"), tolerance=SUMS),
    Case("bmm", of_shapes("bnk", "bkm"), tolerance=SUMS),
    Case("mv", of_shapes("nk", "k"), tolerance=SUMS),
    Case("dot", of_shapes("n", "n"), tolerance=SUMS),
    Case("matmul", of_shapes("nk", "km", low=0, high=1), "empty", skip=EMPTY),
    Case("bmm", of_shapes("bnk", "bkm", low=0, high=1), "empty", skip=EMPTY),
    Case("mv", of_shapes("nk", "k", low=0, high=1), "empty", skip=EMPTY),
    Case("dot", of_shapes("n", "n", low=0, high=1), "empty", skip=EMPTY),
    Case("outer", of_shapes("n", "m")),
    Case("addmm", with_summand("nm", "nk", "km"), tolerance=SUMS),
    Case("addmv", with_summand("n", "nk", "k"), tolerance=SUMS),
    Case("baddbmm", with_summand("bnm", "bnk", "bkm"), tolerance=SUMS),
    Case(
        "einsum",
        equation,
        tolerance=SUMS,
        skip=OWN_NAME | {"dtypes": "torch promotes, or not, according to which dims are of size 1"},
    ),
    Case("tensordot", contraction, tolerance=SUMS, skip=OWN_NAME),
    Case("nn.functional.linear", layer, tolerance=SUMS),
    Case("nn.functional.linear", odd_layer, "odd", tolerance=SUMS, skip=OWN_NAME),
]
