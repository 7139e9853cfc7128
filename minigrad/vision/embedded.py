"""The two small data sets that are part of the package, read without network.

Both are folders of gzipped IDX files in `data/`, with the licence and the origin in each folder's NOTICE.txt;
`reference/embed_data.py` says how they were drawn and draws them again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minigrad.vision.idx import read_idx_folder

__all__ = ["digits", "fashion_mnist"]

DATA = Path(__file__).with_name("data")


def fashion_mnist(train: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """2,000 training or 1,000 test images of Fashion-MNIST, each class equally often: uint8 (n, 28, 28), int64 (n,).

    Pixels are 0 to 255. The training images come from the original training set, the test images from its test set.
    """
    return read_idx_folder(DATA / "fashion-mnist", train)


def digits(train: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The UCI handwritten digits, the first 1,437 or the last 360: uint8 (n, 8, 8) and int64 (n,).

    Pixels are 0 to 16. Together, in this order, the two parts are the original file; its classes are nearly balanced.
    """
    return read_idx_folder(DATA / "digits", train)
