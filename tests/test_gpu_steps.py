"""A whole training step on a GPU never waits for it and sends nothing to it: the networks of the tutorials, small, on
the stand-in for CuPy, with its kernels emulated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from benchmarks.workloads import Chain, Training, bilstm, char_transformer, linear_regression, perceptron, resnet18
from reference import strict_cupy
from reference.strict_device import DeviceSynchronized, HostCopied, synchronizations, uploads

_cnn = (
    ("Conv2d", 3, 4, 3), ("ReLU",), ("MaxPool2d", 2), ("Conv2d", 4, 6, 3), ("ReLU",), ("MaxPool2d", 2),
    ("Flatten",), ("Linear", 24, 12), ("ReLU",), ("Linear", 12, 10),
)  # fmt: skip
_mlp = partial(perceptron, 20, 16, 12, 10, batch=8)


def name_classifier(T: Any, device: str) -> Training:
    """The last output of a GRU over characters, negative log-likelihood."""

    class Classifier(T.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.rnn, self.out = T.nn.Embedding(30, 8), T.nn.GRU(8, 12), T.nn.Linear(12, 10)

        def forward(self, x: Any) -> Any:
            out, _ = self.rnn(self.embedding(x))
            return T.log_softmax(self.out(out[-1]), dim=-1)

    model, rng = Classifier(), np.random.default_rng(0)
    x, y = (T.from_numpy(rng.integers(0, n, shape)) for n, shape in ((30, (7, 5)), (10, 5)))
    return Training(model, T.nn.NLLLoss(), T.optim.SGD(model.parameters(), lr=0.1), x, y, device)


def with_dropout(T: Any, device: str) -> Training:
    """Every kind of layer that draws, and one that counts."""
    nn = T.nn
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout2d(0.25), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(36, 12), nn.LayerNorm(12), nn.GELU(), nn.Dropout(0.5), nn.Linear(12, 10),
    )  # fmt: skip
    optimizer, rng = T.optim.AdamW(model.parameters()), np.random.default_rng(0)
    x = T.from_numpy(rng.normal(size=(4, 3, 8, 8)).astype("float32"))
    return Training(model, nn.CrossEntropyLoss(label_smoothing=0.1), optimizer, x, T.from_numpy(np.arange(4)), device)


NETWORKS: dict[str, Callable[[Any, str], Training]] = {
    "linear regression": linear_regression,
    "MNIST MLP": _mlp(optimizer=("SGD", {"lr": 0.1, "momentum": 0.9})),
    "Fashion MLP": _mlp(optimizer=("SGD", {"lr": 0.1})),
    "Fashion MLP, Adam": _mlp(optimizer=("Adam", {"lr": 0.01})),
    "MLP, RMSprop": _mlp(optimizer=("RMSprop", {"lr": 0.01})),
    "CNN": Chain(_cnn, (4, 3, 14, 14), ("SGD", {"lr": 0.1, "momentum": 0.9})),
    "CNN, Adam": Chain(_cnn, (4, 3, 14, 14), ("Adam", {"lr": 0.01})),
    "names": name_classifier,
    "BiLSTM": partial(bilstm, batch=3, words=50, width=6),
    "char transformer": partial(char_transformer, batch=2, context=6, width=16, layers=1),
    "ResNet": partial(resnet18, batch=2, width=4, size=8),
    "dropout": with_dropout,
}
DRAWS = ("BiLSTM", "dropout")  # masks, from a stream that need not be the CPU's
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda optimizer: minigrad.optim.lr_scheduler.StepLR(optimizer, 2, 0.5),
    "LambdaLR": lambda optimizer: minigrad.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.9**t),
    "CosineAnnealingLR": lambda optimizer: minigrad.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10),
}


class Step:
    """One step of a tutorial: with gradients clipped and the learning rate scheduled."""

    def __init__(
        self, name: str, device: str, clips: bool = True, schedule: str = "StepLR", double: bool = False
    ) -> None:
        minigrad.manual_seed(0)
        self.training, self.clips = NETWORKS[name](minigrad, device), clips
        if double:
            self.training.model.double()
            self.training.x = self.training.x.double()
        self.scheduler = SCHEDULES[schedule](self.training.optimizer)

    def __call__(self) -> Any:
        t = self.training
        t.optimizer.zero_grad()
        loss = t.forward(t.x, t.y)
        loss.backward()
        if self.clips:
            minigrad.nn.utils.clip_grad_norm_(t.model.parameters(), 1.0)
        t.optimizer.step()
        self.scheduler.step()
        return loss


def watched(step: Callable[[], Any]) -> Any:
    """Three steps: the first, whose buffers are new, and two as all others will be."""
    for _ in range(3):
        before = synchronizations.count, uploads.count
        with strict_cupy.forbid_synchronize(), strict_cupy.forbid_uploads():
            loss = step()
        assert (synchronizations.count, uploads.count) == before
    return loss


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_neither_waits_nor_uploads_until_its_loss_is_asked_for(name):
    with strict_cupy.install():
        loss = watched(Step(name, "cuda"))
        before = synchronizations.count
        loss.item()
        assert synchronizations.count == before + 1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_schedule_waits_or_uploads(schedule):
    with strict_cupy.install():
        watched(Step("linear regression", "cuda", clips=False, schedule=schedule))


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in DRAWS])
def test_the_losses_are_the_cpus(name, clips):
    double = name == "ResNet"  # whose batch norms over two pixels enlarge the rounding of sums
    with strict_cupy.install():
        cpu, gpu = (Step(name, device, clips, double=double) for device in ("cpu", "cuda"))
        losses = [[step().item() for _ in range(3)] for step in (cpu, gpu)]
    assert len(set(losses[0])) == 3
    assert losses[1] == pytest.approx(losses[0], rel=1e-6 if double else 2e-6)


@pytest.mark.parametrize("name", ["MNIST MLP", "ResNet"])
@pytest.mark.parametrize("mistake", ["item", "bool", "mask", "upload"])
def test_a_planted_mistake_is_seen(name, mistake):
    """A loss looked at, a condition, a selection by mask, a tensor made on the host: once in a step."""

    def careless(x: Any, y: Any) -> Any:
        loss = forward(x, y)
        if mistake == "item":
            loss.item()
        elif mistake == "bool":
            assert loss >= 0
        elif mistake == "mask":
            return loss + x[x > 0].sum()
        else:
            return loss + minigrad.tensor([1.0, 2.0]).to(x.device).sum()
        return loss

    with strict_cupy.install():
        step = Step(name, "cuda")
        forward, step.training.forward = step.training.forward, careless
        with pytest.raises(HostCopied if mistake == "upload" else DeviceSynchronized):
            watched(step)


def test_evaluation_counts_right_answers_once_an_epoch():
    """Sums of losses and of right answers stay on the GPU until they are asked for."""
    with strict_cupy.install():
        training = NETWORKS["MNIST MLP"](minigrad, "cuda")
        model = training.model.eval()
        with strict_cupy.forbid_synchronize(), minigrad.no_grad():
            total, right = minigrad.zeros((), device="cuda"), minigrad.zeros((), device="cuda")
            for _ in range(2):
                out = model(training.x)
                total += minigrad.nn.functional.cross_entropy(out, training.y)
                right += (out.argmax(1) == training.y).float().sum()
        before = synchronizations.count
        assert (total.item(), right.item()) > (0, -1)
        assert synchronizations.count == before + 2
