"""The embedded data sets: there, balanced, images and labels in step, and with their notices."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.vision.embedded import DATA, digits, fashion_mnist


def nearest_mean_accuracy(load) -> float:
    """The accuracy of giving each test image the class whose mean training image is nearest."""
    (x, y), (x_test, y_test) = (
        (images.reshape(len(images), -1).astype(float), labels) for images, labels in (load(True), load(False))
    )
    means = np.stack([x[y == c].mean(0) for c in range(10)])
    distances = ((x_test[:, None] - means) ** 2).sum(-1)
    return float((distances.argmin(1) == y_test).mean())


@pytest.mark.parametrize(("train", "each"), [(True, 200), (False, 100)])
def test_fashion_mnist_is_balanced(train, each):
    images, labels = fashion_mnist(train)
    assert images.shape == (10 * each, 28, 28)
    assert (images.dtype, images.min(), images.max()) == (np.uint8, 0, 255)
    np.testing.assert_array_equal(np.bincount(labels), [each] * 10)


@pytest.mark.parametrize(("train", "count"), [(True, 1437), (False, 360)])
def test_digits_are_nearly_balanced(train, count):
    images, labels = digits(train)
    assert images.shape == (count, 8, 8)
    assert (images.dtype, images.min(), images.max()) == (np.uint8, 0, 16)
    np.testing.assert_allclose(np.bincount(labels), count / 10, rtol=0.1)


@pytest.mark.parametrize(("load", "least"), [(fashion_mnist, 0.65), (digits, 0.8)])
def test_labels_belong_to_their_images(load, least):
    """One position out of step and the accuracy would be near 0.1."""
    assert nearest_mean_accuracy(load) > least


@pytest.mark.parametrize(("name", "licence"), [("fashion-mnist", "The MIT License"), ("digits", "CC BY 4.0")])
def test_each_folder_carries_its_notice(name, licence):
    assert licence in (DATA / name / "NOTICE.txt").read_text()
