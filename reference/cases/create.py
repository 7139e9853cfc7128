"""New tensors from sizes, numbers and nested lists; copies; and writing over all of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.case import DERIVED, SUMS, Case, Fixed, Sample, Tolerance
from reference.strategies import Draw, Recipe, unary

DTYPES = (None, "float64", "float32", "int64", "uint8", "bool")
CREATED = {
    **dict.fromkeys(DERIVED, "there is nothing to differentiate by"),
    "device": "there is no argument to take the device from",
}
OVERLOADS = {"grad_fn": "torch numbers its own overloads"}
SPACED = Tolerance(
    SUMS.float64, 2e-6, "torch rounds start + i * step once where it has a fused multiply-add, and vectors twice"
)
COSINES = Tolerance(SUMS.float64, 1e-6, "cosines of float32 arguments, multiplied and added: torch fuses some of it")


def _make(name: str) -> Callable[..., Any]:
    """T.<name>(..., dtype=...), the dtype given by its name."""

    def call(T: Any, *args: Any, dtype: str | None = None, **kwargs: Any) -> Any:
        return getattr(T, name)(*args, dtype=dtype and getattr(T, dtype), **kwargs)

    return call


def _shape_and_dtype(make: str) -> Callable[..., Any]:
    """For uninitialised memory, of which only this much is certain."""

    def call(T: Any, *args: Any, **kwargs: Any) -> Any:
        made = _make(make)(T, *args, **kwargs)
        return [*made.shape, str(made.dtype)]

    return call


def _sized(d: Draw) -> Sample:
    return Sample(d.shape(), dtype=d.one_of(*DTYPES))


def _like(d: Draw) -> Sample:
    return Sample(d.one_of(d.floats, lambda shape: d.ints(shape, 0, 3))(d.shape()), dtype=d.one_of(*DTYPES))


def _full(first: Callable[[Draw], Any]) -> Recipe:
    return lambda d: Sample(first(d), d.one_of(2, 0.5, -1.5, True), dtype=d.one_of(None, "float64", "float32"))


def _range(d: Draw) -> Sample:
    start, step = d.one_of(0, -2, 0.5), d.one_of(1, 2, 0.25)
    end = start + step * d.size(0, 5) + d.one_of(0, step / 2)
    return Sample(*d.one_of((abs(end),), (start, end), (start, end, step)), dtype=d.one_of(None, "float64", "float32"))


def _length(d: Draw) -> Sample:
    return Sample(d.size(0, 9), d.flag(), dtype=d.one_of(None, "float64", "float32"))


def _hamming(d: Draw) -> Sample:
    return Sample(d.size(0, 9), d.flag(), *d.one_of((), (0.5,), (0.6, 0.4)), dtype=d.one_of(None, "float64", "float32"))


def _line(d: Draw) -> Sample:
    return Sample(d.number(-3, 3), d.number(-3, 3), d.size(0, 7), dtype=d.one_of(None, "float64", "float32"))


def _powers(d: Draw) -> Sample:
    return Sample(*_line(d).args, d.one_of(10.0, 2, 0.5), dtype=d.one_of(None, "float64", "float32"))


def _inclusive(d: Draw) -> Sample:
    start, step = d.one_of(0, -2, 0.5), d.one_of(1, 2, 0.25, -1)
    return Sample(start, start + step * d.size(0, 5) + d.one_of(0, step / 2), step, dtype=d.one_of(None, "float64"))


def _triangle(d: Draw) -> Sample:
    return Sample(d.size(), d.size(), d.size(-3, 3), dtype=d.one_of("int64", "int32"))


def _with_strides(T: Any, x: Any, *layout: Any) -> Any:
    """What was written to a tensor of these strides, and how it lies."""
    made = T.empty_strided(*layout, dtype=x.dtype)
    return made.fill_(2.0), list(made.stride())


def _nested(d: Draw) -> Sample:
    data = d.one_of(d.floats, lambda shape: d.ints(shape, -3, 3), d.bools)(d.shape())
    return Sample(d.floats(()), data.tolist(), dtype=d.one_of(*DTYPES[:4]))


def _overwritten(d: Draw) -> Sample:
    """A tensor, and one that can be broadcast to it."""
    shape = d.shape()
    return Sample(d.floats(shape), d.floats(shape[d.size(0, len(shape)) :]))


def _filled(d: Draw) -> Sample:
    return Sample(d.floats(d.shape()), d.one_of(2, 0.5, d.floats(())))


CASES = [
    *(Case(name, _sized, call=_make(name), skip=CREATED) for name in ("zeros", "ones")),
    Case("empty", _sized, call=_shape_and_dtype("empty"), skip=CREATED),
    *(Case(name, _like, call=_make(name)) for name in ("zeros_like", "ones_like")),
    Case("empty_like", _like, call=_shape_and_dtype("empty_like")),
    Case("full", _full(lambda d: d.shape()), call=_make("full"), skip=CREATED),
    Case("full_like", _full(lambda d: d.floats(d.shape())), call=_make("full_like")),
    Case("eye", lambda d: Sample(d.size(), d.size(), dtype=d.one_of(*DTYPES)), call=_make("eye"), skip=CREATED),
    *[
        Case(f"{name}_window", _length, call=_make(f"{name}_window"), tolerance=COSINES, skip=CREATED)
        for name in ("hann", "bartlett", "blackman", "kaiser")
    ],
    Case("hamming_window", _hamming, call=_make("hamming_window"), tolerance=COSINES, skip=CREATED),
    Case("arange", _range, call=_make("arange"), tolerance=SPACED, skip=CREATED),
    Case("linspace", _line, call=_make("linspace"), tolerance=SPACED, skip=CREATED),
    Case(
        "logspace",
        _powers,
        call=_make("logspace"),
        tolerance=Tolerance(SUMS.float64, 5e-6, "the power of a rounded exponent"),
        skip=CREATED,
    ),
    Case("range", _inclusive, call=_make("range"), tolerance=SPACED, skip=CREATED),
    *(Case(name, _triangle, call=_make(name), skip=CREATED) for name in ("tril_indices", "triu_indices")),
    Case("scalar_tensor", lambda d: Sample(d.one_of(2, -0.5, True)), skip=CREATED),
    Case(
        "empty_strided",
        lambda d: Sample(
            Fixed(d.floats(())), *d.one_of(((2, 3), (1, 2)), ((2, 3), (5, 1)), ((), ()), ((0, 2), (2, 1)))
        ),
        call=_with_strides,
        skip=CREATED,
    ),
    *(
        Case(name, _nested, call=lambda T, x, data, name=name, **how: _make(name)(T, data, **how), skip=CREATED)
        for name in ("tensor", "as_tensor", "asarray")
    ),
    Case(
        "clone", unary(), covers=("from_numpy", "frombuffer", "from_dlpack", "to_dlpack")
    ),  # which the adapters make every tensor with
    Case(
        "Tensor.contiguous",
        lambda d: Sample(d.floats(d.shape(2, 3))),
        call=lambda T, x: x.transpose(0, -1).contiguous(),
    ),
    Case("Tensor.copy_", _overwritten, call=lambda T, x, other: x.clone().copy_(other)),
    Case("Tensor.fill_", _filled, call=lambda T, x, value: x.clone().fill_(value), skip=OVERLOADS),
    Case("fill", _filled),
    Case("Tensor.zero_", unary(), call=lambda T, x: x.clone().zero_(), skip=OVERLOADS),
    Case(
        "Tensor.resize_",
        lambda d: Sample(Fixed(d.floats((2, 3))), d.one_of((3, 2), (6,), (2, 2), (1,))),
        call=lambda T, x, size: x.clone().resize_(*size).resize_as_(T.ones(size)),
        covers=("resize_as_",),
        skip={
            "layouts": "it shows the memory, whose order is the clone's own affair",
            "verdict": "where it grows the memory is uninitialised",
        },
    ),
]
