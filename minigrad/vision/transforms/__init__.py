"""torchvision.transforms: what is done to an image on its way to the network, seeded as there."""

from minigrad.vision.transforms import functional
from minigrad.vision.transforms.augmentation import *
from minigrad.vision.transforms.colours import *
from minigrad.vision.transforms.composition import *
from minigrad.vision.transforms.geometric import *
from minigrad.vision.transforms.interpolation import InterpolationMode
from minigrad.vision.transforms.plain import *
