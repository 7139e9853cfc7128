"""A U-Net that finds discs in noisy images: skip connections, Dice loss, ReduceLROnPlateau, RMSprop."""

import logging
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor, optim
from torch.utils.data import DataLoader, Dataset, random_split


class DoubleConv(nn.Module):
    """(convolution => [BN] => ReLU) * 2"""

    def __init__(self, in_channels, out_channels, mid_channels=None):
        super().__init__()
        if not mid_channels:
            mid_channels = out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(in_channels, out_channels))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear=True):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(in_channels, out_channels, in_channels // 2)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
            self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        diffY = x2.size()[2] - x1.size()[2]
        diffX = x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diffX // 2, diffX - diffX // 2, diffY // 2, diffY - diffY // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.inc = DoubleConv(n_channels, 4)
        self.down1 = Down(4, 8)
        self.down2 = Down(8, 8)
        self.up1 = Up(16, 8, bilinear=True)
        self.up2 = Up(8, 4, bilinear=False)
        self.outc = nn.Conv2d(4, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x = self.up1(x3, x2)
        x = self.up2(x, x1)
        return self.outc(x)


def dice_coeff(input: Tensor, target: Tensor, epsilon: float = 1e-6):
    assert input.size() == target.size()
    inter = 2 * (input * target).sum(dim=(-1, -2))
    sets_sum = input.sum(dim=(-1, -2)) + target.sum(dim=(-1, -2))
    sets_sum = torch.where(sets_sum == 0, inter, sets_sum)
    return ((inter + epsilon) / (sets_sum + epsilon)).mean()


class Discs(Dataset):
    def __init__(self, n, size=22):
        g = torch.Generator().manual_seed(7)
        y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        centre = torch.rand(n, 2, 1, 1, generator=g) * size
        radius = torch.rand(n, 1, 1, generator=g) * 4 + 3
        self.masks = ((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 < radius**2).long()
        self.images = self.masks.float().unsqueeze(1) + 0.5 * torch.randn(n, 1, size, size, generator=g)

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, i):
        return {"image": self.images[i].contiguous(), "mask": self.masks[i].contiguous()}


@torch.inference_mode()
def evaluate(net, dataloader):
    net.eval()
    score = 0
    for batch in dataloader:
        pred = F.one_hot(net(batch["image"]).argmax(dim=1), 2).permute(0, 3, 1, 2).float()
        true = F.one_hot(batch["mask"], 2).permute(0, 3, 1, 2).float()
        score += dice_coeff(pred[:, 1:], true[:, 1:])
    net.train()
    return score / max(len(dataloader), 1)


logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s", stream=sys.stdout)
torch.manual_seed(0)
dataset = Discs(40)
train_set, val_set = random_split(dataset, [32, 8], generator=torch.Generator().manual_seed(0))
loader_args = dict(batch_size=8, num_workers=0, pin_memory=False)
train_loader = DataLoader(train_set, shuffle=True, **loader_args)
val_loader = DataLoader(val_set, shuffle=False, drop_last=True, **loader_args)
model = UNet(1, 2).to(memory_format=torch.channels_last)
optimizer = optim.RMSprop(model.parameters(), lr=1e-4, weight_decay=1e-8, momentum=0.9, foreach=True)
scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=0)
grad_scaler = torch.cuda.amp.GradScaler(enabled=False) if torch.cuda.is_available() else None
criterion = nn.CrossEntropyLoss()
for epoch in range(1, 5):
    model.train()
    epoch_loss = 0
    for batch in train_loader:
        images, true_masks = batch["image"], batch["mask"]
        with torch.autocast("cpu", enabled=False):
            masks_pred = model(images.to(memory_format=torch.channels_last))
            loss = criterion(masks_pred, true_masks)
            soft = F.softmax(masks_pred, dim=1).float()
            loss += 1 - dice_coeff(soft, F.one_hot(true_masks, 2).permute(0, 3, 1, 2).float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        epoch_loss += loss.item()
    val_score = evaluate(model, val_loader)
    scheduler.step(val_score)
    logging.info(f"Epoch {epoch} loss {epoch_loss / len(train_loader):.3f} lr {optimizer.param_groups[0]['lr']}")
    logging.info("Validation Dice score: {:.3f}".format(val_score))
