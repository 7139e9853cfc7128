"""Data sets read from files in torchvision's layouts, held to torchvision's on the same files."""

from __future__ import annotations

import gzip
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import minigrad
from minigrad.utils.data import DataLoader
from minigrad.vision import datasets, transforms
from minigrad.vision.datasets.folder import IMG_EXTENSIONS, make_dataset
from minigrad.vision.idx import write_idx
from tests.lockstep import attempt
from tests.vision_files import batch_of, write_cifar, write_folder, write_mnist
from tests.vision_oracle import Image, assert_same_image, compare, needs_torchvision, seed_all, tv


def alike(ours, theirs, *names):
    """The same length, print, items and attributes."""
    assert len(ours) == len(theirs)
    assert repr(ours) == repr(theirs)
    for i in range(len(theirs)):
        for g, e in zip(ours[i], theirs[i], strict=True):
            assert_same_image(g, e)
            assert isinstance(g, minigrad.Tensor) or type(g) is type(e)
    for name in names:
        got, expected = getattr(ours, name), getattr(theirs, name)
        if isinstance(expected, (torch.Tensor, np.ndarray)):
            assert str(got.dtype) == str(expected.dtype)
            np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
        else:
            assert got == expected, name


MNIST_ATTRIBUTES = [
    "data", "targets", "classes", "class_to_idx", "raw_folder", "processed_folder", "train", "root", "resources",
    "mirrors", "training_file", "test_file",
]  # fmt: skip


@needs_torchvision
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_mnist(tmp_path, name, train):
    write_mnist(tmp_path, name)
    ours, theirs = (getattr(d, name)(str(tmp_path), train=train) for d in (datasets, tv.datasets))
    alike(ours, theirs, *MNIST_ATTRIBUTES)
    for old in ("train_labels", "test_labels", "train_data", "test_data"):
        compare(lambda old=old: getattr(ours, old).tolist(), lambda old=old: getattr(theirs, old).tolist())
    build = lambda d, t: getattr(d, name)(tmp_path, train, t.Compose([t.Pad(1), t.ToTensor()]), t.Lambda(str))
    alike(build(datasets, transforms), build(tv.datasets, tv.transforms), "root", "data")


@needs_torchvision
def test_emnist_and_qmnist(tmp_path):
    raw = write_mnist(tmp_path, "EMNIST")
    for split in datasets.EMNIST.splits:
        for old, new in (("train", "train"), ("t10k", "test")):
            for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
                shutil.copy(raw / f"{old}-{kind}", raw / f"emnist-{split}-{new}-{kind}")
        ours, theirs = (d.EMNIST(str(tmp_path), split, train=False) for d in (datasets, tv.datasets))
        alike(ours, theirs, "classes", "data", "split", "splits", "class_to_idx", "url", "md5")
    compare(lambda: datasets.EMNIST(tmp_path, "odd"), lambda: tv.datasets.EMNIST(tmp_path, "odd"))
    compare(lambda: datasets.EMNIST(tmp_path, 3), lambda: tv.datasets.EMNIST(tmp_path, 3))
    raw = tmp_path / "QMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.RandomState(0)
    for what in ("qmnist-train", "qmnist-test", "xnist"):
        write_idx(raw / f"{what}-images-idx3-ubyte", rng.randint(0, 256, size=(7, 4, 4)).astype(np.uint8))
        write_idx(raw / f"{what}-labels-idx2-int", rng.randint(0, 10, size=(7, 8)).astype(np.int32))
    for kwargs in ({}, {"train": False}, {"what": "nist"}, {"what": "test10k", "compat": False}, {"what": "test50k"}):
        ours, theirs = (d.QMNIST(str(tmp_path), **kwargs) for d in (datasets, tv.datasets))
        alike(ours, theirs, "data", "targets", "what", "resources", "subsets", "training_file", "classes")


@needs_torchvision
def test_old_files_of_tensors(tmp_path):
    folder = tmp_path / "MNIST" / "processed"
    folder.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save((torch.arange(40, dtype=torch.uint8).view(2, 4, 5), torch.tensor([3, 4])), folder / name)
    ours, theirs = (d.MNIST(str(tmp_path)) for d in (datasets, tv.datasets))
    alike(ours, theirs, "data", "targets")


