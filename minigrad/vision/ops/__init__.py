"""torchvision.ops: boxes, and a few layers and losses."""

from minigrad.vision.ops import boxes
from minigrad.vision.ops.boxes import *
from minigrad.vision.ops.layers import *
