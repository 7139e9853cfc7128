"""A data set of one's own, from a CSV of paths and labels, as the first tutorial has it: read, loaded, trained on."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import minigrad
from minigrad.utils.data import DataLoader, Dataset
from minigrad.vision import transforms
from tests.vision_oracle import Image, needs_torchvision, pixels, tv


def read_csv(path):
    """What pandas.read_csv(path).iloc holds, without pandas: rows of a path and a numpy.int64."""
    with open(path, newline="") as file:
        return np.array([(name, np.int64(label)) for name, label in list(csv.reader(file))[1:]], dtype=object)


def read_csv_with_pandas(path):
    return pytest.importorskip("pandas", reason="needs pandas").read_csv(path).iloc


def imread_with_cv2(path):
    return pytest.importorskip("cv2", reason="needs OpenCV").imread(path)


def imread(path):
    """What cv2.imread(path) gives: (H, W, 3) bytes, blue first."""
    return np.asarray(Image.open(path))[:, :, ::-1].copy()


def images_and_list(folder, count=12):
    """PNG files, and the CSV that lists them."""
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for i in range(count):
            Image.fromarray(pixels(32, 32, seed=i)).save(folder / f"{i}.png")
            writer.writerow([folder / f"{i}.png", i % 10])
    return folder / "labels.csv"


def data_set(base, annotations_file, read, open_image, transform):
    """The tutorial's class, on either library's Dataset."""

    class CustomImageDataset(base):
        def __init__(self, annotations_file, transform=None, target_transform=None):
            self.img_labels = read(annotations_file)
            self.transform = transform
            self.target_transform = target_transform

        def __len__(self):
            return 12

        def __getitem__(self, idx):
            image, label = open_image(self.img_labels[idx, 0]), self.img_labels[idx, 1]
            if self.transform:
                image = self.transform(image)
            if self.target_transform:
                label = self.target_transform(label)
            return image, label

    return CustomImageDataset(annotations_file, transform)


def chain(module, *first):
    return module.Compose([*first, module.ToTensor(), module.Normalize((0.5,) * 3, (0.5,) * 3)])


READERS = [
    (read_csv, imread),
    (read_csv_with_pandas, imread_with_cv2),
    (read_csv_with_pandas, Image.open),
]


@needs_torchvision
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("read", "open_image"), READERS)
def test_batches_are_torchs(tmp_path, read, open_image, workers):
    path = images_and_list(tmp_path)
    augment = open_image is Image.open  # arrays of OpenCV cannot be, there as here
    epochs = []
    for lib, base, loader, t in (
        (torch, torch.utils.data.Dataset, torch.utils.data.DataLoader, tv.transforms),
        (minigrad, Dataset, DataLoader, transforms),
    ):
        lib.manual_seed(0)
        first = [t.RandomCrop(28, padding=2), t.RandomHorizontalFlip()] if augment else []
        data = data_set(base, path, read, open_image, chain(t, *first))
        epochs.append(list(loader(data, batch_size=5, shuffle=True, num_workers=workers)))
    for (x, y), (our_x, our_y) in zip(*epochs, strict=True):
        assert our_y.tolist() == y.tolist()
        assert str(our_y.dtype) == str(y.dtype) == "torch.int64"
        np.testing.assert_allclose(our_x.numpy(), x.numpy(), rtol=0, atol=1e-7)


def losses_of(lib, loader, base, t, path, read, open_image):
    """The tutorial's loop with a linear network, on either library."""
    lib.manual_seed(0)
    data = data_set(base, path, read, open_image, chain(t))
    model = lib.nn.Sequential(lib.nn.Flatten(), lib.nn.Linear(3 * 32 * 32, 10))
    optimizer = lib.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    losses = []
    for _ in range(30):
        for X, y in loader(data, batch_size=4, shuffle=True):
            optimizer.zero_grad()
            loss = lib.nn.functional.cross_entropy(model(X), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("read", "open_image"), READERS)
def test_a_network_learns_from_it(tmp_path, read, open_image):
    path = images_and_list(tmp_path)
    losses = losses_of(minigrad, DataLoader, Dataset, transforms, path, read, open_image)
    assert sum(losses[-3:]) < sum(losses[:3]) / 2
    if tv is not None:
        data = torch.utils.data
        expected = losses_of(torch, data.DataLoader, data.Dataset, tv.transforms, path, read, open_image)
        np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_a_file_that_cv2_cannot_find_says_so_in_the_loader(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV")
    path = images_and_list(tmp_path)
    (tmp_path / "7.png").unlink()
    data = data_set(Dataset, path, read_csv, cv2.imread, chain(transforms))
    with pytest.raises(TypeError, match=r"pic should be PIL Image or ndarray. Got <class 'NoneType'>"):
        list(DataLoader(data, batch_size=4))
