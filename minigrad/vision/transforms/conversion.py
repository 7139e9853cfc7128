"""From PIL images and arrays to tensors and back, and from one range of values to another."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backend, ops
from minigrad.dtypes import iinfo
from minigrad.tensor import Tensor
from minigrad.vision.pillow import image_of, is_image

__all__ = ["convert_image_dtype", "pil_to_tensor", "to_pil_image", "to_tensor"]

DTYPES = {"I": np.int32, "I;16": np.int16, "F": np.float32}  # of the modes whose pixels are no bytes
MODES = {
    1: {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"},
    2: {"uint8": "LA"},
    3: {"uint8": "RGB"},
    4: {"uint8": "RGBA"},
}
PERMITTED = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}


def to_tensor(pic: Any) -> Tensor:
    """A PIL image, or an array (H, W) or (H, W, C), as (C, H, W): bytes as floats from 0 to 1, the rest as it is.

    An array from `cv2.imread` keeps its order of channels, blue first. TypeError for anything else (`None` too, which
    `cv2.imread` gives for a missing file), ValueError for an array of another number of dims.
    """
    if is_image(pic):
        array = np.array(pic, DTYPES.get(pic.mode, np.uint8))
        if pic.mode == "1":
            array *= 255
        array = array.reshape(pic.size[1], pic.size[0], -1)
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = pic if pic.ndim == 3 else pic[:, :, None]
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    array = array.transpose(2, 0, 1)
    if array.dtype == np.uint8:
        dtype = backend.numpy_dtype(backend.get_default_dtype())
        return ops.from_numpy(np.divide(array, 255, dtype=dtype, order="C"))
    return ops.from_numpy(np.ascontiguousarray(array))


def pil_to_tensor(pic: Any) -> Tensor:
    """A PIL image as (C, H, W), its values unchanged."""
    if not is_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return ops.from_numpy(np.array(pic).reshape(pic.size[1], pic.size[0], -1)).permute(2, 0, 1)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or (H, W), or an array (H, W, C) or (H, W), as a PIL image; floats from 0 to 1 become bytes.

    Without `mode` it follows from the channels and the dtype: L, I;16, I or F for one channel, LA, RGB, RGBA.
    """
    if isinstance(pic, Tensor):
        array = (pic.permute(1, 2, 0) if pic.ndim == 3 else pic).numpy(force=True)
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
    channels = array.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if np.issubdtype(array.dtype, np.floating) and mode != "F":
        array = (array * 255).astype(np.uint8)
    usual = MODES.get(channels, {}).get(array.dtype.name)
    if channels == 1:
        if mode is not None and mode != usual:
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {array.dtype}. Should be {usual}")
        mode = usual
    elif mode is not None and mode not in PERMITTED.get(channels, []):
        raise ValueError(f"Only modes {PERMITTED.get(channels, [])} are supported for {channels}D inputs")
    if usual is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    return image_of(array[:, :, 0] if channels == 1 else array, mode or usual)


def max_value(dtype: Any) -> int:
    """The value of full brightness: the largest of an integer dtype, 1 of another."""
    is_number = dtype != backend.bool_ and not dtype.is_floating_point and not dtype.is_complex
    return int(iinfo(dtype).max) if is_number else 1


def convert_image_dtype(image: Any, dtype: Any = backend.float32) -> Tensor:
    """`image` in another dtype with its brightness kept: full brightness is 1 in floats, the largest integer else.

    RuntimeError where a float could not hold the integers: float32 to int32 or int64, float64 to int64.
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    if image.dtype == dtype:
        return image
    if image.dtype.is_floating_point:
        if dtype.is_floating_point:
            return image.to(dtype)
        if (image.dtype, dtype) in UNSAFE:
            raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
        return image.mul(max_value(dtype) + 1.0 - 1e-3).to(dtype)  # each integer gets an interval of equal length
    old, new = max_value(image.dtype), max_value(dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / float(old)
    if old > new:
        return image.div((old + 1) // (new + 1), rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((new + 1) // (old + 1))


UNSAFE = [
    (backend.float32, backend.int32),
    (backend.float32, backend.int64),
    (backend.float64, backend.int64),
]
