"""`torch.backends`: switches of libraries that minigrad does not use, so that setting them changes nothing."""

from __future__ import annotations

from typing import Any

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]


class Library:
    """A library's switches, which can be set and asked for, and its `is_available()`."""

    def __init__(self, available: bool, **switches: Any) -> None:
        self.available = available
        self.__dict__.update(switches)

    def is_available(self) -> bool:
        """True if the library is used."""
        return self.available

    def is_built(self) -> bool:
        """True if the library could be used."""
        return self.available

    def version(self) -> None:
        """There is none."""
        return None


cudnn = Library(
    False, enabled=True, benchmark=False, deterministic=False, allow_tf32=True, benchmark_limit=10, conv=Library(False),
    rnn=Library(False),
)  # fmt: skip
cuda = Library(False, matmul=Library(False, allow_tf32=False, allow_fp16_reduced_precision_reduction=True))
mps, mkl, openmp = Library(False), Library(False), Library(False)
mkldnn = Library(False, enabled=True)
cpu = Library(True, get_cpu_capability=lambda: "DEFAULT")
