"""MNIST and its kin: 28 x 28 grey images in IDX files below root/<class name>/raw."""

from __future__ import annotations

import os
import shutil
import string
import warnings
from collections.abc import Callable
from typing import Any
from urllib.error import URLError

import numpy as np

from minigrad import backend, ops
from minigrad.serialization import load
from minigrad.tensor import Tensor
from minigrad.vision.archives import download_and_extract_archive, extract_archive
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.download import check_integrity
from minigrad.vision.idx import find_idx, read_idx
from minigrad.vision.pillow import image_of

__all__ = ["EMNIST", "KMNIST", "MNIST", "QMNIST", "FashionMNIST"]

DIGITS = ["0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight",
          "9 - nine"]  # fmt: skip


def renamed(old: str, new: str) -> property:
    """An attribute under its old name, with a warning."""

    def get(self: Any) -> Any:
        warnings.warn(f"{old} has been renamed {new}", stacklevel=2)
        return getattr(self, new)

    return property(get)


class MNIST(VisionDataset[Any]):
    """Handwritten digits, 60,000 images to train with and 10,000 to test: PIL images of mode L, and their class.

    Reads root/MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or with .gz; `download=True` fetches what
    is missing. `data` is (n, 28, 28) uint8, `targets` (n,) int64. Errors: RuntimeError if files are missing,
    ValueError if one is damaged. Source: Y. LeCun, C. Cortes, C. Burges.
    """

    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources: Any = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    training_file = "training.pt"
    test_file = "test.pt"
    classes = DIGITS

    train_labels, test_labels = renamed("train_labels", "targets"), renamed("test_labels", "targets")
    train_data, test_data = renamed("train_data", "data"), renamed("test_data", "data")

    def __init__(
        self,
        root: Any,
        train: bool = True,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[..., Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        old_files = [os.path.join(self.processed_folder, name) for name in (self.training_file, self.test_file)]
        if all(os.path.isfile(path) for path in old_files):  # tensors that torchvision wrote before version 0.9
            self.data, self.targets = load(old_files[0] if train else old_files[1], weights_only=True)
            return
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.data, self.targets = self._load_data()

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.transformed(image_of(self.data[index].numpy(), "L"), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def raw_folder(self) -> str:
        """Where the IDX files are."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def processed_folder(self) -> str:
        """Where old versions of torchvision wrote tensors."""
        return os.path.join(self.root, type(self).__name__, "processed")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    def _load_data(self) -> tuple[Tensor, Tensor]:
        part = os.path.join(self.raw_folder, "train" if self.train else "t10k")
        return read_image_file(f"{part}-images-idx3-ubyte"), read_label_file(f"{part}-labels-idx1-ubyte")

    def _check_exists(self) -> bool:
        names = [os.path.splitext(name)[0] for name, _ in self.resources]
        return all(find_idx(os.path.join(self.raw_folder, name)) for name in names)

    def download(self) -> None:
        """Fetch and unpack what is missing, from the first of `mirrors` that has it."""
        missing = [(name, md5) for name, md5 in self.resources if not os.path.isfile(self._path(name))]
        for name, md5 in missing:
            errors = []
            for mirror in self.mirrors:
                try:
                    download_and_extract_archive(mirror + name, self.raw_folder, md5=md5)
                    break
                except (RuntimeError, URLError) as error:
                    errors.append(f"Tried {mirror}, got:\n{error}\n")
            else:
                raise RuntimeError(f"Error downloading {name}:\n{''.join(errors)}")

    def _path(self, name: str) -> str:
        """Where the packed file `name` goes when it is unpacked."""
        return os.path.join(self.raw_folder, os.path.splitext(os.path.basename(name))[0])

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


def read_array(path: str, ndim: int) -> np.ndarray:
    """The uint8 array of `ndim` dims in the IDX file `path` or `path`.gz; ValueError if it is another one."""
    array = read_idx(find_idx(path) or path)
    if array.dtype != np.uint8 or array.ndim != ndim:
        raise ValueError(
            f"{path}: expected uint8 of {ndim} dimensions, found {array.dtype} of shape {array.shape}; "
            "check that this is the file you meant"
        )
    return array


def read_image_file(path: str) -> Tensor:
    """(n, height, width) uint8."""
    return ops.from_numpy(read_array(path, 3))


def read_label_file(path: str) -> Tensor:
    """(n,) int64."""
    return ops.from_numpy(read_array(path, 1)).to(backend.int64)


class FashionMNIST(MNIST):
    """Pictures of clothes in ten classes, in MNIST's format and numbers. Source: H. Xiao, K. Rasul, R. Vollgraf."""

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """Cursive Japanese characters in ten classes, in MNIST's format and numbers. Source: T. Clanuwat et al."""

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


def checked_choice(value: Any, name: str, choices: Any) -> Any:
    """`value` if it is one of `choices`, else ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"Expected type str for argument {name}, but got type {type(value)}.")
    if value not in choices:
        listed = "', '".join(choices)
        raise ValueError(f"Unknown value '{value}' for argument {name}. Valid values are {{'{listed}'}}.")
    return value


CAPITALS = sorted(set(string.ascii_letters + string.digits) - set("cijklmopsuvwxyz"))  # both cases of those are alike


class EMNIST(MNIST):
    """Letters and digits; `split` is byclass, bymerge, balanced, letters, digits or mnist. Source: G. Cohen et al."""

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    classes_split_dict = {
        "byclass": sorted(string.ascii_letters + string.digits),
        "bymerge": CAPITALS,
        "balanced": CAPITALS,
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }
    splits = tuple(classes_split_dict)

    def __init__(self, root: Any, split: str, **kwargs: Any) -> None:
        self.split = checked_choice(split, "split", self.splits)
        self.training_file = f"training_{split}.pt"
        self.test_file = f"test_{split}.pt"
        super().__init__(root, **kwargs)
        self.classes = self.classes_split_dict[split]

    def _files(self) -> tuple[str, str]:
        prefix = os.path.join(self.raw_folder, f"emnist-{self.split}-{'train' if self.train else 'test'}")
        return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"

    def _load_data(self) -> tuple[Tensor, Tensor]:
        images, labels = self._files()
        return read_image_file(images), read_label_file(labels)

    def _check_exists(self) -> bool:
        return all(find_idx(path) for path in self._files())

    def download(self) -> None:
        """Fetch the archive of all splits and unpack it."""
        if all(check_integrity(path) for path in self._files()):
            return
        download_and_extract_archive(self.url, self.raw_folder, md5=self.md5)
        folder = os.path.join(self.raw_folder, "gzip")
        for name in os.listdir(folder):
            if name.endswith(".gz"):
                extract_archive(os.path.join(folder, name), self.raw_folder)
        shutil.rmtree(folder)


class QMNIST(MNIST):
    """MNIST made again with all 60,000 test images: `what` is train, test, test10k, test50k or nist.

    With `compat=False` a target is a row of eight numbers: class, writer and so on. Source: C. Yadav, L. Bottou.
    """

    subsets = {"train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist"}
    home = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/"
    resources = {
        "train": [
            (f"{home}qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            (f"{home}qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ],
        "test": [
            (f"{home}qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            (f"{home}qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ],
        "nist": [
            (f"{home}xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            (f"{home}xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ],
    }

    def __init__(self, root: Any, what: str | None = None, compat: bool = True, train: bool = True, **kwargs: Any):
        what = ("train" if train else "test") if what is None else what
        self.what = checked_choice(what, "what", tuple(self.subsets))
        self.compat = compat
        self.training_file = self.test_file = self.data_file = f"{what}.pt"
        super().__init__(root, train, **kwargs)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = self.targets[index]
        return self.transformed(image_of(self.data[index].numpy(), "L"), int(target[0]) if self.compat else target)

    def _files(self) -> list[str]:
        return [self._path(url) for url, _ in self.resources[self.subsets[self.what]]]

    def _load_data(self) -> tuple[Tensor, Tensor]:
        images, labels = self._files()
        data, targets = read_image_file(images), ops.from_numpy(read_idx(find_idx(labels) or labels)).to(backend.int64)
        if targets.ndim != 2:
            raise ValueError(f"targets should have 2 dimensions instead of {targets.ndim}")
        rows = {"test10k": slice(None, 10000), "test50k": slice(10000, None)}.get(self.what, slice(None))
        return data[rows], targets[rows]

    def _check_exists(self) -> bool:
        return all(find_idx(path) for path in self._files())

    def download(self) -> None:
        """Fetch and unpack the two files of this subset."""
        for url, md5 in self.resources[self.subsets[self.what]]:
            if not check_integrity(self._path(url)):
                download_and_extract_archive(url, self.raw_folder, md5=md5)

    def extra_repr(self) -> str:
        return f"Split: {self.what}"
