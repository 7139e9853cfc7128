"""Whole training steps as CUDA graphs: what the tutorials train, recorded once, goes on in replays as it would have
gone on without, random numbers included. On the stand-in and on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from benchmarks.workloads import Chain, bilstm, char_transformer, linear_regression, perceptron, resnet18
from minigrad import cuda, nn, optim
from minigrad.nn import functional as F
from minigrad.nn.utils import clip_grad_norm_, clip_grad_value_
from minigrad.optim import swa_utils
from tests.captured import Program, assert_replays_are_the_steps, trained
from tests.captured_layers import LAYERS
from tests.gpu import needs_emulation

pytestmark = [
    needs_emulation,
    pytest.mark.usefixtures("gpu"),
    pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True"),  # torch's, of eager steps
]


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
def test_the_benchmarks_steps(name: str) -> None:
    # Batch norms over two pixels enlarge the rounding of sums.
    assert_replays_are_the_steps(lambda: workload(name, double=name == "ResNet"))


# -- layers ------------------------------------------------------------------------------------------------------------


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
def test_layers(name: str) -> None:
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
def test_losses(name: str) -> None:
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
def test_optimizers(name: str) -> None:
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
def test_ways_to_step(name: str) -> None:
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
        nn.ConvTranspose2d(5, 6, 4, bias=False), nn.BatchNorm2d(6), nn.ReLU(True),
        nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Tanh(),
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
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    assert_replays_are_the_steps(PROGRAMS[name])


# -- what is not recorded ----------------------------------------------------------------------------------------------

# torch refuses these, too, but for the sorts.
REFUSED: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x * x.sum().item(),
    "bool": lambda x: x if (x > 0).any() else -x,
    "print": lambda x: print(x) or x,
    "to the host": lambda x: x.cpu(),
    "from the host": lambda x: x + minigrad.tensor([1.0, 2.0, 3.0]).cuda(),
    "mask": lambda x: x[x > 0],
    "masked_select": lambda x: x.masked_select(x > 0),
    "nonzero": lambda x: x * x.nonzero().float().sum(),
    "unique": lambda x: x.unique(),
    "sort": lambda x: x.sort().values,
    "topk": lambda x: x.topk(2).values,
    "inverse": lambda x: minigrad.linalg.inv(x[:3]),
    "ctc_loss": lambda x: F.ctc_loss(
        x[:, None].log_softmax(-1), minigrad.ones(1, 2, dtype=minigrad.int64, device="cuda"), (4,), (2,)
    ),
    "gaussian_nll_loss": lambda x: F.gaussian_nll_loss(x, x + 1, x.exp()),
    "error_if_nonfinite": lambda x: minigrad.nn.utils.get_total_norm([x], error_if_nonfinite=True),
    "backward of item": lambda x: minigrad.autograd.grad((x * 2).sum(), x)[0].tolist(),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_waits_is_refused_and_harms_nothing(name: str) -> None:
    x = minigrad.randn(4, 3).cuda().requires_grad_()
    program = small(OPTIMIZERS["Adam"])
    replay = program.captured()
    with pytest.raises((RuntimeError, NotImplementedError), match="captur"), cuda.graph(cuda.CUDAGraph()):
        REFUSED[name](x)
    assert not cuda.is_current_stream_capturing()
    assert np.isfinite(program.results((1, 2), replay) + program.results((1, 2))).all()
    assert_replays_are_the_steps(lambda: small(OPTIMIZERS["Adam"]))
