"""Helpers beside the layers: gradients clipped, parameters as one vector, sequences of several lengths."""

from minigrad.nn.utils import rnn as rnn
from minigrad.nn.utils import stateless as stateless
from minigrad.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_
from minigrad.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
