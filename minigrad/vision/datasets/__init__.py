"""torchvision.datasets: images from files in the layouts that torchvision reads, fetched where they are missing."""

from minigrad.vision.datasets import folder, mnist, utils
from minigrad.vision.datasets.base import VisionDataset
from minigrad.vision.datasets.cifar import CIFAR10, CIFAR100
from minigrad.vision.datasets.fake import FakeData
from minigrad.vision.datasets.folder import DatasetFolder, ImageFolder
from minigrad.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST

__all__ = [
    "CIFAR10", "CIFAR100", "EMNIST", "KMNIST", "MNIST", "QMNIST", "DatasetFolder", "FakeData", "FashionMNIST",
    "ImageFolder", "VisionDataset",
]  # fmt: skip
