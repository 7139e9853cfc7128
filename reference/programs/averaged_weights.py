"""An exponential moving average by hand and by AveragedModel, stochastic weight averaging with SWALR and update_bn."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset


class EMA:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = copy.deepcopy(model)
        self.shadow.eval()
        for p in self.shadow.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for ema, p in zip(self.shadow.parameters(), model.parameters()):
            ema.lerp_(p.detach(), 1 - self.decay)
        for ema, b in zip(self.shadow.buffers(), model.buffers()):
            ema.copy_(b)


def evaluate(model, x, y):
    model.eval()
    with torch.inference_mode():
        out = model(x)
        return nn.functional.mse_loss(out, y).item()


def main():
    torch.manual_seed(0)
    x = torch.linspace(-3, 3, 256).unsqueeze(1)
    y = torch.sin(2 * x) + 0.1 * torch.randn_like(x)
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(1))
    model = nn.Sequential(nn.Linear(1, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 1))
    ema = EMA(model, 0.9)
    swa_model = AveragedModel(model)
    ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    swa_start = 5
    swa_scheduler = SWALR(optimizer, swa_lr=0.01, anneal_epochs=2, anneal_strategy="linear")
    for epoch in range(10):
        model.train()
        for input, target in loader:
            optimizer.zero_grad()
            loss = nn.MSELoss()(model(input), target)
            loss.backward()
            optimizer.step()
            ema.update(model)
            ema_model.update_parameters(model)
        if epoch > swa_start:
            swa_model.update_parameters(model)
            swa_scheduler.step()
        else:
            scheduler.step()
        print(
            f"epoch {epoch} lr {optimizer.param_groups[0]['lr']:.5f} loss {loss.item():.5f} {evaluate(model, x, y):.5f}"
        )
    update_bn(loader, swa_model)
    print(f"swa {evaluate(swa_model, x, y):.5f} of {swa_model.n_averaged.item()}")
    print(f"ema {evaluate(ema.shadow, x, y):.5f} {evaluate(ema_model, x, y):.5f}")
    print([k for k in swa_model.state_dict()][:4], len(list(ema_model.buffers())))


if __name__ == "__main__":
    main()
