"""`cuda`: asking for the GPU, which minigrad reaches through CuPy."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.cuda import random
from minigrad.cuda.random import (
    default_generators,
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)

__all__ = [
    "current_device",
    "default_generators",
    "device_count",
    "empty_cache",
    "get_device_name",
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "random",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
    "synchronize",
]


def is_available() -> bool:
    """True if CuPy is installed and sees a GPU."""
    return backend.gpu_available()


def device_count() -> int:
    """How many GPUs there are; 0 without CuPy."""
    return backend.gpu_module().cuda.runtime.getDeviceCount() if is_available() else 0


def current_device() -> int:
    """The number of the GPU on which "cuda" tensors are made."""
    return backend.gpu_module().cuda.Device().id


def set_device(device: Any) -> None:
    """Make "cuda" mean this GPU."""
    index = device if isinstance(device, int) else backend.device(device).index
    if index is not None:
        backend.gpu_module().cuda.Device(index).use()


def get_device_name(device: Any = None) -> str:
    """The GPU's name, such as "NVIDIA H200"."""
    cp = backend.gpu_module()
    index = (
        current_device() if device is None else device if isinstance(device, int) else backend.canonical(device).index
    )
    return cp.cuda.runtime.getDeviceProperties(index)["name"].decode()


def synchronize(device: Any = None) -> None:
    """Wait until everything that was started on the GPU has finished."""
    backend.gpu_module().cuda.get_current_stream().synchronize()


def empty_cache() -> None:
    """Give memory that no array uses back to the GPU; without one there is nothing to do."""
    if is_available():
        backend.gpu_module().get_default_memory_pool().free_all_blocks()


def memory_allocated(device: Any = None) -> int:
    """Bytes of GPU memory in use by arrays; 0 without a GPU."""
    return backend.gpu_module().get_default_memory_pool().used_bytes() if is_available() else 0


def max_memory_allocated(device: Any = None) -> int:
    """Bytes of GPU memory held at most: CuPy's pool never shrinks on its own, so this is what it holds."""
    return memory_reserved(device)


def is_initialized() -> bool:
    """True if there is a GPU: CuPy needs no preparation."""
    return is_available()


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: there is no such dtype."""
    return False


def memory_reserved(device: Any = None) -> int:
    """Bytes of GPU memory that CuPy's pool holds; 0 without a GPU."""
    return backend.gpu_module().get_default_memory_pool().total_bytes() if is_available() else 0


max_memory_reserved = memory_reserved  # the pool never shrinks on its own


def reset_peak_memory_stats(device: Any = None) -> None:
    """Accepted: the pool counts no peak."""
