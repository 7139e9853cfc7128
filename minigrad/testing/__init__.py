"""Tests of your own functions, modules and optimizers: comparisons with torch in one line, and random inputs for them.

    assert_same_function(MyAsinh.apply, torch.asinh, [(2, 3)])           # values, gradients, second-order gradients
    assert_same_module(MyNorm(3), torch.nn.LayerNorm(3), [(2, 3)])       # outputs, all gradients, buffers
    assert_same_optimizer(MyAdam, torch.optim.Adam)                      # parameters and state, step by step

Each draws its inputs with Hypothesis, and says of a difference what it is in and which smallest inputs show it, as a
program to paste. minigrad does not import torch: a test that compares with it has done so.

`assert_close` and `make_tensor` are torch.testing's. `tensors`, `shapes` and their broadcastable kin are Hypothesis
strategies for other tests:

>>> from hypothesis import given
>>> from minigrad.testing import assert_close, tensors
>>> @given(tensors(avoid=[0.0]))
... def test_reciprocal(x):
...     assert_close(1 / (1 / x), x)
>>> test_reciprocal()
"""

from minigrad.testing.close import assert_close
from minigrad.testing.creation import make_tensor
from minigrad.testing.functions import assert_same_function
from minigrad.testing.modules import assert_same_module
from minigrad.testing.optimizers import assert_same_optimizer
from minigrad.testing.strategies import broadcastable_shapes, broadcastable_tensors, shapes, tensors

__all__ = [
    "assert_close", "make_tensor", "assert_same_function", "assert_same_module", "assert_same_optimizer",
    "shapes", "broadcastable_shapes", "tensors", "broadcastable_tensors",
]  # fmt: skip
