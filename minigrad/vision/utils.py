"""torchvision.utils: many images as one, and marks on images."""

from __future__ import annotations

import math
import warnings
from typing import Any

from minigrad import backend, ops
from minigrad.autograd.mode import no_grad
from minigrad.tensor import Tensor
from minigrad.vision.pillow import pillow
from minigrad.vision.transforms.conversion import convert_image_dtype, pil_to_tensor, to_pil_image

__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]


@no_grad()
def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images (N, C, H, W), or a list of (C, H, W), as one image of `nrow` in a row, `padding` pixels around each.

    Grey images become three equal channels. `normalize` maps `value_range`, or the least and largest value, to 0 and
    1, of each image on its own with `scale_each`.
    """
    if isinstance(tensor, list):
        for image in tensor:
            if not isinstance(image, Tensor):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(image)}")
        tensor = ops.stack(tensor, dim=0)
    elif not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if tensor.dim() == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 3:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 4 and tensor.size(1) == 1:
        tensor = ops.cat([tensor] * 3, 1)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        tensor = tensor.clone()
        for part in tensor if scale_each else [tensor]:
            low, high = value_range or (float(part.min()), float(part.max()))
            part.clamp_(min=low, max=high).sub_(low).div_(max(high - low, 1e-5))
    count, channels, height, width = tensor.shape
    if count == 1:
        return tensor.squeeze(0)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = height + padding, width + padding
    grid = tensor.new_full((channels, height * rows + padding, width * columns + padding), pad_value)
    for k, image in enumerate(tensor):
        top, left = k // columns * height + padding, k % columns * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = image
    return grid


@no_grad()
def save_image(tensor: Any, fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Write `make_grid(tensor, **kwargs)`, values from 0 to 1, to a file or path; the suffix says the format."""
    grid = make_grid(tensor, **kwargs)
    array = grid.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to("cpu", backend.uint8).numpy()
    pillow().fromarray(array).save(fp, format=format)


# -- marks -------------------------------------------------------------------------------------------------------------


def check_image(image: Any, what: str, channels: tuple[int, ...], refusal: str) -> None:
    """TypeError unless it is a tensor, ValueError unless it is one image of uint8 or floats of these channels."""
    if not isinstance(image, Tensor):
        raise TypeError(f"{what}, got {type(image)}")
    if image.dtype != backend.uint8 and not image.is_floating_point():
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.dim() != 3:
        raise ValueError("Pass individual images, not batches")
    if image.size(0) not in channels:
        raise ValueError(refusal)


@no_grad()
def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str] | None = None,
    colors: Any = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: Any = None,
    label_background_colors: Any = None,
    fill_labels: bool = False,
) -> Tensor:
    """`image` (1 or 3, H, W) with a rectangle for each row (x1, y1, x2, y2) of `boxes`, and a label in it.

    `colors` is one colour, a name or an RGB triple, or a list of them; `fill` lays it thinly over the inside.
    """
    check_image(image, "Tensor expected", (1, 3), "Only grayscale and RGB images are supported")
    if (boxes[:, 0] > boxes[:, 2]).any() or (boxes[:, 1] > boxes[:, 3]).any():
        raise ValueError(
            "Boxes need to be in (xmin, ymin, xmax, ymax) format. Use torchvision.ops.box_convert to convert them"
        )
    count = len(boxes)
    if count == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(labels)}) mismatch. Please specify labels for each box."
        )
    box_colours = rgb(colors, count)
    texts = rgb(label_colors or "black", count) if label_colors or fill_labels else box_colours
    behind = rgb(label_background_colors, count) if fill_labels and label_background_colors else box_colours
    if font is None and font_size is not None:
        warnings.warn("Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=2)
    fonts = pillow("ImageFont")
    letters = fonts.load_default() if font is None else fonts.truetype(font=font, size=font_size or 10)
    canvas = to_pil_image(convert_image_dtype(image.tile(3, 1, 1) if image.size(0) == 1 else image, backend.uint8))
    draw = pillow("ImageDraw").Draw(canvas, "RGBA" if fill else None)
    for i, box in enumerate(boxes.to(backend.int64).tolist()):
        draw.rectangle(box, width=width, outline=box_colours[i], fill=(*box_colours[i], 100) if fill else None)
        if labels is not None and labels[i] is not None:
            corner = (box[0] + width + 1, box[1] + width + 1)
            if fill_labels:
                left, top, right, bottom = draw.textbbox(corner, labels[i], font=letters)
                draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=behind[i])
            draw.text(corner, labels[i], fill=texts[i], font=letters)
    return convert_image_dtype(pil_to_tensor(canvas), image.dtype)


@no_grad()
def draw_segmentation_masks(image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Any = None) -> Tensor:
    """`image` (3, H, W) with `alpha` of a colour over each of the bool `masks` (N, H, W); black where two overlap."""
    check_image(image, "The image must be a tensor", (3,), "Pass an RGB image. Other Image formats are not supported")
    if masks.ndim == 2:
        masks = masks[None]
    if masks.ndim != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype != backend.bool_:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    if len(masks) == 0:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    scale = 255 if image.is_floating_point() else 1
    painted = image.clone()
    for mask, colour in zip(masks, rgb(colors, len(masks))):
        values = ops.tensor([value / scale for value in colour], dtype=image.dtype, device=image.device)
        painted = ops.where(mask, values[:, None, None], painted)
    painted = ops.where(masks.sum(dim=0) > 1, ops.zeros_like(painted), painted)
    return (image * (1 - alpha) + painted * alpha).to(image.dtype)


def rgb(colors: Any, count: int) -> list[tuple[int, ...]]:
    """`count` colours as triples, from a list, one for all, or a palette where none are given."""
    if colors is None:
        return [tuple(i * prime % 255 for prime in (2**25 - 1, 2**15 - 1, 2**21 - 1)) for i in range(count)]
    if isinstance(colors, list):
        if len(colors) < count:
            raise ValueError(
                f"Number of colors must be equal or larger than the number of objects, but got {len(colors)} < {count}."
            )
    elif not isinstance(colors, (tuple, str)):
        raise ValueError(f"colors must be a tuple or a string, or a list thereof, but got {colors}.")
    elif isinstance(colors, tuple) and len(colors) != 3:
        raise ValueError(f"If passed as tuple, colors should be an RGB triplet, but got {colors}.")
    else:
        colors = [colors] * count
    return [pillow("ImageColor").getrgb(colour) if isinstance(colour, str) else colour for colour in colors]
