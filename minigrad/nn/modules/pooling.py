"""Pooling layers: the largest number, the average, or a norm of every window; and what puts maxima back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from minigrad.nn import functional as F
from minigrad.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d",
    "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d",
]  # fmt: skip


class _MaxPoolNd(Module):
    """`stride` is `kernel_size` if not given; with `return_indices` the places of the maxima are returned as well."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _settings(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """The largest number of every window of (N, C, L) or (C, L); see `F.max_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.max_pool1d(input, *self._settings())


class MaxPool2d(_MaxPoolNd):
    """The largest number of every window of (N, C, H, W) or (C, H, W); see `F.max_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.max_pool2d(input, *self._settings())


class MaxPool3d(_MaxPoolNd):
    """The largest number of every window of (N, C, D, H, W) or (C, D, H, W); see `F.max_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.max_pool3d(input, *self._settings())


class AvgPool1d(Module):
    """The average of every window of (N, C, L) or (C, L); see `F.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _each(kernel_size, 1)
        self.stride = _each(kernel_size if stride is None else stride, 1)
        self.padding = _each(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _each(value: Any, n: int) -> tuple[Any, ...]:
    """A number for each dimension."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * n


class _AvgPoolNd(Module):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def _settings(self) -> tuple[Any, ...]:
        window = self.kernel_size, self.stride, self.padding
        return *window, self.ceil_mode, self.count_include_pad, self.divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPoolNd):
    """The average of every window of (N, C, H, W) or (C, H, W); see `F.avg_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.avg_pool2d(input, *self._settings())


class AvgPool3d(_AvgPoolNd):
    """The average of every window of (N, C, D, H, W) or (C, D, H, W); see `F.avg_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.avg_pool3d(input, *self._settings())


class _AdaptivePoolNd(Module):
    """`output_size` is a number, or one for each dimension; None keeps a size."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePoolNd):
    """Averages over `output_size` windows that cover (N, C, L) or (C, L) evenly."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePoolNd):
    """Averages over `output_size` windows that cover (N, C, H, W) or (C, H, W) evenly."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptivePoolNd):
    """Averages over `output_size` windows that cover (N, C, D, H, W) or (C, D, H, W) evenly."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPoolNd(_AdaptivePoolNd):
    """With `return_indices` the places of the maxima are returned as well."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima over `output_size` windows that cover (N, C, L) or (C, L) evenly."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maxima over `output_size` windows that cover (N, C, H, W) or (C, H, W) evenly."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima over `output_size` windows that cover (N, C, D, H, W) or (C, D, H, W) evenly."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


# -- windows spread at random ------------------------------------------------------------------------------------------


class _FractionalMaxPoolNd(Module):
    """The output's sizes are `output_size`, or `output_ratio` of (0, 1) times the input's; ValueError without either.

    `_random_samples` say where the windows are; without them they are drawn at each call.
    """

    dimensions: ClassVar[int]

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ) -> None:
        super().__init__()
        n, name = self.dimensions, type(self).__name__
        if n == 3 and min(_each(kernel_size, n)) <= 0:
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        self.kernel_size = _each(kernel_size, n)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else _each(output_size, n)
        self.output_ratio = None if output_ratio is None else _each(output_ratio, n)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def _settings(self) -> tuple[Any, ...]:
        return self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Maxima over windows spread over (N, C, H, W) or (C, H, W) at random; see `F.fractional_max_pool2d`."""

    dimensions = 2

    def forward(self, input: Any) -> Any:
        return F.fractional_max_pool2d(input, *self._settings())


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Maxima over windows spread over (N, C, D, H, W) or (C, D, H, W) at random; see `F.fractional_max_pool2d`."""

    dimensions = 3

    def forward(self, input: Any) -> Any:
        return F.fractional_max_pool3d(input, *self._settings())


# -- norms -------------------------------------------------------------------------------------------------------------


class _LPPoolNd(Module):
    """`stride` is `kernel_size` if not given."""

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def _settings(self) -> tuple[Any, ...]:
        return float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """The `norm_type`-norm of every window of (N, C, L) or (C, L); see `F.lp_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool1d(input, *self._settings())


class LPPool2d(_LPPoolNd):
    """The `norm_type`-norm of every window of (N, C, H, W) or (C, H, W); see `F.lp_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool2d(input, *self._settings())


class LPPool3d(_LPPoolNd):
    """The `norm_type`-norm of every window of (N, C, D, H, W) or (C, D, H, W); see `F.lp_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool3d(input, *self._settings())


# -- maxima put back ---------------------------------------------------------------------------------------------------


class _MaxUnpoolNd(Module):
    """`layer(input, indices, output_size)`; the last only for another size than the smallest that fits."""

    dimensions: ClassVar[int]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        n = self.dimensions
        self.kernel_size = _each(kernel_size, n)
        self.stride = _each(kernel_size if stride is None else stride, n)
        self.padding = _each(padding, n)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Zeros with the numbers of (N, C, L) or (C, L) where MaxPool1d found them; see `F.max_unpool2d`."""

    dimensions = 1

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    """Zeros with the numbers of (N, C, H, W) or (C, H, W) where MaxPool2d found them; see `F.max_unpool2d`."""

    dimensions = 2

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    """Zeros with the numbers of (N, C, D, H, W) or (C, D, H, W) where MaxPool3d found them; see `F.max_unpool2d`."""

    dimensions = 3

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)
