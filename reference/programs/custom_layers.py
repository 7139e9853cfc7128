"""Layers of one's own: buffers, hooks, parametrisations, weight and spectral norm, initialisation, module surgery."""

import math
from collections import OrderedDict, defaultdict

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize
from torch import Tensor
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

torch.manual_seed(3)


class RunningScale(nn.Module):
    __constants__ = ["momentum"]

    def __init__(self, features: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.gain = nn.Parameter(torch.empty(features))
        self.register_buffer("running_max", torch.zeros(features))
        self.register_buffer("steps", torch.tensor(0), persistent=False)
        self.register_parameter("offset", None)
        nn.init.ones_(self.gain)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.running_max.lerp_(x.abs().amax(0), self.momentum)
            self.steps += 1
        return x / (self.running_max + 1e-3) * self.gain

    def extra_repr(self) -> str:
        return f"{self.gain.numel()}, momentum={self.momentum}"


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).transpose(-1, -2)

    def right_inverse(self, A):
        return A.triu()


class LowRank(nn.Linear):
    def __init__(self, in_features, out_features, rank):
        super().__init__(in_features, out_features, bias=True)
        self.down = nn.Parameter(self.weight.new_empty(rank, in_features))
        self.up = nn.Parameter(self.weight.new_zeros(out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.weight.requires_grad = False

    def forward(self, x):
        return F.linear(x, self.weight, self.bias) + (x @ self.down.T) @ self.up.T


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            OrderedDict([("fc", nn.Linear(6, 8)), ("scale", RunningScale(8)), ("act", nn.Mish())])
        )
        self.heads = nn.ModuleDict({"a": LowRank(8, 3, 2), "b": weight_norm(nn.Linear(8, 3))})
        self.mix = nn.ParameterList([nn.Parameter(torch.randn(2)), nn.Parameter(torch.randn(3))])
        self.table = nn.ParameterDict({"shift": nn.Parameter(torch.zeros(3))})

    def forward(self, x):
        h = self.stem(x)
        w = torch.softmax(self.mix[0], 0)
        return w[0] * self.heads["a"](h) + w[1] * self.heads["b"](h) * self.mix[1] + self.table["shift"]


net = Net()
print(net)
for name, p in net.named_parameters():
    print(name, tuple(p.shape), p.requires_grad)
print(list(net.state_dict()), [n for n, _ in net.named_buffers()], [n for n, _ in net.named_children()])


@torch.no_grad()
def init_weights(m):
    if type(m) is nn.Linear:
        nn.init.trunc_normal_(m.weight, std=0.2)
        m.bias.fill_(0.1)


net.apply(init_weights)
shapes, grads = defaultdict(list), {}
handles = [
    m.register_forward_hook(
        lambda mod, inp, out, name=name: shapes[name].append((tuple(inp[0].shape), tuple(out.shape)))
    )
    for name, m in net.named_modules()
    if not list(m.children())
]
handles.append(net.stem.register_full_backward_hook(lambda mod, gin, gout: grads.update(out=gout[0].norm().item())))
handles.append(net.stem.fc.register_forward_pre_hook(lambda mod, args: (args[0] * 2,)))
optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, net.parameters()), lr=0.05)
x, y = torch.randn(16, 6), torch.randn(16, 3)
for step in range(5):
    optimizer.zero_grad()
    loss = F.huber_loss(net(x), y)
    loss.backward()
    optimizer.step()
    print(
        step,
        f"{loss.item():.5f} {grads['out']:.5f}",
        net.stem.scale.steps.item(),
        f"{net.stem.scale.running_max.sum():.4f}",
    )
print(dict(shapes)["stem.fc"][:1], {k: len(v) for k, v in shapes.items()})
for handle in handles:
    handle.remove()
net(x)
print({k: len(v) for k, v in shapes.items()})

layer = nn.Linear(4, 4)
parametrize.register_parametrization(layer, "weight", Symmetric())
print(torch.allclose(layer.weight, layer.weight.T), layer, parametrize.is_parametrized(layer, "weight"))
with parametrize.cached():
    print((layer(torch.ones(2, 4)).sum() - layer.weight.sum() * 2 - layer.bias.sum() * 2).abs().item() < 1e-4)
parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
print(layer, torch.allclose(layer.weight, layer.weight.T))
q = orthogonal(nn.Linear(5, 5))
print(torch.dist(q.weight @ q.weight.T, torch.eye(5)).item() < 1e-4)
s = spectral_norm(nn.Linear(6, 4), n_power_iterations=3)
for _ in range(10):
    s(torch.ones(1, 6))
print(f"{torch.linalg.matrix_norm(s.weight, 2).item():.2f}")

for name, make in {
    "xavier": lambda w: nn.init.xavier_normal_(w, gain=nn.init.calculate_gain("tanh")),
    "kaiming": lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="leaky_relu"),
    "sparse": lambda w: nn.init.sparse_(w, 0.5),
    "eye": nn.init.eye_,
    "dirac": lambda w: nn.init.dirac_(w.view(6, 4, 1)),
}.items():
    w = make(torch.empty(6, 4))
    print(name, f"{w.sum().item():.5f} {w.std().item():.5f}")

vector = nn.utils.parameters_to_vector(net.parameters())
nn.utils.vector_to_parameters(vector * 0.5, net.parameters())
print(vector.shape, f"{vector.norm():.4f}", sum(p.numel() for p in net.parameters()))
net.stem.act = nn.Identity()
del net.heads["b"]
net.heads["b"] = nn.Linear(8, 3)
net.half().float().train(False)
print(net.get_submodule("stem.act"), net.get_parameter("mix.1").shape, net.training, hasattr(net, "nothing"))
try:
    net.load_state_dict({"bogus": torch.zeros(1)})
except RuntimeError as e:
    print(str(e).splitlines()[0], "Unexpected" in str(e))
print(net.load_state_dict({"table.shift": torch.ones(3)}, strict=False).missing_keys[:2], net.table["shift"].data)
