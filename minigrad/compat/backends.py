"""`torch.backends`: the switches of cuDNN and cuBLAS, and those of libraries that minigrad does not use, in vain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.kernels.gpu import cudnn as kernel
from minigrad.kernels.gpu import settings

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


class Switch:
    """An attribute that is kept in `kernels.gpu.settings`, True or False; RuntimeError for what is neither."""

    def __init__(self, setting: str, spoken: str) -> None:
        self.setting, self.spoken = setting, spoken

    def __get__(self, library: Any, owner: Any = None) -> bool:
        return getattr(settings, self.setting)

    def __set__(self, library: Any, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError(f"set_{self.spoken} expects a bool, but got {type(value).__name__}")
        setattr(settings, self.setting, value)


class Precision:
    """How float32 is computed with, also by the name `fp32_precision`."""

    allow_tf32: Any
    full = "none"

    @property
    def fp32_precision(self) -> str:
        """ "tf32" if factors may be rounded to it, else "ieee", or "none" if nobody said so."""
        return "tf32" if self.allow_tf32 else self.full

    @fp32_precision.setter
    def fp32_precision(self, value: str) -> None:
        if value not in ("tf32", "ieee", "none"):
            raise RuntimeError(f"Unknown precision: {value}")
        self.allow_tf32 = value == "tf32"
        if value != "tf32":
            self.full = value


class ConvPrecision(Precision):
    """`torch.backends.cudnn.conv`: how convolutions are computed."""

    allow_tf32 = Switch("cudnn_tf32", "allow_tf32_cublas")


class Cudnn(Library):
    """`torch.backends.cudnn`: NVIDIA's library for convolutions, and what it may do."""

    enabled = Switch("cudnn_enabled", "enabled_cudnn")
    benchmark = Switch("cudnn_benchmark", "benchmark_cudnn")
    deterministic = Switch("cudnn_deterministic", "deterministic_cudnn")
    allow_tf32 = Switch("cudnn_tf32", "allow_tf32_cublas")

    def __init__(self) -> None:
        super().__init__(False, conv=ConvPrecision(), rnn=Library(False))

    @property
    def benchmark_limit(self) -> int:
        """How many ways to compute a convolution are timed with `benchmark`; 0 for all."""
        return settings.cudnn_benchmark_limit

    @benchmark_limit.setter
    def benchmark_limit(self, value: int) -> None:
        settings.cudnn_benchmark_limit = value

    def is_available(self) -> bool:
        """True if cuDNN computes convolutions: there is a GPU, and cuDNN and its frontend are installed."""
        return kernel.version() is not None

    def version(self) -> int | None:  # type: ignore[override]
        """The version, 91900 for 9.19.0; None if it is not available."""
        return kernel.version()

    def is_acceptable(self, tensor: Any) -> bool:
        """True if cuDNN takes the tensor."""
        return self.enabled and tensor.is_cuda and tensor.is_floating_point() and self.is_available()

    @contextmanager
    def flags(
        self, enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False,
        allow_tf32: bool = True, fp32_precision: str = "none",
    ) -> Iterator[None]:  # fmt: skip
        """The switches as given inside, as they were afterwards."""
        new = {
            "enabled": enabled, "benchmark": benchmark, "benchmark_limit": benchmark_limit,
            "deterministic": deterministic, "allow_tf32": allow_tf32 and fp32_precision != "ieee",
        }  # fmt: skip
        before = {name: getattr(self, name) for name in new}
        try:
            for name, value in new.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)


class MatrixProducts(Precision, Library):
    """`torch.backends.cuda.matmul`: how matrix products are computed on the GPU."""

    @property
    def allow_tf32(self) -> bool:
        """Whether the factors of float32 may be rounded to TF32; see also `set_float32_matmul_precision`."""
        return settings.matmul_precision != "highest"

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError(f"set_allow_tf32_cublas expects a bool, but got {type(value).__name__}")
        settings.matmul_precision = "high" if value else "highest"


cudnn = Cudnn()
cuda = Library(False, matmul=MatrixProducts(False, allow_fp16_reduced_precision_reduction=True))
mps, mkl, openmp = Library(False), Library(False), Library(False)
mkldnn = Library(False, enabled=True)
cpu = Library(True, get_cpu_capability=lambda: "DEFAULT")
