"""`cuda`: the GPU, which minigrad reaches through CuPy: devices, memory, streams, graphs, random numbers."""

from minigrad.cuda import graphs, memory, random, streams
from minigrad.cuda.devices import *
from minigrad.cuda.devices import device as device
from minigrad.cuda.graphed import *
from minigrad.cuda.graphs import *
from minigrad.cuda.memory import *
from minigrad.cuda.random import *
from minigrad.cuda.streams import *
