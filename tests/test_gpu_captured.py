"""Whole training steps as CUDA graphs: what the tutorials train, recorded once, goes on in replays as it would have gone
on without, random numbers included. On the stand-in and on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from benchmarks.workloads import Chain, bilstm, char_transformer, linear_regression, perceptron, resnet18
from minigrad import cuda, nn, optim
from minigrad.nn import functional as F
from minigrad.nn.utils import clip_grad_norm_, clip_grad_value_
from minigrad.nn.utils.parametrizations import spectral_norm, weight_norm
from minigrad.optim import swa_utils
from reference import strict_cupy
from tests.gpu import needs_emulation

pytestmark = [
    needs_emulation,
    pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True"),  # torch's, of eager steps
]


@pytest.fixture(params=["stand-in", pytest.param("gpu", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Iterator[None]:
    """minigrad's device "cuda": CuPy's stand-in, or CuPy."""
    with strict_cupy.install() if request.param == "stand-in" else nullcontext():
        yield


class Program:
    """A step, the tensors that it reads, those that it changes, and what is done between two steps without a graph."""

    def __init__(
        self,
        step: Callable[[], Any],
        inputs: Sequence[Any],
        state: Callable[[], Sequence[Any]],
        between: Callable[[], Any] = lambda: None,
    ) -> None:
        self.step, self.inputs, self.state, self.between = step, inputs, state, between
        self.batches = [x.cpu().numpy() for x in inputs]

    def load(self, number: int) -> None:
        """Batch `number`: the values of the inputs in another order."""
        rng = np.random.default_rng(number)
        for x, values in zip(self.inputs, self.batches, strict=True):
            x.copy_(minigrad.from_numpy(rng.permuted(values.reshape(-1)).reshape(values.shape)))

    def results(self, numbers: Sequence[int], step: Callable[[], Any] | None = None) -> list[float]:
        """The losses of some batches, by `step` or by one that is not recorded."""
        losses = []
        for number in numbers:
            self.load(number)
            losses.append((step or self.step)().item())
            self.between()
        return losses

    def captured(self) -> Callable[[], Any]:
        """Two steps with batch 0 on a side stream, and then what replays the step and gives its loss."""
        with cuda.stream(cuda.Stream()):
            self.results((0, 0))
        cuda.synchronize()
        g = cuda.CUDAGraph()
        with cuda.graph(g):
            loss = self.step()

        def replay() -> Any:
            g.replay()
            return loss

        return replay

    def numbers(self) -> list[np.ndarray]:
        """What the steps have changed."""
        return [t.detach().cpu().numpy() for t in self.state()]


def assert_replays_are_the_steps(make: Callable[[], Program], rtol: float = 1e-5) -> None:
    """Losses of four batches and all that was trained, by replays and by steps without a graph."""
    batches, found = (1, 2, 3, 4), []
    for graphed in (False, True):
        minigrad.manual_seed(0)
        program = make()
        minigrad.manual_seed(1)
        if graphed:
            replay = program.captured()
        else:
            program.results((0, 0))
            replay = program.step
        found.append((program.results(batches, replay), program.numbers(), minigrad.rand(1, device="cuda").item()))
    (losses, state, drawn), (replayed, state_of_replays, drawn_after_replays) = found
    assert len(set(losses)) == len(batches) and np.isfinite(losses).all()
    np.testing.assert_allclose(replayed, losses, rtol=rtol)
    for a, b in zip(state_of_replays, state, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max(initial=0.1))
    assert drawn == drawn_after_replays


def trained(model: Any, optimizer: Any, loss: Callable[[], Any], inputs: Sequence[Any], **options: Any) -> Program:
    """The usual step. Options: `set_to_none` of zero_grad, `clip`, and `between` two steps."""
    set_to_none, clip = options.pop("set_to_none", True), options.pop("clip", lambda: None)

    def step() -> Any:
        optimizer.zero_grad(set_to_none)
        value = loss()
        value.backward()
        clip()
        optimizer.step()
        return value

    return Program(step, inputs, lambda: list(model.state_dict().values()), **options)


# -- the benchmarks' ---------------------------------------------------------------------------------------------------

_mlp = partial(perceptron, 20, 16, 12, 10, batch=8)
_lenet = partial(
    Chain,
    (
        ("Conv2d", 3, 4, 3), ("ReLU",), ("MaxPool2d", 2), ("Conv2d", 4, 6, 3), ("ReLU",), ("MaxPool2d", 2),
        ("Flatten",), ("Linear", 24, 12), ("ReLU",), ("Linear", 12, 10),
    ),
    (4, 3, 14, 14),
)  # fmt: skip
WORKLOADS: dict[str, Callable[..., Any]] = {
    "linear regression": linear_regression,
    "MNIST MLP": _mlp(optimizer=("SGD", {"lr": 0.1})),
    "Fashion MLP": _mlp(optimizer=("SGD", {"lr": 0.1, "momentum": 0.9})),
    "Fashion MLP, Adam": _mlp(optimizer=("Adam", {"lr": 0.01})),
    "LeNet": _lenet(("SGD", {"lr": 0.05, "momentum": 0.9})),
    "LeNet, Adam": _lenet(("Adam", {"lr": 0.01})),
    "BiLSTM": partial(bilstm, batch=3, words=50, width=6),
    "char transformer": partial(char_transformer, batch=2, context=6, width=16, layers=1),
    "ResNet": partial(resnet18, batch=2, width=4, size=8),
}


def workload(name: str, double: bool = False) -> Program:
    training = WORKLOADS[name](minigrad, "cuda")
    for group in training.optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True
    if double:
        training.model.double()
        training.x = training.x.double()
    return Program(training, (training.x, training.y), lambda: list(training.model.state_dict().values()))


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_benchmarks_steps(gpu: None, name: str) -> None:
    # Batch norms over two pixels enlarge the rounding of sums.
    assert_replays_are_the_steps(lambda: workload(name, double=name == "ResNet"))


# -- layers ------------------------------------------------------------------------------------------------------------


def image() -> Any:
    return minigrad.randn(4, 4, 6, 6)


def sequence() -> Any:
    return minigrad.randn(4, 5, 8)


def rows() -> Any:
    return minigrad.randn(4, 8)


def volume() -> Any:
    return minigrad.randn(4, 1, 3, 4, 5)


def words() -> Any:
    return minigrad.arange(20).reshape(4, 5) % 9


class Applied(nn.Module):
    """A layer, and a function of what it gives."""

    def __init__(self, layer: Any, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x: Any) -> Any:
        return self.function(self.layer(x))


class Attention(nn.Module):
    """Self-attention with a causal mask, given as `kind` says."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.attention = kind, nn.MultiheadAttention(8, 2, dropout=0.2, batch_first=True)

    def forward(self, x: Any) -> Any:
        n = x.size(1)
        if self.kind == "float":
            mask = nn.Transformer.generate_square_subsequent_mask(n, device=x.device)
        else:
            mask = minigrad.ones(n, n, dtype=minigrad.bool, device=x.device).triu(1)
        padded = (minigrad.arange(n, device=x.device) >= n - 1).expand(len(x), n) if self.kind == "padded" else None
        out, weights = self.attention(
            x, x, x, attn_mask=None if padded is not None else mask, key_padding_mask=padded,
            need_weights=self.kind != "padded", is_causal=self.kind == "float",
        )  # fmt: skip
        return out if weights is None else out + weights.sum(-1, keepdim=True)


