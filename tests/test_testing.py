"""minigrad.testing: what it needs, and its documentation."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.testing import assert_close, assert_same_function, assert_same_module, assert_same_optimizer, tensors

PACKAGE = Path(minigrad.__file__).parent


def test_importing_minigrad_imports_only_what_torch_testing_has():
    others = ["hypothesis", "torch", "minigrad.testing.functions", "minigrad.testing.strategies"]
    program = f"import minigrad, sys; print(minigrad.testing.assert_close, {{*{others}}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
    with pytest.raises(AttributeError, match="no attribute 'assert_different'"):
        minigrad.testing.assert_different  # noqa: B018  asked for by name


def test_what_is_missing_is_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "hypothesis", None)
        with pytest.raises(ModuleNotFoundError, match=r"minigrad-engine\[testing\]"):
            tensors((2,))
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        assert_close(minigrad.ones(2), np.ones(2, np.float32))
        for compare in (assert_same_function, assert_same_module):
            with pytest.raises(RuntimeError, match="import torch"):
                compare(minigrad.exp, None, [(2,)])
        with pytest.raises(RuntimeError, match="import torch"):
            assert_same_optimizer(minigrad.optim.SGD, None)


@pytest.mark.parametrize("path", sorted((PACKAGE / "testing").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_in_the_documentation(path):
    name = "minigrad.testing" if path.stem == "__init__" else f"minigrad.testing.{path.stem}"
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_every_public_name_has_an_example():
    for name in minigrad.testing.__all__:
        assert ">>> " in getattr(minigrad.testing, name).__doc__, name
