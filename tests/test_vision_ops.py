"""Boxes, layers, losses and networks of `minigrad.vision`, held to torchvision's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import minigrad
from minigrad import nn
from minigrad.vision import models, ops, utils
from reference import strict_cupy
from tests.vision_oracle import assert_same_image, both, compare, needs_torchvision, seed_all, tv


def boxes_of(count, seed=0, dtype="float32"):
    """Boxes in xyxy, many of which overlap."""
    rng = np.random.RandomState(seed)
    corner = rng.randint(0, 40, size=(count, 2))
    return np.hstack([corner, corner + rng.randint(1, 30, size=(count, 2))]).astype(dtype)


@needs_torchvision
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8"])
def test_boxes(dtype):
    (theirs, ours), (more, ours_too) = both(boxes_of(6, 0, dtype)), both(boxes_of(4, 1, dtype))
    formats = "xyxy", "xywh", "cxcywh"
    for old in formats:
        compare(lambda old=old: ops.box_area(ours, old), lambda old=old: tv.ops.box_area(theirs, old))
        compare(lambda old=old: ops.box_iou(ours, ours_too, old), lambda old=old: tv.ops.box_iou(theirs, more, old))
        for new in formats:
            compare(
                lambda old=old, new=new: ops.box_convert(ours, old, new),
                lambda old=old, new=new: tv.ops.box_convert(theirs, old, new),
            )
    for name, args in (("clip_boxes_to_image", ((30, 20),)), ("remove_small_boxes", (9,))):
        compare(lambda n=name, a=args: getattr(ops, n)(ours, *a), lambda n=name, a=args: getattr(tv.ops, n)(theirs, *a))
    compare(lambda: ops.generalized_box_iou(ours, ours_too), lambda: tv.ops.generalized_box_iou(theirs, more))
    compare(lambda: ops.box_convert(ours, "odd", "xyxy"), lambda: tv.ops.box_convert(theirs, "odd", "xyxy"))
    compare(lambda: ops.box_area(ours, "odd"), lambda: tv.ops.box_area(theirs, "odd"))


def test_an_intersection_by_hand():
    boxes = minigrad.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6]])
    assert ops.box_iou(boxes, boxes)[0].tolist() == [1.0, minigrad.tensor(1 / 7).item(), 0.0]
    assert ops.generalized_box_iou(boxes, boxes)[0, 1].item() == pytest.approx(1 / 7 - 2 / 9)


def suppressed(boxes, scores, threshold):
    """Non-maximum suppression by its definition."""
    boxes, kept = minigrad.tensor(boxes.astype(float)), []
    for i in np.argsort(-scores, kind="stable"):
        if all(ops.box_iou(boxes[[i]], boxes[[j]]).item() <= threshold for j in kept):
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_nms(threshold):
    for seed in range(5):
        boxes, scores = boxes_of(20, seed), np.random.RandomState(seed).randint(0, 9, size=20).astype(np.float32)
        expected = suppressed(boxes, scores, threshold)
        ours = ops.nms(minigrad.tensor(boxes), minigrad.tensor(scores), threshold)
        assert ours.tolist() == expected
        assert ours.dtype is minigrad.int64
        classes = np.random.RandomState(seed).randint(0, 3, size=20)
        kept = ops.batched_nms(minigrad.tensor(boxes), minigrad.tensor(scores), minigrad.tensor(classes), threshold)
        within = [
            i
            for c in range(3)
            for i in np.flatnonzero(classes == c)[suppressed(boxes[classes == c], scores[classes == c], threshold)]
        ]
        assert sorted(kept.tolist()) == sorted(within)
    assert ops.nms(minigrad.zeros(0, 4), minigrad.zeros(0), 0.5).tolist() == []
    with pytest.raises(RuntimeError, match="boxes should be a 2d tensor"):
        ops.nms(minigrad.zeros(4), minigrad.zeros(4), 0.5)
    with pytest.raises(RuntimeError, match="boxes and scores should have same number of elements in dimension 0"):
        ops.nms(minigrad.zeros(4, 4), minigrad.zeros(3), 0.5)


def test_boxes_and_grids_stay_on_their_device():
    boxes, scores = minigrad.tensor(boxes_of(9)), minigrad.rand(9)
    images = minigrad.rand(3, 1, 4, 4)
    masks = minigrad.rand(2, 4, 4) > 0.5
    programs = [
        lambda d: ops.nms(boxes.to(d), scores.to(d), 0.3),
        lambda d: ops.batched_nms(boxes.to(d), scores.to(d), minigrad.arange(9).to(d) % 2, 0.3),
        lambda d: ops.generalized_box_iou(boxes.to(d), boxes.to(d)),
        lambda d: ops.box_convert(boxes.to(d), "cxcywh", "xywh"),
        lambda d: ops.remove_small_boxes(boxes.to(d), 9),
        lambda d: utils.make_grid(images.to(d), normalize=True, scale_each=True),
        lambda d: utils.draw_segmentation_masks(images[0].expand(3, 4, 4).to(d), masks.to(d)),
    ]
    for program in programs:
        expected = program("cpu")
        with strict_cupy.install():
            got = program("cuda")
            assert got.device.type == "cuda"
            np.testing.assert_allclose(got.cpu().numpy(), expected.numpy(), rtol=1e-6)


@needs_torchvision
@pytest.mark.parametrize("reduction", ["none", "mean", "sum", "odd"])
@pytest.mark.parametrize("alpha", [0.25, -1, 0, 2])
def test_sigmoid_focal_loss(alpha, reduction):
    (x, our_x), (y, our_y) = both(np.random.RandomState(0).randn(4, 3)), both(np.eye(4, 3))
    x.requires_grad_()
    our_x.requires_grad_()
    loss = compare(
        lambda: ops.sigmoid_focal_loss(our_x, our_y, alpha, 1.5, reduction),
        lambda: tv.ops.sigmoid_focal_loss(x, y, alpha, 1.5, reduction),
    )
    if isinstance(loss, torch.Tensor):
        loss.sum().backward()
        ops.sigmoid_focal_loss(our_x, our_y, alpha, 1.5, reduction).sum().backward()
        assert_same_image(our_x.grad, x.grad, 1e-12)


@needs_torchvision
def test_stochastic_depth():
    x, our_x = both(np.random.RandomState(0).rand(5, 2, 2))
    for args in ((0.4, "row"), (0.4, "batch"), (0.0, "row"), (1.0, "row"), (0.5, "odd"), (2.0, "row")):
        seed_all(1)
        compare(lambda a=args: ops.stochastic_depth(our_x, *a), lambda a=args: tv.ops.stochastic_depth(x, *a))
        assert minigrad.get_rng_state().tolist() == torch.get_rng_state().tolist()
    ours, theirs = ops.StochasticDepth(0.4, "row"), tv.ops.StochasticDepth(0.4, "row")
    assert repr(ours) == repr(theirs)
    assert ours.eval()(our_x) is our_x


def same_module(ours, theirs, x, atol=1e-6):
    """The same print, the same weights from the same seed, the same output and gradients."""
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert_same_image(ours.state_dict()[name], value, 0)
    their_x, our_x = both(x)
    expected, got = theirs(their_x), ours(our_x)
    assert_same_image(got, expected, atol)
    expected.square().mean().backward()
    got.square().mean().backward()
    for (name, p), (_, q) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        scale = max(float(p.grad.abs().max()), 1e-3)
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=0, atol=2e-3 * scale, err_msg=name)


@needs_torchvision
@pytest.mark.parametrize(
    ("name", "build", "shape"),
    [
        ("MLP", lambda o, n: o.MLP(4, [5, 6]), (2, 4)),
        ("MLP", lambda o, n: o.MLP(4, [5, 6, 2], n.LayerNorm, n.GELU, None, False, 0.3), (2, 4)),
        ("Conv2dNormActivation", lambda o, n: o.Conv2dNormActivation(3, 4), (2, 3, 6, 6)),
        ("Conv2dNormActivation", lambda o, n: o.Conv2dNormActivation(3, 4, (3, 1), dilation=2), (2, 3, 6, 6)),
        ("Conv2dNormActivation", lambda o, n: o.Conv2dNormActivation(3, 4, 5, 2, None, 1, None, n.SiLU), (2, 3, 6, 6)),
        (
            "Conv2dNormActivation",
            lambda o, n: o.Conv2dNormActivation(4, 4, groups=2, activation_layer=None),
            (2, 4, 5, 5),
        ),
        ("SqueezeExcitation", lambda o, n: o.SqueezeExcitation(4, 2), (2, 4, 3, 3)),
        ("FrozenBatchNorm2d", lambda o, n: n.Sequential(n.Conv2d(3, 2, 1), o.FrozenBatchNorm2d(2)), (2, 3, 4, 4)),
        ("Permute", lambda o, n: n.Sequential(n.Linear(3, 2), o.Permute([1, 0])), (2, 3)),
    ],
)
def test_layers(name, build, shape):
    assert list(inspect.signature(getattr(ops, name)).parameters) == list(
        inspect.signature(getattr(tv.ops, name)).parameters
    )
    seed_all(2)
    ours, theirs = build(ops, nn), build(tv.ops, torch.nn)
    seed_all(3)
    same_module(ours, theirs, np.random.RandomState(0).randn(*shape).astype(np.float32))


NETWORKS = ["resnet18", "resnet34", "resnet50", "resnext50_32x4d", "wide_resnet50_2"]


@needs_torchvision
@pytest.mark.parametrize("name", [NETWORKS[0], *(pytest.param(name, marks=pytest.mark.deep) for name in NETWORKS[1:])])
def test_resnets_load_torchvisions_weights_and_give_its_logits(name):
    torch.manual_seed(0)
    theirs = getattr(tv.models, name)(num_classes=5).eval()
    minigrad.manual_seed(0)
    ours = getattr(models, name)(num_classes=5).eval()
    assert repr(ours) == repr(theirs)
    for (key, value), (their_key, expected) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert key == their_key
        np.testing.assert_allclose(value.numpy(), expected.numpy(), rtol=0, atol=1e-6)
    ours.load_state_dict({key: minigrad.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    x, our_x = both(np.random.RandomState(0).rand(2, 3, 40, 40).astype(np.float32))
    with torch.no_grad(), minigrad.no_grad():
        expected = theirs(x)
        np.testing.assert_allclose(
            ours(our_x).numpy(), expected.numpy(), rtol=1e-4, atol=1e-4 * float(expected.abs().max())
        )


@needs_torchvision
def test_small_resnets_and_their_gradients():
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    x = np.random.RandomState(0).randn(2, 3, 32, 32).astype(np.float32)
    own = models.resnet
    for ours_block, block, layers, kwargs in (
        (own.BasicBlock, BasicBlock, [1, 1, 1, 1], {"zero_init_residual": True, "num_classes": 3}),
        (own.Bottleneck, Bottleneck, [1, 1, 1, 2], {"replace_stride_with_dilation": [False, True, True], "groups": 2,
                                                    "width_per_group": 16, "num_classes": 3}),
    ):  # fmt: skip
        torch.manual_seed(0)
        theirs = ResNet(block, layers, **kwargs)
        minigrad.manual_seed(0)
        ours = own.ResNet(ours_block, layers, **kwargs)
        ours.load_state_dict({key: minigrad.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
        same_module(ours, theirs, x, atol=1e-4)
    compare(lambda: own.BasicBlock(1, 1, groups=2), lambda: BasicBlock(1, 1, groups=2))
    compare(lambda: own.BasicBlock(1, 1, dilation=2), lambda: BasicBlock(1, 1, dilation=2))
    wrong = {"replace_stride_with_dilation": [True]}
    compare(lambda: models.resnet18(**wrong), lambda: tv.models.resnet18(**wrong))


def test_trained_weights_are_asked_for_in_vain():
    for kwargs in ({"weights": "DEFAULT"}, {"pretrained": True}):
        with pytest.raises(ValueError, match=r"resnet18: minigrad has no trained weights to fetch; .*load_state_dict"):
            models.resnet18(**kwargs)
