"""The page of conventions: minigrad answers as the installed torch, and the page says what both answer."""

from __future__ import annotations

import pytest
import torch

import minigrad
from reference.case import torch_at_least
from reference.conventions import PAGE, PROBES, Probe, ask, page


@pytest.mark.parametrize("probe", [p for probes in PROBES.values() for p in probes], ids=lambda p: p.expression)
def test_minigrad_answers_as_torch(probe: Probe) -> None:
    if not torch_at_least(probe.since):
        pytest.skip(f"torch answers so since {probe.since}")
    assert ask(minigrad, probe) == ask(torch, probe)


def test_the_page_is_what_the_engines_answer() -> None:
    if f"PyTorch {torch.__version__}," not in PAGE.read_text():
        pytest.skip("the page was written with another release of torch")
    assert PAGE.read_text() == page(), "write it anew: python -m reference.conventions --write"