class ScaledAttention(nn.Module):
    """Causal attention in two heads, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Any) -> Any:
        q, k, v = (t.unflatten(-1, (2, 4)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.2, is_causal=True).transpose(1, 2)


class Decoder(nn.Module):
    """A transformer decoder over a learned memory."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.Parameter(minigrad.randn(4, 3, 8))
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.1, batch_first=True), 1)

    def forward(self, x: Any) -> Any:
        mask = nn.Transformer.generate_square_subsequent_mask(x.size(1), device=x.device)
        return self.decoder(x, self.memory, tgt_mask=mask, tgt_is_causal=True)


def first(out: Any) -> Any:
    return out[0]


LAYERS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "LayerNorm": (lambda: nn.LayerNorm(8), sequence),
    "RMSNorm": (lambda: nn.RMSNorm(8), sequence),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), image),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), image),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(8), rows),
    "BatchNorm2d, Dropout2d": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Dropout2d(0.3)), image),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), image),
    "Conv1d": (lambda: nn.Conv1d(5, 4, 3, padding="same", padding_mode="circular"), sequence),
    "Conv2d": (lambda: nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2), image),
    "Conv3d": (lambda: Applied(nn.Conv3d(1, 2, 3, dilation=1), lambda x: x), lambda: minigrad.randn(4, 1, 3, 5, 5)),
    "ConvTranspose2d": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.BatchNorm2d(3), nn.LeakyReLU(0.2)),
        image,
    ),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), image),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), image),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), sequence),
    "AvgPool2d, ceil_mode": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), image),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1, dilation=2), sequence),
    "MaxPool3d": (lambda: nn.MaxPool3d(2), volume),
    "AvgPool3d": (lambda: nn.AvgPool3d(2, padding=1, count_include_pad=False), volume),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), sequence),
    "AdaptiveAvgPool3d": (lambda: nn.AdaptiveAvgPool3d((2, 3, None)), volume),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), sequence),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, output_size=3), image),
    "LPPool2d": (lambda: nn.LPPool2d(2, 2), image),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((4, 5)), image),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(4), image),
    "MaxUnpool2d": (
        lambda: Applied(nn.MaxPool2d(2, return_indices=True), lambda out: F.max_unpool2d(*out, 2)), image,
    ),
    "Upsample, nearest": (lambda: nn.Upsample(scale_factor=2), image),
    "Upsample, bilinear": (lambda: nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True), image),
    "Upsample, bicubic": (lambda: nn.Upsample(size=(7, 5), mode="bicubic"), image),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), image),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(2), image),
    "Unfold": (lambda: nn.Unfold(2), image),
    "grid_sample": (
        lambda: Applied(
            nn.Identity(),
            lambda x: F.grid_sample(
                x, F.affine_grid(x[:, 0, :2, :3].contiguous(), list(x.shape), align_corners=False), align_corners=False
            ),
        ),
        image,
    ),
    **{name: (getattr(nn, name), rows) for name in (
        "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Softplus", "Softsign",
        "Sigmoid", "Tanh", "Hardswish", "Hardtanh", "LogSigmoid", "Tanhshrink", "GLU", "RReLU",
        "Dropout", "AlphaDropout",
    )},
    "softmax": (lambda: nn.Softmax(-1), rows),
    "gumbel_softmax": (lambda: Applied(nn.Identity(), lambda x: F.gumbel_softmax(x, 0.5, hard=True)), rows),
    "Bilinear": (lambda: Applied(nn.Identity(), lambda x: F.bilinear(x, x, x.reshape(1, 4, 8)[:, :, :].repeat(3, 2, 1))), rows),
    "normalize": (lambda: Applied(nn.Linear(8, 8), lambda x: F.normalize(x) @ F.normalize(x).T), rows),
    "cosine_similarity": (lambda: Applied(nn.Linear(8, 8), lambda x: F.cosine_similarity(x, x.roll(1, 0))), rows),
    "einsum": (lambda: Applied(nn.Linear(8, 8), lambda x: minigrad.einsum("bij,bkj->bik", x, x)), sequence),
    "cdist": (lambda: Applied(nn.Linear(8, 8), lambda x: minigrad.cdist(x, x + 1)), sequence),
    "cat, stack, where, roll": (
        lambda: Applied(nn.Linear(8, 8), lambda x: minigrad.where(
            minigrad.cat([x, -x]) > 0, minigrad.stack([x, x * 2]).flatten(0, 1), minigrad.cat([x, x]).roll(1, 0))),
        rows,
    ),
    "max, logsumexp, cumsum, var": (
        lambda: Applied(nn.Linear(8, 8), lambda x: x.max(-1).values + x.logsumexp(-1) + x.cumsum(-1)[:, 3] + x.std(-1)), rows,
    ),
    "slices": (lambda: Applied(nn.Linear(8, 8), lambda x: x[:, ::2] * x[..., 1:2] + x[1, 2] - x[:, -4:].flip(-1)), rows),
    "masked_fill": (lambda: Applied(nn.Linear(8, 8), lambda x: x.masked_fill(x.detach() > 0.5, -1.0).tril()), rows),
    "gather": (
        lambda: Applied(nn.Linear(8, 8), lambda x: x.gather(1, x.detach().argmax(1, keepdim=True)).expand(4, 8)), rows,
    ),
    "indices": (lambda: Applied(nn.Linear(8, 8), lambda x: x[minigrad.arange(4, device="cuda"), x.argmax(1)]), rows),
    "one_hot": (lambda: Applied(nn.Linear(8, 8), lambda x: x * F.one_hot(x.argmax(1), 8)), rows),
    "RNN": (lambda: Applied(nn.RNN(8, 6, num_layers=2, dropout=0.2, batch_first=True), first), sequence),
    "RNN, relu": (lambda: Applied(nn.RNN(8, 6, nonlinearity="relu"), first), sequence),
    "GRU": (lambda: Applied(nn.GRU(8, 6, bidirectional=True, batch_first=True), first), sequence),
    "LSTM": (lambda: Applied(nn.LSTM(8, 6, num_layers=2, dropout=0.2, batch_first=True), lambda out: out[1][0].swapaxes(0, 1)), sequence),
    "LSTM, projected": (lambda: Applied(nn.LSTM(8, 6, proj_size=3), first), sequence),
    "LSTMCell": (lambda: Applied(nn.LSTMCell(8, 6), first), rows),
    "GRUCell": (lambda: nn.GRUCell(8, 6), rows),
    "MultiheadAttention": (lambda: Attention("bool"), sequence),
    "MultiheadAttention, causal": (lambda: Attention("float"), sequence),
    "MultiheadAttention, padded": (lambda: Attention("padded"), sequence),
    "scaled_dot_product_attention": (ScaledAttention, sequence),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0.1, batch_first=True), 2), sequence,
    ),
    "TransformerDecoder": (Decoder, sequence),
    "weight_norm": (lambda: weight_norm(nn.Linear(8, 6)), rows),
    "spectral_norm": (lambda: spectral_norm(nn.Linear(8, 6)), rows),
    "old spectral_norm": (lambda: nn.utils.spectral_norm(nn.Linear(8, 6)), rows),
    "Embedding": (lambda: Applied(nn.Embedding(9, 6, padding_idx=0), lambda x: x.mean(1)), words),
    "Embedding, max_norm": (lambda: nn.Embedding(9, 6, max_norm=1.0), words),
    "Embedding, by frequency": (lambda: nn.Embedding(9, 6, scale_grad_by_freq=True), words),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(9, 6, mode="mean"), words),
    "EmbeddingBag, max": (lambda: nn.EmbeddingBag(9, 6, mode="max"), words),
    "Embedding, LSTM": (
        lambda: nn.Sequential(nn.Embedding(9, 6, padding_idx=0), Applied(nn.LSTM(6, 5, batch_first=True), first)),
        words,
    ),
}  # fmt: skip


