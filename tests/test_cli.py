"""The command line: training learns, comparing agrees, and what cannot be done is said in one line."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import minigrad
from minigrad.cli import main
from minigrad.comparison import EpochReport, compare
from minigrad.training import Settings, load_data
from minigrad.vision.idx import write_idx


def test_training_learns_and_saves_a_checkpoint(tmp_path, capsys):
    path = tmp_path / "digits.pt"
    arguments = ["train", "--network", "mnist-mlp", "--data", "digits", "--epochs", "3", "--checkpoint", str(path)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    accuracies = [float(a) for a in re.findall(r"test accuracy +([\d.]+)%", out)]
    assert len(accuracies) == 3
    assert accuracies[-1] > 80  # ten classes; guessing gives 10 %
    state = minigrad.load(path)
    assert state["epoch"] == 3
    theirs = torch.load(path, weights_only=True)
    np.testing.assert_array_equal(theirs["model"]["1.weight"].numpy(), state["model"]["1.weight"].numpy())


@pytest.mark.parametrize(("network", "data"), [("linear", "line"), ("lenet", "digits"), ("mnist-mlp", "digits")])
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_engines_agree_in_lock_step(network, data, optimizer):
    settings = Settings(network, data, optimizer, lr=1e-2, epochs=2, batch_size=128, dtype="float64")
    reports = [r for r in compare(settings, load_data(data)) if isinstance(r, EpochReport)]
    assert len(reports) == 2
    for report in reports:
        ours, theirs = report.losses
        # float64 rounding, grown over the steps of two epochs; a wrong gradient is off in its first digits.
        assert ours == pytest.approx(theirs, rel=1e-11)
        assert report.gradient_difference < 1e-9
        assert report.parameter_difference < 1e-9


def test_a_wrong_rule_is_seen(monkeypatch):
    from minigrad.optim import SGD

    update = SGD.update
    monkeypatch.setattr(SGD, "update", lambda self, p, g, *a, **k: update(self, p, g * 1.01, *a, **k))
    settings = Settings("linear", "line", "sgd", lr=1e-2, epochs=1)
    reports = [r for r in compare(settings, load_data("line")) if isinstance(r, EpochReport)]
    assert reports[0].parameter_difference > 1e-4


def test_compare_prints_a_row_an_epoch(capsys):
    assert main(["compare", "--network", "linear", "--epochs", "2", "--lr", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["1", "2"]


def test_compare_without_torch(monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["compare", "--network", "linear"]) == 1
    err = capsys.readouterr().err
    assert "PyTorch" in err
    assert "pip install torch" in err


def test_a_folder_of_idx_files(tmp_path, capsys):
    images, labels = np.zeros((20, 8, 8), "uint8"), np.arange(20, dtype="uint8") % 10
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    arguments = ["train", "--network", "mnist-mlp", "--epochs", "1", "--checkpoint", str(tmp_path / "c.pt")]
    assert main([*arguments, "--data", str(tmp_path)]) == 0
    truncated = tmp_path / "train-images-idx3-ubyte"
    truncated.write_bytes(truncated.read_bytes()[:-7])
    assert main([*arguments, "--data", str(tmp_path)]) == 1
    assert "train-images-idx3-ubyte" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "/nowhere"], "/nowhere"),
        (["train", "--checkpoint", "/nowhere/c.pt"], "cannot write the checkpoint"),
        (["train", "--network", "linear", "--data", "fashion"], "does not fit"),
        (["train", "--lr", "-1", "--network", "linear"], "Invalid learning rate"),
        (["train", "--lr", "nan", "--network", "linear"], "Invalid learning rate"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(minigrad.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--network", "linear", "--device", "cuda"]) == 1
    err = capsys.readouterr().err
    assert "CuPy" in err or "NVIDIA driver" in err


@pytest.mark.parametrize("arguments", [["--network", "foo"], ["--epochs", "0"], ["--unknown"]])
def test_unknown_names_end_with_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", *arguments])
    assert stop.value.code == 2
    assert "usage: minigrad" in capsys.readouterr().err
