"""What every test runs under: one thread, a Hypothesis profile (`-m deep` runs every property with many more examples),
and GPU tests that are skipped in plain sight."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

# Before NumPy and torch are imported: with one thread each, sums have one order and two cores run two test runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# No deadlines: the first example of a case pays for imports and compiled kernels, and machines are shared.
settings.register_profile("dev", deadline=None, max_examples=25)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=25,
    derandomize=True,  # the same examples each time: a red run is the change's doing
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # says how busy the machine is, not whether the code is right
)
settings.register_profile(
    "deep", deadline=None, max_examples=1000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

skipped_for_want_of_a_gpu = pytest.StashKey[tuple[int, str]]()


def why_no_gpu() -> str | None:
    """Why tests marked `gpu` cannot run here; None if they can. Asks CuPy itself, not the code under test."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    return None if cupy.cuda.is_available() else "CuPy finds no CUDA GPU"


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "deep":
        settings.load_profile("deep")
    else:
        # Hypothesis also draws constants that it finds in the modules imported so far. Then another choice of tests, or
        # a new line anywhere, would change what every property draws: no more the same examples each time.
        providers._get_local_constants = providers.Constants


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what has not the marker that was asked for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.markexpr == "deep":  # every property, with many more examples
        for item in items:
            if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
                item.add_marker("deep")
    for_gpu = [item for item in items if item.get_closest_marker("gpu")]
    reason = why_no_gpu() if for_gpu else None
    if reason:
        for item in for_gpu:
            item.add_marker(pytest.mark.skip(reason=reason))
        config.stash[skipped_for_want_of_a_gpu] = (len(for_gpu), reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    from minigrad.kernels.gpu import settings as switches

    before = dict(vars(switches))  # which programs under test set
    if item.get_closest_marker("gpu"):
        switches.cudnn_tf32 = False  # torch's default allows it, and its numbers have three digits
    try:
        return (yield)
    finally:
        vars(switches).update(before)


@pytest.fixture(params=["stand-in", pytest.param("gpu", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Iterator[Any]:
    """minigrad's device "cuda" is CuPy's stand-in, and then CuPy; the array module."""
    from minigrad import backend
    from reference import strict_cupy

    with strict_cupy.install() if request.param == "stand-in" else nullcontext(backend.gpu_module()) as cp:
        yield cp


@pytest.fixture
def stand_in() -> Iterator[Any]:
    """minigrad's device "cuda" is CuPy's stand-in; the array module."""
    from reference import strict_cupy

    with strict_cupy.install() as cp:
        yield cp


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # one of several processes (`-n`): the first one sums up
        session.config.workeroutput["gpu"] = session.config.stash.get(skipped_for_want_of_a_gpu, None)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if skipped := getattr(node, "workeroutput", {}).get("gpu"):
        node.config.stash[skipped_for_want_of_a_gpu] = tuple(skipped)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count, reason = config.stash.get(skipped_for_want_of_a_gpu, (0, ""))
    if count:
        terminalreporter.write_line(f"GPU tests not run: {count} ({reason})", yellow=True)
