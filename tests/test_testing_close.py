"""minigrad.testing: `assert_close` and `make_tensor` beside torch's."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.testing import assert_close, make_tensor, tensors
from reference import strict_cupy
from tests.comparisons import ENGINES, inf, mistake, nan


def outcome(action, *args, **kwargs):
    """Type and whole text of the error that a call raises, classes under torch's names; or what it returns."""
    try:
        return action(*args, **kwargs)
    except Exception as error:
        text = re.sub(r"minigrad\.tensor\.Tensor", "torch.Tensor", str(error))
        return type(error), re.sub(r"minigrad\.nn", "torch.nn", text)


PAIRS = {
    "equal": lambda T: (T.tensor([1.0, 2.0]), T.tensor([1.0, 2.0])),
    "one apart": lambda T: (T.tensor([[1.0, 2.0], [3.0, 4.0]]), T.tensor([[1.0, 2.5], [3.0, 4.0]])),
    "float64": lambda T: (T.tensor([1.0], dtype=T.float64), T.tensor([1 + 2e-7], dtype=T.float64)),
    "half": lambda T: (T.ones(2, dtype=T.float16), T.zeros(2, dtype=T.float16)),
    "0-dim": lambda T: (T.tensor(1.0), T.tensor(2.0)),
    "0-dim integers": lambda T: (T.tensor(3), T.tensor(4)),
    "0-dim bools": lambda T: (T.tensor(True), T.tensor(False)),
    "integers": lambda T: (T.tensor([1, 2, 200]), T.tensor([1, 5, 3])),
    "bytes": lambda T: (T.tensor([200], dtype=T.uint8), T.tensor([3], dtype=T.uint8)),
    "bools": lambda T: (T.tensor([True, True]), T.tensor([False, True])),
    "dtypes": lambda T: (T.tensor([1, 2]), T.tensor([0.0, 3.0])),
    "shapes": lambda T: (T.ones(2), T.ones(3)),
    "strides": lambda T: (T.ones(2, 3), T.ones(3, 2).t()),
    "empty": lambda T: (T.ones(0, 3), T.ones(0, 3)),
    "nan": lambda T: (T.tensor([nan, 1.0, 2.0]), T.tensor([nan, 1.0, 3.0])),
    "infinite": lambda T: (T.tensor([inf, 1.0, 2.0]), T.tensor([-inf, 1.0, 3.0])),
    "huge": lambda T: (T.tensor([3e38]), T.tensor([-3e38])),
    "parameter": lambda T: (T.nn.Parameter(T.ones(2)), T.ones(2)),
    "numbers": lambda T: (1.0, 2.0),
    "nan numbers": lambda T: (nan, nan),
    "number types": lambda T: (1, 1.0),
    "NumPy's numbers": lambda T: (np.float32(1), 2.0),
    "complex numbers": lambda T: (3 + 4j, 3 + 4.1j),
    "booleans": lambda T: (True, np.bool_(False)),
    "None": lambda T: (None, 1),
    "Nones": lambda T: (None, None),
    "tensor and number": lambda T: (T.tensor(1.0), 1.0),
    "strings": lambda T: ("a", "a"),
    "arrays": lambda T: (np.ones(2), np.zeros(2)),
    "sequences": lambda T: ([T.tensor(1.0), (2, [3.0])], (T.tensor(1.0), [2, [4.0]])),
    "lengths": lambda T: ([1], [1, 2]),
    "mappings": lambda T: ({"a": 1, "b": [T.ones(1)]}, {"b": [T.zeros(1)], "a": 1}),
    "keys": lambda T: ([{"a": 1, "b": 2}], [{"a": 1, "c": 2}]),
    "first error": lambda T: ([1, None, 3], [2, 5, "a"]),
}
OPTIONS = {
    "defaults": {},
    "wide": {"rtol": 0.1, "atol": 0.6},
    "exact": {"rtol": 0, "atol": 0},
    "only rtol": {"rtol": 0.1},
    "only atol": {"atol": 0.1},
    "equal nan": {"equal_nan": True},
    "any dtype": {"check_dtype": False},
    "strides": {"check_stride": True},
    "exact types": {"allow_subclasses": False},
    "other checks": {"check_device": False, "check_layout": False},
    "text": {"msg": "instead"},
    "longer text": {"msg": lambda text: f"{text}\nand more"},
}


