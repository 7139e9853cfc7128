"""Images of other sizes, read at points of a grid, and with channels as pixels."""

from __future__ import annotations

from typing import Any

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw, Recipe

F = "nn.functional."
DIMENSIONS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "lanczos": 2}


def image(d: Draw, n: int) -> tuple[int, ...]:
    return d.size(1, 2), d.size(1, 2), *(d.size(1, 5 if n < 3 else 3) for _ in range(n))


def factor(d: Draw, size: int, least: int) -> float:
    """A scale factor. 1.3 is none that leaves a size or doubles it: torch's gradients then are of factors 1 and 2."""
    chosen = d.one_of(1.0, 2.0, 1.5, 1.3, 0.6, 3.0)
    result = int(size * chosen)
    return chosen if result >= least and result not in (size, 2 * size) else float(max(1, result // size))


def resized(mode: str, antialias: bool = False) -> Recipe:
    """interpolate(x, size or scale_factor, mode=...)."""

    def draw(d: Draw) -> Sample:
        n = DIMENSIONS.get(mode) or d.size(1, 3)
        how: dict[str, Any] = {"mode": mode}
        if mode in DIMENSIONS and mode != "lanczos":
            how["align_corners"] = d.flag()
        if antialias:
            how["antialias"] = True
        shape = image(d, n)
        least = 2 if antialias else 1  # torch mistakes the strides of smoothed images of width 1
        shape = *shape[:-1], max(least, shape[-1])
        if d.flag():
            how["size"] = tuple(d.size(least, 6 if n < 3 else 3) for _ in range(n))
        else:
            factors = [factor(d, size, least) for size in shape[2:]]
            how["scale_factor"] = tuple(factors) if len({*factors}) > 1 or d.flag() else factors[0]
            how["recompute_scale_factor"] = d.one_of(None, True, False)
        return Sample(d.floats(shape), **how)

    return draw


def old_name(d: Draw) -> Sample:
    """upsample_*(x, size or scale_factor)."""
    how = {"size": (d.size(1, 5), d.size(1, 5))} if d.flag() else {"scale_factor": d.size(1, 3)}
    return Sample(d.floats(image(d, 2)), **how)


def upsampled(d: Draw) -> Sample:
    mode = d.one_of("nearest", "bilinear", "bicubic")
    sample = resized(mode)(d)
    how = {k: v for k, v in sample.kwargs.items() if k != "recompute_scale_factor"}
    x = sample.args[0]
    return Sample(x, **how)


def at_points(mode: str) -> Recipe:
    """grid_sample(image or volume, grid, ...), points inside, outside and, but when smooth, on pixels."""

    def draw(d: Draw) -> Sample:
        n = 2 if mode == "bicubic" else d.size(2, 3)
        shape, align = image(d, n), d.flag()
        points = tuple(d.size(1, 3) for _ in range(n))
        if d.smooth:  # points a third of a pixel from pixels, and from the middles between them
            cells = d.ints((shape[0], *points, n), -2, 6) + 0.3
            sizes = [max(m, 2) for m in shape[:1:-1]]
            grid = cells * 2 / [m - 1 for m in sizes] - 1 if align else (2 * cells + 1) / sizes - 1
        else:
            grid = d.floats((shape[0], *points, n), -1.6, 1.6, kinks=(-1, 0, 1, 0.5))
        padding = d.one_of("zeros", "border", "reflection")
        return Sample(d.floats(shape), grid, mode=mode, padding_mode=padding, align_corners=align)

    return draw


def by_numbers(n: int) -> Recipe:
    """grid_sampler_{n}d(x, grid, mode, padding mode, align_corners), the modes as numbers."""

    def draw(d: Draw) -> Sample:
        sample = at_points("bilinear")(d)
        shape = image(d, n)
        grid = d.floats((shape[0], *(d.size(1, 3) for _ in range(n)), n), -1.6, 1.6)
        return Sample(d.floats(shape), grid, 0, d.size(0, 2), sample.kwargs["align_corners"])

    return draw


def moved(d: Draw) -> Sample:
    n = d.size(2, 3)
    batch, *sizes = d.size(1, 3), *(d.size(2, 4) for _ in range(n))
    return Sample(d.floats((batch, n, n + 1)), (batch, 2, *sizes), align_corners=d.flag())


def shuffled(to_pixels: bool) -> Recipe:
    def draw(d: Draw) -> Sample:
        factor, batch = d.size(1, 3), d.shape(0, 2)
        channels, height, width = d.size(1, 2), d.size(1, 3), d.size(1, 3)
        if to_pixels:
            return Sample(d.floats((*batch, channels * factor * factor, height, width)), factor)
        return Sample(d.floats((*batch, channels, height * factor, width * factor)), factor)

    return draw


def dealt(d: Draw) -> Sample:
    groups = d.size(1, 3)
    return Sample(d.floats((d.size(0, 2), groups * d.size(1, 2), *d.shape(1, 2))), groups)


BYTES = {"dtypes": "for bytes torch has integer arithmetic of its own"}
HALF = {"half": "torch's kernel rounds every step to half precision"}
NUMBERS = {"verdict": "torch takes numbers that stand for no mode"}

NO_SLOPE = dict.fromkeys(("values", "second_order", "grad_fn", "layouts", "float32"), "torch has no derivative for it")

CASES = [
    *(Case(F + "interpolate", resized(mode), mode) for mode in ("nearest", "nearest-exact", "area")),
    *(Case(F + "interpolate", resized(mode), mode, tolerance=SUMS) for mode in ("linear", "trilinear")),
    *(Case(F + "interpolate", resized(mode), mode, tolerance=SUMS, skip=BYTES) for mode in ("bilinear", "bicubic")),
    *(
        Case(F + "interpolate", resized(mode, antialias=True), mode + " antialias", tolerance=SUMS, skip=BYTES)
        for mode in ("bilinear", "bicubic", "lanczos")
    ),
    Case(F + "upsample", upsampled, tolerance=SUMS, skip=BYTES),
    Case(F + "upsample_nearest", old_name),
    Case(F + "upsample_bilinear", old_name, tolerance=SUMS, skip=BYTES),
    *(Case(F + "grid_sample", at_points(mode), mode, tolerance=SUMS) for mode in ("bilinear", "nearest")),
    Case(F + "grid_sample", at_points("bicubic"), "bicubic", tolerance=SUMS, skip=HALF),
    Case("grid_sampler_2d", by_numbers(2), tolerance=SUMS, skip=NUMBERS, covers=("grid_sampler",)),
    Case("grid_sampler_3d", by_numbers(3), tolerance=SUMS, skip=NUMBERS),
    Case(F + "affine_grid", moved, tolerance=SUMS, covers=("affine_grid_generator",)),
    Case(F + "pixel_shuffle", shuffled(True)),
    Case(F + "pixel_unshuffle", shuffled(False)),
    Case(F + "channel_shuffle", dealt),
    Case(F + "native_channel_shuffle", dealt, skip=NO_SLOPE),
]
