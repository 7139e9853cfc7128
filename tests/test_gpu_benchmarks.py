"""What a GPU run measures and checks, tried on the stand-in for CuPy with torch on the CPU: each section works."""

from __future__ import annotations

import json
import math
import os
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import minigrad
from benchmarks.device import captured, facts
from benchmarks.engines import ENGINES
from benchmarks.gpu import steps
from benchmarks.gpu.__main__ import SECTIONS, main
from benchmarks.gpu.bench import distance
from benchmarks.measure import Result, Timing
from benchmarks.worker import timed_on_gpu
from benchmarks.workloads import GPU_WORKLOADS, adam, allow_tf32, linear_regression, perceptron, with_tf32
from reference import strict_cupy
from tests.gpu import needs_emulation

ROOT = Path(__file__).resolve().parent.parent


def run(tmp_path, *arguments):
    """The exit status of a run on the stand-in, and its results."""
    status = main(["--stand-in", "--out", str(tmp_path), *arguments])
    return status, json.loads((tmp_path / "results.json").read_text())


@needs_emulation
@pytest.mark.parametrize(
    ("section", "rows"), {"versions": 15, "capture": 15, "calls": 25, "convolutions": 12, "kernels": 35}.items()
)
def test_a_section_does_its_work(section, rows, tmp_path):
    status, results = run(tmp_path, "--only", section)
    assert results["failures"] == []
    assert status == 0
    assert len(results[section]) >= rows
    assert results["commit"]
    log = (tmp_path / "log.txt").read_text()
    assert all(row["name"] in log for row in results[section])


def test_whole_steps_are_measured_and_held_to_what_is_aimed_at(tmp_path, monkeypatch):
    def measure(engines, suite, workload, *settings):
        return Result(workload, 1, {name: Timing(10.0, 1.0, [1.0], 5.0) for name in engines})

    monkeypatch.setattr(steps, "measure", measure)
    status, results = run(tmp_path, "--only", "steps")
    assert status == 0
    assert [row["reached"] for row in results["steps"] if "reached" in row] == [False, True]  # captured; memory
    assert json.loads((tmp_path / "gpu.json").read_text())["suite"] == "gpu"


@pytest.mark.deep
def test_whole_steps_are_measured_in_processes_of_their_own(tmp_path):
    status, results = run(tmp_path, "--only", "steps")
    assert status == 0
    assert {row["name"] for row in results["steps"]} >= {
        f"linear-regression, {name}" for name in ("minigrad", "minigrad.graph", "torch", "memory")
    }


def test_targets_are_those_of_the_workloads():
    """Of each tutorial's network as a graph; of the large ones eager and as a graph; of the memory of all."""
    timing = {"ratio": 0.5, "peak_mib": 10.0}
    results = [
        {"workload": name, "engines": dict.fromkeys(("minigrad", "minigrad.graph", "torch"), timing)}
        for name in GPU_WORKLOADS
    ]
    found = steps.targets(results)
    assert found["resnet18, batch 128, TF32, eager"] == (0.5, 1.2)
    assert found["char-transformer, captured"] == (0.5, 1.0)
    assert found["lenet, TF32, captured"] == (0.5, 0.3)
    assert {name.removesuffix(", memory") for name in found if name.endswith("memory")} == GPU_WORKLOADS.keys()
    assert set(steps.TUTORIALS) | set(steps.LARGE) | set(steps.QUICK) <= GPU_WORKLOADS.keys()


def test_a_section_that_fails_is_noted_and_the_next_one_runs(tmp_path, monkeypatch):
    def broken(bench):
        bench.row("before", ms=1.0)
        bench.check("a sum", False, "3, not 4")
        raise ZeroDivisionError("in the middle\nof it")

    monkeypatch.setitem(SECTIONS, "calls", broken)
    status, results = run(tmp_path, "--only", "calls", "versions")
    assert status == 1
    assert results["failures"] == ["calls, a sum: 3, not 4", "calls: ZeroDivisionError: in the middle"]
    assert results["versions"]
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" in log
    assert "2 failures" in log


