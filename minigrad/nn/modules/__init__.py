"""The layers, a file a family."""

from minigrad.nn.module import Module
from minigrad.nn.modules.activation import *
from minigrad.nn.modules.adaptive import *
from minigrad.nn.modules.attention import *
from minigrad.nn.modules.batchnorm import *
from minigrad.nn.modules.container import *
from minigrad.nn.modules.conv import *
from minigrad.nn.modules.cross_map import *
from minigrad.nn.modules.deprecated import *
from minigrad.nn.modules.distance import *
from minigrad.nn.modules.dropout import *
from minigrad.nn.modules.instancenorm import *
from minigrad.nn.modules.lazy_layers import *
from minigrad.nn.modules.linear import *
from minigrad.nn.modules.loss import *
from minigrad.nn.modules.margin import *
from minigrad.nn.modules.normalization import *
from minigrad.nn.modules.padding import *
from minigrad.nn.modules.parameter_container import *
from minigrad.nn.modules.pooling import *
from minigrad.nn.modules.resampling import *
from minigrad.nn.modules.rnn import *
from minigrad.nn.modules.rnn_cell import *
from minigrad.nn.modules.sparse import *
from minigrad.nn.modules.transformer import *
