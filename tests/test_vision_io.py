"""Image files as tensors and back, held to Pillow: torchvision's own decoders are compiled and may be missing."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minigrad
from minigrad.vision import io
from tests.vision_oracle import Image, needs_torchvision, picture, pixels, tv

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "LA": 2, "1": 1, "P": 3}


@pytest.mark.parametrize("mode", CHANNELS)
def test_png_files_come_as_they_are(tmp_path, mode):
    path = tmp_path / "image.png"
    picture(mode).save(path)
    image = io.read_image(path)
    assert image.dtype is minigrad.uint8
    assert image.shape == (CHANNELS[mode], 13, 10)
    assert image.is_contiguous()
    plain = Image.open(path).convert({"1": "L", "P": "RGB"}.get(mode, mode))
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy().squeeze(), np.asarray(plain).squeeze())
    assert io.decode_image(io.read_file(str(path))).tolist() == image.tolist()


@pytest.mark.parametrize("mode", [*io.ImageReadMode, "rgb", "RGBA", "gray"])
def test_channels_are_converted(tmp_path, mode):
    path = tmp_path / "image.jpg"
    picture().save(path)
    image = io.decode_image(str(path), mode)
    name = mode.name if isinstance(mode, io.ImageReadMode) else mode.upper()
    assert image.shape[0] == {"UNCHANGED": 3, "GRAY": 1, "GRAY_ALPHA": 2, "RGB": 3, "RGB_ALPHA": 4, "RGBA": 4}[name]


def test_files_are_written_and_read_again(tmp_path):
    image = minigrad.from_numpy(pixels().transpose(2, 0, 1).copy())
    io.write_png(image, tmp_path / "a.png", 9)
    assert io.read_image(tmp_path / "a.png").tolist() == image.tolist()
    io.write_jpeg(image[:1], tmp_path / "a.jpg", quality=100)
    assert (io.read_image(tmp_path / "a.jpg").float() - image[:1].float()).abs().max() < 8
    io.write_file(tmp_path / "bytes", io.read_file(tmp_path / "a.png"))
    assert (tmp_path / "bytes").read_bytes() == (tmp_path / "a.png").read_bytes()
    assert len(io.encode_jpeg([image, image])) == 2


def test_orientation(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    picture().save(path, exif=exif)
    assert io.read_image(path).shape == (3, 13, 10)
    assert io.read_image(path, apply_exif_orientation=True).shape == (3, 10, 13)


def test_what_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match=r"\[Errno 2\] No such file or directory: .*missing.png"):
        io.read_image(tmp_path / "missing.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(RuntimeError, match=r"text.png cannot be decoded: cannot identify image file"):
        io.read_image(str(tmp_path / "text.png"))
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(RuntimeError, match=r"deep.png cannot be decoded: it has the mode I;16"):
        io.read_image(tmp_path / "deep.png")
    image = minigrad.zeros(3, 2, 2, dtype=minigrad.uint8)
    for wrong in (image.float(), image[0], minigrad.zeros(2, 2, 2, dtype=minigrad.uint8)):
        with pytest.raises(RuntimeError, match=r"should be"):
            io.encode_png(wrong)
        with pytest.raises(RuntimeError, match=r"should be"):
            io.write_jpeg(wrong, tmp_path / "x.jpg")
    with pytest.raises(RuntimeError, match=r"Compression level should be between 0 and 9"):
        io.encode_png(image, 10)
    with pytest.raises(ValueError, match=r"Image quality should be a positive number between 1 and 100"):
        io.encode_jpeg(image, 0)
    with pytest.raises(RuntimeError, match=r"1-dimensional tensor"):
        io.decode_image(image)
    with pytest.raises(RuntimeError, match=r"Input tensor data type should be uint8"):
        io.write_file(tmp_path / "x", image)
    assert not (tmp_path / "x").exists()


@needs_torchvision
def test_signatures_are_torchvisions():
    for name in io.__all__:
        ours, theirs = getattr(io, name), getattr(tv.io, name)
        if inspect.isfunction(ours):
            own, expected = (list(inspect.signature(f).parameters) for f in (ours, theirs))
            assert own == expected, name
        else:
            assert [(m.name, m.value) for m in ours] == [(m.name, m.value) for m in theirs]
            assert ours.RGBA is ours.RGB_ALPHA
