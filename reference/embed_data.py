"""Draw the embedded data sets of `minigrad/vision/data` again, from their sources.

    python -m reference.embed_data FASHION_MNIST_FOLDER DIGITS_CSV_GZ

FASHION_MNIST_FOLDER holds the four original IDX files (Debian's package `dataset-fashion-mnist` puts them in
/usr/share/datasets/fashion-mnist); DIGITS_CSV_GZ is `sklearn/datasets/data/digits.csv.gz` of scikit-learn.
No chance is involved: Fashion-MNIST gives the first 200 training and the first 100 test images of each class,
left in file order; the digits are cut, in file order, after the first 1,437 of 1,797 (four fifths).
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

from minigrad.vision.embedded import DATA
from minigrad.vision.idx import read_idx_folder, write_idx


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """The indices of the first `count` items of each class, in ascending order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)]))


def write_part(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    write_idx(folder / f"{part}-images-idx3-ubyte.gz", images.astype(np.uint8))
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels.astype(np.uint8))


def main(fashion_mnist: str, digits_csv: str) -> None:
    for part, train, count in (("train", True, 200), ("t10k", False, 100)):
        images, labels = read_idx_folder(fashion_mnist, train)
        chosen = first_of_each_class(labels, count)
        write_part(DATA / "fashion-mnist", part, images[chosen], labels[chosen])

    with gzip.open(digits_csv, "rt") as file:
        table = np.loadtxt(file, delimiter=",")  # 64 pixels and a label a row
    images, labels, cut = table[:, :64].reshape(-1, 8, 8), table[:, 64], 1437
    write_part(DATA / "digits", "train", images[:cut], labels[:cut])
    write_part(DATA / "digits", "t10k", images[cut:], labels[cut:])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
