"""torchvision.models: networks under torchvision's names, untrained."""

from minigrad.vision.models import resnet
from minigrad.vision.models.resnet import *
