"""Pooling with kernels and without."""

import pytest

import minigrad
import minigrad.nn.functional as F
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers


def both_ways(pool, x):
    """The result of `pool`, its gradient, and its second derivative."""
    out = pool(x.requires_grad_())
    values, *indices = out if isinstance(out, tuple) else (out,)
    g = numbers(tuple(values.shape), str(x.dtype).partition(".")[2], seed=1).requires_grad_()
    (back,) = minigrad.autograd.grad(values, x, g, create_graph=True)
    (again,) = minigrad.autograd.grad(back, g, numbers(tuple(x.shape), str(x.dtype).partition(".")[2], seed=2))
    return [values, *indices, minigrad.autograd.grad(pool(x)[0].sum(), x)[0], back, again]


SHAPES = {1: (3, 2, 301), 2: (2, 3, 19, 14), 3: (2, 2, 7, 9, 8)}
WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": 1},
]


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("windows", [*WINDOWS, {"kernel_size": 3, "dilation": 2, "padding": 1, "stride": 2}])
def test_max_pooling(windows, n, dtype):
    pool = getattr(F, f"max_pool{n}d")

    def program(dtype):
        x = numbers(SHAPES[n], dtype)
        few = (x * 2).round()  # of equal numbers the first counts
        found = both_ways(lambda t: pool(t, **windows, return_indices=True), few)
        return [*found, *both_ways(lambda t: pool(t, **windows, return_indices=True), x.transpose(0, 1))]

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
def test_maxima_of_nan_and_infinities(dtype):
    def program(dtype):
        x = numbers((1, 2, 9, 9), dtype)
        x[0, 0, 2:4, 3:6] = float("nan")
        x[0, 1, :4] = -float("inf")
        x[0, 0, 7] = float("inf")
        return [
            t
            for options in ({"stride": 2, "padding": 1}, {"stride": 1}, {"stride": 1, "dilation": 3, "padding": 1})
            for t in F.max_pool2d(x, 3, **options, return_indices=True)
        ]

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
def test_a_window_that_misses_the_input():
    def program(dtype):
        x = numbers((1, 1, 2), dtype).requires_grad_()
        values, places = F.max_pool1d(x, 2, 1, 1, 3, return_indices=True)
        return [values, places, *minigrad.autograd.grad(values.sum(), x)]

    assert_kernels_change_nothing(program, "float32")


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("windows", WINDOWS)
def test_average_pooling(windows, n, dtype):
    pool = getattr(F, f"avg_pool{n}d")
    options = [{}, {"count_include_pad": False}] + [{"divisor_override": 3}] * (n > 1)

    def program(dtype):
        x = numbers(SHAPES[n], dtype)
        found = [t for more in options for t in both_ways(lambda t, m=more: pool(t, **windows, **m), x)]
        return [*found, *both_ways(lambda t: pool(t, **windows), x.transpose(0, 1))]

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(
    ("n", "wanted"), [(1, 7), (1, 301), (1, 400), (2, (1, 14)), (2, (5, 4)), (2, (19, 20)), (3, (2, 3, 4))]
)
def test_adaptive_pooling(n, wanted, kind, dtype):
    pool = getattr(F, f"adaptive_{kind}_pool{n}d")
    more = {"return_indices": True} if kind == "max" else {}

    def program(dtype):
        return both_ways(lambda t: pool(t, wanted, **more), numbers(SHAPES[n], dtype))

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
def test_windows_anywhere(dtype):
    def program(dtype):
        samples = numbers((2, 3, 2), dtype).sigmoid()
        return both_ways(
            lambda t: F.fractional_max_pool2d(t, 3, (6, 5), _random_samples=samples, return_indices=True),
            numbers((2, 3, 13, 11), dtype),
        )

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
def test_empty_batches_and_halves():
    def program(dtype):
        x = numbers((0, 3, 6, 6), dtype)
        half = numbers((1, 3, 6, 6), "float32").half()
        return [F.max_pool2d(x, 2), F.avg_pool2d(x, 2), F.max_pool2d(half, 2), F.avg_pool2d(half, 2)]

    assert_kernels_change_nothing(program, "float32", 1e-3)
