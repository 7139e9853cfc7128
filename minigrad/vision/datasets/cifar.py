"""CIFAR-10 and CIFAR-100: 32 x 32 colour images in pickled batches below root/<base folder>."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.vision.archives import download_and_extract_archive
from minigrad.vision.datasets.pickles import load_plain
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.download import check_integrity
from minigrad.vision.pillow import image_of

__all__ = ["CIFAR10", "CIFAR100"]


class CIFAR10(VisionDataset[Any]):
    """Ten classes, 50,000 images to train with and 10,000 to test: PIL images of mode RGB, and their class.

    `data` is an ndarray (n, 32, 32, 3) uint8, `targets` a list. The files' checksums are compared each time. Errors:
    RuntimeError if files are missing or have another checksum. Source: A. Krizhevsky, 2009.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": "5ff9c542aee3614f3951f8cda6e48888"}

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
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        batches = [read_batch(self._path(name)) for name, _ in (self.train_list if train else self.test_list)]
        self.data = np.ascontiguousarray(np.concatenate([images for images, _ in batches]).transpose(0, 2, 3, 1))
        self.targets = [label for _, labels in batches for label in labels]
        if not check_integrity(self._path(self.meta["filename"]), self.meta["md5"]):
            raise RuntimeError("Dataset metadata file not found or corrupted. You can use download=True to download it")
        path = self._path(self.meta["filename"])
        self.classes: list[str] = read_pickle(path)[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.transformed(image_of(self.data[index], "RGB"), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._path(name), md5) for name, md5 in self.train_list + self.test_list)

    def download(self) -> None:
        """Fetch the archive and unpack it, unless all batches are there."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class CIFAR100(CIFAR10):
    """A hundred classes in CIFAR-10's format and numbers; `targets` are the fine labels."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta = {"filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48"}


def read_pickle(path: str) -> dict[Any, Any]:
    """The dict in a file of CIFAR; ValueError if it holds something else or is damaged."""
    content = load_plain(Path(path).read_bytes(), path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a dict, found {type(content).__name__}; fetch the file again")
    return content


def read_batch(path: str) -> tuple[np.ndarray, list[int]]:
    """The images (n, 3, 32, 32) uint8 and the n labels of a batch; ValueError if it holds something else."""
    batch = read_pickle(path)
    images, labels = batch.get("data"), batch.get("labels", batch.get("fine_labels"))
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != 3072:
        found = f"{images.dtype} of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"{path}: expected images of 3072 bytes under the key 'data', found {found}")
    if not isinstance(labels, list) or len(labels) != len(images) or any(type(label) is not int for label in labels):
        raise ValueError(f"{path}: expected a list of {len(images)} integers under 'labels' or 'fine_labels'")
    return np.asarray(images).reshape(-1, 3, 32, 32), labels
