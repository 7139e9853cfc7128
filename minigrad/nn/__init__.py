"""torch.nn: Module, Parameter, the layers and losses, and the functions they are made of."""

from minigrad.nn import functional, init, utils
from minigrad.nn.module import Module
from minigrad.nn.modules import *
from minigrad.nn.modules import module as _module
from minigrad.nn.modules import utils as _utils
from minigrad.nn.parallel import DataParallel
from minigrad.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
