"""Pictures at twice their size by sub-pixel convolutions (PixelShuffle); PSNR; orthogonal initialisation."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim
from torch.utils.data import DataLoader
from torch.utils.data.dataset import Dataset


class DatasetFromWaves(Dataset):
    """Plane waves, 16x16; the input is the picture at half its size."""

    def __init__(self, n, seed):
        super().__init__()
        g = torch.Generator()
        g.manual_seed(seed)
        axis = torch.arange(16) / 16
        k = torch.rand(n, 2, 1, 1, generator=g) * 12
        self.targets = (torch.sin(k[:, 0] * axis[:, None] + k[:, 1] * axis[None, :]) * 0.5 + 0.5).unsqueeze(1)

    def __getitem__(self, index):
        target = self.targets[index]
        input = F.interpolate(target[None], scale_factor=0.5, mode="bilinear", align_corners=False)[0]
        return input, target.clone()

    def __len__(self):
        return len(self.targets)


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, 8, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(x))
        return self.pixel_shuffle(self.conv4(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)


torch.manual_seed(123)
training_data_loader = DataLoader(dataset=DatasetFromWaves(48, 0), num_workers=0, batch_size=8, shuffle=True)
testing_data_loader = DataLoader(dataset=DatasetFromWaves(16, 1), num_workers=0, batch_size=8, shuffle=False)
model = Net(upscale_factor=2)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=3e-3)


def train(epoch):
    epoch_loss = 0
    for iteration, batch in enumerate(training_data_loader, 1):
        input, target = batch[0], batch[1]
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
        print("===> Epoch[{}]({}/{}): Loss: {:.4f}".format(epoch, iteration, len(training_data_loader), loss.item()))
    print("===> Epoch {} Complete: Avg. Loss: {:.4f}".format(epoch, epoch_loss / len(training_data_loader)))


def test():
    avg_psnr = 0
    with torch.no_grad():
        for input, target in testing_data_loader:
            mse = criterion(model(input), target)
            avg_psnr += 10 * log10(1 / mse.item())
    print("===> Avg. PSNR: {:.3f} dB".format(avg_psnr / len(testing_data_loader)))


for epoch in range(1, 4):
    train(epoch)
    test()
out = model(testing_data_loader.dataset[0][0].unsqueeze(0)).clamp(0, 1).mul(255).round().to(torch.uint8)
print(out.shape, out.dtype, F.pixel_unshuffle(out.float(), 2).shape, f"{out.float().mean():.1f}")
