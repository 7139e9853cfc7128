"""Gradients accumulated over micro-batches, activations checkpointed, a run stopped, saved and resumed exactly."""

import os
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LambdaLR, SequentialLR
from torch.utils.checkpoint import checkpoint, checkpoint_sequential


def set_seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)
    os.environ["PYTHONHASHSEED"] = str(seed)


class Block(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.net = nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Dropout(0.1), nn.Linear(2 * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.net(self.norm(x))


class Model(nn.Module):
    def __init__(self, dim: int = 16, depth: int = 3) -> None:
        super().__init__()
        self.embed = nn.Linear(4, dim)
        self.blocks = nn.ModuleList(Block(dim) for _ in range(depth))
        self.head = nn.Linear(dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.training else block(x)
        return self.head(x).squeeze(-1)


class Trainer:
    def __init__(self, accumulation_steps: int = 4) -> None:
        set_seed(7)
        self.model = Model()
        decay = [p for p in self.model.parameters() if p.ndim > 1]
        rest = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-2)
        warmup = LambdaLR(self.optimizer, lambda step: (step + 1) / 5)
        cosine = CosineAnnealingWarmRestarts(self.optimizer, T_0=4, T_mult=2)
        self.scheduler = SequentialLR(self.optimizer, [warmup, cosine], milestones=[4])
        self.accumulation_steps, self.step = accumulation_steps, 0
        self.x = torch.randn(256, 4)
        self.y = self.x.prod(1).tanh()

    def train_step(self) -> float:
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for chunk in torch.randint(0, 256, (32,)).chunk(self.accumulation_steps):
            loss = nn.functional.smooth_l1_loss(self.model(self.x[chunk]), self.y[chunk]) / self.accumulation_steps
            loss.backward()
            total += loss.item()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=0.5)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        print(f"step {self.step:2d} loss {total:.5f} norm {norm.item():.4f} lr {self.scheduler.get_last_lr()[0]:.6f}")
        return total

    def save(self, path: Path) -> None:
        torch.save(
            {
                "step": self.step,
                "model_state_dict": self.model.state_dict(),
                "optimizer_state_dict": self.optimizer.state_dict(),
                "scheduler_state_dict": self.scheduler.state_dict(),
                "rng": torch.get_rng_state(),
            },
            path,
        )

    def load(self, path: Path) -> None:
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        self.step = checkpoint["step"]
        self.model.load_state_dict(checkpoint["model_state_dict"])
        self.optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        self.scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
        torch.set_rng_state(checkpoint["rng"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        trainer = Trainer()
        for _ in range(6):
            trainer.train_step()
        trainer.save(path)
        expected = [trainer.train_step() for _ in range(4)]
        resumed = Trainer()
        resumed.load(path)
        print("resumed")
        print("equal:", [resumed.train_step() for _ in range(4)] == expected)
    stack = nn.Sequential(*(Block(8) for _ in range(4))).eval()
    x = torch.randn(5, 8, requires_grad=True)
    out = checkpoint_sequential(stack, 2, x, use_reentrant=False)
    print(torch.equal(out, stack(x)), f"{torch.autograd.grad(out.sum(), x)[0].norm():.5f}")