def test_gzipped_files_are_read_as_they_are(tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    write_mnist(plain)
    write_mnist(packed, suffix=".gz")
    ours, same = datasets.MNIST(plain), datasets.MNIST(packed)
    assert ours.data.tolist() == same.data.tolist()
    assert ours.targets.tolist() == same.targets.tolist()
    assert ours.targets.dtype is minigrad.int64


def test_a_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_mnist(tmp_path / ".pytorch" / "MNIST_data")
    data = datasets.MNIST("~/.pytorch/MNIST_data/", download=True, train=True, transform=transforms.ToTensor())
    assert data.root == f"{tmp_path}/.pytorch/MNIST_data/"
    images, labels = next(iter(DataLoader(data, batch_size=4)))
    assert (images.shape, labels.shape) == ((4, 1, 6, 5), (4,))


@needs_torchvision
@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "CIFAR10", "CIFAR100", "QMNIST"])
def test_what_is_missing(tmp_path, name):
    compare(lambda: getattr(datasets, name)(tmp_path), lambda: getattr(tv.datasets, name)(tmp_path))
    if "MNIST" in name and name[0] != "Q":
        raw = write_mnist(tmp_path, name)
        (raw / "t10k-labels-idx1-ubyte").unlink()
        compare(lambda: getattr(datasets, name)(tmp_path), lambda: getattr(tv.datasets, name)(tmp_path))


@needs_torchvision
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar(tmp_path, name, protocol, train):
    base = getattr(tv.datasets, name)
    for attribute in ("base_folder", "url", "filename", "tgz_md5", "train_list", "test_list", "meta"):
        assert getattr(getattr(datasets, name), attribute) == getattr(base, attribute)
    attributes = write_cifar(tmp_path, base, protocol)
    ours, theirs = (type(name, (getattr(d, name),), attributes)(str(tmp_path), train) for d in (datasets, tv.datasets))
    alike(ours, theirs, "data", "targets", "classes", "class_to_idx", "train", "root")
    assert type(ours.data) is np.ndarray


def test_cifars_checksums_are_compared(tmp_path):
    attributes = write_cifar(tmp_path, datasets.CIFAR10)
    kind = type("CIFAR10", (datasets.CIFAR10,), attributes)
    with open(tmp_path / kind.base_folder / "batches.meta", "ab") as file:
        file.write(b" ")
    with pytest.raises(RuntimeError, match=r"Dataset metadata file not found or corrupted. You can use download=True"):
        kind(tmp_path)
    with open(tmp_path / kind.base_folder / "test_batch", "ab") as file:
        file.write(b" ")
    with pytest.raises(RuntimeError, match=r"Dataset not found or corrupted. You can use download=True to download it"):
        kind(tmp_path)


def test_a_batch_of_something_else_is_refused(tmp_path):
    from minigrad.vision.datasets.cifar import read_batch

    good = batch_of(3, 0)
    wrong = [[1, 2], {**good, "data": [1]}, {**good, "data": good["data"][:, :5]}, {**good, "labels": [1]}]
    wrong += [{**good, "labels": [1.0, 2.0, 3.0]}, {**good, "data": good["data"].astype(float)}, {}]
    for content in wrong:
        (tmp_path / "batch").write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=r"batch: expected"):
            read_batch(str(tmp_path / "batch"))


@needs_torchvision
def test_image_folder(tmp_path):
    write_folder(tmp_path)
    ours, theirs = (d.ImageFolder(str(tmp_path)) for d in (datasets, tv.datasets))
    alike(ours, theirs, "classes", "class_to_idx", "samples", "imgs", "targets", "extensions")
    build = lambda d, t: d.ImageFolder(
        tmp_path, t.Resize(4), lambda y: y + 1, is_valid_file=lambda p: p.endswith("png")
    )
    compare(lambda: build(datasets, transforms), lambda: build(tv.datasets, tv.transforms))  # c has no png
    (tmp_path / "empty").mkdir()
    compare(lambda: datasets.ImageFolder(tmp_path), lambda: tv.datasets.ImageFolder(tmp_path))
    ours, theirs = (d.ImageFolder(str(tmp_path), allow_empty=True) for d in (datasets, tv.datasets))
    alike(ours, theirs, "classes", "samples")
    loader = lambda path: Path(path).read_text()
    ours, theirs = (d.DatasetFolder(tmp_path / "..", len, (".txt",), allow_empty=True) for d in (datasets, tv.datasets))
    alike(ours, theirs, "samples")
    ours, theirs = (d.DatasetFolder(str(tmp_path), loader, ".txt", allow_empty=True) for d in (datasets, tv.datasets))
    alike(ours, theirs, "samples", "extensions")
    assert IMG_EXTENSIONS == tv.datasets.folder.IMG_EXTENSIONS


