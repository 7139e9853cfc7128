"""Normalization. Running moments are compared too: `running` returns them beside the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample, Tolerance
from reference.strategies import Draw, Shape

# The variance of few numbers may be small beside them, and dividing by it makes rounding errors as much larger.
TWICE = Tolerance(1e-9, 1e-4, reason="1 / std multiplies rounding errors, once more for each order of derivative")


def parameters(d: Draw, shape: Shape, *names: str) -> dict[str, Any]:
    """None of the parameters, or the first one, or both: torch cannot differentiate with a bias alone."""
    return {name: d.floats(shape, 0.5, 2) for name in names[: d.size(0, len(names))]}


def spread_out(d: Draw, shape: Shape) -> np.ndarray:
    """Numbers none of whose neighbours are alike, so that variances are not near 0."""
    n = int(np.prod(shape))
    return (d.rng().permutation(n) / max(n, 1) * 4 - 2 + d.floats((n,), 0, 0.125)).reshape(shape)


def channels(d: Draw) -> Shape:
    """(N, C, ...) with three values per channel at least: normalized, two have no slope but what eps makes."""
    return (d.size(3, 5), d.size(1, 4), *d.shape(max_dims=2, min_side=1, max_side=3))


def of_batch(d: Draw) -> Sample:
    """batch_norm in training."""
    shape = channels(d)
    options = parameters(d, shape[1:2], "weight", "bias")
    return Sample(spread_out(d, shape), None, None, **options, training=True, eps=d.one_of(1e-5, 0.25))


def with_running_moments(d: Draw) -> Sample:
    """batch_norm in training, which moves the running moments."""
    sample = of_batch(d)
    c = sample.args[0].shape[1]
    moments = Fixed(d.floats((c,))), Fixed(d.floats((c,), 0.5, 2))
    return Sample(sample.args[0], *moments, **sample.kwargs, momentum=d.one_of(0.1, 0.5, 1.0))


def as_learnt(d: Draw) -> Sample:
    shape = (d.size(1, 3), d.size(1, 4), *d.shape(max_dims=2, min_side=1, max_side=3))
    c = shape[1]
    moments = Fixed(d.floats((c,))), Fixed(d.floats((c,), 0.5, 2))
    return Sample(d.floats(shape), *moments, **parameters(d, (c,), "weight", "bias"))


def of_nothing(d: Draw) -> Sample:
    return Sample(d.floats((d.size(0, 1), 2, 0)), None, None, training=True)


def with_running(name: str) -> Any:
    """The function of torch's name, called so that the running moments are returned beside the result."""

    def call(T: Any, x: Any, mean: Any, var: Any, **options: Any) -> Any:
        out = getattr(T.nn.functional, name)(x, mean, var, **options)
        return (out, *[m for m in (mean, var) if m is not None])

    return call


def of_instance(d: Draw) -> Sample:
    shape = (d.size(1, 3), d.size(1, 3), d.size(3, 5), *d.shape(max_dims=1, min_side=1))
    c = shape[1]
    running = [Fixed(d.floats((c,))), Fixed(d.floats((c,), 0.5, 2))] if d.flag() else [None, None]
    return Sample(spread_out(d, shape), *running, **parameters(d, (c,), "weight", "bias"), eps=d.one_of(1e-5, 0.25))


def of_layer(*names: str) -> Any:
    def draw(d: Draw) -> Sample:
        sizes, front = d.shape(min_dims=1, max_dims=2, min_side=3), d.shape(max_dims=2, max_side=3)
        options = parameters(d, sizes, *names)
        return Sample(spread_out(d, front + sizes), list(sizes), **options, eps=d.one_of(1e-5, 0.25))

    return draw


def of_groups(d: Draw) -> Sample:
    groups, each = d.size(1, 2), d.size(1, 2)
    shape = (d.size(1, 3), groups * each, d.size(3, 4), *d.shape(max_dims=1, min_side=1, max_side=3))
    return Sample(spread_out(d, shape), groups, **parameters(d, shape[1:2], "weight", "bias"))


def native_of_layer(d: Draw) -> Sample:
    sample = of_layer("weight", "bias")(d)
    weight, bias = sample.kwargs.get("weight"), sample.kwargs.get("bias")
    return Sample(*sample.args, weight, bias, sample.kwargs["eps"])


def native_of_batch(d: Draw) -> Sample:
    shape = channels(d)
    given, training = parameters(d, shape[1:2], "weight", "bias"), d.flag()
    moments = (None, None) if training else (Fixed(d.floats(shape[1:2])), Fixed(d.floats(shape[1:2], 0.5, 2)))
    return Sample(spread_out(d, shape), given.get("weight"), given.get("bias"), *moments, training, 0.1, 0.25)


def native_of_groups(d: Draw) -> Sample:
    sample = of_groups(d)
    x, groups = sample.args
    n, c, *rest = x.shape
    weight, bias = [Fixed(p) if (p := sample.kwargs.get(name)) is not None else p for name in ("weight", "bias")]
    return Sample(x, weight, bias, n, c, int(np.prod(rest)), groups, d.one_of(1e-5, 0.25))


def of_neighbours(d: Draw) -> Sample:
    """local_response_norm(x, size, alpha, beta, k), the window wider than the channels too."""
    x = d.floats((d.size(1, 2), d.size(1, 5), *d.shape(min_dims=1, max_dims=3, max_side=3)))
    return Sample(x, d.size(1, 7), alpha=d.one_of(1e-4, 0.5), beta=d.one_of(0.75, 1.5), k=d.one_of(1.0, 2.0))


COMPOSED = {"grad_fn": "composed of other operations than torch's"}
CONTIGUOUS = {"layouts": "torch takes contiguous inputs only"}
CHECKED = dict.fromkeys(("dtypes", "verdict"), "checked as the operation without moments is")

CASES = [
    Case("nn.functional.batch_norm", of_batch, tolerance=TWICE),
    Case(
        "nn.functional.batch_norm",
        with_running_moments,
        "running",
        call=with_running("batch_norm"),
        tolerance=TWICE,
        skip={"paths": "the running moments are written to"},
    ),
    Case(
        "nn.functional.batch_norm",
        as_learnt,
        "as learnt",
        tolerance=TWICE,
        skip={"layouts": "torch mixes up the gradients of channels for some strides of a batch of one"},
    ),
    Case(
        "nn.functional.batch_norm",
        of_nothing,
        "of nothing",
        skip=dict.fromkeys(("dtypes", "verdict", "half"), "torch checks nothing then"),
    ),
    Case(
        "nn.functional.instance_norm",
        of_instance,
        call=with_running("instance_norm"),
        tolerance=TWICE,
        skip={
            "paths": "the running moments are written to",
            "grad_fn": "composed of other operations than torch's",
            "dtypes": "torch takes running moments of another dtype here, unlike in batch_norm",
        },
    ),
    Case("nn.functional.layer_norm", of_layer("weight", "bias"), tolerance=TWICE),
    Case("nn.functional.rms_norm", of_layer("weight"), tolerance=TWICE),
    Case("nn.functional.group_norm", of_groups, tolerance=TWICE),
    Case("native_layer_norm", native_of_layer, tolerance=TWICE, skip=CHECKED),
    Case("native_batch_norm", native_of_batch, tolerance=TWICE, skip=CHECKED),
    Case("native_group_norm", native_of_groups, tolerance=TWICE, skip=COMPOSED | CHECKED | CONTIGUOUS),
    Case("nn.functional.local_response_norm", of_neighbours, tolerance=SUMS, skip=COMPOSED),
]
