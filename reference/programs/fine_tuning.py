"""Transfer learning: a backbone trained on one task, frozen for another, then unfrozen at a smaller rate."""

import copy
import time

import torch
import torch.nn as nn
import torch.optim as optim
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Subset, TensorDataset

torch.manual_seed(0)


class Backbone(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(8, 16, 3, padding=1, groups=2), nn.BatchNorm1d(16), nn.ReLU(), nn.AdaptiveAvgPool1d(4),
        )  # fmt: skip
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        return self.fc(self.flatten(self.features(x)))


def signals(n, classes, phase):
    labels = torch.arange(n) % classes
    t = torch.linspace(0, 1, 32)
    wave = torch.sin(2 * torch.pi * (labels[:, None] + 1) * t + phase * torch.rand(n, 1))
    return TensorDataset((wave + 0.2 * torch.randn(n, 32)).unsqueeze(1), labels)


def train_model(model, dataloaders, sizes, criterion, optimizer, scheduler, num_epochs):
    since = time.time()
    best_model_wts, best_acc = copy.deepcopy(model.state_dict()), 0.0
    for epoch in range(num_epochs):
        for phase in ["train", "val"]:
            model.train() if phase == "train" else model.eval()
            running_loss, running_corrects = 0.0, 0
            for inputs, labels in dataloaders[phase]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    _, preds = torch.max(outputs, 1)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(preds == labels.data)
            if phase == "train":
                scheduler.step()
            epoch_acc = running_corrects.double() / sizes[phase]
            print(f"{epoch} {phase} Loss: {running_loss / sizes[phase]:.4f} Acc: {epoch_acc:.4f}")
            if phase == "val" and epoch_acc > best_acc:
                best_acc, best_model_wts = epoch_acc, copy.deepcopy(model.state_dict())
    assert time.time() >= since
    print(f"Best val Acc: {best_acc:4f}")
    model.load_state_dict(best_model_wts)
    return model


def loaders(dataset, batch_size=24):
    n = len(dataset)
    parts = {"train": Subset(dataset, range(0, n * 3 // 4)), "val": Subset(dataset, range(n * 3 // 4, n))}
    return (
        {k: DataLoader(v, batch_size=batch_size, shuffle=k == "train", drop_last=False) for k, v in parts.items()},
        {k: len(v) for k, v in parts.items()},
    )


criterion = nn.CrossEntropyLoss()
model = Backbone(4)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
model = train_model(
    model, *loaders(signals(192, 4, 1.0)), criterion, optimizer, lr_scheduler.StepLR(optimizer, 2, 0.5), 3
)

print("frozen")
for param in model.parameters():
    param.requires_grad = False
num_ftrs = model.fc.in_features
model.fc = nn.Linear(num_ftrs, 3)
print([n for n, p in model.named_parameters() if p.requires_grad])
optimizer = optim.SGD(model.fc.parameters(), lr=0.05, momentum=0.9)
before = model.features[0].weight.clone()
scheduler = lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
data = loaders(signals(96, 3, 2.0))
model = train_model(model, *data, criterion, optimizer, scheduler, 3)
print("unchanged", torch.equal(before, model.features[0].weight), model.features[0].weight.grad)

print("unfrozen")
model.requires_grad_(True)
optimizer = optim.Adam([
    {"params": model.features.parameters(), "lr": 1e-4},
    {"params": model.fc.parameters()},
], lr=1e-3)  # fmt: skip
scheduler = lr_scheduler.LambdaLR(optimizer, lr_lambda=[lambda e: 0.5**e, lambda e: 1.0])
model = train_model(model, *data, criterion, optimizer, scheduler, 2)
print([g["lr"] for g in optimizer.param_groups], "changed", not torch.equal(before, model.features[0].weight))