def layered(name: str) -> Program:
    """The layer between a linear map, for inputs that are no tokens, and one to three classes."""
    make, example = LAYERS[name]
    x, y = example().cuda(), minigrad.tensor([0, 2, 1, 1]).cuda()
    before = nn.Linear(x.size(-1), x.size(-1)) if x.dtype.is_floating_point else nn.Identity()
    model = nn.Sequential(before, make(), nn.Unflatten(0, (4, -1)), nn.Flatten(), nn.LazyLinear(3)).cuda()
    model(x)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    return trained(model, optimizer, lambda: F.cross_entropy(model(x), y), (x, y))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(gpu: None, name: str) -> None:
    assert_replays_are_the_steps(partial(layered, name))


# -- losses ------------------------------------------------------------------------------------------------------------

# Of logits (4, 3), their classes, and targets like the logits.
LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "cross_entropy, smoothed": lambda z, y, t: F.cross_entropy(z, y, label_smoothing=0.1),
    "cross_entropy, weighted": lambda z, y, t: F.cross_entropy(z, y, weight=t[0].abs() + 0.1),
    "cross_entropy, of chances": lambda z, y, t: F.cross_entropy(z, t.softmax(-1)),
    "cross_entropy, ignoring": lambda z, y, t: F.cross_entropy(z, y, ignore_index=1),
    "cross_entropy, images": lambda z, y, t: F.cross_entropy(z.reshape(2, 3, 2), y.reshape(2, 2)),
    "nll_loss, weighted": lambda z, y, t: F.nll_loss(z.log_softmax(-1), y, t[0].abs() + 0.1),
    "nll_loss, sum": lambda z, y, t: F.nll_loss(z.log_softmax(-1), y, reduction="sum"),
    "mse_loss": lambda z, y, t: F.mse_loss(z, t),
    "l1_loss": lambda z, y, t: F.l1_loss(z, t),
    "huber_loss": lambda z, y, t: F.huber_loss(z, t, delta=0.5),
    "smooth_l1_loss": lambda z, y, t: F.smooth_l1_loss(z, t),
    "bce_with_logits": lambda z, y, t: F.binary_cross_entropy_with_logits(z, t.sigmoid(), pos_weight=t[0].exp()),
    "bce": lambda z, y, t: F.binary_cross_entropy(z.sigmoid(), t.sigmoid()),
    "kl_div": lambda z, y, t: F.kl_div(z.log_softmax(-1), t.softmax(-1), reduction="batchmean"),
    "poisson_nll_loss": lambda z, y, t: F.poisson_nll_loss(z, t.abs(), full=True),
    "hinge_embedding_loss": lambda z, y, t: F.hinge_embedding_loss(z, t.sign()),
    "soft_margin_loss": lambda z, y, t: F.soft_margin_loss(z, t.sign()),
    "margin_ranking_loss": lambda z, y, t: F.margin_ranking_loss(z[0], z[1], t[0].sign(), margin=0.1),
    "multi_margin_loss": lambda z, y, t: F.multi_margin_loss(z, y),
    "multilabel_soft_margin_loss": lambda z, y, t: F.multilabel_soft_margin_loss(z, (t > 0).float()),
    "cosine_embedding_loss": lambda z, y, t: F.cosine_embedding_loss(z, t, t[:, 0].sign()),
    "triplet_margin_loss": lambda z, y, t: F.triplet_margin_loss(z, t, -t),
}


