"""Each transform held to torchvision's: images, reprs, errors, and what is drawn from the generator."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

import minigrad
from minigrad.vision import transforms as T
from reference import strict_cupy
from tests.vision_oracle import (
    assert_same_image,
    both,
    compare,
    needs_torchvision,
    picture,
    pixels,
    seed_all,
    tv,
)

# name, positional arguments, keyword arguments
ON_BOTH = [
    ("Resize", (7,), {}),
    ("Resize", ([6, 9],), {}),
    ("Resize", (20,), {"max_size": 22}),
    ("Resize", (13,), {"interpolation": "NEAREST"}),
    ("Resize", ((5, 17),), {"interpolation": "BICUBIC"}),
    ("Resize", ((5, 17),), {"interpolation": "NEAREST_EXACT"}),
    ("Resize", (6,), {"antialias": False}),
    ("Resize", (6,), {"interpolation": 3, "antialias": None}),
    ("Resize", (10,), {}),
    ("CenterCrop", (5,), {}),
    ("CenterCrop", ((9, 4),), {}),
    ("CenterCrop", (16,), {}),
    ("CenterCrop", ((3, 21),), {}),
    ("CenterCrop", ((13, 11),), {}),
    ("Pad", (2,), {"fill": 7}),
    ("Pad", ((1, 3),), {"padding_mode": "edge"}),
    ("Pad", ((1, 0, 3, 2),), {"padding_mode": "reflect"}),
    ("Pad", ([2],), {"padding_mode": "symmetric"}),
    ("Pad", ((-2, 1, 3, -1),), {"padding_mode": "symmetric"}),
    ("Pad", ((1, 2, 3, 4),), {}),
    ("FiveCrop", (4,), {}),
    ("TenCrop", ((5, 3),), {}),
    ("TenCrop", (5,), {"vertical_flip": True}),
    ("Grayscale", (), {}),
    ("Grayscale", (3,), {}),
    ("RandomCrop", (8,), {}),
    ("RandomCrop", (8,), {"padding": 4}),
    ("RandomCrop", ((20, 6),), {"pad_if_needed": True, "padding_mode": "edge"}),
    ("RandomCrop", ((13, 10),), {}),
    ("RandomCrop", (8,), {"padding": (2, 1), "fill": 9}),
    ("RandomHorizontalFlip", (), {}),
    ("RandomVerticalFlip", (0.3,), {}),
    ("RandomResizedCrop", (8,), {}),
    ("RandomResizedCrop", ((6, 9),), {"scale": (0.5, 0.6), "ratio": (0.3, 0.4), "antialias": True}),
    ("RandomResizedCrop", (8,), {"scale": (2.0, 3.0), "ratio": (4.0, 5.0)}),
    ("RandomResizedCrop", (8,), {"scale": (2.0, 3.0), "ratio": (0.1, 0.2)}),
    ("RandomResizedCrop", (8,), {"scale": (2.0, 3.0)}),
    ("RandomRotation", (30,), {}),
    ("RandomRotation", ((10, 80),), {"interpolation": "BILINEAR", "fill": 5}),
    ("RandomRotation", (90,), {"expand": True}),
    ("RandomRotation", (45,), {"center": (2, 3)}),
    ("RandomAffine", (15,), {}),
    ("RandomAffine", (15,), {"translate": (0.2, 0.3), "scale": (0.7, 1.4), "shear": 10}),
    ("RandomAffine", ((0, 90),), {"shear": (1, 9, 2, 8), "interpolation": "BILINEAR", "fill": 3, "center": (1, 2)}),
    ("RandomPerspective", (), {"p": 0.9}),
    ("RandomPerspective", (0.8,), {"p": 1.0, "fill": 4}),
    ("ElasticTransform", (20.0, 1.0), {}),
    ("ElasticTransform", ([9.0, 30.0], [0.5, 0.7]), {"fill": 7, "interpolation": "NEAREST"}),
    ("ColorJitter", (), {}),
    ("ColorJitter", (0.4,), {}),
    ("ColorJitter", (), {"contrast": (0.3, 1.9)}),
    ("ColorJitter", (), {"saturation": 0.8}),
    ("ColorJitter", (), {"hue": 0.4}),
    ("ColorJitter", (0.4, 0.5, 0.6, 0.3), {}),
    ("RandomGrayscale", (0.6,), {}),
    ("GaussianBlur", (3,), {}),
    ("GaussianBlur", ((5, 3),), {"sigma": 1.3}),
    ("RandomInvert", (), {}),
    ("RandomPosterize", (3,), {}),
    ("RandomSolarize", (100,), {}),
    ("RandomAdjustSharpness", (2.5,), {}),
    ("RandomAdjustSharpness", (0.2,), {"p": 1.0}),
    ("RandomAutocontrast", (), {}),
    ("RandomEqualize", (1.0,), {}),
]
ON_TENSORS = [
    ("RandomErasing", (), {"p": 0.9}),
    ("RandomErasing", (1.0,), {"value": "random"}),
    ("RandomErasing", (1.0,), {"value": (1, 2, 3)}),
    ("RandomErasing", (1.0, (0.9, 1.0), (3.0, 4.0)), {"value": 4.5}),
    ("Normalize", ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)), {}),
    ("Normalize", ((0.5,), [0.25]), {}),
    ("RandomSolarize", (0.5,), {"p": 1.0}),
]
ERRORS = [
    ("Resize", ("a",), {}), ("Resize", ([1, 2, 3],), {}), ("Resize", (3.5,), {}), ("CenterCrop", ((1, 2, 3),), {}),
    ("Pad", ("a",), {}), ("Pad", (1,), {"fill": "a"}), ("Pad", (1,), {"padding_mode": "odd"}),
    ("Pad", ((1, 2, 3),), {}), ("Lambda", (3,), {}), ("RandomOrder", (3,), {}), ("RandomChoice", ([],), {"p": 3}),
    ("RandomRotation", (-3,), {}),
    ("RandomRotation", ((1, 2, 3),), {}), ("RandomRotation", ("a",), {}), ("RandomRotation", (3,), {"center": 3}),
    ("RandomRotation", (3,), {"fill": {}}), ("RandomAffine", (3,), {"translate": (2, 0)}),
    ("RandomAffine", (3,), {"scale": (0, 1)}), ("RandomAffine", (3,), {"shear": (1, 2, 3)}),
    ("RandomAffine", (3,), {"center": (1, 2, 3)}), ("ColorJitter", (-1,), {}), ("ColorJitter", ("a",), {}),
    ("ColorJitter", (), {"hue": 0.7}), ("ColorJitter", ((2, 1),), {}), ("RandomErasing", (2,), {}),
    ("RandomErasing", (), {"value": "a"}), ("RandomErasing", (), {"value": {}}), ("RandomErasing", (), {"scale": 1}),
    ("RandomErasing", (), {"ratio": 1}), ("RandomErasing", (), {"scale": (0, 2)}), ("GaussianBlur", (2,), {}),
    ("GaussianBlur", (3,), {"sigma": -1}), ("GaussianBlur", (3,), {"sigma": (2, 1)}),
    ("GaussianBlur", (3,), {"sigma": "a"}), ("RandomResizedCrop", (3,), {"scale": 1}),
    ("RandomResizedCrop", (3,), {"ratio": 1}),
    ("RandomResizedCrop", (3,), {"scale": (1, 0.5)}), ("FiveCrop", ((1, 2, 3),), {}),
    ("RandomPerspective", (), {"fill": {}}), ("ElasticTransform", ("a",), {}), ("ElasticTransform", ((1.0,),), {}),
    ("ElasticTransform", ((1, 2),), {}), ("ElasticTransform", (1.0, 1), {}), ("ElasticTransform", (), {"fill": {}}),
]  # fmt: skip


# By how much a byte may differ: these resample in floats; RandAugment may go on to double what it resampled.
RESAMPLING = {"RandAugment": 2} | dict.fromkeys(
    ["Resize", "RandomResizedCrop", "RandomRotation", "RandomAffine", "RandomPerspective", "GaussianBlur",
     "ElasticTransform", "TrivialAugmentWide"], 1
)  # fmt: skip


def make(module, name, args, kwargs):
    """The transform of either library."""
    mode = kwargs.get("interpolation")
    if isinstance(mode, str):
        kwargs = {**kwargs, "interpolation": getattr(module.InterpolationMode, mode)}
    return getattr(module, name)(*args, **kwargs)


def identify(value):
    return "-".join(str(part) for part in value) if isinstance(value, tuple) else None


def held(case, their_image, our_image, seeds=range(6), atol=2e-5):
    """The transform on the same image and seeds: the same images, and the generators stand where they stood.

    Floats are fills of up to 9 by weights that are good to 1e-6; resampled bytes may have been halfway between two.
    """
    ours, theirs = make(T, *case), make(tv.transforms, *case)
    assert repr(ours) == repr(theirs)
    for seed in seeds:
        seed_all(seed)
        compare(lambda: ours(our_image), lambda: theirs(their_image), atol, ties=RESAMPLING.get(case[0], 0))
        assert minigrad.get_rng_state().tolist() == torch.get_rng_state().tolist()


@needs_torchvision
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("case", ON_BOTH, ids=identify)
def test_on_pil_images(case, mode):
    held(case, picture(mode), picture(mode))


@needs_torchvision
@pytest.mark.parametrize("case", ON_BOTH, ids=identify)
def test_on_bytes(case):
    held(case, *both(pixels().transpose(2, 0, 1)))


@needs_torchvision
@pytest.mark.parametrize("case", [*ON_BOTH, *ON_TENSORS], ids=identify)
def test_on_floats(case):
    if case[0] == "RandomSolarize" and case[1] == (100,):
        pytest.skip("a threshold beyond 1: see the errors")
    held(case, *both((pixels() / 255).astype(np.float32).transpose(2, 0, 1)))


@needs_torchvision
@pytest.mark.parametrize("case", ON_BOTH[::2] + ON_TENSORS[:3], ids=identify)
def test_on_batches(case):
    batch = np.stack([pixels(seed=1), pixels(seed=2)]).transpose(0, 3, 1, 2)
    held(case, *both((batch / 255).astype(np.float64)), seeds=range(2))


@needs_torchvision
@pytest.mark.parametrize("case", ERRORS, ids=identify)
def test_constructors_refuse(case):
    compare(lambda: make(T, *case) and None, lambda: make(tv.transforms, *case) and None)


@needs_torchvision
def test_choices_among_transforms():
    for build in (
        lambda m: m.RandomApply([m.Pad(1), m.CenterCrop(4)], p=0.4),
        lambda m: m.RandomOrder([m.Pad(3), m.CenterCrop(9), m.Resize(8)]),
        lambda m: m.RandomChoice([m.Pad(3), m.CenterCrop(9), m.Resize(8)]),
        lambda m: m.RandomChoice([m.Pad(3), m.CenterCrop(9)], p=[0.2, 0.8]),
        lambda m: m.Compose(
            [m.RandomCrop(8, padding=2), m.RandomHorizontalFlip(), m.ToTensor(), m.Normalize(0.5, 0.5)]
        ),
    ):
        ours, theirs = build(T), build(tv.transforms)
        assert repr(ours) == repr(theirs)
        for seed in range(8):
            outcomes = []
            for transform in (ours, theirs):
                seed_all(seed)
                outcomes.append(transform(picture()))
            assert_same_image(*outcomes)
    assert repr(T.Lambda(abs)) == repr(tv.transforms.Lambda(abs))


@needs_torchvision
def test_linear_transformation():
    matrix, mean = np.random.RandomState(0).rand(12, 12), np.random.RandomState(1).rand(12)
    build = lambda m, lib: m.LinearTransformation(lib.from_numpy(matrix), lib.from_numpy(mean))
    ours, theirs = build(T, minigrad), build(tv.transforms, torch)
    assert repr(ours) == repr(theirs)
    their_image, our_image = both(np.random.RandomState(2).rand(3, 2, 2))
    compare(lambda: ours(our_image), lambda: theirs(their_image))
    compare(lambda: ours(our_image[:1]), lambda: theirs(their_image[:1]))


@needs_torchvision
@pytest.mark.parametrize("kwargs", [{}, {"fill": 5}, {"interpolation": "BILINEAR", "num_magnitude_bins": 11}], ids=str)
@pytest.mark.parametrize("name", ["RandAugment", "TrivialAugmentWide"])
def test_operations_drawn_from_a_table(name, kwargs):
    held((name, (), kwargs), picture(height=40, width=30), picture(height=40, width=30), seeds=range(60))
    for array in (pixels(40, 30), pixels(40, 30, channels=1)):
        held((name, (), kwargs), *both(array.transpose(2, 0, 1)), seeds=range(60))


@needs_torchvision
def test_signatures_are_torchvisions():
    for name in T.functional.__all__:
        ours, theirs = getattr(T.functional, name), getattr(tv.transforms.functional, name)
        if inspect.isfunction(theirs):
            names = list(inspect.signature(ours).parameters)
            assert names == list(inspect.signature(theirs).parameters), name
    for name in [n for n in vars(T) if n[0].isupper() and n != "InterpolationMode"]:
        ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (T, tv.transforms))
        assert list(ours) == list(theirs), name
        for parameter in ours:
            default, their_default = ours[parameter].default, theirs[parameter].default
            assert str(default) == str(their_default), (name, parameter)


def test_transforms_are_differentiable_on_tensors():
    x = minigrad.rand(3, 6, 6, dtype=minigrad.float64).requires_grad_()
    chain = T.Compose([T.Resize(8), T.RandomRotation(20, T.InterpolationMode.BILINEAR), T.Normalize(0.5, 0.5)])
    chain(x).sum().backward()
    assert x.grad.shape == (3, 6, 6)
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("case", [*ON_BOTH, *ON_TENSORS], ids=identify)
def test_tensors_stay_on_their_device(case):
    image = minigrad.from_numpy((pixels() / 255).astype(np.float32).transpose(2, 0, 1).copy())
    transform = make(T, *case)
    if case[0] == "RandomEqualize":
        image = (image * 255).to(minigrad.uint8)
    if case[0] == "RandomSolarize" and case[1] == (100,):
        pytest.skip("a threshold beyond 1")
    if case[0] == "RandomPosterize":
        image = (image * 255).to(minigrad.uint8)
    seed_all(1)
    expected = transform(image)
    with strict_cupy.install():
        seed_all(1)
        got = transform(image.cuda())
        for g, e in zip(got if isinstance(got, tuple) else [got], expected if isinstance(got, tuple) else [expected]):
            assert g.device.type == "cuda"
            np.testing.assert_allclose(g.cpu().numpy(), e.numpy(), rtol=0, atol=2e-5)


def test_transforms_travel_to_workers():
    chain = T.Compose([T.Resize(8), T.ColorJitter(0.2, 0.2), T.functional.hflip, T.ToTensor(), T.Normalize(0.5, 0.5)])
    assert repr(pickle.loads(pickle.dumps(chain))) == repr(chain)


def test_without_pillow_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['PIL'] = None\n"
        "import numpy, minigrad\n"
        "from minigrad.vision import transforms as T, datasets, utils\n"
        "print(T.ToTensor()(numpy.zeros((2, 2, 3), numpy.uint8)).shape)\n"
        "try: T.ToPILImage()(minigrad.zeros(3, 2, 2))\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "torch.Size([3, 2, 2])"
    assert "needs Pillow: pip install 'minigrad-engine[vision]'" in done.stdout
