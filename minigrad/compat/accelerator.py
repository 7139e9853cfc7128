"""`torch.accelerator`: the GPU, whatever its make."""

from __future__ import annotations

from typing import Any

from minigrad import backend, cuda

__all__ = [
    "current_accelerator", "current_device_idx", "current_device_index", "device_count", "empty_cache", "is_available",
    "max_memory_allocated", "memory_allocated", "set_device_idx", "set_device_index", "synchronize",
]  # fmt: skip

is_available, device_count, empty_cache = cuda.is_available, cuda.device_count, cuda.empty_cache
memory_allocated, max_memory_allocated = cuda.memory_allocated, cuda.max_memory_allocated


def current_accelerator(check_available: bool = False) -> backend.device | None:
    """device("cuda") if there is a GPU, else None."""
    return backend.device("cuda") if is_available() else None


def current_device_index() -> int:
    """The number of the GPU in use; RuntimeError if there is none."""
    _need()
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Make "cuda" mean this GPU; RuntimeError if there is none."""
    _need()
    cuda.set_device(device)


def synchronize(device: Any = None) -> None:
    """Wait for the GPU; RuntimeError if there is none."""
    _need()
    cuda.synchronize(device)


current_device_idx, set_device_idx = current_device_index, set_device_index


def _need() -> None:
    if not is_available():
        raise RuntimeError("Cannot access accelerator device when none is available.")