def losing(name: str) -> Program:
    x, y, t = minigrad.randn(4, 5).cuda(), minigrad.tensor([0, 2, 1, 1]).cuda(), minigrad.randn(4, 3).cuda()
    model = nn.Linear(5, 3).cuda()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    return trained(model, optimizer, lambda: LOSSES[name](model(x), y, t), (x, y, t))


@pytest.mark.parametrize("name", LOSSES)
def test_losses(gpu: None, name: str) -> None:
    assert_replays_are_the_steps(partial(losing, name))


# -- optimizers --------------------------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD, nesterov": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD, maximize": lambda p: optim.SGD(p, 0.01, maximize=True),
    **{
        name: partial(getattr(optim, name), lr=0.01, capturable=True)
        for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adadelta", "ASGD", "Rprop")
    },
    "Adam, amsgrad": lambda p: optim.Adam(p, 0.01, amsgrad=True, weight_decay=0.1, capturable=True),
    "RMSprop, centered": lambda p: optim.RMSprop(p, 0.01, momentum=0.9, centered=True, capturable=True),
    "AdamW, foreach=False": lambda p: optim.AdamW(p, 0.01, foreach=False, capturable=True),
    "AdamW, fused": lambda p: optim.AdamW(p, 0.01, fused=True, capturable=True),
    "two groups": lambda p: optim.AdamW([{"params": [p[0]], "lr": 0.1}, {"params": p[1:]}], 0.01, capturable=True),
}


