"""Names that torch keeps from its early releases, each short program run on torch and on minigrad."""

from __future__ import annotations

import warnings

import pytest

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
