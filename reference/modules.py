"""The table of modules: how each is built, on either engine, and what it is called with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.case import torch_at_least


@dataclass(frozen=True, repr=False)
class ModuleCase:
    """One configuration of one module.

    text      how it is built, as one would write it: "Linear(2, 3, bias=False)", a call of a name of torch.nn
    shapes    of its inputs: floats in float64, which want a gradient
    indices   for inputs of integers, by position: how many classes or rows there are to choose from
    unit      draw floats of (0, 1), as for probabilities, not normal ones
    since     the torch release that has these arguments
    rtol      how far results may be apart, relative to their largest; with `reason` if looser than a matrix product's
    """

    text: str
    shapes: tuple[tuple[int, ...], ...]
    indices: dict[int, int] = field(default_factory=dict)
    unit: bool = False
    since: str = ""
    rtol: float = 1e-12
    reason: str = ""

    def __post_init__(self) -> None:
        if self.rtol > 1e-12 and not self.reason:
            raise ValueError(f"{self}: a looser tolerance needs a reason")

    def __repr__(self) -> str:
        return self.text

    def build(self, T: Any) -> Any:
        """The module, made by library `T` after `T.manual_seed(0)`."""
        T.manual_seed(0)
        return eval(f"nn.{self.text}", {"nn": T.nn, "torch": T})  # the table is ours

    def text_of(self, module: Any) -> str:
        """How a module prints, without what torch prints of normalisation layers since 2.13 only."""
        return re.sub(r"(affine=\w+), bias=\w+", r"\1", repr(module))

    def inputs(self, seed: int = 0) -> list[np.ndarray]:
        """Arrays to call it with."""
        rng = np.random.default_rng(seed)

        def draw(i: int, shape: tuple[int, ...]) -> np.ndarray:
            if i in self.indices:
                return rng.integers(0, self.indices[i], shape)
            return rng.uniform(0.05, 0.95, shape) if self.unit else rng.normal(size=shape)

        return [draw(i, shape) for i, shape in enumerate(self.shapes)]


def _many(texts: str, *shapes: tuple[int, ...], **options: Any) -> list[ModuleCase]:
    """A case for each line of `texts`, all with inputs of the same shapes."""
    return [ModuleCase(text.strip(), shapes, **options) for text in texts.strip().splitlines()]


IMAGES = (3, 4, 7, 6)

SIXTH = {"rtol": 1e-7, "reason": "torch multiplies by a 1/6 of single precision"}

_ALL = [
    # linear
    *_many("Linear(4, 3)\n Linear(4, 1, bias=False)\n Identity(54, unused=True)", (5, 4)),
    *_many("Linear(4, 3)", (4,)),
    *_many("Linear(4, 3)", (2, 3, 4)),
    *_many("Bilinear(4, 3, 2)\n Bilinear(4, 3, 2, bias=False)", (5, 4), (5, 3)),
    *_many("Flatten()\n Flatten(0, 2)\n Unflatten(1, (2, 2))\n Unflatten(-1, (3, -1))", IMAGES),
    # convolution
    *_many(
        """
        Conv2d(4, 3, 3)
        Conv2d(4, 6, (3, 2), stride=2, padding=(1, 2), groups=2, bias=False)
        Conv2d(4, 3, 3, dilation=2, padding=2)
        Conv2d(4, 3, 3, padding="same")
        Conv2d(4, 3, (2, 4), padding="same", dilation=(2, 1))
        Conv2d(4, 3, 3, padding="valid")
        Conv2d(4, 3, 3, padding=(2, 1), padding_mode="reflect")
        Conv2d(4, 3, 3, padding=2, padding_mode="replicate")
        Conv2d(4, 3, (2, 3), padding="same", padding_mode="circular")
        """,
        IMAGES,
    ),
    *_many("Conv2d(4, 3, 3)", IMAGES[1:]),
    *_many("Conv1d(4, 3, 3)\n Conv1d(4, 3, 2, padding='same', padding_mode='circular')", (2, 4, 7)),
    *_many("Conv3d(2, 3, (2, 3, 1), padding=1)", (2, 2, 3, 4, 3)),
    *_many(
        """
        ConvTranspose2d(4, 3, 3)
        ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 2), groups=2, bias=False)
        ConvTranspose2d(4, 3, 2, 2, dilation=(2, 3), output_padding=(1, 0))
        """,
        IMAGES,
    ),
    *_many("ConvTranspose2d(4, 3, 3)", IMAGES[1:]),
    *_many("ConvTranspose1d(4, 3, 3, 2)", (2, 4, 7)),
    *_many("ConvTranspose3d(2, 3, (2, 3, 1), padding=1, stride=2)", (2, 2, 3, 4, 3)),
    *_many("Unfold((3, 2), padding=1, stride=2)\n Unfold(2, dilation=2)", IMAGES),
    *_many("Fold((7, 6), (3, 2), dilation=1, padding=1, stride=2)", (3, 12, 16)),
    # padding
    *_many(
        """
        ReflectionPad2d(2)
        ReflectionPad2d((1, 0, 2, 1))
        ReplicationPad2d((1, 2, 0, 3))
        CircularPad2d(2)
        ConstantPad2d((1, -1, 2, 0), 0.5)
        ConstantPad2d(1, 3)
        ZeroPad2d((1, 0, 2, 1))
        ZeroPad2d(2)
        """,
        IMAGES,
    ),
    *_many(
        """
        ReflectionPad1d(2)
        ReplicationPad1d((1, 2))
        CircularPad1d((3, 0))
        ConstantPad1d(1, -2.5)
        ZeroPad1d(3)
        """,
        (2, 4, 7),
    ),
    *_many(
        """
        ReflectionPad3d(1)
        ReplicationPad3d((1, 2, 0, 1, 3, 0))
        CircularPad3d(1)
        ConstantPad3d((1, 2, 0, 1, 3, 0), 1.5)
        ZeroPad3d(1)
        """,
        (2, 2, 3, 4, 3),
    ),
    # resampling
    *_many(
        """
        Upsample(scale_factor=2)
        Upsample((5, 9), mode="bilinear")
        Upsample(scale_factor=(1.5, 2), mode="bicubic", align_corners=True)
        Upsample(scale_factor=1.7, mode="nearest-exact", recompute_scale_factor=True)
        UpsamplingNearest2d((14, 3))
        UpsamplingBilinear2d(scale_factor=2)
        PixelShuffle(2)
        ChannelShuffle(2)
        """,
        IMAGES,
    ),
    *_many("PixelUnshuffle(3)", (2, 1, 6, 3)),
    # pooling
    *_many(
        """
        MaxPool2d(2)
        MaxPool2d((2, 3), stride=1, padding=1, dilation=(2, 1), ceil_mode=True, return_indices=True)
        AvgPool2d(2)
        AvgPool2d((2, 3), stride=2, padding=1, ceil_mode=True, count_include_pad=False, divisor_override=5)
        AdaptiveAvgPool2d(1)
        AdaptiveAvgPool2d((3, 4))
        AdaptiveAvgPool2d((None, 2))
        AdaptiveMaxPool2d(1)
        AdaptiveMaxPool2d((3, 4), return_indices=True)
        AdaptiveMaxPool2d((None, 4))
        FractionalMaxPool2d(2, output_size=(3, 2))
        FractionalMaxPool2d((2, 3), output_ratio=(0.5, 0.4), return_indices=True)
        LPPool2d(1, 2)
        LPPool2d(float("inf"), (2, 3), 2, ceil_mode=True)
        """,
        IMAGES,
    ),
    *_many("MaxPool1d(2, padding=1)\n AvgPool1d(3, 2, 1)\n AdaptiveAvgPool1d(3)", (2, 4, 7)),
    *_many("AdaptiveMaxPool1d(3)\n LPPool1d(1, 3, 2)", (2, 4, 7)),
    *_many("MaxPool3d(2, 1)\n AvgPool3d(2, 1)\n AdaptiveAvgPool3d((1, 2, 3))", (2, 2, 3, 4, 3)),
    *_many("AdaptiveMaxPool3d((1, 2, 3))\n FractionalMaxPool3d(1, 2)\n LPPool3d(1, 2)", (2, 2, 3, 4, 3)),
    *_many("LPPool1d(2, 3)\n LPPool1d(3, 2, 1, ceil_mode=True)", (2, 4, 7), unit=True),
    *_many("LPPool2d(2, (2, 3))", IMAGES, unit=True),
    *_many("MaxUnpool1d(2)\n MaxUnpool1d(3, 2, padding=1)", (1, 2, 1), (1, 2, 1), indices={1: 2}),
    *_many("MaxUnpool2d((2, 3))", (2, 2, 1, 1), (2, 2, 1, 1), indices={1: 6}),
    *_many("MaxUnpool3d(2)", (2, 2, 1, 1, 1), (2, 2, 1, 1, 1), indices={1: 8}),
    # activations
    *_many(
        """
        ReLU()
        ReLU(inplace=True)
        ReLU6(True)
        LeakyReLU(0.2)
        LeakyReLU(inplace=True)
        PReLU()
        PReLU(4, init=0.1)
        RReLU()
        RReLU(0.1, 0.3, inplace=True)
        Threshold(0.1, 20)
        Threshold(0.1, 20, True)
        Hardtanh()
        Hardtanh(-0.5, 0.25, True)
        Hardswish()
        Hardshrink(0.3)
        Softshrink(0.3)
        ELU(0.5)
        ELU(inplace=True)
        CELU(0.5)
        CELU(inplace=True)
        SELU()
        SELU(True)
        SiLU()
        SiLU(True)
        Mish()
        Mish(True)
        GELU()
        GELU("tanh")
        Softplus(2, 1)
        Sigmoid()
        LogSigmoid()
        Tanh()
        Tanhshrink()
        Softsign()
        Softmax(1)
        Softmax(dim=-1)
        LogSoftmax(1)
        Softmin(0)
        Softmax2d()
        GLU()
        GLU(1)
        """,
        IMAGES,
    ),
    *_many("Hardsigmoid()\n Hardsigmoid(True)", IMAGES, **SIXTH),
    # dropout
    *_many(
        """
        Dropout()
        Dropout(0.2, inplace=True)
        Dropout(0)
        Dropout(1)
        Dropout2d(0.3)
        AlphaDropout(0.3)
        FeatureAlphaDropout(0.4)
        """,
        IMAGES,
    ),
    *_many("Dropout1d(0.4)", (4, 5, 3)),
    *_many("Dropout1d(0.4)", (5, 3)),
    *_many("Dropout3d(0.4)", (3, 4, 2, 2, 2)),
    # normalisation
    *_many(
        """
        BatchNorm2d(4)
        BatchNorm2d(4, momentum=None, eps=0.01)
        BatchNorm2d(4, affine=False, track_running_stats=False)
        GroupNorm(2, 4)
        GroupNorm(4, 4, affine=False, eps=0.1)
        LayerNorm(6)
        LayerNorm((4, 7, 6), bias=False)
        LayerNorm([7, 6], elementwise_affine=False, eps=0.1)
        RMSNorm(6)
        RMSNorm([7, 6], eps=0.1, elementwise_affine=False)
        LocalResponseNorm(3, alpha=0.5, beta=1.5, k=2.0)
        InstanceNorm2d(4)
        InstanceNorm2d(4, momentum=0.3, affine=True, track_running_stats=True)
        """,
        IMAGES,
    ),
    *_many("InstanceNorm2d(4, affine=True)\n InstanceNorm1d(7)", (4, 7, 6)),
    *_many("InstanceNorm1d(3, affine=True, eps=0.1)", (3, 5)),
    *_many("InstanceNorm3d(4)", (2, 4, 2, 2, 3)),
    *_many("BatchNorm2d(4, momentum=0.3, bias=False)\n GroupNorm(2, 4, bias=False)", IMAGES, since="2.13"),
    *_many("BatchNorm1d(4)", (5, 4)),
    *_many("BatchNorm1d(4)", (5, 4, 3)),
    *_many("BatchNorm3d(4)\n SyncBatchNorm(4, momentum=None)", (2, 4, 2, 2, 2)),
    *_many("CrossMapLRN2d(3)\n CrossMapLRN2d(2, alpha=0.3, beta=0.5, k=2)", IMAGES),
    # embedding and recurrence
    *_many("Embedding(7, 3)\n Embedding(7, 3, padding_idx=-2)", (4, 5), indices={0: 7}),
    *_many("EmbeddingBag(7, 3)\n EmbeddingBag(7, 3, mode='max', padding_idx=-2)", (4, 5), indices={0: 7}),
    *_many("EmbeddingBag(7, 3, 1.0, mode='sum')\n EmbeddingBag(7, 3, norm_type=1.0)", (4, 5), indices={0: 7}),
    *_many("Embedding(7, 3, max_norm=1.0)\n Embedding(7, 3, scale_grad_by_freq=True)", (4, 5), indices={0: 7}),
    *_many(
        """
        LSTM(3, 4)
        LSTM(3, 4, 2, bidirectional=True)
        LSTM(3, 4, num_layers=3, bias=False, batch_first=True, dropout=0.4)
        GRU(3, 4)
        GRU(3, 4, 2, batch_first=True, bidirectional=True)
        RNN(3, 4)
        RNN(3, 4, 2, nonlinearity="relu", bidirectional=True, dropout=0.4)
        """,
        (5, 2, 3),
    ),
    *_many("LSTM(3, 4, 2, bidirectional=True, batch_first=True)", (5, 3)),
    *_many("LSTM(3, 4, 2, bidirectional=True, proj_size=2)", (5, 2, 3)),
    *_many("LSTMCell(3, 4)\n GRUCell(3, 4, bias=False)\n RNNCell(3, 4, nonlinearity='relu')", (2, 3)),
    *_many("LSTMCell(3, 4)\n GRUCell(3, 4)\n RNNCell(3, 4)", (3,)),
    *_many("GRUCell(3, 4)\n RNNCell(3, 4)", (2, 3), (2, 4)),
    # attention
    *_many(
        """
        MultiheadAttention(4, 2)
        MultiheadAttention(4, 2, bias=False, add_zero_attn=True, batch_first=True)
        MultiheadAttention(4, 1, add_bias_kv=True, dropout=0.5)
        """,
        (3, 2, 4),
        (3, 2, 4),
        (3, 2, 4),
    ),
    *_many(
        """
        TransformerDecoderLayer(4, 2, 8, 0.0, norm_first=True)
        TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, batch_first=True, activation="gelu"), 2)
        """,
        (3, 2, 4),
        (3, 2, 4),
    ),
    *_many("MultiheadAttention(4, 2, kdim=3, vdim=2)", (5, 4), (6, 3), (6, 2)),
    *_many(
        "TransformerEncoderLayer(4, 2, 8)\n TransformerEncoderLayer(4, 2, 8, bias=False, norm_first=True)", (3, 2, 4)
    ),
    *_many("TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2, nn.LayerNorm(4))", (3, 2, 4)),
    *_many("Transformer(4, 2, 1, 2, 8, 0.2, batch_first=True)", (3, 2, 4), (3, 5, 4)),
    # containers
    *_many("Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))", (5, 4)),
    # losses
    *_many("AdaptiveLogSoftmaxWithLoss(8, 10, [2, 5], 2.0, head_bias=True)", (4, 8), (4,), indices={1: 10}),
    *_many(
        """
        MSELoss()
        MSELoss(reduction="sum")
        L1Loss()
        L1Loss(reduction="none")
        SmoothL1Loss(beta=0.5)
        HuberLoss(delta=0.5)
        HuberLoss("sum")
        KLDivLoss(reduction="batchmean", log_target=True)
        BCEWithLogitsLoss()
        BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64), reduction="sum")
        """,
        (4, 3),
        (4, 3),
    ),
    *_many(
        """
        HingeEmbeddingLoss(0.5, reduction="sum")
        MultiLabelSoftMarginLoss(weight=torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64))
        PoissonNLLLoss(reduction="none")
        CosineSimilarity(0, eps=0.1)
        PairwiseDistance(1, keepdim=True)
        """,
        (4, 3),
        (4, 3),
    ),
    *_many("SoftMarginLoss()\n SoftMarginLoss(reduction='none')", (4, 3), (4, 3), indices={1: 2}),
    *_many("PoissonNLLLoss(log_input=False, full=True, eps=0.1)", (4, 3), (4, 3), unit=True),
    *_many("GaussianNLLLoss(full=True, eps=0.1)", (4, 3), (4, 3), (4, 1), unit=True),
    *_many(
        """
        TripletMarginLoss(swap=True)
        TripletMarginLoss(0.5, p=3, eps=0.01, reduction="none")
        TripletMarginWithDistanceLoss(margin=2.0)
        TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(1), swap=True, reduction="sum")
        """,
        (4, 3),
        (4, 3),
        (4, 3),
    ),
    *_many("CTCLoss()\n CTCLoss(2, 'none', True)", (6, 2, 3), (2, 2), (2,), (2,), indices={1: 2, 2: 7, 3: 3}),
    *_many("MarginRankingLoss(0.5)", (4,), (4,), (4,)),
    *_many("CosineEmbeddingLoss(-0.5, reduction='none')", (4, 3), (4, 3), (4,), indices={2: 2}),
    *_many("MultiMarginLoss()\n MultiMarginLoss(2, 0.5, reduction='sum')", (4, 3), (4,), indices={1: 3}),
    *_many("MultiLabelMarginLoss()", (4, 3), (4, 3), indices={1: 3}),
    *_many("BCELoss()\n BCELoss(reduction='sum')\n KLDivLoss(reduction='none')", (4, 3), (4, 3), unit=True),
    *_many(
        """
        CrossEntropyLoss()
        CrossEntropyLoss(label_smoothing=0.1, reduction="none")
        CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64), ignore_index=1)
        NLLLoss(reduction="sum")
        NLLLoss(weight=torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64))
        """,
        (4, 3),
        (4,),
        indices={1: 3},
    ),
    *_many("CrossEntropyLoss()", (4, 3), (4, 3)),
    *_many("LinearCrossEntropyLoss(3, 5, label_smoothing=0.1)", (4, 3), (4,), indices={1: 5}, since="2.13"),
    *_many("LinearCrossEntropyLoss(3, 5, bias=True, out_features=(2,))", (4, 3), (4, 2), indices={1: 5}, since="2.13"),
]

MODULES = [case for case in _ALL if torch_at_least(case.since)]
