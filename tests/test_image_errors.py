"""Resampling, pooling to a wanted size, unpooling, transposed convolution: torch's errors and warnings, and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.kernels import resampling
from tests.lockstep import Raised, attempt, same

REFUSED = """\
F.interpolate(image)
F.interpolate(image, 2, 2)
F.interpolate(image, (2, 2, 2))
F.interpolate(image, scale_factor=(2, 2, 2))
F.interpolate(image, (2, 'a'))
F.interpolate(image, 0)
F.interpolate(image, -2)
F.interpolate(image, scale_factor=0.1)
F.interpolate(T.zeros(1, 1, 0, 3), 2)
F.interpolate(T.zeros(1, 0, 3, 3), 2)
F.interpolate(image, 2, mode='nonsense')
F.interpolate(image, 2, mode='linear')
F.interpolate(image, 2, mode='trilinear')
F.interpolate(line, 2, mode='bilinear')
F.interpolate(volume, 2, mode='bilinear')
F.interpolate(image[0, 0], 2)
F.interpolate(image[None, None], 2)
F.interpolate(image, 2, mode='nearest', align_corners=True)
F.interpolate(image, 2, mode='area', align_corners=False)
F.interpolate(image, 2, mode='lanczos')
F.interpolate(image, 2, mode='lanczos', antialias=True, align_corners=True)
F.interpolate(image, 2, mode='nearest', antialias=True)
F.interpolate(line, 2, mode='linear', antialias=True)
F.interpolate(image, 2, recompute_scale_factor=True)
F.interpolate(image.long(), 3, mode='bilinear', antialias=True)
F.grid_sample(image, grid, mode='nonsense')
F.grid_sample(image, grid, padding_mode='nonsense')
F.grid_sample(image, grid[:0], align_corners=True)
F.grid_sample(image, grid[..., :1], align_corners=True)
F.grid_sample(image[:, :, :0], grid, align_corners=True)
F.grid_sample(image, grid.double(), align_corners=True)
F.grid_sample(image.long(), grid, align_corners=True)
F.grid_sample(volume, T.zeros(1, 2, 2, 2, 3), mode='bicubic', align_corners=True)
F.grid_sample(T.tensor(1.0), grid, align_corners=True)
T.grid_sampler_2d(volume, T.zeros(1, 2, 2, 2, 3), 0, 0, True)
T.grid_sampler_3d(image, grid, 0, 0, True)
F.affine_grid(T.ones(1, 2, 3).long(), (1, 1, 2, 2), align_corners=True)
F.affine_grid(T.ones(1, 3, 3), (1, 1, 2, 2), align_corners=True)
F.affine_grid(T.ones(1, 2, 3), (1, 2, 2), align_corners=True)
F.affine_grid(T.ones(1, 2, 3), (1, 1, 2, 0), align_corners=True)
F.affine_grid(T.ones(1, 2, 3), (2, 1, 2, 2), align_corners=True)
F.pixel_shuffle(image, 2)
F.pixel_shuffle(image[0, 0], 2)
F.pixel_shuffle(image, 0)
F.pixel_shuffle(image, 1.5)
F.pixel_unshuffle(image, 3)
F.pixel_unshuffle(T.zeros(1, 2, 3), 2)
F.pixel_unshuffle(image, -1)
F.channel_shuffle(image, 2)
F.channel_shuffle(image, 0)
F.channel_shuffle(T.zeros(3, 4), 2)
T.constant_pad_nd(image, (1,))
T.constant_pad_nd(image, (1,) * 10)
T.constant_pad_nd(image, 1)
T.constant_pad_nd(image, (0, -9))
F.adaptive_max_pool1d(image, 2)
F.adaptive_max_pool1d(line, (2, 2))
F.adaptive_max_pool1d(line, None)
F.adaptive_max_pool1d(line[:, :0], 2)
F.adaptive_max_pool2d(T.zeros(2, 3), 2)
F.adaptive_max_pool2d(image, (2,))
F.adaptive_max_pool2d(image, -1)
F.adaptive_max_pool2d(image, (2, 2, 2))
F.adaptive_max_pool2d(image.long(), 2)
F.adaptive_max_pool3d(volume[:, :0], 2)
F.adaptive_avg_pool1d(line, ())
F.fractional_max_pool2d(image, 2)
F.fractional_max_pool2d(image, 3, 3)
F.fractional_max_pool2d(image, (1, 1, 1), 2)
F.fractional_max_pool2d(image, 1, (2, 2, 2))
F.fractional_max_pool2d(image[0, 0], 1, 2)
F.fractional_max_pool2d(image[:, :0], 1, 2)
F.fractional_max_pool2d(image.long(), 1, 2)
F.fractional_max_pool2d(image, 1, -2)
F.fractional_max_pool2d(image, 1, 2, _random_samples=T.zeros(1, 1, 3))
F.fractional_max_pool2d(image, 1, 2, _random_samples=T.zeros(1, 2, 2))
F.fractional_max_pool2d(image, 1, 2, _random_samples=T.zeros(0, 1, 2))
F.fractional_max_pool2d(image, 1, 2, _random_samples=T.zeros(1, 2))
F.fractional_max_pool2d(image, 1, 2, _random_samples=T.zeros(1, 1, 2).double())
F.fractional_max_pool3d(volume, 2, 2)
F.max_unpool2d(image, places, 2, output_size=(9, 9))
F.max_unpool2d(image, places, 2, output_size=(4, 4, 4))
F.max_unpool2d(image, places, 2, padding=9)
F.max_unpool2d(image, places + 99, 2)
F.max_unpool2d(image, places - 1, 2)
F.max_unpool2d(image, places.int(), 2)
F.max_unpool2d(image, places[:, :, :1], 2)
F.max_unpool2d(image[0, 0], places[0, 0], 2)
F.max_unpool2d(image, places, (2,))
F.max_unpool2d(image.long(), places, 2)
F.max_unpool2d(image[:, :0], places[:, :0], 2)
F.max_unpool3d(volume, T.zeros(1, 1, 2, 2, 2).int(), 2)
F.max_unpool3d(volume, T.zeros(1, 1, 2, 2, 2).long(), 2, 0)
nn.ConvTranspose2d(1, 1, 2, padding_mode='reflect')
nn.ConvTranspose2d(1, 1, 2, stride=2)(image, (4, 4, 4))
nn.ConvTranspose2d(1, 1, 2, stride=2)(image, (4, 9))
nn.CircularPad2d(1)(line[0])
nn.FractionalMaxPool2d(2)
nn.FractionalMaxPool2d(2, 2, 0.5)
nn.FractionalMaxPool2d(2, output_ratio=1.5)
nn.FractionalMaxPool3d((1, 0, 1), 2)
""".splitlines()

REFUSED_IN_OTHER_WORDS = """\
F.interpolate(image, 2.5)
F.interpolate(image, scale_factor='a')
F.interpolate(image.long(), 2, mode='bilinear')
nn.ConvTranspose2d(1, 1, 2, output_padding=1)(image)
""".splitlines()

WARNED = """\
F.upsample(image, 3)
F.upsample_nearest(image, scale_factor=2)
F.upsample_bilinear(image, 3)
F.grid_sample(image, grid)
F.affine_grid(T.ones(1, 2, 3), (1, 1, 2, 2))
F.affine_grid(T.ones(1, 2, 3), (1, 1, 2, 1), align_corners=True)
""".splitlines()

SIZES = """\
F.interpolate(image, scale_factor=(2, 1.3)).shape
F.interpolate(image, scale_factor=1.3, recompute_scale_factor=True).shape
F.interpolate(image, [3, 4]).shape
F.adaptive_max_pool2d(image, (None, 5)).shape
F.adaptive_max_pool1d(line, [3]).shape
F.avg_pool2d(image, 2, ()).shape
F.avg_pool2d(image, 2, []).shape
F.max_pool2d(image, 2, ()).shape
F.fractional_max_pool3d(volume, 1, output_ratio=0.5).shape
F.max_unpool2d(image, places, 2, output_size=image.shape[:2] + (5, 4)).shape
nn.ConvTranspose2d(1, 1, 2, stride=2)(image, output_size=(5, 4)).shape
nn.ConvTranspose2d(1, 1, 2, stride=2)(image, (1, 1, 4, 5)).shape
nn.ConvTranspose2d(1, 1, 2, stride=2, dilation=2)(image[0], [6, 5]).shape
nn.Upsample(scale_factor=(2, 3), mode='bilinear')(image).shape
nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2, False, 2)
F.interpolate(image, T.tensor(3)).shape
F.interpolate(image, np.int64(3)).shape
F.interpolate(image, (np.int32(3), T.tensor(1))).shape
F.interpolate(image, scale_factor=np.float32(1.5)).shape
F.max_pool2d(image, np.int64(2)).shape
F.conv_transpose2d(image, T.ones(1, 1, 2, 2), stride=np.int64(2)).shape
nn.Conv2d(2, 4, 3).output_padding, nn.Conv2d(2, 4, 3).transposed, nn.ConvTranspose2d(2, 4, 3).transposed
""".splitlines()

UNCHANGED = """\
F.pixel_shuffle(image, 1)
F.pixel_unshuffle(image, 1)
F.channel_shuffle(image, 1)
F.interpolate(image, 2)
F.interpolate(image, 2, mode='bilinear', antialias=True)
F.interpolate(image, 2, mode='area')
F.grid_sample(image, grid[:, :1, :1], align_corners=True)
F.adaptive_max_pool2d(image, 2)
F.adaptive_max_pool1d(line, 4)
F.adaptive_avg_pool2d(image, 2)
F.max_pool2d(image, 1)
F.avg_pool2d(image, 1)
F.lp_pool2d(image, 1, 1)
F.max_unpool2d(image[:, :, :1, :1], places[:, :, :1, :1], 1)
T.constant_pad_nd(image, (0, 0))
F.pad(image, (0, 0, 0, 0), mode='reflect')
F.fold(F.unfold(image, 1), (2, 2), 1)
""".splitlines()


def names(T: Any) -> dict[str, Any]:
    """An image, a line and a volume of one channel, the points of a grid, and places for unpooling the image."""
    T.manual_seed(0)
    image, line, volume = T.arange(4.0).reshape(1, 1, 2, 2), T.arange(4.0).reshape(1, 1, 4), T.zeros(1, 1, 2, 2, 2)
    grid, places = T.zeros(1, 2, 2, 2), T.zeros(1, 1, 2, 2, dtype=T.int64)
    given = {"image": image, "line": line, "volume": volume, "grid": grid, "places": places}
    return given | {"np": np, "T": T, "F": T.nn.functional, "nn": T.nn}


@pytest.mark.parametrize("expression", REFUSED)
def test_torchs_error(expression: str) -> None:
    assert isinstance(same(lambda T: eval(expression, names(T))), Raised)


@pytest.mark.parametrize("expression", REFUSED_IN_OTHER_WORDS)
def test_the_type_of_torchs_error(expression: str) -> None:
    same(lambda T: attempt(lambda: eval(expression, names(T))).type.__name__)


@pytest.mark.parametrize("expression", WARNED)
def test_torchs_warning(expression: str) -> None:
    same(lambda T: eval(expression, names(T)))


@pytest.mark.parametrize("expression", SIZES)
def test_sizes_that_are_asked_for(expression: str) -> None:
    def program(T: Any) -> Any:
        found = eval(expression, names(T))
        return repr(found) if isinstance(found, T.nn.Module) else tuple(found)

    same(program)


@pytest.mark.parametrize("expression", UNCHANGED)
def test_results_have_memory_of_their_own(expression: str) -> None:
    """Also where there is nothing to do: what is written to them does not reach the input."""

    def program(T: Any) -> Any:
        given = names(T)
        result = eval(expression, given)
        result.add_(1)
        return result, given["image"], given["line"]

    same(program)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear", "cubic", "linear antialias"])
def test_a_tables_transpose_is_the_adjoint(mode: str) -> None:
    """<resample(x), g> = <x, resample transposed(g)>, and a table is the matrix that it is said to be."""
    rng = np.random.default_rng(0)
    for inputs, outputs in ((1, 4), (5, 1), (4, 8), (5, 7), (9, 4)):
        table = resampling.table(mode, inputs, outputs, None, False, False)
        x, g = rng.normal(size=(2, inputs)), rng.normal(size=(2, outputs))
        matrix = np.zeros((outputs, inputs))
        np.add.at(matrix, (table.output, table.input), table.weight)
        np.testing.assert_allclose(resampling.resample(x, (table,), np), x @ matrix.T, rtol=1e-12)
        np.testing.assert_allclose(resampling.resample(g, (table.T,), np), g @ matrix, rtol=1e-12)
        if mode != "nearest":  # of a constant, a constant
            np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)


def test_convolutions_that_change_their_weight() -> None:
    """Subclasses convolve by another weight, here a standardized one, through torch's `_conv_forward`."""

    def program(T: Any) -> Any:
        class Standardized(T.nn.Conv2d):
            def forward(self, x: Any) -> Any:
                w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
                return self._conv_forward(x, w, self.bias)

        T.manual_seed(0)
        layer = Standardized(1, 2, 2, padding=1, padding_mode="reflect")
        layer(T.arange(9.0).reshape(1, 1, 3, 3)).square().sum().backward()
        return layer.weight.grad

    same(program, rtol=1e-5)


