"""Grids of images and marks on them, held to torchvision's."""

from __future__ import annotations

import io

import numpy as np
import pytest

import minigrad
from minigrad.vision import utils
from tests.vision_oracle import Image, both, compare, needs_torchvision, pixels, tv

FLOATS = np.random.RandomState(0).randn(7, 3, 4, 5).astype(np.float32)
GREY = np.random.RandomState(1).rand(5, 1, 3, 3)
BYTES = pixels(40, 50).transpose(2, 0, 1)
GRIDS = [
    {}, {"nrow": 3}, {"nrow": 2, "padding": 0}, {"padding": 5, "pad_value": 0.5}, {"normalize": True},
    {"normalize": True, "scale_each": True}, {"normalize": True, "value_range": (-1, 0.5)},
    {"normalize": True, "scale_each": True, "value_range": (0, 1)}, {"normalize": True, "value_range": [0, 1]},
]  # fmt: skip


@needs_torchvision
@pytest.mark.parametrize("kwargs", GRIDS, ids=str)
def test_make_grid_and_save_image(kwargs):
    for array in (FLOATS, GREY, FLOATS[:1], FLOATS[0], GREY[0], GREY[0, 0], GREY[:0]):
        theirs, ours = both(array)
        compare(
            lambda x=ours: utils.make_grid(x, **kwargs) if len(x) else None,
            lambda x=theirs: tv.utils.make_grid(x, **kwargs) if len(x) else None,
        )
        assert ours.tolist() == array.tolist()  # the images themselves stay
        if len(array) and not isinstance(kwargs.get("value_range"), list):
            files = io.BytesIO(), io.BytesIO()
            utils.save_image(ours, files[0], "png", **kwargs)
            tv.utils.save_image(theirs, files[1], "png", **kwargs)
            np.testing.assert_array_equal(*(np.asarray(Image.open(file)) for file in files))
    (theirs, ours), (more, ours_too) = both(FLOATS[0]), both(FLOATS[1])
    compare(lambda: utils.make_grid([ours, ours_too], **kwargs), lambda: tv.utils.make_grid([theirs, more], **kwargs))


@needs_torchvision
def test_make_grid_refuses():
    compare(lambda: utils.make_grid(FLOATS), lambda: tv.utils.make_grid(FLOATS))
    compare(lambda: utils.make_grid([3]), lambda: tv.utils.make_grid([3]))


def test_save_image_to_a_path(tmp_path):
    utils.save_image(minigrad.full((1, 2, 2), 0.5), tmp_path / "grey.png")
    assert np.asarray(Image.open(tmp_path / "grey.png")).tolist() == [[[128] * 3] * 2] * 2
    x = minigrad.rand(3, 2, 2, requires_grad=True)
    assert not utils.make_grid([x, x]).requires_grad


BOXES = np.array([[3, 4, 20, 30], [10, 2, 45, 35.7], [0, 0, 5, 5]], np.float32)
MARKS = [
    {}, {"colors": "red"}, {"colors": (1, 2, 3), "width": 3}, {"colors": ["red", "#00ff00", (9, 8, 7)], "fill": True},
    {"labels": ["one", None, "three"]}, {"labels": ["a", "b", "c"], "label_colors": "blue", "fill_labels": True},
    {"labels": ["a", "b", "c"], "label_background_colors": "white", "fill_labels": True}, {"labels": ["a"]},
    {"colors": ["red"]}, {"colors": (1, 2)}, {"colors": 3}, {"font_size": 3},
]  # fmt: skip


@needs_torchvision
@pytest.mark.parametrize("kwargs", MARKS, ids=str)
def test_bounding_boxes(kwargs):
    their_boxes, our_boxes = both(BOXES)
    for array in (BYTES, BYTES[:1], (BYTES / 255).astype(np.float32), BYTES.astype(np.int64), BYTES[:2], BYTES[None]):
        theirs, ours = both(array)
        compare(
            lambda x=ours: utils.draw_bounding_boxes(x, our_boxes, **kwargs),
            lambda x=theirs: tv.utils.draw_bounding_boxes(x, their_boxes, **kwargs),
        )
    theirs, ours = both(BYTES)
    for rows in (BOXES[:0], BOXES[:, ::-1]):
        their_boxes, our_boxes = both(rows)
        compare(
            lambda b=our_boxes: utils.draw_bounding_boxes(ours, b, **kwargs),
            lambda b=their_boxes: tv.utils.draw_bounding_boxes(theirs, b, **kwargs),
        )
    compare(lambda: utils.draw_bounding_boxes(3, our_boxes), lambda: tv.utils.draw_bounding_boxes(3, their_boxes))


@needs_torchvision
@pytest.mark.parametrize("kwargs", [{}, {"alpha": 0.3}, {"colors": "red"}, {"colors": [(1, 2, 3), "blue"]}], ids=str)
def test_segmentation_masks(kwargs):
    masks = np.random.RandomState(0).rand(2, 40, 50) > 0.6
    for array in (BYTES, (BYTES / 255).astype(np.float32), BYTES[:1], BYTES[None], BYTES.astype(np.int32)):
        for chosen in (masks, masks[0], masks[:0], masks[:, 1:], masks[None], masks.astype(float)):
            (theirs, ours), (their_masks, our_masks) = both(array), both(chosen)
            compare(
                lambda x=ours, m=our_masks: utils.draw_segmentation_masks(x, m, **kwargs),
                lambda x=theirs, m=their_masks: tv.utils.draw_segmentation_masks(x, m, **kwargs),
            )


def test_masks_by_hand():
    image = minigrad.full((3, 1, 2), 100, dtype=minigrad.uint8)
    mask = minigrad.tensor([[True, False]])
    painted = utils.draw_segmentation_masks(image, mask, alpha=0.5, colors=(200, 0, 50))
    assert painted[:, 0, 0].tolist() == [150, 50, 75]
    assert painted[:, 0, 1].tolist() == [100, 100, 100]
