"""Programs of every kind that people write against torch print the same lines on minigrad, compared as
`tests/printed.py` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from reference.runner import PROGRAMS, run_program
from tests.printed import differences

pytest.importorskip("torch")

# Training in float32 carries rounding along: what a program's losses may differ by, relative, beside the reason.
RELATIVE = {
    "polynomial_nn_optim": 2e-6,  # sums of 500 squares, of which few make up most, before a step of 1e-8
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_prints_what_it_prints_on_torch(program: Path) -> None:
    theirs = run_program(program, "torch")
    ours = run_program(program, "minigrad")
    assert len(theirs) > 5
    found = differences(ours, theirs, RELATIVE.get(program.stem, 0.0))
    assert not found, "\n".join(found[:12])


def test_what_is_tolerated_is_there() -> None:
    assert RELATIVE.keys() <= {path.stem for path in PROGRAMS}
