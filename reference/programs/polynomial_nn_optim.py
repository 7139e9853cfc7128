"""sin(x) by a cubic with nn and optim: every optimizer in turn, a module of one's own, control flow, shared weights."""

import math
import random

import torch
from torch import nn, optim

x = torch.linspace(-math.pi, math.pi, 500)
y = torch.sin(x)
xx = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3]))


def fit(name, factory, steps=40):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1))
    loss_fn = torch.nn.MSELoss(reduction="mean")
    optimizer = factory(model.parameters())
    for t in range(steps):
        y_pred = model(xx)
        loss = loss_fn(y_pred, y)
        if t % 10 == 0:
            print(f"{name:<10} {t:3d} {loss.item():.5f}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    linear_layer = model[0]
    weights = ", ".join(f"{w:.4f}" for w in linear_layer.weight[0])
    print(f"{name:<10} y = {linear_layer.bias.item():.4f} + [{weights}]")


fit("sgd", lambda p: optim.SGD(p, lr=1e-3))
fit("momentum", lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-3))
fit("adam", lambda p: optim.Adam(p, lr=1e-2))
fit("amsgrad", lambda p: optim.Adam(p, lr=1e-2, amsgrad=True))
fit("adamw", lambda p: optim.AdamW(p, lr=1e-2, weight_decay=0.1))
fit("rmsprop", lambda p: optim.RMSprop(p, lr=1e-2))
fit("adagrad", lambda p: optim.Adagrad(p, lr=1e-1))
fit("adadelta", lambda p: optim.Adadelta(p))
fit("adamax", lambda p: optim.Adamax(p))
fit("nadam", lambda p: optim.NAdam(p))
fit("radam", lambda p: optim.RAdam(p, lr=1e-2))
fit("rprop", lambda p: optim.Rprop(p))
fit("asgd", lambda p: optim.ASGD(p, lr=1e-3))


class DynamicNet(torch.nn.Module):
    """A cubic that uses the same fifth parameter for the orders 4 and 5, each with some chance."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.randn(()))
        self.b = torch.nn.Parameter(torch.randn(()))
        self.c = torch.nn.Parameter(torch.randn(()))
        self.d = torch.nn.Parameter(torch.randn(()))
        self.e = torch.nn.Parameter(torch.randn(()))

    def forward(self, x):
        y = self.a + self.b * x + self.c * x**2 + self.d * x**3
        for exp in range(4, random.randint(4, 6)):
            y = y + self.e * x**exp
        return y

    def string(self):
        return f"y = {self.a.item():.4f} + {self.b.item():.4f} x + ... + {self.e.item():.4f} x^4 ? x^5 ?"


random.seed(3)
torch.manual_seed(3)
model = DynamicNet()
criterion = nn.MSELoss(reduction="sum")
optimizer = optim.SGD(model.parameters(), lr=1e-8, momentum=0.9)
for t in range(300):
    y_pred = model(x)
    loss = criterion(y_pred, y)
    if t % 50 == 49:
        print(t, f"{loss.item():.3f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"Result: {model.string()}")
print(model)
print(optimizer)
