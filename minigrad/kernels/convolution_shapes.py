"""The shapes of convolutions and of their transposes, and torch's errors where they do not fit."""

from __future__ import annotations

from typing import NamedTuple

from minigrad.kernels.windows import span

Shape = tuple[int, ...]


class Conv(NamedTuple):
    """How the kernel moves: one number a spatial dimension (padding on both sides), and the number of groups."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def check(x_shape: Shape, w_shape: Shape, how: Conv, bias_shape: Shape | None = None) -> Shape:
    """The shape of conv(x, w); RuntimeError with torch's text if the shapes and `how` do not fit together."""
    n, groups, size = len(w_shape) - 2, how.groups, list(w_shape)
    if n < 1:
        raise RuntimeError(f"weight should have at least three dimensions\nThe weight has shape {size}.")
    if len(x_shape) != n + 2:
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to conv{n}d, "
            f"but got input of size: {list(x_shape)}"
        )
    _check_how(how, n)
    given = f"Given groups={groups}, "
    if w_shape[0] < groups:
        raise RuntimeError(
            f"{given}expected weight to be at least {groups} at dimension 0, but got weight of size {size} instead"
        )
    if w_shape[0] % groups:
        raise RuntimeError(
            f"{given}expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{size}] instead"
        )
    if x_shape[1] != w_shape[1] * groups:
        raise RuntimeError(
            f"{given}weight of size {size}, expected input{list(x_shape)} to have {w_shape[1] * groups} channels, "
            f"but got {x_shape[1]} channels instead"
        )
    if bias_shape is not None and bias_shape != w_shape[:1]:
        raise RuntimeError(
            f"Given weight of size {size}, expected bias to be 1-dimensional with {w_shape[0]} elements, "
            f"but got bias of size {list(bias_shape)} instead"
        )
    if not all(w_shape[2:]):
        raise RuntimeError(f"kernel size should be greater than zero, but got weight of size {size}")
    padded = [s + 2 * p for s, p in zip(x_shape[2:], how.padding, strict=True)]
    kernel = [span(k, d) for k, d in zip(w_shape[2:], how.dilation, strict=True)]
    if any(s < k for s, k in zip(padded, kernel, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_times(padded)}). Kernel size: ({_times(kernel)}). "
            f"Kernel size can't be greater than actual input size\n"
            f"The input has shape {list(x_shape)}: pad it, or choose a smaller kernel or dilation."
        )
    if not all(x_shape[2:]):
        raise RuntimeError(
            f"Only zero batch or zero channel inputs are supported, but got input shape: {list(x_shape)}"
        )
    return (*x_shape[:1], w_shape[0], *((s - k) // d + 1 for s, k, d in zip(padded, kernel, how.stride, strict=True)))


def check_transposed(
    x_shape: Shape, w_shape: Shape, how: Conv, output_padding: Shape, bias_shape: Shape | None = None
) -> Shape:
    """The shape of the transposed convolution of x (N, K, *windows) with w (K, C/groups, *kernel).

    RuntimeError with torch's text if the shapes, `how` and `output_padding` do not fit together.
    """
    n, groups, size = len(w_shape) - 2, how.groups, list(w_shape)
    _check_how(how, n)
    _check_numbers("output_padding", output_padding, n)
    if min(output_padding) < 0:
        raise RuntimeError(f"negative output_padding is not supported\nGot {list(output_padding)}.")
    if w_shape[0] < groups or w_shape[0] % groups:
        fit = f"at least {groups}" if w_shape[0] < groups else f"divisible by {groups}"
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be {fit} at dimension 0, but got weight of size {size} instead"
        )
    given = f"Given transposed=1, weight of size {size}, expected"
    if x_shape[1] != w_shape[0]:
        raise RuntimeError(
            f"{given} input{list(x_shape)} to have {w_shape[0]} channels, but got {x_shape[1]} channels instead"
        )
    channels = w_shape[1] * groups
    if bias_shape is not None and bias_shape != (channels,):
        raise RuntimeError(
            f"{given} bias to be 1-dimensional with {channels} elements, but got bias of size {list(bias_shape)} "
            f"instead"
        )
    if not all(x_shape[2:]):
        raise RuntimeError(
            f"Only zero batch or zero channel inputs are supported, but got input shape: {list(x_shape)}"
        )
    if not all(w_shape[1:]):
        raise RuntimeError(f"non-empty weight tensor expected, but got: {size}")
    if any(extra >= max(s, d) for extra, s, d in zip(output_padding, how.stride, how.dilation)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding "
            f"{list(output_padding)}, stride {list(how.stride)} and dilation {list(how.dilation)}"
        )
    sizes = [
        (windows - 1) * s - 2 * p + span(k, d) + extra
        for windows, k, s, p, d, extra in zip(x_shape[2:], w_shape[2:], *how[:3], output_padding)
    ]
    if min(sizes) < 1:
        raise RuntimeError(
            f"Given input size per channel: ({_times(list(x_shape[2:]))}). Calculated output size per channel: "
            f"({_times(sizes)}). Output size is too small"
        )
    return (x_shape[0], channels, *sizes)


def _check_numbers(name: str, values: Shape, n: int) -> None:
    if len(values) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the convolution "
            f"dimensions, but got {name}={list(values)}"
        )


def _check_how(how: Conv, n: int) -> None:
    """RuntimeError unless `how` has n positive numbers a field."""
    if how.groups < 1:
        raise RuntimeError(f"non-positive groups is not supported\nGot groups={how.groups}.")
    for name, values in zip(how._fields[:3], how[:3], strict=True):
        _check_numbers(name, values, n)
    for wrong, text, values in (
        (min(how.padding) < 0, "negative padding is not supported", how.padding),
        (min(how.stride) < 1, "non-positive stride is not supported", how.stride),
        (min(how.dilation) < 0, "dilation should be greater than zero", how.dilation),
        (min(how.dilation) == 0, "non-positive dilation is not supported", how.dilation),
    ):
        if wrong:
            raise RuntimeError(f"{text}\nGot {list(values)}, one number a spatial dimension.")


def _times(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))
