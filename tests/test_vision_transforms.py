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
from minigrad.vision.transforms import matrices
from reference import strict_cupy
from tests.vision_oracle import (
    Image,
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
@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGBA", "CMYK", "HSV", "I", "F", "YCbCr"])
@pytest.mark.parametrize("name", ["ToTensor", "PILToTensor"])
def test_modes_become_tensors_and_come_back(name, mode):
    image = picture(mode)
    ours, theirs = getattr(T, name)(), getattr(tv.transforms, name)()
    assert repr(ours) == repr(theirs)
    tensor = compare(lambda: ours(image), lambda: theirs(image))
    back, their_back = T.ToPILImage(), tv.transforms.ToPILImage()
    compare(lambda: back(minigrad.from_numpy(tensor.numpy())), lambda: their_back(tensor))


@needs_torchvision
def test_arrays_become_tensors_and_images():
    grey = pixels()[..., 0]
    arrays = [pixels(), grey, pixels(channels=1), pixels()[:, ::-1].copy(), grey.astype(np.float64)]
    arrays += [pixels()[None], pixels()[0, 0], grey.astype(np.int16), grey.astype(np.int32), grey / np.float32(255)]
    arrays += [pixels(channels=2), pixels(channels=4), pixels(channels=5), grey.astype(np.int64)]
    for array in arrays:
        compare(lambda array=array: T.ToTensor()(array), lambda array=array: tv.transforms.ToTensor()(array))
        compare(lambda array=array: T.ToPILImage()(array), lambda array=array: tv.transforms.ToPILImage()(array))
    for mode in ("RGB", "YCbCr", "HSV", "L"):
        ours, theirs = T.ToPILImage(mode), tv.transforms.ToPILImage(mode)
        assert repr(ours) == repr(theirs)
        compare(lambda ours=ours: ours(pixels()), lambda theirs=theirs: theirs(pixels()))
    for wrong in (None, "a", [1]):
        for name in ("ToTensor", "PILToTensor", "ToPILImage"):
            compare(
                lambda name=name, wrong=wrong: getattr(T, name)()(wrong),
                lambda name=name, wrong=wrong: getattr(tv.transforms, name)()(wrong),
            )


@needs_torchvision
@pytest.mark.parametrize("old", ["uint8", "int16", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("new", ["uint8", "int8", "int16", "int32", "int64", "float32", "float64"])
def test_convert_image_dtype(old, new):
    array = np.array([[[0, 0.25, 1]]])
    array = array.astype(old) if old[0] == "f" else np.array([[[0, 77, np.iinfo(old).max]]]).astype(old)
    theirs, ours = both(array)
    compare(
        lambda: T.ConvertImageDtype(getattr(minigrad, new))(ours),
        lambda: tv.transforms.ConvertImageDtype(getattr(torch, new))(theirs),
    )


@needs_torchvision
@pytest.mark.parametrize("case", ERRORS, ids=identify)
def test_constructors_refuse(case):
    compare(lambda: make(T, *case) and None, lambda: make(tv.transforms, *case) and None)


@needs_torchvision
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("hflip", ()), ("vflip", ()), ("crop", (0, 0, 1, 1)), ("resize", (3,)), ("pad", (1,)), ("rotate", (3,)),
        ("adjust_hue", (0.9,)), ("adjust_hue", (0.1,)), ("adjust_gamma", (-1,)), ("adjust_gamma", (0.7, 1.2)),
        ("adjust_brightness", (-1,)), ("to_grayscale", (3,)), ("to_grayscale", (2,)), ("rgb_to_grayscale", (2,)),
        ("normalize", ([0.5], [0.0])), ("normalize", ([0.5], [0.5])), ("erase", (0, 0, 1, 1, 0)), ("posterize", (9,)),
        ("solarize", (300,)), ("equalize", ()), ("gaussian_blur", (2,)), ("gaussian_blur", ((3, 3, 3),)),
        ("gaussian_blur", (3, "a")), ("gaussian_blur", (3, (1, 2, 3))), ("gaussian_blur", (3, -1)),
        ("affine", (0, 3, 1, 0)), ("affine", (0, (1, 2, 3), 1, 0)), ("affine", (0, (1, 2), 0, 0)),
        ("affine", (0, (1, 2), 1, (1, 2, 3))), ("affine", ("a", (1, 2), 1, 0)), ("affine", (3, (1, 2), 1.5, (4, 5))),
        ("perspective", ([], [])), ("five_crop", (99,)), ("five_crop", ((1, 2, 3),)), ("resize", ((1, 2, 3),)),
        ("rotate", ("a",)), ("rotate", (3, "odd")), ("rotate", (3, 1)), ("rotate", (3, 0, False, 3)),
        ("pad", ((1, 2, 3),)),
        ("rotate", (3, 0, False, None, (1, 2))), ("get_dimensions", ()), ("get_image_size", ()),
        ("get_image_num_channels", ()), ("resize", (9, 2, 3)), ("resize", ((9, 3), 2, 3)), ("autocontrast", ()),
        ("convert_image_dtype", ()), ("crop", (-3, -2, 9, 30)), ("crop", (9, 8, 9, 9)), ("resize", ((3, 3), 4)),
    ],
)  # fmt: skip
def test_functions_and_their_errors(name, args):
    ours, theirs = getattr(T.functional, name), getattr(tv.transforms.functional, name)
    floats = (pixels() / 255).astype(np.float32).transpose(2, 0, 1)
    inputs = [(picture(), picture()), (picture("F"), picture("F")), (3, 3)]
    inputs += [both(array) for array in (floats, pixels().transpose(2, 0, 1), floats[:1], floats[0], floats[0, 0])]
    inputs += [both(floats[[0, 1]])]
    for their_image, our_image in inputs:
        flat = (
            name == "resize" and isinstance(our_image, minigrad.Tensor) and our_image.ndim < 3
        )  # F.interpolate's error
        if not flat:  # which is F.interpolate's error
            compare(lambda image=our_image: ours(image, *args), lambda image=their_image: theirs(image, *args))


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
def test_equalize_with_pixels_enough_for_a_step():
    array = pixels(60, 50).transpose(2, 0, 1)
    array[1] //= 9
    (theirs, ours), (batch, our_batch) = both(array), both(array[None])
    F, own = tv.transforms.functional, T.functional
    compare(lambda: own.equalize(ours), lambda: F.equalize(theirs))
    compare(lambda: own.equalize(our_batch), lambda: F.equalize(batch))
    assert own.equalize(ours).tolist() != array.tolist()


@needs_torchvision
def test_coefficients_of_a_perspective():
    # Where one is 0, both hold rounding noise: pixels halfway between two may differ under NEAREST, hence no images.
    for seed in range(20):
        seed_all(seed)
        ends = T.RandomPerspective.get_params(32, 20, 0.7)
        got, expected = matrices.perspective(*ends), tv.transforms.functional._get_perspective_coeffs(*ends)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-12)


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


