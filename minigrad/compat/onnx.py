"""`torch.onnx`: exchange of networks, which minigrad does not do."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["export", "is_in_onnx_export"]


def export(*args: Any, **kwargs: Any) -> NoReturn:
    """NotImplementedError."""
    raise NotImplementedError("minigrad has no torch.onnx.export: save the state_dict and export it with torch")


def is_in_onnx_export() -> bool:
    """False."""
    return False
