"""torchvision as the judge of `minigrad.vision`; the tests that ask it are skipped where it is not installed."""

from __future__ import annotations

import contextlib
import random
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad.vision.pillow import is_image
from tests.lockstep import Raised, attempt

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")


def import_torchvision() -> Any:
    """The module, or None. A build for another torch, whose compiled operators do not load, does for all but those."""
    schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import torchvision
        except ModuleNotFoundError:
            return None
        except RuntimeError:
            with contextlib.suppress(RuntimeError):
                for name in ("nms", "qnms"):
                    torch.library.define(f"torchvision::{name}", schema)
            try:
                import torchvision
            except RuntimeError:
                return None
        import torchvision.transforms.functional
    return torchvision


tv = import_torchvision()
needs_torchvision = pytest.mark.skipif(tv is None, reason="needs torchvision of the installed torch")


def seed_all(seed: int) -> None:
    """The same start for the three streams that transforms draw from."""
    random.seed(seed)
    torch.manual_seed(seed)
    minigrad.manual_seed(seed)


def pixels(height: int = 13, width: int = 10, channels: int = 3, seed: int = 0) -> np.ndarray:
    """(H, W, C) of bytes: smooth waves under noise, so that resampling and contrast have something to do."""
    rng = np.random.RandomState(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = 100 + 80 * np.sin(rows[..., None] / 3 + np.arange(channels)) * np.cos(columns[..., None] / 4)
    return (waves + rng.randint(0, 60, size=(height, width, channels))).clip(0, 255).astype(np.uint8)


def picture(mode: str = "RGB", **kwargs: Any) -> Any:
    """A PIL image of that mode."""
    return Image.fromarray(pixels(**kwargs)).convert(mode)


def both(array: np.ndarray) -> tuple[torch.Tensor, Any]:
    """One array as a tensor of each engine, in memory of its own."""
    return torch.from_numpy(array.copy()), minigrad.from_numpy(array.copy())


def assert_same_image(got: Any, expected: Any, atol: float = 2e-6, ties: int = 0) -> None:
    """Equal PIL images, tensors, tuples of them, or errors: integers and PIL images exactly, floats to `atol`.

    One tensor's integer in fifty may be off by `ties`: a half was rounded the other way, and what follows on it.
    """
    if isinstance(expected, Raised):
        assert isinstance(got, Raised), f"torchvision raised {expected}, minigrad gave {got!r}"
        assert got.type is expected.type, f"torchvision: {expected}\nminigrad: {got}"
        assert got.text.startswith(expected.text.rstrip(".")), f"torchvision: {expected}\nminigrad: {got}"
    elif isinstance(got, Raised):
        raise AssertionError(f"torchvision gave {expected!r}, minigrad raised {got}")
    elif isinstance(expected, (tuple, list)):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            assert_same_image(g, e, atol, ties)
    elif is_image(expected):
        assert (got.mode, got.size) == (expected.mode, expected.size)
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
    elif isinstance(expected, torch.Tensor):
        assert isinstance(got, minigrad.Tensor)
        assert str(got.dtype) == str(expected.dtype)
        assert tuple(got.shape) == tuple(expected.shape)
        ours, theirs = got.detach().numpy(), expected.detach().numpy()
        tolerance = atol if theirs.dtype.kind == "f" else ties if np.mean(ours != theirs) <= 0.02 else 0
        np.testing.assert_allclose(ours.astype(float), theirs.astype(float), rtol=0, atol=tolerance)
    else:
        assert got == expected


def compare(ours: Any, theirs: Any, atol: float = 2e-6, ties: int = 0) -> Any:
    """Hold `ours()` to `theirs()`, values, errors and warnings; returns what torchvision gave."""
    outcomes = []
    for action in (theirs, ours):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = attempt(action)
        outcomes.append((value, [(w.category, str(w.message)) for w in caught]))
    (expected, expected_warnings), (got, got_warnings) = outcomes
    assert_same_image(got, expected, atol, ties)
    assert got_warnings == expected_warnings
    return expected
