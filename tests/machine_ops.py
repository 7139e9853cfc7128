"""The statements of random programs that compute: `tests/machine_programs.py` writes with them, a statement at a time.

A rule sees what the program has made so far, run on torch, and so can write mostly what works; about one statement in
ten is refused by torch, on purpose. Avoided is only what torch leaves undefined, each time with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.machine import made_from
from tests.machine_writer import (
    Condition,
    NotNow,
    Writer,
    above,
    apart,
    away_from_zero,
    below,
    dims,
    disjoint,
    filled,
    fits,
    floating,
    has_dims,
    has_grad,
    no_overlap,
    no_wish,
    shaped,
    small,
    typed,
    writable,
)

SHAPES = ((3,), (2, 3), (), (2,), (3, 2), (2, 2), (1, 3), (2, 1), (3, 3), (4,), (2, 2, 2), (2, 1, 3), (0,), (2, 0))
SHAPES = SHAPES[:10] * 2 + SHAPES
FLOATS = ("T.float64", "T.float64", "T.float64", "T.float32")

Rule = Callable[[Writer], str]
RULES: list[tuple[int, Rule]] = []


def rule(often: int) -> Callable[[Rule], Rule]:
    """How often it is chosen beside the others."""

    def register(function: Rule) -> Rule:
        RULES.append((often, function))
        return function

    return register


@rule(5)
def create(w: Writer) -> str:
    shape, dtype = w.one_of(SHAPES), w.one_of(FLOATS)
    wish = ", requires_grad=True" if not w.chance(3) else ""
    how = w.one_of(("tensor", "tensor", "Parameter", "from_numpy", "zeros", "arange", "int", "like"))
    if how == "tensor":
        return f"{w.fresh()} = {w.literal(shape, dtype=dtype)[:-1]}{wish})"
    if how == "Parameter":
        return f"{w.fresh()} = T.nn.Parameter({w.literal(shape, dtype=dtype)})"
    if how == "from_numpy":
        return f"{w.fresh()} = T.from_numpy(np.full({shape}, {w.number()}.0))".replace(".5.0", ".5")
    if how == "zeros":
        return f"{w.fresh()} = T.{w.one_of(('zeros', 'ones'))}({shape}, dtype={dtype}{wish})"
    if how == "arange":
        return f"{w.fresh()} = T.arange(6, dtype={dtype}).reshape({w.one_of(('2, 3', '6', '3, 2'))})"
    if how == "int":
        return f"{w.fresh()} = {w.literal(shape, (1, 0, 2, -1, 3), 'T.int64')}"
    return f"{w.fresh()} = T.{w.one_of(('zeros_like', 'ones_like'))}({w.tensor()}{wish})"


@rule(0)
def leaf_to_start_with(w: Writer) -> str:
    """Most programs are about gradients."""
    return f"{w.fresh()} = {w.literal(w.one_of(SHAPES), dtype=w.one_of(FLOATS))[:-1]}, requires_grad=True)"


UNARY = {
    "{x} * {n}": (),
    "{n} - {x}": (),
    "{x} + {n}": (),
    "{x} / 2": (),
    "{x}.exp()": (below(3),),
    "{x}.tanh()": (),
    "{x}.relu()": (),
    "{x}.abs()": (),
    "{x}.sigmoid()": (),
    "{x}.sqrt()": (above(0.2),),
    "1 / {x}": (away_from_zero,),
    "-{x}": (),
    "{x} ** 2": (),
    "{x}.square()": (),
    "{x}.clamp(-1.3, 1.7)": (),  # no halves: the slope at a bound differs between torch's releases
    "{x}.clone()": (),
    "{x}.contiguous()": (),
    "{x}.double()": (),
    "{x}.float()": (),
    "{x}.to(T.int64)": (),
    "{x}.sum()": (),
    "{x}.mean()": (floating,),
    "{x}.max()": (filled,),
    "{x}.sum({d})": (has_dims,),
    "{x}.sum({d}, keepdim=True)": (has_dims,),
    "{x}.mean({d})": (has_dims, floating, filled),
    "{x}.max({d})[0]": (has_dims, filled),
    "{x}.max({d}).values": (has_dims, filled),
    "{x}.amax({d})": (has_dims, filled),
    "{x}.softmax({d})": (has_dims, floating),
    "{x}.cumsum({d})": (has_dims,),
    "T.cat([{x}, {x}])": (has_dims, small),
    "T.stack([{x}, {x}], 1)": (has_dims, small, dims(1, 2)),
    "Square.apply({x})": (floating,),
    "Same.apply({x})": (floating,),
    # torch refuses leaves too late, after the write, and may crash when such a leaf's views are used later.
    "Double_.apply({x})": (
        floating,
        writable,
        lambda t: (t.grad_fn is not None and not t._is_view()) or not t.requires_grad,
    ),
}


@rule(8)
def unary(w: Writer) -> str:
    text, conditions = w.one_of(list(UNARY.items()))
    x = (w.target if "_." in text else w.tensor)(*conditions)
    return f"{w.fresh()} = " + text.format(x=x, n=w.number(), d=w.dim(x, 0) if "{d}" in text else 0)


@rule(8)
def binary(w: Writer) -> str:
    x = w.tensor(small)
    op = w.one_of("+*-/")
    y = w.tensor(fits(w[x].shape), *([away_from_zero] if op == "/" else []))
    return f"{w.fresh()} = {x} {op} {y}"


@rule(2)
def several(w: Writer) -> str:
    x = w.tensor(small)
    how = w.one_of(("where", "cat", "stack", "where number", "two", "maximum"))
    if how == "where number":
        return f"{w.fresh()} = T.where({x} > {w.number()}, {x}, {w.number()}.)".replace("5.)", "5)")
    y = w.tensor(fits(w[x].shape) if how in ("where", "maximum") else shaped(w[x].shape))
    if how == "where":
        return f"{w.fresh()} = T.where({x} > {w.number()}, {x}, {y})"
    if how == "maximum":
        return f"{w.fresh()} = T.maximum({x}, {y})"
    if how == "two":
        if not (floating(w[x]) and floating(w[y])):
            raise NotNow
        return f"{w.fresh()}, {w.fresh()} = Two.apply({x}, {y})"
    if how == "cat" and not w[x].dim():
        raise NotNow
    return f"{w.fresh()} = T.{how}([{x}, {y}], {w.dim(x, 0) if w[x].dim() else 0})"


@rule(2)
def matrix(w: Writer) -> str:
    x = w.tensor(dims(1, 2, 3), floating, below(6), above(-6))
    n, dtype = w[x].shape[-1], w[x].dtype
    y = w.tensor(
        typed(dtype),
        below(6),
        above(-6),
        lambda t: t.dim() in (1, 2) and t.shape[0] == n,
    )
    named = {(2, 2): "mm", (2, 1): "mv", (1, 1): "dot"}.get((w[x].dim(), w[y].dim()), "matmul")
    return f"{w.fresh()} = {x} @ {y}" if w.chance(2) else f"{w.fresh()} = {x}.{named}({y})"


@rule(3)
def indexed(w: Writer) -> str:
    x = w.tensor(has_dims, filled, small)
    d = w.dim(x)
    n = w[x].shape[d]
    # Not take and masked_select, which save their input in torch and so mind if it is written.
    how = w.one_of(("key", "key", "index_select", "gather", "flip", "roll"))
    if how == "key":
        return f"{w.fresh()} = {x}[{w.key(x)}]"
    if how == "index_select":
        return f"{w.fresh()} = {x}.index_select({d}, {w.places(n, 2, False)})"
    if how == "gather":
        return f"{w.fresh()} = {x}.gather({d}, ({x} > {w.number()}).long() * {n - 1})"
    if how == "roll":
        return f"{w.fresh()} = {x}.roll(1, {d})"
    return f"{w.fresh()} = {x}.flip({d})"


VIEWS = {
    "{x}[{key}]": (),
    "{x}.view(-1)": (),
    "{x}.reshape(-1)": (),
    "{x}.flatten()": (),
    "{x}.view({x}.shape)": (),
    "{x}.view_as({x})": (),
    "{x}.transpose(0, -1)": (has_dims,),
    "{x}.permute(1, 0)": (dims(2),),
    "{x}.permute(2, 0, 1)": (dims(3),),
    "{x}.t()": (dims(0, 1, 2),),
    "{x}.T": (dims(2),),
    "{x}.unsqueeze({u})": (dims(0, 1, 2),),
    "{x}.squeeze()": (),
    "{x}.squeeze({d})": (has_dims,),
    "{x}.expand(2, *{x}.shape)": (small, dims(0, 1, 2)),
    "{x}.expand_as({x})": (),
    "{x}.narrow({d}, {i}, 1)": (has_dims, filled),
    "{x}.select({d}, {i})": (has_dims, filled),
    "{x}.diagonal()": (dims(2, 3),),
    "{x}.unfold({d}, 1, 1)": (dims(1, 2), filled),
    "{x}.unfold({d2}, 2, 1)": (dims(1, 2), filled),
    "{x}.as_strided((2,), (1,))": (lambda t: t.numel() >= 2,),
    "{x}.as_strided((2, 2), (1, 1))": (lambda t: t.numel() >= 3 and t.is_contiguous(),),
    "{x}.as_strided({x}.shape, {x}.stride())": (),
    "{x}.detach()": (),
    "{x}.data": (),
    "{x}.chunk(2)[0]": (has_dims, filled),
    "{x}.split(1, {d})[0]": (has_dims, filled),
    "{x}.unbind({d})[0]": (has_dims, filled),
    "{x}[...]": (),
}


def in_base(t: Any) -> bool:
    """as_strided reaches beyond the tensor into its base: only there is memory."""
    return t._base is None or t.is_contiguous()


@rule(14)
def view(w: Writer) -> str:
    text, conditions = w.one_of(list(VIEWS.items()))
    x = w.tensor(*conditions, *([in_base] if "as_strided((" in text else []))
    if "as_strided" in text and x in made_from(w.lines, ".grad"):  # how a gradient lies in memory is nobody's contract
        raise NotNow
    words: dict[str, Any] = {"x": x, "u": w.pick(w[x].dim() + 1)}
    if "{d}" in text:
        words["d"] = w.dim(x)
        words["i"] = w.index(x, words["d"]) if "narrow" not in text else w.pick(w[x].shape[words["d"]])
    if "{d2}" in text:
        words["d2"] = w.dim(x, 2)
    if "{key}" in text:
        words["key"] = w.key(x, basic=True)
    return f"{w.fresh()} = " + text.format(**words)


@rule(2)
def views_of_one(w: Writer) -> str:
    """Several views by one call, which torch does not let be written in place."""
    x = w.tensor(has_dims, filled)
    d = w.dim(x, 2)
    n = w[x].shape[d]
    if w.chance(2) and n <= 3:
        return f"{', '.join(w.fresh() for _ in range(n))} = {x}.unbind({d})"
    return f"{w.fresh()}, {w.fresh()} = {x}.{w.one_of(('chunk', 'tensor_split'))}(2, {d})"


INPLACE = {
    "{x}.add_({v})": (),
    "{x}.mul_({v})": (),
    "{x}.sub_({v})": (),
    "{x}.copy_({t})": (),
    "{x}.div_({q})": (),
    "{x}.zero_()": (),
    "{x}.fill_({v0})": (),
    "{x}.neg_()": (),
    "{x}.clamp_(-1.3, 1.7)": (floating,),
    "{x}.relu_()": (),
    "{x}.exp_()": (below(3),),
    "{x}.tanh_()": (),
    "{x}.sigmoid_()": (),
    "{x}.square_()": (),
    "{x}.masked_fill_({x} > {n}, {v0})": (no_overlap,),  # else torch only warns
    "{x} += {v}": (),
    "{x} *= {v}": (),
    "{x} -= {v}": (),
    "{x}.add_({v}, alpha=2)": (),
}


def value(w: Writer, x: str, *conditions: Condition) -> Any:
    """What may be written into `x`: a number, or a tensor, `x` itself and its views among them."""
    return w.number() if w.chance(3) else source(w, x, *conditions)


def source(w: Writer, x: str, *conditions: Condition) -> str:
    """A tensor that may be written into `x`.

    Into integers only what wants no gradient, else torch lets them want one, and fails inside at the next walk. Into
    what is expanded not itself: torch does not refuse that copy, but to walk it.
    """
    numbers = [] if floating(w[x]) else [no_wish]
    itself = [] if no_overlap(w[x]) else [disjoint(w[x])]
    return w.tensor(fits(w[x].shape, into=True), apart(w[x]), *numbers, *itself, *conditions)


@rule(14)
def inplace(w: Writer) -> str:
    text, conditions = w.one_of(list(INPLACE.items()))
    x = w.target(*conditions)
    words: dict[str, Any] = {"x": x, "n": w.number()}
    if "{v}" in text:
        words["v"] = value(w, x)
    elif "{t}" in text:
        words["t"] = source(w, x)
    elif "{q}" in text:
        words["q"] = 2 if w.chance(2) else source(w, x, away_from_zero)
    elif "{v0}" in text:
        words["v0"] = w.number() if w.chance(2) else source(w, x, dims(0))
    return text.format(**words)


@rule(6)
def assign(w: Writer) -> str:
    """x[key] = value, and x[key] += value."""
    x = w.target()
    key = w.key(x, different=True)  # of several values for one place torch may keep any
    try:
        target = eval(f"{x}[{key}]", w.run.names)
    except (IndexError, RuntimeError):
        raise NotNow from None
    is_view = not disjoint(w[x])(target)
    if not target.numel():  # nothing happens, in one of several ways
        raise NotNow
    if not is_view and not no_overlap(w[x]):  # writes by places are not refused, but have no order
        raise NotNow
    y = source(w, x, fits(target.shape, into=True), apart(target) if is_view else disjoint(w[x]))
    return f"{x}[{key}] {w.one_of(('=', '=', '+=', '*='))} {y if w.chance(2) else w.number()}"


@rule(3)
def by_places(w: Writer) -> str:
    x = w.target(has_dims, filled, floating, no_overlap)
    d = w.dim(x)
    n = w[x].shape[d]
    how = w.one_of(("index_fill_", "index_add_", "scatter_", "scatter_add_", "index_put_"))
    if how == "index_fill_":
        return f"{x}.index_fill_({d}, {w.places(n, 1 + w.pick(n), False)}, {w.number()})"
    if how == "index_put_":
        y = w.tensor(dims(0), disjoint(w[x]), typed(w[x].dtype))
        return f"{x}.index_put_(({w.places(w[x].shape[0], 1, True)},), {y}, accumulate={w.chance(2)})"
    y = w.tensor(shaped(w[x].shape), disjoint(w[x]), typed(w[x].dtype))
    if how == "index_add_":
        return f"{x}.index_add_({d}, {w.places(n, n, False)}, {y})"
    # scatter_ keeps any of several values for one place: so it gets each place once.
    index = f"T.arange({n}).reshape({[-1 if i == d % w[x].dim() else 1 for i in range(w[x].dim())]}).expand({x}.shape)"
    return f"{x}.{how}({d}, {index}, {y})"


@rule(3)
def reshaped_inplace(w: Writer) -> str:
    text = w.one_of(("{x}.squeeze_()", "{x}.unsqueeze_(0)", "{x}.t_()", "{x}.detach_()", "{x}.requires_grad_()"))
    text = text if not w.chance(5) else "{x}.requires_grad_(False)"
    # Not of a leaf while nothing is recorded: what was recorded of it before expects gradients of the old shape.
    if "requires" not in text and not torch.is_grad_enabled():
        raise NotNow
    x = w.target(*{"{x}.t_()": (dims(1, 2),), "{x}.unsqueeze_(0)": (dims(0, 1, 2),)}.get(text, ()))
    gradients = [t.grad for t in w.run.tensors().values() if has_grad(t)]
    if any(g is w[x] for g in gradients):  # torch trusts their shape to fit their leaf
        raise NotNow
    return text.format(x=x)
