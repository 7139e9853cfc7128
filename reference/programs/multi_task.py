"""Two tasks with one trunk, weighted by learned uncertainties; label smoothing, OneCycleLR, autocast behind a flag."""

import argparse
import math
from contextlib import nullcontext

import torch
from torch import nn, optim
from torch.nn.functional import cross_entropy, one_hot
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler


class MultiTask(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(10, hidden), nn.GroupNorm(4, hidden), nn.PReLU(), nn.Linear(hidden, hidden), nn.ELU(inplace=True)
        )
        self.classify = nn.Linear(hidden, 5)
        self.regress = nn.Bilinear(hidden, hidden, 1)
        self.log_vars = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        h = self.trunk(x)
        return self.classify(h), self.regress(h, h).squeeze(-1)


class LabelSmoothing(nn.Module):
    def __init__(self, smoothing=0.1):
        super().__init__()
        self.confidence, self.smoothing = 1.0 - smoothing, smoothing

    def forward(self, x, target):
        logprobs = torch.nn.functional.log_softmax(x, dim=-1)
        nll_loss = -logprobs.gather(dim=-1, index=target.unsqueeze(1)).squeeze(1)
        return (self.confidence * nll_loss + self.smoothing * -logprobs.mean(dim=-1)).mean()


class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0, weight=None):
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weight", weight)

    def forward(self, logits, target):
        ce = cross_entropy(logits, target, weight=self.weight, reduction="none")
        return ((1 - torch.exp(-ce)) ** self.gamma * ce).mean()


def mixup(x, y, alpha, classes):
    lam = torch.rand(()).item() * alpha
    index = torch.randperm(x.size(0))
    y = one_hot(y, classes).float()
    return torch.lerp(x, x[index], lam), (1 - lam) * y + lam * y[index]


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--max-lr", type=float, default=0.02)
    args = parser.parse_args()
    torch.manual_seed(0)
    if hasattr(torch, "set_float32_matmul_precision"):
        torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    x = torch.randn(240, 10)
    classes = (x[:, :2].sum(1) * 1.5 + 2).round().clamp(0, 4).long()
    values = x[:, 2] * x[:, 3]
    frequency = torch.bincount(classes, minlength=5).float()
    sampler = WeightedRandomSampler((1 / frequency)[classes], num_samples=240, replacement=True)
    loader = DataLoader(TensorDataset(x, classes, values), batch_size=40, sampler=sampler)
    model = MultiTask().to(device)
    smooth, focal, mae = LabelSmoothing(0.1), FocalLoss(weight=frequency.rsqrt()), nn.L1Loss()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    scheduler = optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.max_lr, steps_per_epoch=len(loader), epochs=args.epochs, pct_start=0.3, div_factor=10
    )
    scaler = torch.amp.GradScaler(device, enabled=args.amp)
    context = torch.autocast(device_type=device, dtype=torch.bfloat16) if args.amp else nullcontext()
    for epoch in range(args.epochs):
        sums = torch.zeros(4)
        for inputs, label, value in loader:
            inputs, label, value = (t.to(device, non_blocking=True) for t in (inputs, label, value))
            mixed, soft = mixup(inputs, label, 0.2, 5)
            with context:
                logits, estimate = model(inputs)
                classification = smooth(logits, label) + 0.5 * focal(logits, label)
                regression = mae(estimate, value)
                consistency = cross_entropy(model(mixed)[0], soft, label_smoothing=0.05)
                precision = torch.exp(-model.log_vars)
                losses = torch.stack([classification + 0.1 * consistency, regression])
                loss = (precision * losses + model.log_vars).sum()
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
            sums += torch.tensor([loss.item(), classification.item(), regression.item(), consistency.item()])
        assert math.isfinite(loss), "diverged"
        print(f"epoch {epoch}", " ".join(f"{v:.4f}" for v in sums / len(loader)), f"lr {scheduler.get_last_lr()[0]:.3e}",
              f"momentum {optimizer.param_groups[0]['betas'][0]:.4f}")  # fmt: skip
    with torch.no_grad():
        logits, estimate = model.eval()(x)
    confusion = torch.zeros(5, 5, dtype=torch.int64).index_put_(
        (classes, logits.argmax(1)), torch.tensor(1), accumulate=True
    )
    print(confusion, f"{(estimate - values).abs().mean():.4f}", [f"{v:.4f}" for v in model.log_vars.exp().tolist()])


if __name__ == "__main__":
    main()
