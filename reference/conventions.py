"""What the derivative is where calculus leaves it open: kinks, ties, zeros, infinities and nans, on both engines.

    python -m reference.conventions --write      asks both and writes reference/CONVENTIONS.md

The rule that torch publishes: a derivative where there is one; of convex functions the subgradient of least norm, of
concave ones the supergradient of least norm; else what continuity says; else any number, or nan.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

import minigrad

PAGE = Path(__file__).parent / "CONVENTIONS.md"


class Probe(NamedTuple):
    """An expression in T (the library) and x, y (vectors of the points where it is asked), differentiated by both."""

    expression: str
    x: list[Any]
    y: list[Any] | None = None
    since: str = ""  # the release of torch from which on minigrad answers as torch


class Answer(NamedTuple):
    """The value and the gradients by x and y of its sum, printed; or the error."""

    value: str
    gradients: tuple[str, ...]


nan, inf = float("nan"), float("inf")

PROBES: dict[str, list[Probe]] = {
    "Kinks of activations": [
        # No nan where torch's vectorised loop and its loop for the rest disagree about it: hardtanh, elu, ...
        Probe("x.relu()", [-1, 0, 1, nan]),
        Probe("T.nn.functional.relu6(x)", [0, 6]),
        Probe("T.nn.functional.hardtanh(x)", [-1, 1]),
        Probe("T.nn.functional.leaky_relu(x, 0.1)", [0, nan]),
        Probe("T.nn.functional.prelu(x, T.tensor([0.25], dtype=x.dtype))", [0, nan]),
        Probe("T.nn.functional.elu(x)", [0]),
        Probe("T.nn.functional.celu(x)", [0]),
        Probe("T.nn.functional.selu(x)", [0]),
        Probe("T.nn.functional.hardswish(x)", [-3, 0, 3]),
        Probe("T.nn.functional.hardsigmoid(x)", [-3, 3]),
        Probe("T.nn.functional.softshrink(x)", [-0.5, 0.5]),
        Probe("T.nn.functional.hardshrink(x)", [-0.5, 0.5]),
        Probe("T.nn.functional.threshold(x, 1.0, 5.0)", [1, nan]),
        Probe("T.nn.functional.logsigmoid(x)", [-1000, 0, 1000, nan]),
        Probe("T.nn.functional.softplus(x)", [-1000, 0, 20, 1000, nan]),
        Probe("T.nn.functional.gelu(x)", [-inf, 0, inf, nan]),
        Probe("T.nn.functional.silu(x)", [-1000, 0, 1000, nan]),
    ],
    "Kinks and poles of elementwise functions": [
        Probe("x.abs()", [-1, 0, nan]),
        Probe("x.sign()", [0, nan]),
        Probe("x.round() + x.floor() + x.ceil() + x.trunc()", [0, 0.5]),
        Probe("x.frac()", [0, 1.5]),
        Probe("x.sqrt()", [0, -1]),
        Probe("x.rsqrt()", [0]),
        Probe("x.log()", [0, -1]),
        Probe("x.log1p()", [-1]),
        Probe("x.reciprocal()", [0]),
        Probe("x.sinc()", [0]),
        Probe("x.asin()", [1]),
        Probe("x.acosh()", [1]),
        Probe("x.atanh()", [1]),
        Probe("x.logit()", [0, 1]),
        Probe("x.erfinv()", [-1, 1]),
        Probe("x.clamp(-1, 1)", [-1, 0, 1, nan], since="2.15"),
        Probe("x.clamp(2, 1)", [0, 1.5, 3]),
        Probe("x.nan_to_num()", [nan, inf, -inf]),
    ],
    "Powers and quotients": [
        Probe("x ** 0", [0]),
        Probe("x ** 1", [0]),
        Probe("x ** 2", [0]),
        Probe("x ** 0.5", [0]),
        Probe("x ** -1", [0]),
        Probe("x ** y", [0, -2, 0, 2], [0, 2, 2, 0]),
        Probe("0 ** x", [0, 1]),
        Probe("x / y", [0, 1, 0], [1, 0, 0]),
        Probe("T.fmod(x, y)", [5, -5], [3, 3]),
        Probe("T.remainder(x, y)", [5, -5], [3, 3]),
        Probe("T.xlogy(x, y)", [0, 0], [0, 1]),
        Probe("T.atan2(x, y)", [0, 0], [0, -1]),
        Probe("T.hypot(x, y)", [0, 3], [0, 4]),
        Probe("T.copysign(x, y)", [0, 1], [-1, -1]),
        Probe("T.floor_divide(x, y)", [5], [3]),
    ],
    "Ties": [
        Probe("T.maximum(x, y)", [1, nan], [1, 0]),
        Probe("T.minimum(x, y)", [1, nan], [1, 0]),
        Probe("T.fmax(x, y)", [1, nan], [1, 0], since="2.15"),
        Probe("T.fmin(x, y)", [1, nan], [1, 0], since="2.15"),
        Probe("T.clamp(x, min=y)", [1, 0], [1, 1], since="2.15"),
        Probe("x.max()", [1, 2, 2]),
        Probe("x.min()", [1, 1, 2]),
        Probe("x.amax()", [1, 2, 2]),
        Probe("x.aminmax()[1]", [1, 2, 2]),
        Probe("x.max(0).values", [1, 2, 2]),
        Probe("x.min(0).values", [1, 1, 2]),
        Probe("x.median()", [1, 2, 2]),
        Probe("x.median()", [1, 2, 3, 4]),
        Probe("x.median(0).values", [1, 2, 2]),
        Probe("x.kthvalue(2).values", [1, 2, 2]),
        Probe("x.mode(0).values", [2, 1, 2, 1]),
        Probe("x.sort().values[0]", [1, 1, 2]),
        Probe("x.topk(1).values", [1, 2, 2]),
        Probe("x.cummax(0).values", [1, 2, 2, 1]),
        Probe("T.nn.functional.max_pool1d(x[None], 3)", [1, 1, 1]),
        Probe("T.nn.functional.max_pool1d(x[None], 3)", [1, nan, 1]),
        Probe("x[T.tensor([0, 0, 1])]", [1, 2]),
        Probe("x.gather(0, T.tensor([1, 1]))", [1, 2]),
        Probe("x.unfold(0, 2, 1)", [1, 2, 3]),
    ],
    "Norms and distances": [
        Probe("x.norm()", [0, 0]),
        Probe("x.norm(3)", [0, 0]),
        Probe("x.norm(1)", [0, 1]),
        Probe("x.norm(inf)", [1, -1, 0]),
        Probe("T.linalg.vector_norm(x, 0.5)", [0, 1]),
        Probe("T.dist(x, y)", [1, 2], [1, 2]),
        Probe("T.nn.functional.pairwise_distance(x, y)", [1, 2], [1, 2]),
        Probe("T.cdist(x[:, None], y[:, None])", [1, 2], [1, 2]),
        Probe("T.nn.functional.normalize(x, dim=0)", [0, 0]),
        Probe("T.nn.functional.cosine_similarity(x, y, dim=0)", [0, 0], [1, 2]),
    ],
    "Reductions": [
        Probe("x.prod()", [0, 2, 3]),
        Probe("x.prod()", [0, 0, 3]),
        Probe("x.cumprod(0)", [2, 0, 3, 0, 5]),
        Probe("x.std()", [2, 2]),
        Probe("x.std(correction=0)", [2]),
        Probe("x.var()", [1]),
        Probe("x.mean()", []),
        Probe("x.sum() + x.prod()", []),
        Probe("x.logsumexp(0)", [inf, 0]),
        Probe("x.logsumexp(0)", [-inf, -inf]),
        Probe("x.softmax(0)", [-inf, 0]),
        Probe("x.softmax(0)", [-inf, -inf]),
        Probe("T.where(x > 0, x.sqrt(), 0.0)", [-1, 0, 4]),
    ],
    "Losses": [
        Probe("T.nn.functional.l1_loss(x, y, reduction='sum')", [1], [1]),
        Probe("T.nn.functional.smooth_l1_loss(x, y, reduction='sum')", [1, 0, -1], [0, 0, 0]),
        Probe("T.nn.functional.huber_loss(x, y, reduction='sum')", [1, 0, -1], [0, 0, 0]),
        Probe("T.nn.functional.binary_cross_entropy(x, T.tensor([1.0, 0.0], dtype=x.dtype), reduction='sum')", [0, 1]),
        Probe("T.nn.functional.kl_div(x, T.tensor([0.0, 1.0], dtype=x.dtype), reduction='sum')", [0, 0]),
        Probe("T.nn.functional.hinge_embedding_loss(x, T.tensor([-1.0, 1.0], dtype=x.dtype))", [1, 0], since="2.15"),
        Probe("T.nn.functional.cross_entropy(x, T.tensor(0))", [1e4, -1e4]),
    ],
}


def ask(T: ModuleType, probe: Probe) -> Answer:
    """What the library answers, in float64."""
    inputs = [T.tensor(v, dtype=T.float64, requires_grad=True) for v in (probe.x, probe.y) if v is not None]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = eval(probe.expression, {"T": T, "inf": inf, **dict(zip("xy", inputs, strict=False))})
            gradients = T.autograd.grad(value.sum(), inputs, allow_unused=True)
    except Exception as error:
        return Answer(f"{type(error).__name__}: {str(error).splitlines()[0].split(',')[0]}", ())
    return Answer(printed(value), tuple("none" if g is None else printed(g) for g in gradients))


def printed(tensor: Any) -> str:
    """The elements with six digits, zeros without a sign."""
    return ", ".join(f"{v + 0.0:.6g}" for v in tensor.detach().reshape(-1).tolist()) or "(empty)"


def page() -> str:
    """The whole text of CONVENTIONS.md."""
    lines = [
        "# Conventions: the derivative where calculus leaves it open",
        "",
        "Generated by `python -m reference.conventions --write`, which asks both engines; not edited by hand.",
        f"PyTorch {torch.__version__}, float64. One entry a point, in order; the gradient is that of the sum.",
        "minigrad gives the same, except where a line says otherwise.",
    ]
    for title, probes in PROBES.items():
        lines += ["", f"## {title}", "", "| of | at | value | gradient |", "| --- | --- | --- | --- |"]
        for probe in probes:
            theirs, ours = ask(torch, probe), ask(minigrad, probe)
            at = "; ".join(f"{n} = {', '.join(f'{p:g}' for p in v)}" for n, v in zip("xy", probe[1:3]) if v is not None)
            lines.append(row(f"`{probe.expression}`", at, theirs))
            if ours != theirs:
                lines.append(row(f"in minigrad{f', and in torch since {probe.since}' * bool(probe.since)}", "", ours))
    return "\n".join(lines) + "\n"


def row(name: str, at: str, answer: Answer) -> str:
    """A line of a table."""
    gradients = answer.gradients if len(answer.gradients) < 2 else [f"{n}: {g}" for n, g in zip("xy", answer.gradients)]
    return f"| {name} | {at} | {answer.value} | {'; '.join(gradients)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}; else print it")
    if parser.parse_args().write:
        PAGE.write_text(page())
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
