"""A mixture density network and a normalising flow, with torch.distributions; SGD with warm restarts."""

import torch
import torch.distributions as D
import torch.nn as nn
from torch.distributions import (
    Independent,
    MixtureSameFamily,
    Normal,
    TransformedDistribution,
    constraints,
    kl_divergence,
)
from torch.distributions.categorical import Categorical
from torch.distributions.transforms import AffineTransform, ExpTransform, SigmoidTransform, Transform


class MDN(nn.Module):
    def __init__(self, n_hidden=16, n_gaussians=4):
        super().__init__()
        self.z_h = nn.Sequential(nn.Linear(1, n_hidden), nn.Tanh())
        self.z_pi = nn.Linear(n_hidden, n_gaussians)
        self.z_mu = nn.Linear(n_hidden, n_gaussians)
        self.z_sigma = nn.Linear(n_hidden, n_gaussians)

    def forward(self, x):
        h = self.z_h(x)
        return MixtureSameFamily(Categorical(logits=self.z_pi(h)), Normal(self.z_mu(h), self.z_sigma(h).exp()))


class LeakyTransform(Transform):
    bijective = True
    domain = codomain = constraints.real
    sign = +1

    def __init__(self, slope):
        super().__init__(cache_size=1)
        self.slope = slope

    def _call(self, x):
        return torch.where(x >= 0, x, x * self.slope)

    def _inverse(self, y):
        return torch.where(y >= 0, y, y / self.slope)

    def log_abs_det_jacobian(self, x, y):
        return torch.where(x >= 0, torch.zeros_like(x), torch.ones_like(x) * self.slope.log())


def mixture():
    y = torch.linspace(-8, 8, 200).unsqueeze(1)
    x = torch.sin(0.75 * y) * 7.0 + y * 0.5 + torch.randn(200, 1)
    model = MDN()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10)
    for epoch in range(30):
        loss = -model(x / 10).log_prob(y.squeeze(1) / 4).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if epoch % 5 == 0:
            print(f"epoch {epoch} nll {loss.item():.5f} lr {scheduler.get_last_lr()[0]:.5f}")
    with torch.no_grad():
        d = model(torch.tensor([[0.0], [0.5]]))
        print(d.mean, d.variance, d.sample((3,)).shape, d.batch_shape)


def flow():
    data = torch.randn(128) * 0.5 + 1
    loc, log_scale, slope = (nn.Parameter(torch.tensor(v)) for v in (0.0, 0.0, 0.5))
    optimizer = torch.optim.Adam([loc, log_scale, slope], lr=0.05)
    for step in range(30):
        base = Normal(torch.zeros(()), torch.ones(()))
        dist = TransformedDistribution(base, [AffineTransform(loc, log_scale.exp()), LeakyTransform(slope)])
        loss = -dist.log_prob(data).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            print(f"flow {step} {loss.item():.5f} {loc.item():.4f} {log_scale.exp().item():.4f} {slope.item():.4f}")
    positive = TransformedDistribution(Normal(loc, 1.0), [ExpTransform()])
    print(f"{positive.log_prob(torch.tensor(2.0)).item():.5f} {positive.cdf(torch.tensor(2.0)).item():.5f}")
    print(positive.support, positive.rsample((2,)).requires_grad, SigmoidTransform()(torch.tensor(0.0)))


def bayes():
    """Variational inference of a mean: reparametrised samples and an analytic divergence."""
    data = torch.randn(50) + 3
    mu, rho = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    prior = Independent(Normal(torch.zeros(2), 10.0), 1)
    optimizer = torch.optim.Adam([mu, rho], lr=0.1)
    for step in range(40):
        q = Independent(Normal(mu, nn.functional.softplus(rho)), 1)
        theta = q.rsample((8,))
        likelihood = Normal(theta[:, :1], theta[:, 1:].exp()).log_prob(data).sum(1).mean()
        elbo = likelihood - kl_divergence(q, prior)
        optimizer.zero_grad()
        (-elbo).backward()
        optimizer.step()
        if step % 10 == 9:
            print(f"elbo {elbo.item():.4f} mean {q.mean.tolist()[0]:.4f} entropy {q.entropy().item():.4f}")
    print(D.Beta(2.0, 3.0), D.Beta(torch.tensor(2.0), torch.tensor(3.0)).sample((2,)), D.Gamma(2.0, 1.0).sample())
    print(
        D.Bernoulli(logits=torch.zeros(2)).sample((3,)),
        D.OneHotCategorical(torch.ones(3)).sample(),
        D.Poisson(4.0).sample(),
    )
    try:
        Normal(0.0, -1.0)
    except ValueError as e:
        print(e)


if __name__ == "__main__":
    torch.manual_seed(0)
    mixture()
    flow()
    bayes()
