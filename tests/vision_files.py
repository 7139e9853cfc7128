"""Small data sets in torchvision's layouts, written for the tests of `minigrad.vision`."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.vision.idx import write_idx
from tests.vision_oracle import Image, pixels

MNIST_NAMES = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]


def write_mnist(root: Path, name: str = "MNIST", suffix: str = "", size: int = 12) -> Path:
    """root/<name>/raw with the four files; the images are 6 x 5."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    rng = np.random.RandomState(0)
    for file in MNIST_NAMES:
        shape = (size, 6, 5) if "images" in file else (size,)
        write_idx(raw / (file + suffix), rng.randint(0, 256 if "images" in file else 10, size=shape).astype(np.uint8))
    return raw


def batch_of(size: int, seed: int, key: str = "labels") -> dict[str, Any]:
    """What a batch of CIFAR holds."""
    rng = np.random.RandomState(seed)
    return {
        "data": rng.randint(0, 256, size=(size, 3072)).astype(np.uint8),
        key: rng.randint(0, 10, size=size).tolist(),
        "batch_label": "a batch",
        "filenames": [f"{i}.png" for i in range(size)],
    }


def write_cifar(root: Path, kind: Any, protocol: int = 2) -> dict[str, Any]:
    """The files of `kind`, a class of either library; returns its attributes with their checksums."""
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    fine = kind.meta["key"].startswith("fine")

    def write(name: str, content: Any) -> str:
        data = pickle.dumps(content, protocol)
        (folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    def batches(listed: Any, seed: int) -> list[list[str]]:
        key = "fine_labels" if fine else "labels"
        return [[name, write(name, batch_of(4, seed + i, key))] for i, (name, _) in enumerate(listed)]

    names = [f"class {i}" for i in range(10)]
    md5 = write(kind.meta["filename"], {kind.meta["key"]: names, "num_vis": 3072})
    return {
        "train_list": batches(kind.train_list, 0),
        "test_list": batches(kind.test_list, 9),
        "meta": {**kind.meta, "md5": md5},
    }


def write_folder(root: Path) -> None:
    """Three classes of images in several formats and depths, with files of other kinds among them."""
    names = ["b/one.png", "b/d/two.PPM", "b/d/e/six.png", "b/d.e/seven.png", "a/three.bmp", "a/four.png", "c/five.jpg"]
    for i, name in enumerate([*names, "c/notes.txt"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no image")
        else:
            Image.fromarray(pixels(seed=i)).save(path)
