"""Seeded networks, trained for some steps, lose what they lose on torch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lockstep import same


def perceptron(T):
    """The network of tutorial 002, with a ReLU after its last layer, and of 003."""
    nn = T.nn
    layers = nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 4), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *layers), (20,)


def with_dropout(T):
    nn = T.nn
    layers = nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.4), nn.Linear(32, 4), nn.LogSoftmax(dim=1)
    return nn.Sequential(*layers), (20,)


def lenet(T):
    """The network of tutorial 000, smaller."""
    nn = T.nn
    features = nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU()
    head = nn.AvgPool2d(2), nn.Dropout2d(0.2), nn.Flatten(), nn.Linear(24, 12), nn.Sigmoid(), nn.Linear(12, 4)
    return nn.Sequential(*features, *head), (2, 14, 14)


def recurrent(T):
    """The network of tutorial 001, smaller."""
    nn = T.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(50, 6)
            self.lstm = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
            self.head = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 4))

        def forward(self, x):
            h, _ = self.lstm(self.words(x))
            return self.head(T.cat((T.mean(h, 1), T.max(h, 1)[0]), 1))

    return Classifier(), None


@pytest.mark.parametrize("network", [perceptron, with_dropout, lenet, recurrent], ids=lambda f: f.__name__)
def test_losses_are_torchs(network):
    """float32, where sums in another order may differ in the last places; ten steps carry them along."""

    def program(T):
        T.manual_seed(7)
        net, shape = network(T)
        rng = np.random.default_rng(0)
        loss_of = T.nn.CrossEntropyLoss(label_smoothing=0.1)
        losses = []
        for _ in range(10):
            if shape is None:
                x = T.from_numpy(rng.integers(0, 50, (6, 9)))
            else:
                x = T.from_numpy(rng.normal(size=(6, *shape)).astype("float32"))
            y = T.from_numpy(rng.integers(0, 4, 6))
            net.zero_grad()
            loss = loss_of(net(x), y)
            loss.backward()
            T.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            with T.no_grad():
                for p in net.parameters():
                    p -= 0.1 * p.grad
            losses.append(loss.item())
        net.eval()
        return losses, net(x), [name for name, _ in net.named_parameters()], list(net.buffers())

    same(program, rtol=1e-4)
