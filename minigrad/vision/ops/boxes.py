"""Boxes as rows of four numbers: xyxy (two corners), xywh (a corner and the sides) or cxcywh (the middle and sides)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backend, ops
from minigrad.tensor import Tensor

__all__ = [
    "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image", "generalized_box_iou", "nms",
    "remove_small_boxes",
]  # fmt: skip

FORMATS = ("xyxy", "xywh", "cxcywh")


def widened(boxes: Tensor) -> Tensor:
    """In a dtype in which products of coordinates do not overflow."""
    if boxes.is_floating_point():
        return boxes if boxes.dtype in (backend.float32, backend.float64) else boxes.float()
    return boxes if boxes.dtype in (backend.int32, backend.int64) else boxes.int()


def corners(boxes: Tensor, fmt: str) -> tuple[Tensor, Tensor]:
    """The upper left and the lower right points, (..., 2) each."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if fmt == "xyxy":
        return first, second
    return (first, first + second) if fmt == "xywh" else (first - second / 2, first + second / 2)


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (..., 4) in another format."""
    if in_fmt not in FORMATS or out_fmt not in FORMATS:
        raise ValueError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}; "
            f"known are {', '.join(FORMATS)}"
        )
    if in_fmt == out_fmt:
        return boxes.clone()
    first, second = boxes[..., :2], boxes[..., 2:]
    if in_fmt != "xyxy":
        low = first if in_fmt == "xywh" else first - 0.5 * second
        first, second = low, (first + second if in_fmt == "xywh" else first + 0.5 * second)
    if out_fmt == "xywh":
        second = second - first
    elif out_fmt == "cxcywh":
        first, second = (first + second) / 2, second - first
    return ops.cat([first, second], dim=-1)


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """Width times height of boxes (..., 4)."""
    if fmt not in FORMATS:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}")
    boxes = widened(boxes)
    sides = boxes[..., 2:] - boxes[..., :2] if fmt == "xyxy" else boxes[..., 2:]
    return sides[..., 0] * sides[..., 1]


def overlaps(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> tuple[Tensor, Tensor]:
    """The areas of intersection and union of each of N boxes with each of M: (..., N, M)."""
    (low1, high1), (low2, high2) = corners(boxes1, fmt), corners(boxes2, fmt)
    low = ops.maximum(low1[..., None, :], low2[..., None, :, :])
    high = ops.minimum(high1[..., None, :], high2[..., None, :, :])
    sides = widened(high - low).clamp(min=0)
    common = sides[..., 0] * sides[..., 1]
    return common, box_area(boxes1, fmt)[..., None] + box_area(boxes2, fmt)[..., None, :] - common


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """Intersection over union of each of N boxes with each of M: (..., N, M)."""
    if fmt not in FORMATS:
        raise ValueError(f"Unsupported format '{fmt}'. Supported axis-aligned formats: {FORMATS}.")
    common, union = overlaps(boxes1, boxes2, fmt)
    return common / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """IoU less the share of the smallest box around both that neither covers. Source: Rezatofighi et al., 2019."""
    common, union = overlaps(boxes1, boxes2)
    low = ops.minimum(boxes1[..., None, :2], boxes2[..., None, :, :2])
    high = ops.maximum(boxes1[..., None, 2:], boxes2[..., None, :, 2:])
    sides = widened(high - low).clamp(min=0)
    around = sides[..., 0] * sides[..., 1]
    return common / union - (around - union) / around


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: the indices kept of boxes (N, 4) in xyxy, by falling score.

    The best box is kept and those that overlap it by an IoU above the threshold are dropped, until none are left.
    The loop runs on the CPU.
    """
    if boxes.dim() != 2 or boxes.size(1) != 4:
        raise RuntimeError(f"boxes should be a 2d tensor of rows of 4\ngot the shape {tuple(boxes.shape)}")
    if scores.dim() != 1 or len(scores) != len(boxes):
        raise RuntimeError(
            "boxes and scores should have same number of elements in dimension 0\n"
            f"got {len(boxes)} and {tuple(scores.shape)}"
        )
    corner, order = boxes.detach().cpu().numpy(), scores.detach().argsort(descending=True, stable=True).cpu().numpy()
    area = (corner[:, 2] - corner[:, 0]) * (corner[:, 3] - corner[:, 1])
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(corner[best, :2], corner[rest, :2])
        high = np.minimum(corner[best, 2:], corner[rest, 2:])
        common = np.clip(high - low, 0, None).prod(axis=1)
        order = rest[~(common / (area[best] + area[rest] - common) > iou_threshold)]
    return ops.tensor(kept, dtype=backend.int64, device=boxes.device)


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each class of `idxs` (N,): boxes of other classes are moved apart so that none overlap."""
    if boxes.numel() == 0:
        return ops.empty(0, dtype=backend.int64, device=boxes.device)
    return nms(boxes + (idxs.to(boxes) * (boxes.max() + 1))[:, None], scores, iou_threshold)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The indices of the boxes whose sides are both at least `min_size`."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return ops.where((sides >= min_size).all(dim=-1))[0]


def clip_boxes_to_image(boxes: Tensor, size: Any) -> Tensor:
    """Boxes (..., 4) in xyxy cut at the border of an image of (height, width) = `size`."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(min=0, max=width), boxes[..., 1::2].clamp(min=0, max=height)
    return ops.stack([x, y], dim=boxes.dim()).reshape(boxes.shape)
