"""torchvision on minigrad: data sets, transforms, grids, boxes and networks; and two small data sets of its own."""

import importlib
from typing import Any

__all__ = ["datasets", "io", "models", "ops", "transforms", "utils"]


def __getattr__(name: str) -> Any:
    """A part, imported when it is first asked for: an embedded data set needs no downloads and networks."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
