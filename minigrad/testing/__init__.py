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

import importlib
from typing import TYPE_CHECKING, Any

from minigrad.testing.close import assert_close
from minigrad.testing.creation import make_tensor

if TYPE_CHECKING:
    from minigrad.testing.functions import assert_same_function
    from minigrad.testing.modules import assert_same_module
    from minigrad.testing.optimizers import assert_same_optimizer
    from minigrad.testing.strategies import broadcastable_shapes, broadcastable_tensors, shapes, tensors

__all__ = [
    "assert_close", "make_tensor", "assert_same_function", "assert_same_module", "assert_same_optimizer",
    "shapes", "broadcastable_shapes", "tensors", "broadcastable_tensors",
]  # fmt: skip

# Imported when first asked for: `import minigrad` imports this package, and most programs never test.
_HOMES = {
    "assert_same_function": "functions",
    "assert_same_module": "modules",
    "assert_same_optimizer": "optimizers",
    **dict.fromkeys(["shapes", "broadcastable_shapes", "tensors", "broadcastable_tensors"], "strategies"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
