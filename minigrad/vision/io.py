"""torchvision.io: image files as tensors (C, H, W) of bytes, and back; Pillow reads and writes them."""

from __future__ import annotations

import io
import os
from enum import Enum
from typing import Any

import numpy as np

from minigrad import backend, ops
from minigrad.files import replace_file
from minigrad.tensor import Tensor
from minigrad.vision.pillow import pillow
from minigrad.vision.transforms.conversion import pil_to_tensor, to_pil_image

__all__ = [
    "ImageReadMode", "decode_image", "decode_jpeg", "decode_png", "encode_jpeg", "encode_png", "read_file",
    "read_image", "write_file", "write_jpeg", "write_png",
]  # fmt: skip


class ImageReadMode(Enum):
    """Which channels a decoded image has; UNCHANGED are those of the file."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = RGB_ALPHA


MODES = {ImageReadMode.GRAY: "L", ImageReadMode.GRAY_ALPHA: "LA", ImageReadMode.RGB: "RGB", ImageReadMode.RGBA: "RGBA"}


def read_file(path: Any) -> Tensor:
    """The bytes of a file, (n,) uint8. RuntimeError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return ops.from_numpy(np.frombuffer(bytearray(file.read()), np.uint8))
    except OSError as error:
        raise RuntimeError(str(error)) from error


def write_file(filename: Any, data: Tensor) -> None:
    """Write the bytes (n,) uint8 to a file, whole or not at all."""
    if data.dtype != backend.uint8 or data.dim() != 1:
        raise RuntimeError(f"Input tensor data type should be uint8\ngot {data.dtype} of shape {tuple(data.shape)}")
    with replace_file(filename) as file:
        file.write(data.cpu().numpy().tobytes())


def decode_image(input: Any, mode: Any = ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False) -> Tensor:
    """The image in a file, given its path or its bytes (n,) uint8, as (C, H, W) uint8; of several the first.

    `mode` is an ImageReadMode or its name; UNCHANGED expands palettes and single bits. RuntimeError if the file cannot
    be read, is no image, is damaged, or has values of more than 8 bits.
    """
    if isinstance(mode, str):
        mode = ImageReadMode[mode.upper()]
    data = input if isinstance(input, Tensor) else read_file(input)
    name = "the image" if isinstance(input, Tensor) else os.fspath(input)
    if data.dtype != backend.uint8 or data.dim() != 1:
        raise RuntimeError(f"Expected a non empty 1-dimensional tensor of bytes\ngot {data.dtype}, {tuple(data.shape)}")
    try:
        with pillow().open(io.BytesIO(data.cpu().numpy().tobytes())) as opened:
            image = pillow("ImageOps").exif_transpose(opened) if apply_exif_orientation else opened
            if image.mode not in ("L", "LA", "RGB", "RGBA", "P", "1", "CMYK", "YCbCr"):
                raise ValueError(f"it has the mode {image.mode}, of which minigrad has no tensors of bytes")
            return pil_to_tensor(image.convert(MODES.get(mode) or plain_mode(image))).contiguous()
    except ModuleNotFoundError:
        raise
    except Exception as error:  # Pillow's decoders fail in many ways
        raise RuntimeError(f"{name} cannot be decoded: {error or type(error).__name__}") from error


def plain_mode(image: Any) -> str:
    """The mode with a byte for each channel that holds the same."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    return {"1": "L", "CMYK": "RGB", "YCbCr": "RGB"}.get(image.mode, image.mode)


decode_png = decode_image


def decode_jpeg(
    input: Any, mode: Any = ImageReadMode.UNCHANGED, device: Any = "cpu", apply_exif_orientation: bool = False
) -> Tensor:
    """`decode_image`, and the result on `device`."""
    return decode_image(input, mode, apply_exif_orientation).to(device)


def read_image(path: Any, mode: Any = ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False) -> Tensor:
    """`decode_image`, of a path."""
    return decode_image(path, mode, apply_exif_orientation)


def encoded(input: Tensor, channels: tuple[int, ...], kind: str, **options: Any) -> Tensor:
    """The bytes of a file of that kind; RuntimeError unless the tensor is an image of bytes with those channels."""
    if input.dtype != backend.uint8:
        raise RuntimeError(f"Input tensor dtype should be uint8\ngot {input.dtype}")
    if input.dim() != 3 or input.size(0) not in channels:
        listed = " or ".join(str(channel) for channel in channels)
        raise RuntimeError(f"The number of channels should be {listed}, got: {tuple(input.shape)}")
    buffer = io.BytesIO()
    to_pil_image(input).save(buffer, format=kind, **options)
    return ops.from_numpy(np.frombuffer(bytearray(buffer.getvalue()), np.uint8))


def encode_png(input: Tensor, compression_level: int = 6) -> Tensor:
    """The bytes of a PNG file, from (1 or 3, H, W) uint8; `compression_level` from 0 to 9."""
    if not 0 <= compression_level <= 9:
        raise RuntimeError(f"Compression level should be between 0 and 9\ngot {compression_level}")
    return encoded(input, (1, 3), "PNG", compress_level=compression_level)


def encode_jpeg(input: Any, quality: int = 75) -> Any:
    """The bytes of a JPEG file, from (1 or 3, H, W) uint8; of a list, a list; `quality` from 1 to 100."""
    if not 1 <= quality <= 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    if isinstance(input, list):
        return [encode_jpeg(image, quality) for image in input]
    return encoded(input, (1, 3), "JPEG", quality=quality)


def write_png(input: Tensor, filename: Any, compression_level: int = 6) -> None:
    """`encode_png` to a file."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: Tensor, filename: Any, quality: int = 75) -> None:
    """`encode_jpeg` to a file."""
    write_file(filename, encode_jpeg(input, quality))
