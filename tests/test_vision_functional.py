"""The functions behind the transforms, held to torchvision's: conversions, sizes, colours, and their errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minigrad
from minigrad.vision import transforms as T
from minigrad.vision.transforms import matrices
from tests.vision_oracle import Image, both, compare, needs_torchvision, picture, pixels, seed_all, tv


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
