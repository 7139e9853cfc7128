"""Random tensors, on the CPU with torch's stream: the same seed gives the same numbers as torch. On a GPU they are made
there (`kernels.philox`), but for `randperm` and for `multinomial` with replacement.

New tensors (`rand`, `randn`, ...), draws with given probabilities (`bernoulli`, `multinomial`), and functions that fill
a tensor in place (`uniform_`, ...). Random numbers do not follow their parameters: their gradient is 0, and a filled
tensor has no history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, wrap
from minigrad.autograd.views import bump, move_history
from minigrad.formats import contiguous_format, strided
from minigrad.kernels import choices, draws
from minigrad.ops import create
from minigrad.ops.expand import broadcast_shape
from minigrad.ops.forms import forms
from minigrad.ops.inplace import check_memory, check_writable
from minigrad.ops.rounding import no_slope
from minigrad.random import generator_for, generator_on

__all__ = [
    "bernoulli", "multinomial", "normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_", "random_", "uniform_",
]  # fmt: skip


# -- new tensors -------------------------------------------------------------------------------------------------------


def _new(draw: Callable[..., Any], size: tuple[Any, ...], generator: Any, dtype: Any, device: Any, grad: bool) -> Any:
    """A tensor of shape `size` filled by `draw(engine, array)`."""
    result = create.empty(*size, dtype=dtype, device=device, requires_grad=grad)
    draw(generator_for(result.array, generator), result.array)
    return result


@forms(method=False)
def rand(
    *sizes: Any, size: Any = None, generator: Any = None, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Numbers uniform on [0, 1), of shape `size`."""
    return _new(draws.uniform_, sizes if size is None else (size,), generator, dtype, device, requires_grad)


