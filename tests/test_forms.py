"""The forms of each operation, declared beside it, held to torch's: methods, in-place twins, and what `out=` does."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

import minigrad
from minigrad import ops
from reference.adapters import MINIGRAD, TORCH, Engine
from reference.ledger.compare import difference
from reference.ledger.entry import Call, Entry, attribute, drawn
from reference.ledger.ledger import Settings
from reference.ledger.operations import operations
from reference.ledger.transport import Unmeasurable, freeze, thaw
from reference.signatures import forms_of
from tests.lockstep import Raised, attempt

SAMPLES = Settings(samples=2)


def takes_out(function: Any) -> bool:
    return "out" in inspect.signature(function).parameters


def of_both(names: list[str]) -> list[tuple[str, Any, Any]]:
    """The functions that both have, by torch's dotted name."""
    pairs = [(name, attribute(minigrad, name), attribute(torch, name)) for name in names]
    return [(name, ours, theirs) for name, ours, theirs in pairs if callable(ours) and callable(theirs)]


LINALG = [f"linalg.{name}" for name in dir(minigrad.linalg) if not name.startswith("_")]
SPECIAL = [f"special.{name}" for name in dir(minigrad.special) if not name.startswith("_")]

# torch's stubs know no `out` of theirs, but they take it: Python functions, or names for functions that do.
UNWRITTEN = {"special.log_softmax", "special.softmax"}


@pytest.mark.parametrize("name", [n for n in ops.__all__ if not n.endswith("_") and n not in ("gradient", "index")])
def test_methods_and_twins_are_those_of_torch(name: str) -> None:
    for method in (name, f"{name}_"):
        assert hasattr(minigrad.Tensor, method) == hasattr(torch.Tensor, method), method


def test_out_is_taken_where_torch_takes_it() -> None:
    for name, ours, theirs in of_both([*ops.__all__, *LINALG, *SPECIAL]):
        if (forms := forms_of(theirs)) and name not in UNWRITTEN:
            assert takes_out(ours) == any("out" in form.parameters for form in forms), name


# -- out= --------------------------------------------------------------------------------------------------------------

ENTRIES = {
    entry.name: entry
    for entry in operations()
    for name, ours, _ in of_both([entry.function])
    if takes_out(ours) and not entry.why_excluded()
}


def calls(entry: Entry) -> list[Call]:
    """Calls of the entry's function with what its first samples have."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = drawn(entry.name, entry.samples("float32"), SAMPLES)
    for sample in samples:
        try:
            found += freeze(entry.calls(sample))
        except Unmeasurable:
            continue
    return found


def written(engine: Engine, function: Callable[..., Any], call: Call, change: Callable[[Any, Any], Any]) -> Any:
    """What a call writes to tensors like its results, changed by `change`, which it returns."""
    T = engine.module
    [(args, kwargs)], _ = thaw([call], engine)
    with T.no_grad(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        T.manual_seed(0)
        results = function(*args, **kwargs)
        several = isinstance(results, tuple)
        outs = [change(T, r) for r in (results if several else (results,))]
        T.manual_seed(0)
        given = function(*args, **kwargs, out=tuple(outs) if several else outs[0])
    resized = [w for w in caught if "was resized" in str(w.message)]
    return several or given is outs[0], [(tuple(t.shape), str(t.dtype), t.requires_grad) for t in outs], resized, outs


CHANGES = {
    "alike": lambda T, r: T.empty_like(r),
    "empty": lambda T, r: T.empty(0, dtype=r.dtype),
    "of another shape": lambda T, r: T.empty((*r.shape, 2), dtype=r.dtype),
    "with strides": lambda T, r: T.empty((*r.shape, 2), dtype=r.dtype)[..., 0],
    "of another dtype": lambda T, r: T.empty(r.shape, dtype=T.float32 if r.dtype == T.float64 else T.float64),
    "of integers": lambda T, r: T.empty(r.shape, dtype=T.int64),
}

# What is not compared, and why. Of the dtypes and shapes that torch allows each kernel decides for itself.
UNEQUAL = {
    **dict.fromkeys(
        [(name, "of integers") for name in ("sum", "prod", "nansum", "mean", "nanmean", "cumsum", "cumprod")],
        "torch computes in the dtype of `out`",
    ),
    **dict.fromkeys(
        [
            (name, "of another dtype")
            for name in ("max", "min", "diff", "lerp", "inner", "linalg.matrix_power", "normal")
        ],
        "torch casts or refuses as its arguments choose the kernel",
    ),
    **dict.fromkeys([(name, "of integers") for name in ("lu", "bernoulli")], "torch casts down"),
    ("float_power", "of another dtype"): "torch takes float64 only",
    ("narrow_copy", "with strides"): "torch writes as if there were none",
    ("native_batch_norm", "of another shape"): "torch fails inside",
    ("normal", "with strides"): "torch draws in another order",
    ("linalg.eigh", "of another dtype"): "the signs of eigenvectors are free",
}


@pytest.mark.parametrize("name", ENTRIES)
def test_out_gets_the_result(name: str) -> None:
    entry = ENTRIES[name]
    ours, theirs = attribute(minigrad, entry.function), attribute(torch, entry.function)
    changes = {what: change for what, change in CHANGES.items() if (entry.function, what) not in UNEQUAL}
    for call in calls(entry):
        for what, change in changes.items():
            expected, got = (
                attempt(functools.partial(written, engine, function, call, change))
                for engine, function in ((TORCH, theirs), (MINIGRAD, ours))
            )
            if isinstance(expected, Raised) and expected.type in (TypeError, NotImplementedError):
                continue  # an overload of torch's that takes no `out`, a kernel that it lacks
            if isinstance(expected, Raised) or isinstance(got, Raised):
                kinds = [getattr(outcome, "type", None) for outcome in (got, expected)]
                assert kinds[0] is kinds[1], f"{what}: {call}\ntorch: {expected}\nminigrad: {got}"
                continue
            assert got[:2] == expected[:2], what
            assert what != "of another shape" or got[2] or not expected[2]  # not all of torch's kernels warn
            near = [[t.to(T.float32) for t in outs[3]] for T, outs in ((minigrad, got), (torch, expected))]
            assert not difference(*near), what
