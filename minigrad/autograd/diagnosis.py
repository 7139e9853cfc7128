"""What is wrong with a gradient: hypotheses about two Jacobians that differ, tried in order.

A Jacobian has a row for every element of the input and a column for every element of the output. Each hypothesis is a
function of the `Evidence` that returns a sentence if it explains the whole difference, else None. The first that
does is the likely cause.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from minigrad.autograd.evidence import PRECISION, Evidence, place_in, slices
from minigrad.autograd.numerical import as_tuple, is_tensor, numbers, on_both_sides

# -- the function and the differences ----------------------------------------------------------------------------------


def not_repeatable(e: Evidence) -> str | None:
    once, again = ([numbers(o) for o in as_tuple(e.func(*e.inputs)) if o.is_floating_point()] for _ in range(2))
    apart = max(np.abs(a - b).max(initial=0) for a, b in zip(once, again, strict=True))
    if apart <= e.eps * e.atol:
        return None
    return (
        f"the function is not deterministic: called twice with the same inputs it differs by up to {apart:.3g}. Turn "
        f"dropout off (.eval()), seed the random numbers inside it, or keep it from changing its inputs or state."
    )


def not_finite(e: Evidence) -> str | None:
    for name, values in (("analytical", e.analytical), ("numerical", e.given)):
        places = np.argwhere(~np.isfinite(values))
        if len(places):
            row, column = places[0]
            return (
                f"non-finite entries: the {name} derivative of {place_in('output', e.i, e.out_shape, column)} by "
                f"{place_in('input', e.j, e.shape, row)} is {values[row, column]}, where the input is "
                f"{numbers(e.input).flat[row]:.6g}. Is that outside, or at the edge of, the domain of the function or "
                f"of its derivative (log, sqrt, division, 0 * inf)?"
            )
    return None


def inexact_differences(e: Evidence) -> str | None:
    """With a better eps the numerical Jacobian agrees: the gradient is right, its check is not."""
    unsteady = not np.allclose(e.numerical, e.given, e.rtol, e.atol)
    for precision in dict.fromkeys(
        (e.precision, 2.0**-23) if unsteady else (e.precision,)
    ):  # float32 somewhere inside?
        better, steps = e.numerical if precision == e.precision else e.measured(precision), e.steps(precision)
        bound = np.maximum(e.atol + e.rtol * np.abs(better), e.doubt(precision))
        if not (np.abs(better - e.analytical) <= bound).all():
            continue
        if e.eps > steps.max():
            why = f"truncation: eps={e.eps:g} is too large for the curvature of the function here"
        else:
            why = f"rounding noise: eps={e.eps:g} is too small for numbers of about {-np.log10(precision):.0f} digits"
            why += " (pass float64 inputs)" if precision > PRECISION["torch.float64"] else ""
        return (
            f"{why}. With eps={steps.min():.0e} the numerical Jacobian agrees with the analytical one, up to "
            f"{np.abs(better - e.analytical).max():.1g}: the gradient is right as far as differences can tell."
        )
    return None


def kink(e: Evidence) -> str | None:
    """Wherever they differ, the analytical derivative lies between the slopes to the left and to the right."""
    here, kinks = numbers(e.output).ravel(), []
    for row in np.flatnonzero(e.wrong.any(axis=1)):
        place = tuple(int(k) for k in np.unravel_index(row, e.shape))
        before, after = on_both_sides(e.func, e.inputs, e.places[e.j], place, e.eps, e.eps)[e.columns[e.i]]
        wrong = e.wrong[row]
        left, right = ((here - before) / e.eps)[wrong], ((after - here) / e.eps)[wrong]
        analytical, slack = e.analytical[row][wrong], (e.atol + e.rtol * np.abs(e.given[row][wrong])) / 2
        if not (np.abs(analytical - (left + right) / 2) <= np.abs(right - left) / 2 + slack).all():
            return None
        sharpest = int(np.argmax(np.abs(right - left)))
        where = f"{place_in('input', e.j, e.shape, row)} = {numbers(e.input).flat[row]:.6g}"
        kinks.append((where, left[sharpest], right[sharpest]))
    _, left, right = kinks[0]
    jump = max(abs(left), abs(right)) * e.eps > 1e-3 * max(1.0, float(np.abs(here).max()))
    return (
        f"{'a jump' if jump else 'a kink'}: the function is not differentiable at "
        f"{', '.join(where for where, *_ in kinks[:4])}{' ...' if len(kinks) > 4 else ''}. There its slope is "
        f"{left:.4g} to the left and {right:.4g} to the right, and the analytical one is one of these or between them. "
        f"Check at a point further than eps={e.eps:g} away."
    )


def flat(e: Evidence) -> str | None:
    if np.abs(e.numerical).max() > e.doubt(e.precision):
        return None
    return (
        "the function does not change with this input at all, so the gradient should be zero: is it piecewise constant "
        "(round, sign, an integer cast), or does it use a copy of the input made outside?"
    )


# -- the gradient as a whole -------------------------------------------------------------------------------------------


def zero(e: Evidence) -> str | None:
    if e.analytical.any():
        return None
    return (
        "the gradient is zero: the way back is cut (detach(), .data, no_grad(), NumPy, a value that forward left on "
        "ctx), or backward returned None or zeros for this input."
    )


def sign(e: Evidence) -> str | None:
    return "wrong sign: analytical is -numerical." if e.explains(-e.numerical) else None


def _constant(e: Evidence) -> float | None:
    """c if analytical is c * numerical."""
    a, n = e.analytical, e.numerical
    norm = (n * n).sum()
    c = float((a * n).sum() / norm) if norm else 0.0
    return c if c and e.explains(c * n) else None


def known_factor(e: Evidence) -> str | None:
    c = _constant(e)
    if c is None:
        return None
    sizes = {f"the size of dimension {d} of the input": n for d, n in enumerate(e.shape)}
    sizes |= {f"the size of dimension {d} of the output": n for d, n in enumerate(e.out_shape)}
    sizes["the number of elements of the input"], sizes["the number of elements of the output"] = e.analytical.shape
    size = min({2, *sizes.values()} - {1}, key=lambda n: abs(abs(np.log(abs(c))) - np.log(n)))
    value = size if abs(c) > 1 else 1 / size
    if abs(abs(c) - value) > max(1e-3, e.doubt(e.precision) / np.abs(e.analytical).max()) * value:
        return None
    meant = [text for text, n in sizes.items() if n == size][:2]
    return (
        f"constant factor: analytical is {'-' if c < 0 else ''}{size if abs(c) > 1 else f'1/{size}'} times numerical."
        + (f" {size} is {' or '.join(meant)}: sum or mean?" if meant else "")
        + (" Is one of two equal terms detached, or the 2 of a square forgotten?" if value == 0.5 else "")
    )


def other_factor(e: Evidence) -> str | None:
    c = _constant(e)
    if c is None or np.count_nonzero(e.numerical) < 2:
        return None
    return f"constant factor: analytical is {c:.4g} times numerical."


def swapped(e: Evidence) -> str | None:
    for j, n in enumerate(e.all_numerical[e.i]):
        if j != e.j and e.explains(n):
            return (
                f"swapped inputs: the gradient of input {e.j} is that of input {j}. Does backward return its gradients "
                f"in the order of forward's arguments?"
            )
    for i, row in enumerate(e.all_numerical):
        if i != e.i and e.explains(row[e.j]):
            return (
                f"swapped outputs: this is the derivative of output {i}. Does backward take its gradients in the order "
                f"of forward's outputs?"
            )
    return None


def ignores_grad_output(e: Evidence) -> str | None:
    if e.analytical.shape[1] < 2 or not e.close(e.analytical, np.repeat(e.analytical[:, :1], len(e.analytical.T), 1)):
        return None
    if e.close(e.numerical, np.repeat(e.numerical[:, :1], len(e.numerical.T), 1)):
        return None
    return "grad_output is not used: backward gives the same whatever grad_output is; multiply by it."


def factor(e: Evidence) -> str | None:
    """An elementwise factor made of an input or of the output is missing, or is there once too often."""
    names = {place: f"input {j}" for j, place in enumerate(e.places)}
    tensors = [(names.get(k, f"argument {k}"), x) for k, x in enumerate(e.inputs) if is_tensor(x)]
    for name, v in ((name, numbers(x)) for name, x in [*tensors, (f"output {e.i}", e.output)]):
        for text, f in ((name, v), (f"{name} ** 2", v**2), (f"(1 - {name})", 1 - v), (f"(1 - {name} ** 2)", 1 - v**2)):
            for shape, end in ((e.shape, (-1, 1)), (e.out_shape, (1, -1))):
                try:
                    f_here = np.broadcast_to(f, shape).reshape(end)
                except ValueError:
                    continue
                if e.close(e.analytical * f_here, e.numerical):
                    return f"missing factor: analytical * {text} is numerical."
                if e.explains(e.numerical * f_here):
                    return f"extra factor: analytical is numerical * {text}."
    return None


# -- the right numbers in the wrong places -----------------------------------------------------------------------------


def _full(e: Evidence, matrix: np.ndarray) -> np.ndarray:
    """A Jacobian with the dimensions of the input and of the output."""
    return matrix.reshape(e.shape + e.out_shape)


def transposed(e: Evidence) -> str | None:
    n, k = _full(e, e.numerical), len(e.shape)
    if n.ndim <= 8:
        orders = itertools.product(itertools.permutations(range(k)), itertools.permutations(range(k, n.ndim)))
        for of_input, of_output in sorted(orders, key=lambda pair: sum(list(o) != sorted(o) for o in pair)):
            if e.explains(n.transpose(of_input + of_output).reshape(e.analytical.shape)):
                moved = [f"the gradient has its dimensions in the order {of_input}"] * (of_input != tuple(range(k)))
                order = tuple(d - k for d in of_output)
                moved += [f"grad_output was taken in the order {order}"] * (order != tuple(range(n.ndim - k)))
                return f"transposed: {', and '.join(moved)}."
    if e.shape == e.out_shape and e.explains(e.numerical.T):
        return (
            "transposed: this is the transposed Jacobian, as if backward applied W for W.T, did not flip a kernel, or "
            "ran a cumulative sum in the wrong direction."
        )
    return None


def reversed_order(e: Evidence) -> str | None:
    n, k = _full(e, e.numerical), len(e.shape)
    for count in range(1, 3):
        for axes in itertools.combinations(range(n.ndim), count):
            if e.explains(np.flip(n, axes).reshape(e.analytical.shape)):
                where = [f"dimension {d if d < k else d - k} of the {'input' if d < k else 'output'}" for d in axes]
                return f"reversed: the gradient is right after a flip along {' and '.join(where)}."
    return None


def partial(e: Evidence) -> str | None:
    """Along one dimension the gradient is right in some places and zero in the others."""
    a, n, k = _full(e, e.analytical), _full(e, e.numerical), len(e.shape)
    for d in range(a.ndim):
        pairs = list(zip(np.moveaxis(a, d, 0), np.moveaxis(n, d, 0), strict=True))
        right = [m for m, (x, y) in enumerate(pairs) if y.any() and e.close(x, y)]
        zeros = [m for m, (x, y) in enumerate(pairs) if not x.any() and not e.close(x, y)]
        rest = all(e.close(x, y) for m, (x, y) in enumerate(pairs) if m not in zeros)
        if not (right and zeros and rest):
            continue
        if d < k:
            return f"partial: the gradient of input {e.j} is zero at {slices(zeros, d, k)} and right elsewhere."
        return (
            f"missing sum: grad_output counts only at {slices(right, d - k, a.ndim - k)}, but the input acts on the "
            f"output at {slices(zeros, d - k, a.ndim - k)} too: sum over all the places that an element was broadcast "
            f"or copied to."
        )
    return None


def spread(e: Evidence) -> str | None:
    n = _full(e, e.numerical)
    for d, size in enumerate(e.shape):
        total = np.broadcast_to(n.sum(d, keepdims=True), n.shape).reshape(e.analytical.shape)
        for what, expected in (("sum", total), ("mean", total / size if size else total)):
            if size > 1 and e.explains(expected):
                return (
                    f"summed too far: every element along dimension {d} of the gradient is the {what} of what should "
                    f"be there. Was grad_output summed there, or expanded over elements that take no part?"
                )
    return None


# -- a missing term ----------------------------------------------------------------------------------------------------


def _blocks(e: Evidence, matrix: np.ndarray) -> Iterator[tuple[tuple[int, ...], list[np.ndarray]]]:
    """The matrix, and its blocks for every choice of dimensions that input and output share and do not mix."""
    yield (), [matrix]
    if e.shape != e.out_shape or len(e.shape) > 5:
        return
    k, full = len(e.shape), _full(e, matrix)
    for count in range(1, k):
        for dims in itertools.combinations(range(k), count):
            size = int(np.prod([e.shape[d] for d in dims]))
            front = np.moveaxis(full, [*dims, *(k + d for d in dims)], range(2 * count))
            cut = front.reshape(size, size, matrix.shape[0] // size, -1)
            if not cut[~np.eye(size, dtype=bool)].any():
                yield dims, [cut[m, m] for m in range(size)]


def missing_term(e: Evidence) -> str | None:
    """Of the form u * (v * g).sum(), as in the gradients of means, norms and softmax; or elementwise."""
    difference = e.numerical - e.analytical
    difference[np.abs(difference) <= 1e-6 * np.abs(e.numerical).max() + e.doubt(e.precision)] = 0
    for dims, blocks in _blocks(e, difference):
        blocks = [b for b in blocks if b.any()]
        if any((np.count_nonzero(b, axis=0) > 1).sum() < 2 for b in blocks):  # fewer entries show no pattern
            continue
        within = f", within each place along dimensions {dims}" if dims else ""
        if all(e.close(b, np.repeat(b[:1], len(b), 0)) for b in blocks):
            return f"missing term: one that is the same for all elements of the input, as from a mean{within}."
        if all(e.close(b, np.repeat(b[:, :1], len(b.T), 1)) for b in blocks):
            return f"missing term: one in grad_output.sum(){within}: how each element acts on all outputs alike."
        if all(np.linalg.matrix_rank(b, tol=1e-4 * np.abs(b).max()) == 1 for b in blocks):
            return f"missing term: one of the form u * (v * grad_output).sum(), as in softmax or a norm{within}."
    values = difference[difference != 0]
    if values.size > 1 and e.close(values, np.full_like(values, values[0])):
        return f"missing term: {values[0]:.4g} * grad_output, at {values.size} entries of the Jacobian."
    if e.shape == e.out_shape and not (difference - np.diag(np.diag(difference))).any() and len(difference) > 1:
        off_diagonal = e.numerical - np.diag(np.diag(e.numerical))
        if off_diagonal.any():
            return "missing term: an elementwise one; only the diagonal of the Jacobian is wrong."
    return None


def own_factors(e: Evidence) -> str | None:
    """The weakest: every row, or every column, is a multiple of what it should be."""
    for what, number, shape, a, n in (
        ("input", e.j, e.shape, e.analytical, e.numerical),
        ("output", e.i, e.out_shape, e.analytical.T, e.numerical.T),
    ):
        ratios = (a * n).sum(1) / np.where(a.any(1), (a * a).sum(1), 1)
        if e.close(a * ratios[:, None], n):
            wrong = [k for k in range(len(a)) if not np.allclose(a[k], n[k], e.rtol, e.atol)]
            shown = [f"{ratios[k]:.4g} for {place_in(what, number, shape, k)}" for k in wrong[:6]]
            return f"unexplained factors: numerical / analytical is {', '.join(shown)}" + (
                " ..." if len(wrong) > 6 else "."
            )
    return None


HYPOTHESES: tuple[Callable[[Evidence], str | None], ...] = (
    not_repeatable, not_finite, inexact_differences, kink, flat,
    zero, sign, known_factor, swapped, ignores_grad_output, factor, other_factor,
    transposed, reversed_order, partial, spread, missing_term, own_factors,
)  # fmt: skip


def likely_cause(e: Evidence) -> str:
    """The sentence of the first hypothesis that holds."""
    with np.errstate(all="ignore"):
        found = next(filter(None, (hypothesis(e) for hypothesis in HYPOTHESES)), None)
    return found or "none of the usual mistakes gives this Jacobian; compare entry by entry, with a small input."