def test_the_identity_grid_gives_the_image_back() -> None:
    image = minigrad.arange(24.0).reshape(1, 2, 3, 4)
    for align in (True, False):
        grid = minigrad.nn.functional.affine_grid(minigrad.eye(2, 3)[None], image.shape, align_corners=align)
        again = minigrad.nn.functional.grid_sample(image, grid, align_corners=align)
        np.testing.assert_allclose(again.numpy(), image.numpy(), atol=1e-4)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_points_nowhere(mode: str, padding_mode: str) -> None:
    """A nan is led back to 0 where there is a border, an infinity to the border."""

    def program(T: Any) -> Any:
        nan, inf = float("nan"), float("inf")
        grid = T.tensor([[[[nan, 0.0], [inf, 0.0], [-inf, 0.5], [5.0, -3.25], [0.1, nan]]]])
        image = T.arange(12.0).reshape(1, 1, 3, 4)
        return T.nn.functional.grid_sample(image, grid, mode, padding_mode, align_corners=False)

    same(program)


def test_unpooling_undoes_pooling() -> None:
    """Of a pooling's maxima, at their places: the pooling finds them again."""
    F = minigrad.nn.functional
    minigrad.manual_seed(0)
    image = minigrad.rand(2, 3, 6, 8)
    maxima, places = F.max_pool2d(image, 2, return_indices=True)
    restored = F.max_unpool2d(maxima, places, 2)
    assert restored.shape == image.shape
    assert bool((F.max_pool2d(restored, 2) == maxima).all())


def test_images_that_grow_by_whole_numbers_are_read_by_slices() -> None:
    """Which is fast; where nothing is regular, one array of positions does for all."""
    for mode in ("nearest", "linear"):
        for inputs, outputs in ((50, 100), (50, 150), (100, 50), (7, 7)):
            table = resampling.table(mode, inputs, outputs, None, False, False)
            assert all(type(tap.input) is type(tap.output) is slice for tap in table.taps)
    assert len(resampling.table("nearest", 50, 71, None, False, False).taps) == 1
