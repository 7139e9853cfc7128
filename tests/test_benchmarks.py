"""The benchmarks time the same work on every engine, and `minigrad bench` writes what it promises."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import minigrad
from benchmarks import engines as benchmark_engines
from benchmarks.engines import ENGINES
from benchmarks.operations import LAYERS, OPERATIONS
from benchmarks.scaling import SCALING
from benchmarks.workloads import WORKLOADS, Chain
from minigrad.cli import main

CHAINS = {name: workload for name, workload in WORKLOADS.items() if isinstance(workload, Chain)}
OTHERS = ("jax", "autograd", "mygrad", "tinygrad")
SLOW = ("resnet18",)


def losses(engine: str, workload, steps: int) -> list[float]:
    step = ENGINES[engine].step(workload, 1)
    return [float(step().item()) for _ in range(steps)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.deep] * (name in SLOW)) for name in WORKLOADS if name != "adam-4M"]
)
def test_both_engines_train_the_same(name):
    ours, theirs = (losses(engine, WORKLOADS[name], 3) for engine in ("minigrad", "torch"))
    assert len(set(theirs)) == 3  # it learns: the losses would not tell otherwise
    # Rounding differs, and ResNet-18's first steps at this rate enlarge it.
    assert ours == pytest.approx(theirs, rel=1e-3 if name in SLOW else 1e-5)


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", CHAINS)
def test_other_engines_train_the_same(engine, name):
    if reason := ENGINES[engine].missing():
        pytest.skip(f"{engine}: {reason}")
    if engine == "autograd" and name.startswith("lenet"):
        with pytest.raises(NotImplementedError, match="no Conv2d"):
            losses(engine, CHAINS[name], 1)
        return
    # With larger steps than those timed, so that a wrong update would show.
    kind, settings = CHAINS[name].optimizer
    chain = replace(CHAINS[name], optimizer=(kind, settings | {"lr": 0.1 if kind == "SGD" else 1e-3}))
    assert losses(engine, chain, 6) == pytest.approx(losses("torch", chain, 6), abs=1e-4)


@pytest.mark.deep
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # its compiler uses what it has deprecated
def test_compiled_torch_trains_the_same():
    if reason := ENGINES["torch.compile"].missing():
        pytest.skip(reason)
    chain = CHAINS["mnist-mlp"]
    assert losses("torch.compile", chain, 4) == pytest.approx(losses("torch", chain, 4), abs=1e-4)


def test_scaling_changes_batch_and_width_alone():
    assert [SCALING[name].shape for name in ("batch 1", "batch 1024", "width 32")] == [(1, 784), (1024, 784), (64, 784)]
    assert SCALING["batch 64"] == SCALING["width 512"] == WORKLOADS["fashion-mlp"]


@pytest.mark.parametrize("name", [f"layer {name}, backward" for name in LAYERS] + ["small cat", "large max of rows"])
def test_operations_compute_the_same(name):
    ours, theirs = (losses(engine, OPERATIONS[name], 1) for engine in ("minigrad", "torch"))
    assert ours == pytest.approx(theirs, rel=1e-3, abs=0.1)  # sums of many float32, some around zero


@pytest.fixture
def bench(tmp_path, capsys):
    """Run the command in a folder; returns its status and output."""

    def run(*arguments: str):
        status = main(["bench", *arguments, "--folder", str(tmp_path)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_steps_are_timed_saved_and_put_on_the_page(bench, tmp_path):
    status, out, _ = bench("--only", "linear-regression", "--rounds", "2", "--seconds", "0.01")
    assert status == 0
    assert "minigrad" in out
    record = json.loads((tmp_path / "steps.json").read_text())
    assert record["machine"].keys() >= {"processor", "cores", "memory", "system"}
    assert record["versions"]["torch"] == torch.__version__
    assert record["versions"]["minigrad"] == minigrad.__version__
    (result,) = record["results"]
    assert (result["workload"], result["threads"]) == ("linear-regression", 1)
    assert result["engines"].keys() == {"minigrad", "torch"}
    for timing in result["engines"].values():
        assert timing["microseconds"] > 0
        assert len(timing["ratios"]) == 2
    assert result["engines"]["torch"]["ratio"] == 1
    assert 10 < result["engines"]["minigrad"]["peak_mib"] <= result["engines"]["torch"]["peak_mib"]
    assert bench("--page")[0] == 0
    page = (tmp_path / "README.md").read_text()
    for promised in (record["date"], record["machine"]["processor"], f"torch {torch.__version__}", "linear-regression"):
        assert promised in page
    assert ("(steps.png)" in page) == (tmp_path / "steps.png").exists()


def test_memory_is_followed_over_many_steps(bench, tmp_path):
    assert bench("--memory", "--only", "linear-regression", "--steps", "300", "--seconds", "5")[0] == 0
    results = json.loads((tmp_path / "memory.json").read_text())["results"]
    assert [(result["engine"], result["steps"]) for result in results] == [("minigrad", 300), ("torch", 300)]
    assert all(0 < result["early_mib"] <= result["resident_mib"] + 1 for result in results)


def test_what_cannot_be_done_is_said_in_one_line(bench, monkeypatch, capsys, tmp_path):
    status, _, err = bench("--page")
    assert status == 1
    assert "no results" in err
    with pytest.raises(SystemExit):
        bench("--only", "a-network-of-another-name")
    capsys.readouterr()
    find_spec = benchmark_engines.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else find_spec(name))
    status, _, err = bench("--only", "linear-regression")
    assert status == 1
    assert "pip install torch" in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
