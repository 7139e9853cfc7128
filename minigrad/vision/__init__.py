"""torchvision on minigrad: data sets, transforms, grids, boxes and networks; and two small data sets of its own."""

from minigrad.vision import datasets, io, models, ops, transforms, utils

__all__ = ["datasets", "io", "models", "ops", "transforms", "utils"]
