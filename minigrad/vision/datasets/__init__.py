"""torchvision.datasets: images from files in the layouts that torchvision reads, fetched where they are missing."""

from minigrad.vision.datasets import folder, mnist, utils, vision
from minigrad.vision.datasets.cifar import CIFAR10, CIFAR100
from minigrad.vision.datasets.fakedata import FakeData
from minigrad.vision.datasets.folder import DatasetFolder, ImageFolder
from minigrad.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from minigrad.vision.datasets.vision import VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "EMNIST", "KMNIST", "MNIST", "QMNIST", "DatasetFolder", "FakeData", "FashionMNIST",
    "ImageFolder", "VisionDataset",
]  # fmt: skip