def test_a_wrong_result_is_a_failure(tmp_path, monkeypatch):
    """A convolution that is off by a thousandth, a softmax by as much, and a graph that replays old values."""
    conv2d, softmax = minigrad.nn.functional.conv2d, minigrad.softmax
    monkeypatch.setattr(minigrad.nn.functional, "conv2d", lambda *args, **options: conv2d(*args, **options) * 1.001)
    monkeypatch.setattr(minigrad, "softmax", lambda x, dim: softmax(x, dim) * 1.001)
    _, results = run(tmp_path, "--only", "convolutions", "kernels")
    assert sum("convolutions" in failure for failure in results["failures"]) >= 6
    assert "kernels, softmax: differs from torch" in "\n".join(results["failures"])


def test_without_a_gpu_it_is_said_in_a_line(tmp_path, capsys):
    if minigrad.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["--out", str(tmp_path / "none")]) == 1
    assert "no GPU" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    environment = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([str(ROOT / ".ci" / "gpu"), str(tmp_path / "none")], env=environment, capture_output=True)
    assert done.returncode == 1
    assert b"no GPU" in done.stderr


def test_distances_are_relative_and_nan_is_far(tmp_path):
    a = torch.tensor([3.0, 4.0])
    assert distance(a * 1.01, a) == pytest.approx(0.01, rel=1e-5)
    assert math.isnan(distance(a * math.nan, a))
    with pytest.raises(AssertionError, match="shapes"):
        distance(a, a[None])


# -- the parts of `minigrad bench --device cuda` -----------------------------------------------------------------------


@needs_emulation
@pytest.mark.parametrize("engine", ["minigrad", "minigrad.graph"])
def test_steps_are_timed_in_blocks_that_end_awaited(engine):
    with strict_cupy.install():
        step = ENGINES[engine].step(linear_regression, 1, "cuda")
        losses = [step().item() for _ in range(3)]
        assert losses[2] < losses[0]
        waited = strict_cupy.synchronizations.count
        found = timed_on_gpu(step, 0.001, minigrad)
        assert strict_cupy.synchronizations.count >= waited + 4  # before and after each block
    assert found["seconds"] > 0
    assert found["peak_mib"] >= 0


@needs_emulation
@pytest.mark.parametrize(
    "build",
    [linear_regression, perceptron(9, 8, 10, batch=4, optimizer=("Adam", {"lr": 0.01})), partial(adam, size=100)],
    ids=["SGD", "Adam", "update alone"],
)
def test_a_captured_workload_trains_as_a_plain_one(build):
    with strict_cupy.install():
        plain, other = (build(minigrad, "cuda") for _ in range(2))
        for _ in range(3):
            plain()
        replay = captured(minigrad, other)
        for _ in range(3):
            assert replay().item() == pytest.approx(plain().item(), rel=1e-5)
        ours, theirs = (p.optimizer.param_groups[0]["params"][0].detach().cpu().numpy() for p in (other, plain))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # newer releases of torch have another switch besides
def test_tf32_is_what_the_workload_says():
    seen = []

    def workload(T, device):
        seen.append((T.backends.cuda.matmul.allow_tf32, T.backends.cudnn.allow_tf32))

    before = [(T.backends.cuda.matmul.allow_tf32, T.backends.cudnn.allow_tf32) for T in (minigrad, torch)]
    try:
        for T in (minigrad, torch):
            allow_tf32(T, False)
            workload(T, "cuda")
            with_tf32(workload)(T, "cuda")
    finally:
        for T, (products, convolutions) in zip((minigrad, torch), before):
            T.backends.cuda.matmul.allow_tf32, T.backends.cudnn.allow_tf32 = products, convolutions
    assert seen == [(False, False), (True, True)] * 2


def test_what_the_gpu_is_can_be_asked_anywhere():
    found = facts()
    assert {"GPU", "driver", "CuPy", "CUDA of torch", "cuDNN"} <= found.keys()
    assert all(isinstance(text, str) for text in found.values())


def test_engines_say_on_which_device_they_run():
    assert "device cpu" in ENGINES["minigrad.graph"].missing()
    assert "device cuda" in ENGINES["jax"].missing("cuda")
    assert ENGINES["torch"].missing("cuda") == ENGINES["minigrad"].missing("cuda") == ""
