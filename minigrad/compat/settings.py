"""Switches at the top of torch: threads, default devices, precision, determinism; and `compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.autograd.trace import warn
from minigrad.backend import get_default_device, set_default_device
from minigrad.kernels import threads as kernel
from minigrad.kernels.gpu import settings
from minigrad.kernels.threads import get_num_threads

__all__ = [
    "are_deterministic_algorithms_enabled", "compile", "get_default_device", "get_float32_matmul_precision",
    "get_num_interop_threads", "get_num_threads", "set_default_device", "set_float32_matmul_precision",
    "set_flush_denormal", "set_num_interop_threads", "set_num_threads", "set_warn_always",
    "use_deterministic_algorithms",
]  # fmt: skip


def compile(model: Callable[..., Any] | None = None, **options: Any) -> Any:
    """The function or module itself: minigrad runs it as it is."""
    return (lambda function: function) if model is None else model


def set_num_threads(threads: int) -> None:
    """Let operations use so many threads; with a warning that nothing changes if threadpoolctl is missing."""
    if not isinstance(threads, int):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(threads).__name__}")
    if threads < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    if not kernel.set_num_threads(threads):
        warn(
            f"set_num_threads({threads}) needs threadpoolctl: pip install 'minigrad-engine[fast]', or set "
            f"OMP_NUM_THREADS={threads} before the program starts"
        )


def get_num_interop_threads() -> int:
    """1: operations run one after the other."""
    return 1


def set_num_interop_threads(threads: int) -> None:
    """Accepted: operations run one after the other."""
    if threads < 1:
        raise RuntimeError("set_num_interop_threads expects a positive integer")


def get_float32_matmul_precision() -> str:
    """What was last set: "highest", "high" or "medium"."""
    return settings.matmul_precision


def set_float32_matmul_precision(precision: str) -> None:
    """On the GPU, "high" and "medium" let matrix products round their factors to TF32; on the CPU nothing changes."""
    if not isinstance(precision, str):
        raise RuntimeError(f"set_float32_matmul_precision expects a str, but got {type(precision).__name__}")
    if precision in ("highest", "high", "medium"):
        settings.matmul_precision = precision
    else:
        warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the currentsetFloat32MatmulPrecision call has "
            f"no effect."
        )


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """On the GPU, let cuDNN compute only in ways that repeat; on the CPU everything repeats anyway."""
    settings.deterministic = mode


def are_deterministic_algorithms_enabled() -> bool:
    """What was last set; False at first."""
    return settings.deterministic


def set_flush_denormal(mode: bool) -> bool:
    """False: it cannot be done from Python."""
    return False


def set_warn_always(b: bool) -> None:
    """Accepted: warnings are Python's, whose filters decide."""