def test_more_means_than_channels_are_refused_as_in_torch():
    with pytest.raises(
        RuntimeError, match=r"output with shape \[1, 4, 4\] doesn't match the broadcast shape \[3, 4, 4\]"
    ):
        T.Normalize((0.5,) * 3, (0.5,) * 3)(minigrad.zeros(1, 4, 4))


@needs_torchvision
def test_to_tensor_gives_the_default_dtype():
    for name in ("float64", "float16", "float32"):
        for lib in (torch, minigrad):
            lib.set_default_dtype(getattr(lib, name))
        try:
            for image in (picture(), pixels(), picture("1")):
                compare(lambda x=image: T.ToTensor()(x), lambda x=image: tv.transforms.ToTensor()(x), atol=0)
        finally:
            for lib in (torch, minigrad):
                lib.set_default_dtype(lib.float32)


def test_a_missing_file_of_cv2_is_refused_by_to_tensor():
    with pytest.raises(TypeError, match=r"pic should be PIL Image or ndarray. Got <class 'NoneType'>"):
        T.ToTensor()(None)


def test_hand_computed_values():
    image = Image.fromarray(np.array([[0, 51], [102, 255]], np.uint8))
    assert T.ToTensor()(image).tolist() == [[[0.0, minigrad.tensor(0.2).item()], [minigrad.tensor(0.4).item(), 1.0]]]
    assert T.Normalize(0.5, 0.5)(T.ToTensor()(image))[0, 1, 1].item() == 1.0
    assert np.asarray(T.Pad(1, fill=9)(image)).tolist()[0] == [9, 9, 9, 9]
    assert np.asarray(T.functional.hflip(image)).tolist() == [[51, 0], [255, 102]]
    assert T.functional.crop(minigrad.arange(9).view(1, 3, 3), 1, 1, 3, 3).tolist() == [
        [[4, 5, 0], [7, 8, 0], [0, 0, 0]]
    ]


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