def small(optimizer: Callable[[Any], Any], **options: Any) -> Program:
    """A network of two layers."""
    x, y = minigrad.randn(6, 5).cuda(), (minigrad.arange(6) % 3).cuda()
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).cuda()
    if clip := options.pop("clip", None):
        options["clip"] = partial(clip, model.parameters)
    made = optimizer(list(model.parameters()))
    if between := options.pop("between", None):
        options["between"] = between(made, model)
    return trained(model, made, lambda: F.cross_entropy(model(x), y), (x, y), **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(gpu: None, name: str) -> None:
    assert_replays_are_the_steps(lambda: small(OPTIMIZERS[name]))


def with_rate(schedule: Callable[[Any], Any]) -> dict[str, Any]:
    """A learning rate in the GPU's memory, and a schedule that changes it between the steps."""
    return {
        "optimizer": lambda p: optim.Adam(p, lr=minigrad.tensor(0.1, device="cuda"), capturable=True),
        "between": lambda optimizer, model: schedule(optimizer).step,
    }


sgd = partial(optim.SGD, lr=0.1, momentum=0.9)
STEPS: dict[str, dict[str, Any]] = {
    "gradients that stay": {"optimizer": sgd, "set_to_none": False},
    "gradients that stay, Adam": {"optimizer": OPTIMIZERS["Adam"], "set_to_none": False},
    "clipped by norm": {"optimizer": sgd, "clip": lambda parameters: clip_grad_norm_(parameters(), 0.1)},
    "clipped by the largest": {"optimizer": sgd, "clip": lambda p: clip_grad_norm_(p(), 0.1, norm_type=float("inf"))},
    "clipped by value": {"optimizer": sgd, "clip": lambda parameters: clip_grad_value_(parameters(), 0.01)},
    "StepLR": with_rate(lambda o: optim.lr_scheduler.StepLR(o, 2, 0.5)),
    "LambdaLR": with_rate(lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t))),
    "ExponentialLR": with_rate(lambda o: optim.lr_scheduler.ExponentialLR(o, 0.5)),
    "CosineAnnealingLR": with_rate(lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 5)),
    "LinearLR": with_rate(lambda o: optim.lr_scheduler.LinearLR(o, 0.1, total_iters=4)),
    "OneCycleLR": with_rate(lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=9, cycle_momentum=False)),
}