@forms(method=False, out="exact")
def randn(
    *sizes: Any, size: Any = None, generator: Any = None, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Standard normal numbers, of shape `size`."""
    return _new(draws.normal_, sizes if size is None else (size,), generator, dtype, device, requires_grad)


@forms(method=False)
def randint(
    *bounds: int, low: int = 0, high: int | None = None, size: Any = None, generator: Any = None,
    dtype: Any = backend.int64, layout: Any = strided, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Integers of [low, high): `randint(high, size)` or `randint(low, high, size)`; int64 unless `dtype` is given."""
    rest = list(bounds)
    if size is None and rest and not isinstance(rest[-1], int):
        size = rest.pop()
    if size is None:
        raise TypeError("randint() received an invalid combination of arguments: expected a size after the bounds")
    low, high = _bounds("randint", rest, low, high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")

    def draw(engine: Any, array: Any) -> None:
        choices.random_(engine, array, low, high)

    return _new(draw, (tuple(size),), generator, dtype, device, requires_grad)


@forms(method=False)
def randperm(
    n: int, *, generator: Any = None, dtype: Any = backend.int64, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The integers 0 ... n-1 in random order."""
    device = backend.get_default_device() if device is None else backend.canonical(device)
    array = choices.randperm(generator_on(device, generator), n, backend.numpy_dtype(dtype))
    return create.leaf(backend.move(array, device), requires_grad)


def rand_like(
    input: Any, *, generator: Any = None, memory_format: Any = None, dtype: Any = None, layout: Any = strided,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Numbers uniform on [0, 1), of the shape, dtype and device of `input`."""
    return _like(draws.uniform_, input, generator, dtype, device, requires_grad, memory_format)


def randn_like(
    input: Any, *, generator: Any = None, memory_format: Any = None, dtype: Any = None, layout: Any = strided,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Standard normal numbers, of the shape, dtype and device of `input`."""
    return _like(draws.normal_, input, generator, dtype, device, requires_grad, memory_format)


def randint_like(
    input: Any, *bounds: int, low: int = 0, high: int | None = None, generator: Any = None, memory_format: Any = None,
    dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Integers of [0, high), or of [low, high), of the shape, dtype and device of `input`."""
    start, end = _bounds("randint_like", bounds, low, high)

    def draw(engine: Any, array: Any) -> None:
        choices.random_(engine, array, start, end)

    return _like(draw, input, generator, dtype, device, requires_grad, memory_format)


def _bounds(name: str, bounds: Sequence[int], low: int, high: int | None) -> tuple[int, int]:
    """The bounds in `name(high)` and `name(low, high)`, given in their places or by name."""
    rest = list(bounds)
    if rest and high is None:
        high = rest.pop()
    low = rest.pop() if rest else low
    if rest or high is None:
        raise TypeError(f"{name}() received an invalid combination of arguments: expected (high) or (low, high)")
    return low, high


def _like(
    draw: Callable[..., Any], input: Any, generator: Any, dtype: Any, device: Any, grad: bool, memory_format: Any
) -> Any:
    result = create.empty_like(input, dtype=dtype, device=device, requires_grad=grad, memory_format=memory_format)
    draw(generator_for(result.array, generator), result.array)
    return result


# -- with given means and probabilities --------------------------------------------------------------------------------


@forms(method=False)
def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None,
    layout: Any = strided, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Normal numbers: of shape `size` with one mean and one standard deviation, or one for each element of the tensors
    `mean` and `std`, broadcast together."""
    tensors = [t for t in (mean, std) if isinstance(t, Variable)]
    if not tensors:
        if size is None:
            raise TypeError("normal() received an invalid combination of arguments: numbers need a size")

        def draw(engine: Any, array: Any) -> None:
            draws.normal_(engine, array, mean, std)

        return _new(draw, (tuple(size),), generator, dtype, device, requires_grad)
    arrays = [t.array for t in tensors]
    if isinstance(std, Variable) and (std.array < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    xp = backend.module_of(*arrays)
    out = xp.empty(broadcast_shape(*[a.shape for a in arrays]), arrays[0].dtype)
    draws.normal_(generator_for(out, generator), out, 0.0, 1.0 if isinstance(std, Variable) else std)
    if isinstance(std, Variable):
        out *= std.array
    out += mean.array if isinstance(mean, Variable) else mean
    if len(tensors) == 2:
        return with_mean_and_std(mean, std, out)
    return with_mean(mean, out) if isinstance(mean, Variable) else with_std(std, out)


@forms()
def bernoulli(input: Any, p: float | None = None, *, generator: Any = None) -> Any:
    """1 with the probability that `input` has there (or with probability `p` everywhere), else 0."""
    result = create.empty_like(input, memory_format=contiguous_format)
    choices.bernoulli_(generator_for(result.array, generator), result.array, input.array if p is None else p)
    return result if p is not None else with_probability(input, result.array)


def _drawn(parameter, values: Any):
    """Numbers that were drawn with a parameter: they jump where it is varied, so its gradient is 0."""
    return values


@Op(node="NormalBackward3")
def with_mean_and_std(mean, std, values: Any):
    """The same with two."""
    return values


with_mean, with_std, with_probability = (
    Op(_drawn, node=name) for name in ("NormalBackward1", "NormalBackward2", "BernoulliBackward0")
)
for _op in (with_mean, with_std, with_probability):
    _op.derivative(parameter=lambda g: no_slope(g))
with_mean_and_std.derivative(mean=lambda g: no_slope(g), std=lambda g: no_slope(g))


@forms(out="exact")
def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Any:
    """Indices drawn with probabilities proportional to each row of `input`: (..., k) -> (..., num_samples)."""
    engine = generator_for(input.array, generator)
    return wrap(choices.multinomial(engine, input.array, num_samples, replacement))


# -- in place ----------------------------------------------------------------------------------------------------------


def _fill(input: Any, draw: Callable[..., Any], *parameters: Any, generator: Any) -> Any:
    check_writable(input)
    check_memory(input.array, input)
    draw(generator_for(input.array, generator), input.array, *parameters)
    bump(input)
    if mode.grad:
        move_history(input, wrap(input.array))
    return input


@forms(out=False)
def uniform_(input: Any, from_: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Any:
    """Fill with numbers uniform on [from_, to)."""
    return _fill(input, draws.uniform_, from_, to, generator=generator)


@forms(out=False)
def normal_(input: Any, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
    """Fill with normal numbers."""
    return _fill(input, draws.normal_, mean, std, generator=generator)


@forms(out=False)
def log_normal_(input: Any, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Any:
    """Fill with numbers whose logarithm is normal."""
    return _fill(input, draws.log_normal_, mean, std, generator=generator)


@forms(out=False)
def exponential_(input: Any, lambd: float = 1.0, *, generator: Any = None) -> Any:
    """Fill with exponentially distributed numbers of mean 1 / lambd."""
    return _fill(input, draws.exponential_, lambd, generator=generator)


@forms(out=False)
def cauchy_(input: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Any:
    """Fill with Cauchy distributed numbers."""
    return _fill(input, draws.cauchy_, median, sigma, generator=generator)


@forms(out=False)
def geometric_(input: Any, p: float, *, generator: Any = None) -> Any:
    """Fill with how many trials of probability `p` it takes to succeed once."""
    return _fill(input, draws.geometric_, p, generator=generator)


@forms(out=False)
def bernoulli_(input: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    """Fill with 1, with probability `p` (a number or a tensor), else 0."""
    chance = p.array if isinstance(p, Variable) else p
    return _fill(input, choices.bernoulli_, chance, generator=generator)


@forms(out=False)
def random_(input: Any, *bounds: int, to: int | None = None, generator: Any = None) -> Any:
    """Fill with integers: `random_(to)` of [0, to), `random_(low, to)` of [low, to), `random_()` up to what the dtype
    counts to exactly."""
    bounds = bounds if to is None else (*bounds, to)
    low, high = (0, *bounds) if len(bounds) == 1 else bounds or (None, None)
    return _fill(input, choices.random_, low, high, generator=generator)
