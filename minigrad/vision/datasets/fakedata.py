"""Random images, to try a program without data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import ops
from minigrad.random import fork_rng, manual_seed
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.transforms.functional import to_pil_image

__all__ = ["FakeData"]


class FakeData(VisionDataset[Any]):
    """`size` images of normal noise with random classes: PIL images. Item i is drawn from the seed i + random_offset.

    So it is always the same, torchvision's, and the default generator stands where it stood.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[..., Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        with fork_rng():
            manual_seed(index + self.random_offset)
            image = ops.randn(*self.image_size)
            target = ops.randint(0, self.num_classes, size=(1,))[0]
        image, target = self.transformed(to_pil_image(image), target)
        return image, target.item()

    def __len__(self) -> int:
        return self.size
