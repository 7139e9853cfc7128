"""`torch.distributed`: training on several machines, which minigrad does not do; a script may ask whether it can."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "barrier", "destroy_process_group", "get_rank", "get_world_size", "init_process_group", "is_available",
    "is_initialized", "is_torchelastic_launched",
]  # fmt: skip

ALONE = "Default process group has not been initialized, please make sure to call init_process_group."


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_torchelastic_launched() -> bool:
    """False."""
    return False


def init_process_group(*args: Any, **kwargs: Any) -> NoReturn:
    """NotImplementedError: there is one process."""
    raise NotImplementedError("minigrad has no torch.distributed: train in one process")


def destroy_process_group(group: Any = None) -> None:
    """ValueError: there is none."""
    raise ValueError(ALONE)


def get_rank(group: Any = None) -> int:
    """ValueError: there is no group to be in."""
    raise ValueError(ALONE)


def get_world_size(group: Any = None) -> int:
    """ValueError: there is no group to count."""
    raise ValueError(ALONE)


def barrier(*args: Any, **kwargs: Any) -> None:
    """ValueError: there is nobody to wait for."""
    raise ValueError(ALONE)
