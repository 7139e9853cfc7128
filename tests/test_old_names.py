"""Names that torch keeps from its early releases, each short program run on torch and on minigrad."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from minigrad.compat.imports import as_torch
from tests.lockstep import attempt, leaf, same


@pytest.mark.parametrize("arguments", [(), (True,), (False, True)])
def test_a_variable_is_a_new_leaf_on_the_same_memory(arguments):
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            v = T.autograd.Variable(y, *arguments)
        same_memory = v.data_ptr() == y.data_ptr()
        return v, v.is_leaf, v.grad_fn, v is y, same_memory, y._version, type(v) is T.Tensor

    same(program)


def test_writing_to_a_variable_counts_as_writing_to_its_tensor():
    def program(T):
        y = leaf(T, 1.0, 2.0) * 2
        v = T.autograd.Variable(y)
        v.add_(1)
        return y.detach(), y._version, v._version

    same(program)


def test_what_a_variable_refuses_and_warns_of():
    same(
        lambda T: [
            attempt(lambda: T.autograd.Variable([1.0])),
            attempt(lambda: T.autograd.Variable(T.arange(3), requires_grad=True)),
            T.autograd.Variable(T.ones(2), volatile=True),
            T.autograd.Variable(),
            T.autograd.Variable(data=T.ones(2), requires_grad=True),
        ]
    )


def test_every_tensor_is_a_variable():
    def program(T):
        x = T.ones(1)
        return [isinstance(v, T.autograd.Variable) for v in (x, x.requires_grad_() * 2, T.nn.Parameter(x), 1.0)]

    same(program)


def test_functions_are_of_function_meta():
    same(lambda T: isinstance(T.autograd.Function, T.autograd.function.FunctionMeta))


def test_new():
    def program(T):
        x = T.ones(2, dtype=T.float64)
        some = [x.new(3).shape, x.new(2, 3).shape, x.new(T.Size([4])).shape, str(x.new(2).dtype), x.new()]
        return some, x.new([1, 2]), x.new((2, 3)), x.long().new([1.5]), x.new(x), x.new([[1], [2]])

    same(program)


@pytest.mark.parametrize(
    "arguments",
    [
        (bytearray(range(8)), "uint8", {}),
        (bytearray(range(8)), "int16", {"count": 2, "offset": 2}),
        (bytearray(8), "float32", {"requires_grad": True}),
        (bytearray(8), "int64", {"requires_grad": True}),
        (b"", "int16", {}),
        (bytearray(3), "int16", {}),
        (bytearray(4), "int16", {"offset": 4}),
        (bytearray(4), "int16", {"offset": -1}),
        (bytearray(4), "int16", {"count": 3}),
        (bytearray(4), "int16", {"count": 0}),
        ([1], "int16", {}),
    ],
)
def test_buffers(arguments):
    buffer, dtype, options = arguments
    same(lambda T: attempt(lambda: T.frombuffer(buffer, dtype=getattr(T, dtype), **options)))


def test_a_buffer_is_shared_unless_it_must_not_be_written_to():
    def program(T):
        buffer = bytearray(4)
        x = T.frombuffer(buffer, dtype=T.uint8)
        x += 1
        return list(buffer), T.frombuffer(b"abcd", dtype=T.uint8)

    same(program)


def test_memory_is_shared_by_dlpack():
    def program(T):
        array = np.arange(3.0)
        x, y = T.from_dlpack(array), T.ones(2, 2)
        x += 1
        z = T.utils.dlpack.from_dlpack(T.utils.dlpack.to_dlpack(y))
        z *= 3
        copied = T.from_dlpack(y, copy=True)
        copied += 1
        return (
            array.tolist(), y, T.from_dlpack(y.t()), np.from_dlpack(y).tolist(), attempt(lambda: T.from_dlpack([1])),
            copied, attempt(lambda: np.from_dlpack(leaf(T, 1.0))), [int(n) for n in y.__dlpack_device__()],
        )  # fmt: skip

    same(program)


def test_errors_of_windows_histograms_and_bits():
    same(
        lambda T: [
            attempt(action)
            for action in (
                lambda: T.hann_window(-1),
                lambda: T.kaiser_window(4, requires_grad=True),
                lambda: T.kaiser_window(4, False, 3.0),
                lambda: T.histc(T.tensor([1.0, 2.0]), 0),
                lambda: T.histc(T.tensor([1.0, 2.0]), 3, 4, 2),
                lambda: T.histc(T.tensor([1, 2])),
                lambda: T.histc(T.tensor([]), 4),
                lambda: T.gcd(T.tensor([4]), 2),
                lambda: T.tensor([1, -3]) << 2,
                lambda: 64 >> T.tensor([1, 3]),
                lambda: T.tensor([1.5]) << 2,
                lambda: T.tensor([True]) << T.tensor([True]),
            )
        ]
    )


def test_shifts_in_place():
    def program(T):
        x = T.tensor([1, -3])
        x <<= 3
        y = x.clone()
        x >>= 1
        return x, y

    same(program)


def test_functions_called_element_by_element():
    def program(T):
        x = T.arange(6.0).view(2, 3)
        return [
            attempt(action)
            for action in (
                lambda: x.t().apply_(lambda v: v + 1),
                lambda: x,
                lambda: T.arange(3).apply_(lambda v: v * 1.5),
                lambda: T.arange(3.0).map_(T.ones(1), lambda a, b: a + b),
                lambda: T.arange(3.0).map_(T.ones(3, dtype=T.float64), lambda a, b: a + b),
                lambda: leaf(T, 1.0).apply_(lambda v: v),
                lambda: leaf(T, 1.0).map_(T.ones(1), lambda a, b: a),
            )
        ]

    same(program)


def test_facts_that_never_change():
    def program(T):
        x = T.ones(2)
        facts = [x.is_pinned(), x.is_shared(), x.is_conj(), x.is_neg(), x.is_nested, x.name, T.is_autocast_enabled()]
        return facts, T.typename(x.long()), T.typename(3), T.typename(print), str(x.to_dense(T.float64).dtype)

    same(program)


def test_ctc_loss_beneath_that_of_nn_functional():
    def program(T):
        logs = T.arange(24.0).reshape(4, 2, 3).sin().log_softmax(2)
        lengths = T.tensor([4, 3]), T.tensor([2, 1])
        targets = T.tensor([[1, 2], [2, 0]])
        return [T.ctc_loss(logs, targets, *lengths, *rest) for rest in ((), (0, 0), (0, 2, True), (1, 1))]

    same(program)


def test_names_that_scripts_ask_for_without_using_them():
    with as_torch():
        import torch
        from torch.autograd.variable import Variable
        from torch.types import Device, Number, _TensorOrTensors

        assert Variable is torch.autograd.Variable
        assert isinstance(1.5, Number)
        assert isinstance(torch.ones(1), _TensorOrTensors)
        assert isinstance("cpu", Device)
        assert not torch.xpu.is_available()
        assert not torch.mps.is_available()
        assert not isinstance(torch.nn.Linear(1, 1), torch.nn.parallel.DistributedDataParallel)
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
