"""The functions of `transforms.functional` that move or filter pixels, on tensors (..., C, H, W)."""

from __future__ import annotations

from typing import Any

from minigrad import backend, ops
from minigrad.nn import functional as F
from minigrad.tensor import Tensor
from minigrad.vision.transforms.images import sides
from minigrad.vision.transforms.matrices import expanded_size

INTEGERS = (backend.uint8, backend.int8, backend.int16, backend.int32, backend.int64)


def require_image(img: Any) -> None:
    """TypeError unless the tensor has the dims of an image."""
    if img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")


def get_dimensions(img: Tensor) -> list[int]:
    """[channels, height, width]."""
    require_image(img)
    return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]


def get_image_size(img: Tensor) -> list[int]:
    """[width, height]."""
    require_image(img)
    return [img.shape[-1], img.shape[-2]]


# -- windows and borders -----------------------------------------------------------------------------------------------


def hflip(img: Tensor) -> Tensor:
    """Left and right exchanged."""
    require_image(img)
    return img.flip(-1)


def vflip(img: Tensor) -> Tensor:
    """Top and bottom exchanged."""
    require_image(img)
    return img.flip(-2)


def crop(img: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """The window, which may reach beyond the image: there it is 0."""
    _, h, w = get_dimensions(img)
    bottom, right = top + height, left + width
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left >= 0 and top >= 0 and right <= w and bottom <= h:
        return inside
    before = [max(-left + min(0, right), 0), max(-top + min(0, bottom), 0)]
    return pad(inside, before + [max(right - max(w, left), 0), max(bottom - max(h, top), 0)])


def pad(img: Tensor, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Tensor:
    """A border of `padding` pixels: all sides, (left and right, top and bottom) or (left, top, right, bottom).

    It is `fill` ("constant"), the last pixel ("edge"), or mirrored there ("reflect", "symmetric" with the last twice).
    """
    require_image(img)
    if not isinstance(padding, (int, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if fill is not None and not isinstance(fill, (int, float)):
        raise TypeError("Got inappropriate fill arg")
    left, top, right, bottom = sides(padding, padding_mode)
    if padding_mode == "symmetric":
        return pad_symmetric(img, left, top, right, bottom)
    if padding_mode == "constant":
        return F.pad(img, [left, right, top, bottom], value=float(fill or 0))
    x, dtype, batched = to_batch(img, (backend.float32, backend.float64))
    x = F.pad(x, [left, right, top, bottom], mode={"edge": "replicate"}.get(padding_mode, padding_mode))
    return (x if batched else x.squeeze(0)).to(dtype)


def pad_symmetric(img: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Mirrored at the outer edge of the last pixel, which comes twice. Negative borders are cut off first."""
    img = img[..., max(-top, 0) : img.shape[-2] - max(-bottom, 0), max(-left, 0) : img.shape[-1] - max(-right, 0)]
    if img.ndim not in (3, 4):
        raise RuntimeError(f"Symmetric padding of N-D tensors are not supported yet\ngot {img.ndim} dims, not 3 or 4")
    rows, columns = (
        ops.tensor([*range(before - 1, -1, -1), *range(size), *range(-1, -after - 1, -1)], device=img.device)
        for size, before, after in ((img.shape[-2], top, bottom), (img.shape[-1], left, right))
    )
    return img[..., rows[:, None], columns[None, :]]


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    require_image(img)
    result = img if inplace else img.clone()
    result[..., i : i + h, j : j + w] = v
    return result


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """(tensor - mean) / std, channel by channel."""
    require_image(tensor)
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    mean, std = (ops.as_tensor(value, dtype=tensor.dtype, device=tensor.device) for value in (mean, std))
    if (std == 0).any():
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    mean, std = (value.view(-1, 1, 1) if value.ndim == 1 else value for value in (mean, std))
    return (tensor if inplace else tensor.clone()).sub_(mean).div_(std)  # in place: refuses more means than channels


# -- resampling --------------------------------------------------------------------------------------------------------


def to_batch(img: Tensor, dtypes: tuple[Any, ...]) -> tuple[Tensor, Any, bool]:
    """`img` as (N, C, H, W), in the first of `dtypes` unless it has one of them; its own dtype; if it was a batch."""
    x = img if img.ndim >= 4 else img.unsqueeze(0)
    return x if img.dtype in dtypes else x.to(dtypes[0]), img.dtype, img.ndim >= 4


def from_batch(x: Tensor, dtype: Any, batched: bool) -> Tensor:
    """What `to_batch` made of an image, undone; integers are rounded to."""
    x = x if batched else x.squeeze(0)
    return x if x.dtype == dtype else (x.round() if dtype in INTEGERS else x).to(dtype)


def resize(img: Tensor, size: list[int], mode: str = "bilinear", antialias: bool | None = True) -> Tensor:
    require_image(img)
    smooth = mode in ("bilinear", "bicubic")
    x, dtype, batched = to_batch(img, (backend.float32, backend.float64))
    antialias = bool(antialias) and smooth
    x = F.interpolate(x, size=size, mode=mode, align_corners=False if smooth else None, antialias=antialias)
    if mode == "bicubic" and dtype == backend.uint8:
        x = x.clamp(0, 255)
    return from_batch(x, dtype, batched)


def affine(img: Tensor, matrix: list[float], mode: str = "nearest", fill: Any = None) -> Tensor:
    check_resampling(img, mode, fill)
    grid = affine_grid(img, matrix, img.shape[-1], img.shape[-2])
    return sample(img, grid, mode, fill)


def rotate(img: Tensor, matrix: list[float], mode: str = "nearest", expand: bool = False, fill: Any = None) -> Tensor:
    check_resampling(img, mode, fill)
    height, width = img.shape[-2:]
    if expand:
        width, height = expanded_size(matrix, width, height)
    return sample(img, affine_grid(img, matrix, width, height), mode, fill)


def perspective(img: Tensor, coefficients: list[float], mode: str = "bilinear", fill: Any = None) -> Tensor:
    check_resampling(img, mode, fill)
    a, b, c, d, e, f, g, h = coefficients
    height, width = img.shape[-2:]
    points = pixels(img, width, height, 0.5, 0.5)
    above, below = theta(img, [[a, b, c], [d, e, f]]), theta(img, [[g, h, 1.0], [g, h, 1.0]])
    half = ops.tensor([0.5 * width, 0.5 * height], dtype=points.dtype, device=img.device)
    grid = points.matmul(above.t() / half) / points.matmul(below.t()) - 1.0
    return sample(img, grid.view(1, height, width, 2), mode, fill)


def elastic_transform(img: Tensor, displacement: Tensor, mode: str = "bilinear", fill: Any = None) -> Tensor:
    rows, columns = (ops.linspace((1 - size) / size, (size - 1) / size, size) for size in img.shape[-2:])
    places = ops.stack([columns.expand(len(rows), -1), rows[:, None].expand(-1, len(columns))], dim=-1)
    return sample(img, (places[None] + displacement.cpu()).to(img.device), mode, fill)


def check_resampling(img: Tensor, mode: str, fill: Any) -> None:
    """ValueError for a mode that is for PIL images only, or as many fill values as fit no image of these channels."""
    channels = get_dimensions(img)[0]
    if isinstance(fill, (tuple, list)) and len(fill) not in (1, channels):
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of the image "
            f"({len(fill)} != {channels})"
        )
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"Interpolation mode '{mode}' is unsupported with Tensor input")


def theta(img: Tensor, rows: list[list[float]]) -> Tensor:
    """The matrix on the image's device, in its dtype if that is floating."""
    dtype = img.dtype if img.is_floating_point() else backend.float32
    return ops.tensor(rows, dtype=dtype, device=img.device)


def pixels(img: Tensor, width: int, height: int, x: float, y: float) -> Tensor:
    """(height * width, 3): (x + column, y + row, 1) of each pixel."""
    dtype = img.dtype if img.is_floating_point() else backend.float32
    points = ops.empty(height, width, 3, dtype=dtype, device=img.device)
    points[..., 0] = ops.linspace(x, x + width - 1, width, device=img.device)
    points[..., 1] = ops.linspace(y, y + height - 1, height, device=img.device).unsqueeze(-1)
    points[..., 2] = 1
    return points.view(-1, 3)


def affine_grid(img: Tensor, matrix: list[float], width: int, height: int) -> Tensor:
    """Where in `img`, from -1 to 1, the pixels of a (height, width) result come from; origins in the middles."""
    rows = theta(img, [matrix[:3], matrix[3:]])
    half = ops.tensor([0.5 * img.shape[-1], 0.5 * img.shape[-2]], dtype=rows.dtype, device=img.device)
    points = pixels(img, width, height, -width * 0.5 + 0.5, -height * 0.5 + 0.5)
    return points.matmul(rows.t() / half).view(1, height, width, 2)


def sample(img: Tensor, grid: Tensor, mode: str, fill: Any) -> Tensor:
    """`img` at the places in `grid`; beyond its border `fill`, by the share of a pixel that lies there."""
    x, dtype, batched = to_batch(img, (grid.dtype,))
    grid = grid.expand(x.shape[0], *grid.shape[1:])
    if fill is None:
        x = F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)
        return from_batch(x, dtype, batched)
    x = ops.cat([x, ops.ones_like(x[:, :1])], dim=1)  # a channel that is 1 inside
    x = F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)
    x, inside = x[:, :-1], x[:, -1:]
    values = ops.tensor(fill if isinstance(fill, (tuple, list)) else [fill], dtype=x.dtype, device=x.device)
    values = values.view(1, -1, 1, 1)
    x = ops.where(inside < 0.5, values, x) if mode == "nearest" else x * inside + (1.0 - inside) * values
    return from_batch(x, dtype, batched)


# -- filters -----------------------------------------------------------------------------------------------------------


def filtered(img: Tensor, kernel: Tensor) -> Tensor:
    """Each channel of (N, C, H, W) convolved with the one (h, w) kernel, where it fits."""
    return F.conv2d(img, kernel.expand(img.shape[-3], 1, *kernel.shape), groups=img.shape[-3])


def gaussian_kernel(size: int, sigma: float, dtype: Any, device: Any) -> Tensor:
    """exp(-x^2 / 2 sigma^2) at `size` points one apart around 0, with sum 1."""
    half = (size - 1) * 0.5
    x = ops.linspace(-half, half, size, dtype=dtype, device=device)
    density = (-0.5 * (x / sigma).pow(2)).exp()
    return density / density.sum()


def gaussian_blur(img: Tensor, kernel_size: list[int], sigma: list[float]) -> Tensor:
    require_image(img)
    dtype = img.dtype if img.is_floating_point() else backend.float32
    kx, ky = (gaussian_kernel(n, s, dtype, img.device) for n, s in zip(kernel_size, sigma))
    x, dtype, batched = to_batch(img, (dtype,))
    right, below = kernel_size[0] // 2, kernel_size[1] // 2
    x = filtered(F.pad(x, [right, right, below, below], mode="reflect"), ky[:, None].mm(kx[None, :]))
    return from_batch(x, dtype, batched)


def smoothed(img: Tensor) -> Tensor:
    """A mean over 3 x 3 pixels in which the middle counts five times; the outermost pixels stay."""
    dtype = img.dtype if img.is_floating_point() else backend.float32
    kernel = ops.ones(3, 3, dtype=dtype, device=img.device)
    kernel[1, 1] = 5.0
    x, dtype, batched = to_batch(img, (dtype,))
    result = img.clone()
    result[..., 1:-1, 1:-1] = from_batch(filtered(x, kernel / kernel.sum()), dtype, batched)
    return result
