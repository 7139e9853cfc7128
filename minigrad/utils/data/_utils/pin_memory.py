"""Batches in page-locked memory, from which a GPU takes them while the host goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minigrad.utils.data._utils.collate import like_mapping, like_sequence

__all__ = ["pin_memory"]


def pin_memory(data: Any, device: Any = None) -> Any:
    """What has a method `pin_memory`, tensors first of all, pinned, inside containers too; anything else unchanged."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if isinstance(data, Mapping):
        return like_mapping(data, {key: pin_memory(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        pinned = [pin_memory(value) for value in data]
        return type(data)(pinned) if type(data) is tuple else like_sequence(data, pinned)
    return data
