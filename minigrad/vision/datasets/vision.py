"""What the data sets share: a root folder, transforms, and how they print."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic

from minigrad.utils.data.dataset import Dataset, Item

__all__ = ["StandardTransform", "VisionDataset"]


def headed(head: str, value: Any) -> list[str]:
    """The lines of `repr(value)`, the first after `head`, the others as far to the right."""
    first, *rest = repr(value).splitlines()
    return [head + first, *(" " * len(head) + line for line in rest)]


class StandardTransform:
    """`transform` for the image and `target_transform` for the target, each if there is one."""

    def __init__(self, transform: Callable[..., Any] | None = None, target_transform: Callable[..., Any] | None = None):
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        if self.transform is not None:
            lines += headed("Transform: ", self.transform)
        if self.target_transform is not None:
            lines += headed("Target transform: ", self.target_transform)
        return "\n".join(lines)


class VisionDataset(Dataset[Item], Generic[Item]):
    """A data set of images below the folder `root`; a subclass defines `__getitem__` and `__len__`.

    `transform` and `target_transform`, or instead of them `transforms(image, target)`, are for the subclass to apply.
    """

    _repr_indent = 4

    def __init__(
        self,
        root: Any = None,
        transforms: Callable[..., Any] | None = None,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[..., Any] | None = None,
    ) -> None:
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def __getitem__(self, index: int) -> Item:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body.append(repr(self.transforms))
        return "\n".join([f"Dataset {type(self).__name__}", *(" " * self._repr_indent + line for line in body)])

    def extra_repr(self) -> str:
        """Further lines to print."""
        return ""

    def transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """An item, after the transforms."""
        return StandardTransform(self.transform, self.target_transform)(image, target)
