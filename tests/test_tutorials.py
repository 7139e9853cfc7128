"""The five tutorials print the same lines on minigrad as on torch, compared as `tests/printed.py` says."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import pytest

from reference.runner import TUTORIALS, run_program
from tests.printed import differences

pytest.importorskip("torch")

# Training in float32 carries rounding along. Measured by running torch against itself with other instruction sets and
# another number of threads, the printed losses spread by
RELATIVE = {
    "t001_bilstm_and_losses": 5e-5,  # 1.3e-5: Adam divides gradients near zero by their own size
    "t002_optimising_parameters": 5e-6,  # 1.3e-6: 2.238425 or 2.238428, as MKL's instruction set may be
    "t003_mnist_digits": 2e-5,  # 4.4e-6 after 2000 steps, printed to 16 digits
}

# Each program is run on torch once, for the tests that follow.
on_torch = cache(partial(run_program, engine="torch"))


@pytest.mark.parametrize("program", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_prints_what_it_prints_on_torch(program: Path) -> None:
    theirs = on_torch(program)
    ours = run_program(program, "minigrad")
    assert len(theirs) > 20
    found = differences(ours, theirs, RELATIVE.get(program.stem, 0.0))
    assert not found, "\n".join(found[:12])


def test_all_five_tutorials_are_there() -> None:
    assert [path.stem[:4] for path in TUTORIALS] == ["t000", "t001", "t002", "t003", "t004"]


def test_progress_counts_the_images_after_a_batch_in_000_and_before_it_in_002() -> None:
    """000 prints (batch + 1) * len(X), 002 batch * len(X): the first line of an epoch says 64 or 0 images of all."""
    first = {}
    for program in (TUTORIALS[0], TUTORIALS[2]):
        losses = [line for line in on_torch(program) if line.startswith("loss: ")]
        first[program.stem[:4]] = losses[0].split("  ", 1)[1]
    assert first == {"t000": "[   64/  704]", "t002": "[    0/ 6464]"}


@pytest.mark.parametrize(
    ("ours", "theirs", "equal"),
    [
        ("loss: 2.301000", "loss: 2.301001", True),
        ("loss: 2.301000", "loss: 2.301002", False),
        ("tensor(4.2329e-04)", "tensor(4.2330e-04)", True),
        ("tensor(4.2329e-04)", "tensor(4.2331e-04)", False),
        ("lr: 0.03", "lr: 0.02", False),
        ("Accuracy: 27.1%", "Accuracy: 27.2%", False),
        ("grad_fn=<AddBackward0>", "grad_fn=<MulBackward0>", False),
        ("<PowBackward0 object at 0x7fa0>", "<PowBackward0 object at 0x7fb1>", True),
        ("tensor(0.0000)", "tensor(nan)", False),
    ],
)
def test_the_comparison_can_fail(ours: str, theirs: str, equal: bool) -> None:
    assert (differences([ours], [theirs], relative=0.0) == []) is equal
    assert differences([ours], [], relative=0.0)


def test_a_program_that_fails_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "fails.py"
    program.write_text("print('so far')\nraise ValueError('and no further')\n")
    with pytest.raises(RuntimeError, match=r"(?s)fails.py failed on torch\nso far\n.*ValueError: and no further"):
        run_program(program, "torch")
