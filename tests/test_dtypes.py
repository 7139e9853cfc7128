"""What torch tells of dtypes and of tensors by functions of its own."""

from __future__ import annotations

import itertools

import pytest

from tests.lockstep import attempt, same

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
LIMITS = ("bits", "max", "min", "dtype", "eps", "tiny", "smallest_normal", "resolution")


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("info", ["finfo", "iinfo"])
def test_limits(info, name):
    def program(T):
        limits = getattr(T, info)(getattr(T, name))
        return repr(limits), [getattr(limits, n, None) for n in LIMITS], limits == getattr(T, info)(getattr(T, name))

    same(program)


def test_limits_of_the_default_dtype_and_of_no_dtype():
    same(lambda T: T.finfo().bits)
    same(lambda T: [attempt(lambda: T.finfo(3)), attempt(lambda: T.iinfo("int8"))])


@pytest.mark.parametrize(("first", "second"), list(itertools.product(DTYPES, repeat=2)))
def test_which_dtype_two_make(first, second):
    def program(T):
        a, b = getattr(T, first), getattr(T, second)
        x = T.ones(2, dtype=a)
        made = [
            T.promote_types(a, b),
            T.result_type(x, T.ones((), dtype=b)),
            T.result_type(x, 2),
            T.result_type(2.5, x),
        ]
        return [str(dtype) for dtype in made], T.can_cast(a, b)

    same(program)


def test_facts():
    def program(T):
        x, i, empty = T.ones(2, 3, requires_grad=True), T.tensor([1, 0]), T.ones(0)
        asked = [T.is_floating_point, T.is_complex, T.is_signed, T.numel, T.is_nonzero, T.is_inference, T.get_device]
        return [
            [attempt(lambda f=f, t=t: f(t)) for f in asked for t in (x, i, empty, T.tensor(0.0), T.tensor(3), 2)],
            [T.is_tensor(t) for t in (x, 2, None, [x])],
            [T.is_same_size(x, x.t()), x.is_same_size(T.zeros(2, 3))],
            T.detach(x),
            [attempt(lambda d=d: x.stride(d)) for d in (0, -1, 1, 5)],
        ]

    same(program)


@pytest.mark.parametrize(
    "shapes", [((2, 1), (3,)), ((), (4,)), (), ((2,), 1), ((2, 3), (3, 1)), ((2,), 3), ((-1,), (2,))]
)
def test_broadcast_shapes(shapes):
    same(lambda T: attempt(lambda: T.broadcast_shapes(*shapes)))


def test_tensors_from_anything():
    def program(T):
        x = T.ones(2)
        shared = T.asarray(x)
        shared[0] = 5
        return [
            x, shared is x, T.asarray(x, copy=True) is x, T.asarray(x, dtype=T.float64), T.asarray([1, 2]),
            T.asarray(2.5), T.asarray([1.0], requires_grad=True), attempt(lambda: T.asarray([1], copy=False)),
            T.asarray(x, copy=False) is x, attempt(lambda: T.scalar_tensor([2])),
            attempt(lambda: T.empty_strided((2, 3), (1,))), attempt(lambda: T.logspace(0, 1, -1)),
            attempt(lambda: T.tril_indices(-1, 2)), attempt(lambda: T.triu_indices(2, 2, dtype=T.float32)),
            attempt(lambda: T.isin(T.ones(2) > 0, T.ones(2) > 0)), attempt(lambda: T.unravel_index(x, (2,))),
            attempt(lambda: T.range(2, 0)),
        ]  # fmt: skip

    same(program)