@pytest.mark.parametrize("name", STEPS)
def test_ways_to_step(gpu: None, name: str) -> None:
    assert_replays_are_the_steps(lambda: small(**STEPS[name]))


# -- whole programs ----------------------------------------------------------------------------------------------------


def vae() -> Program:
    """A variational autoencoder: noise by randn_like."""
    x = minigrad.rand(4, 10).cuda()
    encoder, mean, logvar = nn.Linear(10, 8).cuda(), nn.Linear(8, 2).cuda(), nn.Linear(8, 2).cuda()
    decoder = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 10), nn.Sigmoid()).cuda()
    model = nn.ModuleList([encoder, mean, logvar, decoder])

    def loss() -> Any:
        h = encoder(x).relu()
        mu, log = mean(h), logvar(h)
        z = mu + (0.5 * log).exp() * minigrad.randn_like(mu)
        of_noise = -0.5 * (1 + log - mu.pow(2) - log.exp()).sum()
        return F.binary_cross_entropy(decoder(z), x, reduction="sum") + of_noise

    return trained(model, optim.Adam(model.parameters(), 0.01, capturable=True), loss, (x,))


def gan() -> Program:
    """Two networks, two optimizers, and noise made on the GPU: DCGAN's step."""
    real = minigrad.rand(4, 1, 8, 8).cuda()
    generator = nn.Sequential(
        nn.ConvTranspose2d(5, 6, 4, bias=False), nn.BatchNorm2d(6), nn.ReLU(True), nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Tanh()
    ).cuda()  # fmt: skip
    judge = nn.Sequential(
        nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 1, 4), nn.Flatten(0), nn.Sigmoid()
    ).cuda()
    optimizers = [optim.Adam(m.parameters(), 0.01, betas=(0.5, 0.999), capturable=True) for m in (generator, judge)]
    of_generator, of_judge = optimizers

    def step() -> Any:
        judge.zero_grad()
        label = minigrad.full((4,), 1.0, device="cuda")
        right = F.binary_cross_entropy(judge(real), label)
        right.backward()
        fake = generator(minigrad.randn(4, 5, 1, 1, device="cuda"))
        wrong = F.binary_cross_entropy(judge(fake.detach()), label.fill_(0.0))
        wrong.backward()
        of_judge.step()
        generator.zero_grad()
        fooled = F.binary_cross_entropy(judge(fake), label.fill_(1.0))
        fooled.backward()
        of_generator.step()
        return right + wrong + fooled

    return Program(step, (real,), lambda: [*generator.state_dict().values(), *judge.state_dict().values()])


def autoencoder() -> Program:
    """A convolutional one that removes noise."""
    x = minigrad.rand(4, 1, 8, 8).cuda()
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.SiLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.SiLU(),
        nn.ConvTranspose2d(6, 4, 2, 2), nn.SiLU(), nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 3, padding=1),
    ).cuda()  # fmt: skip
    noisy = lambda: x + 0.1 * minigrad.randn(*x.shape, device="cuda")
    return trained(model, sgd(model.parameters()), lambda: F.mse_loss(model(noisy()), x), (x,))


def accumulating() -> Program:
    """Four parts of a batch, one update."""
    x, y = minigrad.randn(8, 5).cuda(), (minigrad.arange(8) % 3).cuda()
    model = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Dropout(0.2), nn.Linear(7, 3)).cuda()
    optimizer = optim.AdamW(model.parameters(), 0.01, capturable=True)

    def step() -> Any:
        optimizer.zero_grad()
        total = minigrad.zeros((), device="cuda")
        for part, labels in zip(x.chunk(4), y.split(2), strict=True):
            loss = F.cross_entropy(model(part), labels) / 4
            loss.backward()
            total += loss.detach()
        optimizer.step()
        return total

    return Program(step, (x, y), lambda: list(model.state_dict().values()))


