"""Bad calls of random draws and generators raise torch's errors: type and first line."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigrad import random
from minigrad.kernels import choices, draws

NAN, INF = float("nan"), float("inf")


def filling(module, name, *arguments, n=2, dtype="float64"):
    """(ours, torch's): the same bad call of an in-place draw."""
    return (
        lambda: getattr(module, name)(random.Generator(), np.empty(n, dtype), *arguments),
        lambda: getattr(torch.empty(n, dtype=getattr(torch, dtype)), name)(*arguments),
    )


def sampling(weights, k, replacement=False):
    weights = np.array(weights)
    return (
        lambda: choices.multinomial(random.Generator(), weights, k, replacement),
        lambda: torch.multinomial(torch.from_numpy(weights), k, replacement),
    )


def permuting(n, dtype="int64"):
    return (
        lambda: choices.randperm(random.Generator(), n, dtype),
        lambda: torch.randperm(n, dtype=getattr(torch, dtype)),
    )


def seeding(seed):
    return lambda: random.Generator().manual_seed(seed), lambda: torch.Generator().manual_seed(seed)


def broken_state(make):
    """`make` spoils a state."""
    state = torch.Generator().get_state()
    return (
        lambda: random.Generator().set_state(make(state).numpy()),
        lambda: torch.Generator().set_state(make(state)),
    )


BAD = {
    "uniform_ reversed": filling(draws, "uniform_", 2.0, 1.0),
    "uniform_ of integers": filling(draws, "uniform_", dtype="int64"),
    "uniform_ of bools": filling(draws, "uniform_", dtype="bool"),
    "uniform_ too wide": filling(draws, "uniform_", -3e38, 3e38, dtype="float32"),
    "uniform_ too wide, half": filling(draws, "uniform_", -6e4, 6e4, dtype="float16"),
    "uniform_ too large": filling(draws, "uniform_", 0.0, 1e39, dtype="float32"),
    "uniform_ too large, half": filling(draws, "uniform_", 0.0, 1e5, dtype="float16"),
    "uniform_ from nan": filling(draws, "uniform_", NAN, 1.0),
    "uniform_ from -inf": filling(draws, "uniform_", -INF, 1.0),
    "uniform_ of nothing, reversed": filling(draws, "uniform_", 2.0, 1.0, n=0),
    "normal_ negative std": filling(draws, "normal_", 0.0, -1.0),
    "normal_ large negative std": filling(draws, "normal_", 0.0, -1234567.5),
    "normal_ nan std": filling(draws, "normal_", 0.0, NAN),
    "normal_ of integers": filling(draws, "normal_", dtype="int32"),
    "log_normal_ zero std": filling(draws, "log_normal_", 0.0, 0.0),
    "log_normal_ of integers": filling(draws, "log_normal_", dtype="int64"),
    "exponential_ zero": filling(draws, "exponential_", 0.0),
    "exponential_ nan": filling(draws, "exponential_", NAN),
    "exponential_ of integers": filling(draws, "exponential_", dtype="int64"),
    "cauchy_ zero": filling(draws, "cauchy_", 0.0, 0.0),
    "cauchy_ of integers": filling(draws, "cauchy_", dtype="int64"),
    "cauchy_ of shorts": filling(draws, "cauchy_", dtype="int16"),
    "geometric_ zero": filling(draws, "geometric_", 0.0),
    "geometric_ one": filling(draws, "geometric_", 1.0),
    "geometric_ of bools": filling(draws, "geometric_", 0.5, dtype="bool"),
    "bernoulli_ above 1": filling(choices, "bernoulli_", 1.5),
    "bernoulli_ nan": filling(choices, "bernoulli_", NAN),
    "random_ empty range": filling(choices, "random_", 5, 5, dtype="int64"),
    "random_ reversed": filling(choices, "random_", 5, 2, dtype="float32"),
    "random_ beyond uint8": filling(choices, "random_", 0, 257, dtype="uint8"),
    "random_ below uint8": filling(choices, "random_", -1, 3, dtype="uint8"),
    "random_ beyond int8": filling(choices, "random_", 0, 129, dtype="int8"),
    "random_ beyond int16": filling(choices, "random_", 0, 70000, dtype="int16"),
    "random_ beyond int32": filling(choices, "random_", 0, 2**31 + 1, dtype="int32"),
    "random_ beyond bool": filling(choices, "random_", 0, 3, dtype="bool"),
    "random_ beyond half": filling(choices, "random_", 0, 70000, dtype="float16"),
    "random_ below half": filling(choices, "random_", -70000, 0, dtype="float16"),
    "random_ from beyond uint8": filling(choices, "random_", 300, None, dtype="uint8"),
    "random_ from beyond float": filling(choices, "random_", 2**25, None, dtype="float32"),
    "random_ beyond 64 bits": filling(choices, "random_", 0, 2**63, dtype="int64"),
    "random_ all bits of int32": filling(choices, "random_", -(2**63), None, dtype="int32"),
    "random_ all bits of half": filling(choices, "random_", -(2**63), None, dtype="float16"),
    "randperm negative": permuting(-1),
    "randperm of bools": permuting(5, "bool"),
    "randperm beyond half": permuting(2050, "float16"),
    "randperm beyond float": permuting(2**24 + 2, "float32"),
    "randperm beyond uint8": permuting(257, "uint8"),
    "randperm beyond int16": permuting(40000, "int16"),
    "multinomial of a number": sampling(1.0, 1),
    "multinomial of a cube": sampling(np.ones((2, 2, 2)), 1),
    "multinomial of integers": sampling([1, 2], 1),
    "multinomial of nothing": sampling(np.ones(0), 1, True),
    "multinomial no samples": sampling([0.5, 0.5], 0),
    "multinomial too many": sampling([0.5, 0.5], 3),
    "multinomial negative": sampling([-1.0, 2.0], 1),
    "multinomial infinite": sampling([INF, 2.0], 1, True),
    "multinomial nan": sampling([NAN, 2.0], 1),
    "multinomial negative, replaced": sampling([-1.0, 2.0], 2, True),
    "multinomial infinite, replaced": sampling([INF, 2.0], 2, True),
    "multinomial nan, replaced": sampling([NAN, 2.0], 2, True),
    "multinomial zero row, replaced": sampling([[1.0, 2.0], [0.0, 0.0]], 2, True),
    "multinomial zero row": sampling([[1.0, 2.0], [0.0, 0.0]], 1),
    "multinomial zero": sampling([0.0, 0.0], 2, True),
    "a seed too large": seeding(2**64),
    "a seed too small": seeding(-(2**63) - 1),
    "a seed of float": seeding(3.5),
    "a seed of bool": seeding(True),
    "a seed of str": seeding("3"),
    "no seed": seeding(None),
    "a default seed of str": (lambda: random.manual_seed("x"), lambda: torch.manual_seed("x")),
    "a default seed of None": (lambda: random.manual_seed(None), lambda: torch.manual_seed(None)),
    "a short state": broken_state(lambda state: state[:-1]),
    "a float state": broken_state(lambda state: state.float()),
    "a state never seeded": broken_state(lambda state: state * (torch.arange(5056) != 12)),
    "a state with nothing left": broken_state(lambda state: state * (torch.arange(5056) != 8)),
    "a list for a state": (lambda: random.set_rng_state([1]), lambda: torch.set_rng_state([1])),
    "dropout above 1": (
        lambda: choices.dropout_noise(random.Generator(), np.ones(2), 1.5),
        lambda: torch.dropout(torch.ones(2), 1.5, True),
    ),
    "dropout of integers": (
        lambda: choices.dropout_noise(random.Generator(), np.ones(2, np.int64), 0.5),
        lambda: torch.dropout(torch.ones(2, dtype=torch.int64), 0.5, True),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_are_torchs(name):
    ours, theirs = BAD[name]
    with pytest.raises(Exception) as expected:  # whatever torch raises is wanted
        theirs()
    with pytest.raises(expected.type) as found:
        ours()
    assert str(found.value).split("\n")[0] == str(expected.value).split("\n")[0]


@pytest.mark.parametrize(
    ("chances", "error"),
    [
        ([0.5, 1.5], RuntimeError),
        ([0.5, NAN], RuntimeError),
        ([0.1, 0.2, 0.3], RuntimeError),
        ([0, 1], NotImplementedError),
    ],
)
def test_bernoulli_refuses_what_torch_refuses(chances, error):
    """torch's first line asks to report the text, or names the shapes of an expand; so only the type is compared."""
    with pytest.raises(error):
        torch.empty(2, 2).bernoulli_(torch.tensor(chances))
    with pytest.raises(error):
        choices.bernoulli_(random.Generator(), np.empty((2, 2)), np.array(chances))


RANGES = [("float16", 0, 3000), ("float32", -(2**26), 2**30), ("float64", 0, 2**60)]


@pytest.mark.parametrize(("dtype", "low", "high"), RANGES)
def test_inexact_ranges_warn_as_torch_does(dtype, low, high):
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        expected = torch.empty(40, dtype=getattr(torch, dtype)).random_(low, high, generator=torch.Generator())
    with pytest.warns(UserWarning, match="out of bounds") as ours:
        found = choices.random_(random.Generator(), np.empty(40, dtype), low, high)
    np.testing.assert_array_equal(found, expected.numpy())
    assert [str(w.message) for w in ours] == [str(w.message).split(" (Triggered")[0] for w in theirs]


def outcome(draw):
    """What a draw gives, or how it fails."""
    try:
        return np.asarray(draw()).tolist()
    except RuntimeError as error:
        return str(error).split("\n")[0]


@given(
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    near=st.sampled_from([2.0**0, 2.0**1, 2.0**4, -(2.0**1), -(2.0**4), -(2.0**0)]),
    offset=st.integers(-40, 40),
    width=st.one_of(st.integers(1, 20), st.none()),
)
def test_inexact_ranges_are_narrowed_as_in_torch(dtype, near, offset, width):
    """Near powers of two where not every integer exists, the bounds move inwards; nothing may be left."""
    low = int(near * 2 ** (np.finfo(dtype).nmant + 1)) + offset
    high = None if width is None else low + width
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = outcome(
            lambda: torch.empty(20, dtype=getattr(torch, dtype)).random_(low, high, generator=torch.Generator())
        )
        assert outcome(lambda: choices.random_(random.Generator(), np.empty(20, dtype), low, high)) == theirs


def test_randperm_refuses_what_it_would_draw_otherwise_than_torch():
    with pytest.raises(NotImplementedError, match="randperm: n = 300000000"):
        choices.randperm(random.Generator(), 300_000_000)
