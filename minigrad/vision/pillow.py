"""Pillow, imported when an image is first made or read: `import minigrad.vision` does without it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["image_of", "is_image", "pillow"]


def pillow(module: str = "Image") -> Any:
    """The module PIL.<module>. ModuleNotFoundError, which says what to install, where Pillow is missing."""
    try:
        return importlib.import_module(f"PIL.{module}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading and making images needs Pillow: pip install 'minigrad-engine[vision]' or pip install pillow",
            name="PIL",
        ) from error


def is_image(value: Any) -> bool:
    """True for a PIL image. Does not import Pillow: whoever made the image has."""
    loaded = sys.modules.get("PIL.Image")
    return loaded is not None and isinstance(value, loaded.Image)


def image_of(array: Any, mode: str) -> Any:
    """The PIL image whose pixels are the bytes of `array`, (H, W) or (H, W, C), read as `mode` says."""
    height, width = array.shape[:2]
    return pillow().frombytes(mode, (width, height), array.tobytes())