@pytest.mark.parametrize("pair", PAIRS)
def test_assert_close_says_what_torch_says(pair):
    for options in OPTIONS:
        ours, theirs = (outcome(T.testing.assert_close, *PAIRS[pair](T), **OPTIONS[options]) for T in ENGINES)
        assert ours == theirs, options


@given(tensors(include=[0.0, nan, inf]), st.integers(0, 2**32 - 1), st.sampled_from(["float32", "float64", "int32"]))
def test_assert_close_judges_as_torch_does(x, seed, dtype):
    a = np.nan_to_num(x.detach().numpy(), posinf=3) if dtype == "int32" else x.detach().numpy()
    noise = np.random.default_rng(seed).choice([0, 0, 1e-7, 1e-5, 1.0], a.shape)
    a, b = np.asarray(a, dtype), np.asarray(a + noise, dtype)
    ours, theirs = (
        outcome(T.testing.assert_close, T.from_numpy(a), T.from_numpy(b), equal_nan=bool(seed % 2)) for T in ENGINES
    )
    assert ours == theirs


def test_assert_close_across_engines():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    mine = minigrad.tensor([1.0, 2.0])
    assert_close([mine, mine, x, mine.numpy()], [x, mine.numpy(), mine, x])
    assert "Mismatched elements: 1 / 2" in mistake(assert_close, mine, x + torch.tensor([0.0, 1.0]))
    assert "torch.float32 != torch.float64" in mistake(assert_close, mine, x.double())
    with pytest.raises(TypeError):
        assert_close(mine, x, allow_subclasses=False)
    with pytest.raises(TypeError):  # torch ends with an error of its own here
        assert_close(True, 1)


def test_assert_close_on_the_gpu():
    with strict_cupy.install():
        x = minigrad.ones(2, device="cuda")
        assert_close(x, x.clone())
        assert_close(x, x.cpu(), check_device=False)
        assert "'device' do not match: cuda:0 != cpu" in mistake(assert_close, x, x.cpu())
        assert make_tensor(2, dtype=minigrad.float32, device="cuda").is_cuda


MADE = {
    "float": {"dtype": "float64"},
    "half": {"dtype": "float16", "requires_grad": True},
    "bounds": {"dtype": "float32", "low": 2, "high": 2.5},
    "from below": {"dtype": "float32", "low": -inf, "high": inf},
    "integers": {"dtype": "int64"},
    "bytes": {"dtype": "uint8"},
    "fractional bounds": {"dtype": "int8", "low": -1.5, "high": 1.5, "exclude_zero": True},
    "bools": {"dtype": "bool"},
    "gaps": {"dtype": "float32", "noncontiguous": True},
    "no zeros": {"dtype": "float32", "low": 0, "high": 1e-45, "exclude_zero": True},
    "one value": {"dtype": "float32", "low": 1, "high": 1},
    "crossed": {"dtype": "float32", "low": 1, "high": 0},
    "nan": {"dtype": "float32", "low": nan},
    "out of range": {"dtype": "uint8", "low": 300, "high": 400},
    "below range": {"dtype": "int8", "low": -400, "high": -300},
    "integer gradient": {"dtype": "int32", "requires_grad": True},
    "two layouts": {"dtype": "float32", "noncontiguous": True, "memory_format": 1},
}


@pytest.mark.parametrize("how", MADE)
def test_make_tensor_is_torchs(how):
    """From one seed, to the last bit."""

    def program(T, shape):
        T.manual_seed(3)
        options = MADE[how] | {"dtype": getattr(T, MADE[how]["dtype"])}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = outcome(T.testing.make_tensor, *shape, device="cpu", **options)
        if not isinstance(made, tuple):
            strides = made.stride() if made.numel() else None
            made = str(made.dtype), tuple(made.shape), strides, made.requires_grad, made.detach().tolist()
        return made, [w.category for w in caught if w.category is FutureWarning]

    for shape in [((2, 3),), (4,), (), ((0, 2),), ([3],)]:
        (ours, our_warnings), (theirs, their_warnings) = (program(T, shape) for T in ENGINES)
        assert our_warnings == their_warnings
        if isinstance(theirs[0], type):  # an error, after which ours may say more
            assert ours[0] is theirs[0]
            assert ours[1].startswith(theirs[1])
        else:
            assert ours == theirs