@needs_torchvision
def test_folders_that_are_refused(tmp_path):
    compare(lambda: datasets.ImageFolder(tmp_path), lambda: tv.datasets.ImageFolder(tmp_path))
    ours, theirs = make_dataset, tv.datasets.folder.make_dataset
    for args in ((tmp_path,), (tmp_path, {}), (tmp_path, {"a": 0}), (tmp_path, {"a": 0}, ".a", len), (tmp_path / "x",)):
        compare(lambda args=args: ours(*args), lambda args=args: theirs(*args))
    ours, theirs = (d.DatasetFolder.make_dataset for d in (datasets, tv.datasets))
    compare(lambda: ours(tmp_path, None), lambda: theirs(tmp_path, None))
    expected = attempt(lambda: tv.datasets.ImageFolder(tmp_path / "missing"))
    assert attempt(lambda: datasets.ImageFolder(tmp_path / "missing")).type is expected.type is FileNotFoundError


@needs_torchvision
def test_fake_data():
    seed_all(4)
    for kwargs in ({}, {"random_offset": 30, "num_classes": 3}, {"target_transform": lambda y: y + 1}):
        alike(*(d.FakeData(3, (3, 9, 7), **kwargs) for d in (datasets, tv.datasets)))
    alike(
        *(
            d.FakeData(2, (1, 4, 4), transform=t.ToTensor())
            for d, t in ((datasets, transforms), (tv.datasets, tv.transforms))
        )
    )
    assert minigrad.get_rng_state().tolist() == torch.get_rng_state().tolist()
    compare(lambda: datasets.FakeData(2)[2], lambda: tv.datasets.FakeData(2)[2])


@needs_torchvision
def test_vision_dataset():
    def build(d, **kwargs):
        return type("Mine", (d.VisionDataset,), {"__len__": lambda self: 3, "extra_repr": lambda self: "a\nb"})(
            **kwargs
        )

    for kwargs in (
        {},
        {"root": "~/x"},
        {"transforms": max},
        {"transform": 3},
        {"target_transform": "a\nb", "transform": 1},
    ):
        compare(lambda kw=kwargs: repr(build(datasets, **kw)), lambda kw=kwargs: repr(build(tv.datasets, **kw)))
    refused = {"transforms": max, "transform": min}
    compare(lambda: build(datasets, **refused), lambda: build(tv.datasets, **refused))


@needs_torchvision
@pytest.mark.parametrize("workers", [0, 2])
def test_a_seeded_epoch_of_augmented_images_is_torchvisions(tmp_path, workers):
    write_folder(tmp_path)
    batches = []
    for d, t, loader in ((datasets, transforms, DataLoader), (tv.datasets, tv.transforms, torch.utils.data.DataLoader)):
        chain = [
            t.RandomResizedCrop(8),
            t.RandomHorizontalFlip(),
            t.ColorJitter(0.4, 0.4, 0.4, 0.1),
            t.RandomRotation(9),
        ]
        chain = t.Compose([*chain, t.ToTensor(), t.Normalize((0.5,) * 3, (0.5,) * 3), t.RandomErasing(0.5)])
        data = d.ImageFolder(tmp_path, chain)
        seed_all(5)
        batches.append(list(loader(data, batch_size=2, shuffle=True, num_workers=workers)))
    assert_same_image(*batches)


def test_gzip_that_is_damaged_names_the_file(tmp_path):
    raw = write_mnist(tmp_path, suffix=".gz")
    path = raw / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"nothing of the kind"))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz: not an IDX file"):
        datasets.MNIST(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz: damaged gzip stream"):
        datasets.MNIST(tmp_path)


def test_images_that_are_damaged_name_the_file(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "a" / "four.png"
    path.write_bytes(path.read_bytes()[:60])
    data = datasets.ImageFolder(tmp_path)
    with pytest.raises(OSError, match=r"four.png"):
        [data[i] for i in range(len(data))]
    path.write_bytes(b"")
    with pytest.raises(Image.UnidentifiedImageError, match=r"four.png"):
        [data[i] for i in range(len(data))]
