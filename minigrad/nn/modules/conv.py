"""Convolution layers, and transposed ones, over one, two and three dimensions."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops import create

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What they all have in common.

    Weight (out_channels, in_channels / groups, *kernel_size) and bias start uniform on +-1/sqrt(fan), where fan is the
    product of the weight's sizes after the first.
    """

    dimensions: ClassVar[int]
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups: {channels} is not a multiple of {groups}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = self._each(kernel_size)
        self.stride = self._each(stride)
        self.padding: Any = padding if isinstance(padding, str) else self._each(padding)
        self.dilation = self._each(dilation)
        self.output_padding = self._each(0)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check_padding()
        self.weight = Parameter(create.empty(self._weight_shape(), device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(create.empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def _each(self, value: Any) -> tuple[int, ...]:
        """A number for each dimension."""
        return (value,) * self.dimensions if isinstance(value, int) else tuple(value)

    def _weight_shape(self) -> tuple[int, ...]:
        first, second = (self.in_channels, self.out_channels)[:: 1 if self.transposed else -1]
        return first, second // self.groups, *self.kernel_size

    def _check_padding(self) -> None:
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {self.padding!r}, should be one of 'same', 'valid'")
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode='{self.padding_mode}'")

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def _margins(self) -> list[int]:
        """The padding before and after each dimension, the last dimension first, as `F.pad` takes it."""
        if self.padding == "valid":
            return [0] * (2 * self.dimensions)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
            return [m for total in reversed(totals) for m in (total // 2, total - total // 2)]
        return [m for p in reversed(self.padding) for m in (p, p)]

    def forward(self, input: Any) -> Any:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        """The convolution with weights that a subclass may have changed; torch's name."""
        conv = (F.conv1d, F.conv2d, F.conv3d)[self.dimensions - 1]
        if self.padding_mode != "zeros":
            input = F.pad(input, self._margins(), mode=self.padding_mode)
            return conv(input, weight, bias, self.stride, 0, self.dilation, self.groups)
        return conv(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        unset = (0,) * len(self.padding)
        if self.padding != unset:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * len(self.dilation):
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * len(self.output_padding):
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv1d(_ConvNd):
    """Convolution of (N, C, L) or (C, L); see `F.conv2d`, and Conv2d for the arguments."""

    dimensions = 1


class Conv2d(_ConvNd):
    """Convolution of (N, C, H, W) or (C, H, W); see `F.conv2d`.

    `kernel_size`, `stride`, `padding` and `dilation` are a number or one for each dimension; padding may also be "same"
    or "valid". `padding_mode` says what the padding holds: "zeros", or the input continued by "reflect", "replicate" or
    "circular". ValueError for settings that do not fit together.
    """

    dimensions = 2


class Conv3d(_ConvNd):
    """Convolution of (N, C, D, H, W) or (C, D, H, W); see `F.conv2d`, and Conv2d for the arguments."""

    dimensions = 3


class _ConvTransposeNd(_ConvNd):
    """The transpose of a convolution from `out_channels` to `in_channels`: a stride makes the output larger.

    Convolutions with strides take several sizes to one; `output_padding` says how much larger than the smallest of them
    the output is, or a call does: `layer(input, output_size)`, with or without the dimensions before the spatial ones.
    Weight (in_channels, out_channels / groups, *kernel_size).
    """

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        padding = self._each(padding)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.output_padding = self._each(output_padding)

    def forward(self, input: Any, output_size: Any = None) -> Any:
        conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.dimensions - 1]
        extra = self.output_padding if output_size is None else self._extra(input, tuple(output_size))
        return conv(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Any, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """How much larger than the smallest output one of sizes `wanted` is; ValueError for sizes that cannot be."""
        n, before = self.dimensions, 2 if input.dim() == self.dimensions + 2 else 1
        sizes = wanted[before:] if len(wanted) == before + n else wanted
        if len(sizes) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.dim()}D input, output_size must have {n} or {before + n} elements "
                f"(got {len(sizes)})"
            )
        smallest = [
            (m - 1) * s - 2 * p + d * (k - 1) + 1
            for m, s, p, d, k in zip(
                input.shape[before:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        largest = [m + s - 1 for m, s in zip(smallest, self.stride, strict=True)]
        if any(not low <= m <= high for low, m, high in zip(smallest, sizes, largest, strict=True)):
            raise ValueError(
                f"requested an output size of {sizes}, but valid sizes range from {smallest} to {largest} (for an "
                f"input of {input.shape[2:]})"
            )
        return tuple([m - low for m, low in zip(sizes, smallest, strict=True)])


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution of (N, C, L) or (C, L); see ConvTranspose2d for the arguments."""

    dimensions = 1


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution of (N, C, H, W) or (C, H, W); see `F.conv_transpose2d`.

    `kernel_size`, `stride`, `padding`, `output_padding` and `dilation` are a number or one for each dimension.
    ValueError for another `padding_mode` than "zeros".
    """

    dimensions = 2


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution of (N, C, D, H, W) or (C, D, H, W); see ConvTranspose2d for the arguments."""

    dimensions = 3
