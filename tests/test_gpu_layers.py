"""Layers whose kernels spare a training step its waits and uploads: one step of each on the stand-in for CuPy."""

import pytest

import minigrad
from minigrad import nn
from reference import strict_cupy
from tests.gpu import needs_emulation, numbers

LAYERS = {
    "pooling": lambda: (nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, ceil_mode=True)), (2, 3, 13, 11)),
    "pooling to a size": lambda: (nn.Sequential(nn.AdaptiveAvgPool2d((5, 4)), nn.AdaptiveMaxPool2d(3)), (2, 3, 13, 11)),
    "convolutions": lambda: (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 3, 2, 2)), (2, 3, 5, 5)),
    "activations": lambda: (
        nn.Sequential(nn.GELU(), nn.SiLU(), nn.Mish(), nn.ELU(), nn.Softplus(), nn.Hardswish(), nn.GLU()), (3, 8),
    ),
    "LSTM": lambda: (nn.LSTM(4, 5, bidirectional=True), (6, 2, 4)),
    "GRU": lambda: (nn.GRU(4, 5, num_layers=2), (6, 2, 4)),
    "RNN": lambda: (nn.RNN(4, 5), (6, 2, 4)),
}  # fmt: skip


def stepped(layer, input):
    """Forward and backward, in which the host waits for nothing and sends nothing."""
    with strict_cupy.forbid_synchronize(), strict_cupy.forbid_uploads():
        out = layer(input)
        out = out[0] if isinstance(out, tuple) else out
        (out * out).sum().backward()


@needs_emulation
@pytest.mark.parametrize("name", LAYERS)
def test_a_step(name):
    with strict_cupy.install():
        layer, shape = LAYERS[name]()
        stepped(layer.cuda(), numbers(shape, "float32").requires_grad_())


@needs_emulation
@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"padding_idx": 2, "scale_grad_by_freq": True}])
def test_a_step_of_an_embedding(options):
    with strict_cupy.install():
        index = minigrad.tensor([[1, 2, 3], [3, 3, 0]]).cuda()
        stepped(nn.Embedding(5, 4, **options).cuda(), index)
