"""Making tensors from data, constants and ranges: values, dtypes and errors, each asked of torch at run time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from tests.lockstep import attempt, same


def each(*actions: Any) -> None:
    """Hold every action's result or error to torch's."""
    for action in actions:
        same(lambda T, action=action: attempt(lambda: action(T)))


def test_the_dtype_of_python_numbers():
    for data in ([1, 2.5], [True, 2], [True, 2.0], [], [[], []], 3, True, 2.5, (1, (2)), range(3), [2**40]):
        each(lambda T, data=data: T.tensor(data), lambda T, data=data: T.as_tensor(data))


def test_numpy_values_keep_their_dtype():
    for data in (np.float64(1), np.int16(2), np.bool_(True), [np.float32(1)], [np.float64(1)], np.ones(2, "f2")):
        each(lambda T, data=data: T.tensor(data), lambda T, data=data: T.as_tensor(data))


def test_a_dtype_that_is_given():
    each(
        lambda T: T.tensor([1.7, -1.7], dtype=T.int64),
        lambda T: T.tensor([0.5, 0.0], dtype=T.bool),
        lambda T: T.tensor([1], dtype=T.float16),
        lambda T: T.tensor([1.7], dtype=int),
        lambda T: [T.zeros(1, dtype=kind) for kind in (float, int, bool)],
    )


def test_tensors_in_sequences():
    each(
        lambda T: T.tensor([T.tensor(1.0), T.tensor(2.0)]),
        lambda T: T.tensor([T.tensor(1), T.tensor(2)]),
        lambda T: T.tensor([[T.tensor(1.0), T.tensor(2.0)], [3.0, 4.0]]),
        lambda T: T.tensor([T.ones(2), T.ones(2)]),
        lambda T: T.tensor([T.ones(1, dtype=T.float64), T.ones((), dtype=T.float64)]),
    )


@pytest.mark.parametrize("data", [None, "a", [1, None], ["a"], {1}, {}, [[1, 2], [3]], [[[1], [2]], [[1], [2, 3]]]])
def test_data_that_make_no_tensor(data):
    each(lambda T: T.tensor(data))


def test_a_tensor_of_a_tensor_warns_and_copies():
    each(lambda T: T.tensor(T.ones(2, requires_grad=True)))


def test_who_shares_memory_with_an_array():
    def program(T):
        a = np.ones(2)
        made = T.tensor(a), T.as_tensor(a), T.from_numpy(a), T.as_tensor(a, dtype=T.float32)
        a[0] = 5.0
        return made

    same(program)


def test_from_numpy_takes_arrays_only():
    each(lambda T: T.from_numpy([1]))


def test_constants_of_every_way_to_say_a_size():
    for size in ((2,), (2, 3), ((2, 3),), ([2],), ((),), (0,)):
        each(lambda T, size=size: T.zeros(*size), lambda T, size=size: T.ones(*size, dtype=T.int64))
    each(lambda T: T.zeros(size=(2, 3)), lambda T: T.ones(T.Size([2])), lambda T: T.zeros((T.tensor(2), 3)))


def test_full_takes_its_dtype_from_the_value():
    for value in (1, 1.5, True, np.float64(2.0), np.float32(2.0), np.int32(2), float("inf")):
        each(lambda T, value=value: T.full((2,), value))
    each(
        lambda T: T.full((2,), T.tensor(3)),
        lambda T: T.full((2,), 1.5, dtype=T.int64),
        lambda T: T.full(size=(2,), fill_value=3.0),
    )


@pytest.mark.parametrize("value", [300, -1, -255, -256, float("inf")])
def test_numbers_that_a_dtype_cannot_hold(value):
    each(lambda T: T.full((2,), value, dtype=T.uint8), lambda T: T.full_like(T.ones(2, dtype=T.uint8), value))


def test_only_floats_may_want_gradients():
    each(
        lambda T: T.ones(2, dtype=T.int64, requires_grad=True),
        lambda T: T.tensor([1], requires_grad=True),
        lambda T: T.arange(3, requires_grad=True),
        lambda T: T.arange(3.0, requires_grad=True),
        lambda T: T.full((2,), 1, requires_grad=True),
    )


def test_arange():
    for args in ((3,), (3.0,), (1, 4, 2), (0, 1, 0.25), (5, 0, -2), (0,), (0, 2, 0.1), (-1, 1, 0.3), (np.int64(3),)):
        each(lambda T, args=args: T.arange(*args), lambda T, args=args: T.arange(*args, dtype=T.float64))
    each(
        lambda T: T.arange(start=1, end=4),
        lambda T: T.arange(end=3),
        lambda T: T.arange(T.tensor(3)),
        lambda T: T.arange(3, 0),
        lambda T: T.arange(0, 3, 0),
        lambda T: T.arange(float("nan")),
    )


def test_linspace_is_torchs_bit_for_bit():
    rng = np.random.RandomState(0)
    for steps in range(60):
        start, end = (10 * rng.randn(2)).tolist()
        for dtype in ("float32", "float64"):
            got, expected = (T.linspace(start, end, steps, dtype=getattr(T, dtype)) for T in (minigrad, torch))
            np.testing.assert_array_equal(got.numpy(), expected.numpy())


def test_linspace_and_eye():
    for args in ((0, 1, 5), (0, 1, 1), (0, 1, 0), (3, -3, 7), (0, 1, 101), (0, 1, -1)):
        each(lambda T, args=args: T.linspace(*args), lambda T, args=args: T.linspace(*args, dtype=T.float64))
    each(lambda T: T.linspace(-5, 5, 4, dtype=T.int64))
    each(lambda T: T.eye(3), lambda T: T.eye(2, 3, dtype=T.int64), lambda T: T.eye(0), lambda T: T.eye(-1))


def test_tensors_like_others():
    each(
        lambda T: T.zeros_like(T.ones(2, 3, dtype=T.int32)),
        lambda T: T.ones_like(T.ones(2, requires_grad=True)),
        lambda T: T.full_like(T.ones(2, dtype=T.int64), 3.7),
        lambda T: T.full_like(T.ones(2), fill_value=2),
        lambda T: T.zeros_like(T.ones(2), dtype=T.bool),
        lambda T: T.ones(2, dtype=T.float64).new_full((2,), 7),
        lambda T: T.ones(2).new_tensor([1, 2]),
    )


def test_typed_constructors():
    for name in ("Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool"):
        each(lambda T, name=name: getattr(T, f"{name}Tensor")([1, 0]))
    each(
        lambda T: T.LongTensor([1.7]),
        lambda T: T.LongTensor(2, 3).shape == (2, 3),
        lambda T: [isinstance(T.ones(2), kind) for kind in (T.FloatTensor, T.LongTensor)],
    )


def test_what_is_made_in_inference_mode_stays_out_of_graphs():
    def program(T):
        x = T.ones(2)
        with T.inference_mode():
            made = T.ones(2), T.tensor([1.0]), T.zeros_like(x), T.arange(3), T.as_tensor([1.0]), x.detach()
        return [t.is_inference() for t in made]

    same(program)