def averaged(inside: bool, buffers: bool = False) -> Program:
    """An exponential moving average of the parameters, in the graph or after it."""
    x, y = minigrad.randn(6, 5).cuda(), (minigrad.arange(6) % 3).cuda()
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 3)).cuda()
    mean = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5), use_buffers=buffers)
    mean.update_parameters(model)
    average = partial(mean.update_parameters, model)
    program = trained(model, sgd(model.parameters()), lambda: F.cross_entropy(model(x), y), (x, y))
    state = lambda: [*model.state_dict().values(), *mean.state_dict().values()]
    if not inside:
        return Program(program.step, program.inputs, state, average)

    def step() -> Any:
        loss = program.step()
        with minigrad.no_grad():
            for old, new in zip(mean.module.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 0.5)
        return loss

    return Program(step, program.inputs, state)


def penalized() -> Program:
    """A gradient's norm in the loss (WGAN-GP): a second derivative."""
    x = minigrad.randn(4, 5).cuda()
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1)).cuda()

    def loss() -> Any:
        mixed = (x * minigrad.rand(4, 1, device="cuda")).requires_grad_()
        (g,) = minigrad.autograd.grad(model(mixed).sum(), mixed, create_graph=True)
        return model(x).mean() + 10 * (g.norm(2, dim=1) - 1).pow(2).mean()

    return trained(model, optim.Adam(model.parameters(), 0.01, capturable=True), loss, (x,))


def checkpointed() -> Program:
    """A part that is computed again in the backward pass."""
    x = minigrad.randn(4, 5).cuda()
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 5)).cuda()
    again = partial(minigrad.utils.checkpoint.checkpoint, model, use_reentrant=False, preserve_rng_state=False)
    return trained(model, sgd(model.parameters()), lambda: (again(x) - x).square().mean(), (x,))


def policy() -> Program:
    """REINFORCE: a categorical distribution's log of chances, and its entropy."""
    x, y = minigrad.randn(4, 5).cuda(), minigrad.tensor([0, 2, 1, 1]).cuda()
    model = nn.Linear(5, 3).cuda()

    def loss() -> Any:
        chances = minigrad.distributions.Categorical(logits=model(x), validate_args=False)
        return -(chances.log_prob(y) * x[:, 0]).mean() - 0.1 * chances.entropy().mean()

    return trained(model, sgd(model.parameters()), loss, (x, y))


def positions() -> Program:
    """Sines and cosines of places, made anew in each step, and heads of linear attention."""
    x = minigrad.randn(4, 6, 8).cuda()
    model = nn.Linear(8, 8).cuda()

    def loss() -> Any:
        places = minigrad.arange(6, device="cuda").unsqueeze(1)
        rates = (minigrad.arange(0, 8, 2, device="cuda") * (-np.log(10000.0) / 8)).exp()
        table = minigrad.zeros(6, 8, device="cuda")
        table[:, 0::2] = (places * rates).sin()
        table[:, 1::2] = (places * rates).cos()
        h = model(x + table)
        return (h @ h.mT).softmax(-1).diagonal(dim1=1, dim2=2).log().neg().mean()

    return trained(model, sgd(model.parameters()), loss, (x,))


def scaled() -> Program:
    """Gradients times a scale in the GPU's memory, as GradScaler has it."""
    scale = minigrad.tensor(8.0, device="cuda")
    program = small(sgd)
    x, y = program.inputs
    model = nn.Linear(5, 3).cuda()
    optimizer = sgd(model.parameters())

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        (loss * scale).backward()
        for p in model.parameters():
            p.grad /= scale
        optimizer.step()
        return loss

    return Program(step, program.inputs, lambda: list(model.parameters()))


PROGRAMS: dict[str, Callable[[], Program]] = {
    "VAE": vae,
    "GAN": gan,
    "autoencoder": autoencoder,
    "accumulated": accumulating,
    "EMA inside": partial(averaged, True),
    "EMA between": partial(averaged, False),
    "EMA of buffers too": partial(averaged, False, True),
    "gradient penalty": penalized,
    "checkpoint": checkpointed,
    "policy": policy,
    "positions": positions,
    "scaled": scaled,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(gpu: None, name: str) -> None:
    assert_replays_are_the_steps(PROGRAMS[name])
