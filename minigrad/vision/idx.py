"""IDX, the file format of MNIST and Fashion-MNIST: a typed array of any shape, big-endian, often gzipped.

    offset  bytes  meaning
    0       2      zero
    2       1      code of the element type: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
    3       1      number of dimensions d
    4       4 d    the sizes, unsigned 32-bit, outermost first
    4+4d           the elements, the last dimension fastest; the file ends with the last one

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "file formats".
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from minigrad.files import replace_file

__all__ = ["decode_idx", "encode_idx", "find_idx", "read_idx", "read_idx_folder", "write_idx"]

DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MAX_DIMS = 64  # NumPy's limit
MAX_SIZE = 2**32 - 1  # what four bytes hold


def decode_idx(data: bytes, name: str = "data") -> np.ndarray:
    """The array in the bytes of an IDX file, gzipped or not; a fresh, writable array in native byte order.

    Nothing is guessed: a wrong magic number, an unknown type, a byte too few or too many and a damaged gzip stream
    each raise ValueError, which begins with `name` and says what was expected, what was found and what to do.
    """
    if data[:2] == b"\x1f\x8b":  # gzip's own magic number; an IDX file begins with two zeros
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{name}: damaged gzip stream ({error}); fetch or copy the file again") from error
    if len(data) < 4:
        raise ValueError(f"{name}: an IDX file begins with 4 bytes, this one has {len(data)}; fetch or copy it again")
    if data[:2] != b"\0\0" or data[2] not in DTYPES or not 1 <= data[3] <= MAX_DIMS:
        raise ValueError(
            f"{name}: not an IDX file: it begins with the bytes {data[:4].hex(' ')}, expected 00 00, a type code "
            f"(one of {', '.join(f'{code:02x}' for code in DTYPES)}) and 1 to {MAX_DIMS} dimensions; "
            "check that this is the file you meant"
        )
    dtype, start = np.dtype(DTYPES[data[2]]), 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(
            f"{name}: truncated IDX header: {data[3]} dimensions need {start} bytes, found {len(data)}; "
            "fetch or copy the file again"
        )
    shape = tuple(int(size) for size in np.frombuffer(data[4:start], ">u4"))
    expected, found = math.prod(shape) * dtype.itemsize, len(data) - start  # Python integers: no overflow
    if found != expected:
        wrong = f"{expected - found} missing" if found < expected else f"{found - expected} too many"
        raise ValueError(
            f"{name}: the IDX header says {dtype.name} of shape {shape}, {expected} bytes of data, "
            f"but {found} follow ({wrong}); fetch or copy the file again"
        )
    if math.prod(size or 1 for size in shape) * dtype.itemsize > np.iinfo(np.intp).max:
        raise ValueError(f"{name}: the IDX header says shape {shape}, which no array can have; fetch the file again")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def encode_idx(array: np.ndarray) -> bytes:
    """The bytes of `array` as an IDX file, not gzipped. Raises ValueError for a dtype or shape that IDX cannot hold."""
    array = np.asarray(array)
    codes = {np.dtype(name).newbyteorder("="): code for code, name in DTYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(dtype.name for dtype in codes)
        raise ValueError(f"IDX has no type code for {array.dtype}; convert the array to one of {known}")
    if not 1 <= array.ndim <= MAX_DIMS or any(size > MAX_SIZE for size in array.shape):
        raise ValueError(f"IDX holds 1 to {MAX_DIMS} dimensions of at most {MAX_SIZE}, got shape {array.shape}")
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(DTYPES[code]).tobytes()


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in the IDX file `path`, plain or gzipped (told by content). Raises as `decode_idx` and `open` do."""
    return decode_idx(Path(path).read_bytes(), os.fspath(path))


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write `array` to `path` as IDX, gzipped if the name ends in .gz: whole or not at all, always the same bytes."""
    data = encode_idx(array)
    if os.fspath(path).endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    with replace_file(path) as file:
        file.write(data)


def read_idx_folder(folder: str | os.PathLike[str], train: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The images (n, height, width) as uint8 and the labels (n,) as int64 of a folder with MNIST's four files.

    The files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, and the same with `t10k` for the test
    images, each plain or with .gz. Raises FileNotFoundError naming what is missing, ValueError if the two disagree.
    """
    part = "train" if train else "t10k"
    images_path, labels_path = find(folder, f"{part}-images-idx3-ubyte"), find(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, ndim in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise ValueError(
                f"{path}: expected uint8 of {ndim} dimension{'s' * (ndim > 1)}, "
                f"found {array.dtype} of shape {array.shape}; check that this is the file you meant"
            )
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path.name}; "
            "the two files must come from the same data set"
        )
    return images, labels.astype(np.int64)


def find_idx(path: str | os.PathLike[str]) -> Path | None:
    """`path`, or `path` with .gz, whichever there is."""
    for candidate in (Path(path), Path(f"{os.fspath(path)}.gz")):
        if candidate.is_file():
            return candidate
    return None


def find(folder: str | os.PathLike[str], name: str) -> Path:
    """`name` or `name`.gz in `folder`."""
    path = find_idx(Path(folder, name))
    if path is None:
        raise FileNotFoundError(
            f"no {name} or {name}.gz in {os.fspath(folder)!r}; the folder must hold the four IDX files of MNIST's kind "
            "({train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or gzipped)"
        )
    return path
