"""The programs in README.md do what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import minigrad

TEXT = (Path(__file__).resolve().parent.parent / "README.md").read_text()
TWENTY_LINES, OWN_GRADIENTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def run(program: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(program, "README.md", "exec"), names)
    return names


def test_the_twenty_lines_print_the_same_on_both_engines():
    printed = []
    for program in (TWENTY_LINES, TWENTY_LINES.replace("minigrad", "torch")):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            names = run(program)
        printed.append(out.getvalue())
        assert (names["slope"].item(), names["curve"].item()) == (12, 12)
    assert printed[0] == printed[1]
    assert "Parameter containing" in printed[0]


def test_the_wrong_gradient_is_found():
    names = run(OWN_GRADIENTS)
    with pytest.raises(AssertionError, match="the gradient of input 0: minigrad and torch differ"):
        names["test_softplus"]()
    x = minigrad.tensor([0.3, 1.2], dtype=minigrad.float64, requires_grad=True)
    assert not minigrad.autograd.gradcheck(names["Softplus"].apply, x, raise_exception=False)
    right = run(OWN_GRADIENTS.replace("g / (1 + x.exp())", "g / (1 + (-x).exp())"))
    right["test_softplus"]()
    assert minigrad.autograd.gradcheck(right["Softplus"].apply, x)
