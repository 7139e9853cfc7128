"""A siamese network that tells whether two pictures show the same shape; and the same with triplets and cosine."""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset


class Matcher(Dataset):
    """Pairs of 14x14 pictures of crosses, rings and bars; the target says whether both show the same."""

    def __init__(self, n, seed):
        super(Matcher, self).__init__()
        rng = np.random.RandomState(seed)
        self.labels = rng.randint(0, 3, size=n)
        self.images = rng.rand(n, 14, 14).astype(np.float32) * 0.3
        for image, label in zip(self.images, self.labels):
            if label == 0:
                image[6:8, 2:12] = image[2:12, 6:8] = 1
            elif label == 1:
                image[3:11, 3:11] = 1
                image[5:9, 5:9] = 0
            else:
                image[:, 4:6] = 1
        self.grouped_examples = {i: np.where(self.labels == i)[0] for i in range(3)}

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        selected_class = random.randint(0, 2)
        first = random.choice(self.grouped_examples[selected_class])
        same = index % 2 == 0
        other_class = selected_class if same else random.choice([c for c in range(3) if c != selected_class])
        second = random.choice(self.grouped_examples[other_class])
        image_1, image_2 = (torch.from_numpy(self.images[i]).unsqueeze(0) for i in (first, second))
        return image_1, image_2, torch.tensor(1 if same else 0, dtype=torch.float)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super(SiameseNetwork, self).__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
        )
        self.fc = nn.Sequential(nn.Linear(64, 32), nn.ReLU(inplace=True), nn.Linear(32, 1))
        self.sigmoid = nn.Sigmoid()
        self.backbone.apply(self.init_weights)
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        output = self.backbone(x)
        return output.view(output.size()[0], -1)

    def forward(self, input1, input2):
        output = torch.cat((self.forward_once(input1), self.forward_once(input2)), 1)
        return self.sigmoid(self.fc(output))


def train(model, device, train_loader, optimizer, epoch):
    model.train()
    criterion = nn.BCELoss()
    for batch_idx, (images_1, images_2, targets) in enumerate(train_loader):
        images_1, images_2, targets = images_1.to(device), images_2.to(device), targets.to(device)
        optimizer.zero_grad()
        outputs = model(images_1, images_2).squeeze()
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        print(
            f"Train Epoch: {epoch} [{batch_idx * len(images_1)}/{len(train_loader.dataset)}]\tLoss: {loss.item():.5f}"
        )


@torch.no_grad()
def test(model, device, test_loader):
    model.eval()
    test_loss, correct = 0, 0
    for images_1, images_2, targets in test_loader:
        outputs = model(images_1.to(device), images_2.to(device)).squeeze()
        test_loss += F.binary_cross_entropy(outputs, targets, reduction="sum").sum().item()
        pred = torch.where(outputs > 0.5, 1, 0)
        correct += pred.eq(targets.view_as(pred)).sum().item()
    n = len(test_loader.dataset)
    print(f"\nTest set: Average loss: {test_loss / n:.4f}, Accuracy: {correct}/{n} ({100.0 * correct / n:.0f}%)\n")


def main():
    torch.manual_seed(1)
    random.seed(1)
    device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
    train_loader = DataLoader(Matcher(128, 0), batch_size=32, shuffle=True)
    test_loader = DataLoader(Matcher(60, 1), batch_size=30)
    model = SiameseNetwork().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(1, 4):
        train(model, device, train_loader, optimizer, epoch)
        test(model, device, test_loader)
        scheduler.step()
    data = Matcher(60, 2)
    x, y = torch.from_numpy(data.images).unsqueeze(1), torch.from_numpy(data.labels)
    embed, triplet = nn.Sequential(nn.Flatten(), nn.Linear(196, 8)), nn.TripletMarginLoss(margin=1.0)
    optimizer = optim.Adam(embed.parameters(), lr=1e-2)
    for step in range(6):
        z = F.normalize(embed(x))
        distances = torch.cdist(z, z)
        same = y[:, None] == y[None, :]
        positive = distances.masked_fill(~same, -1).argmax(1)
        negative = distances.masked_fill(same, 10).argmin(1)
        loss = triplet(z, z[positive], z[negative])
        cosine = F.cosine_embedding_loss(z[:-1], z[1:], (y[:-1] == y[1:]).float() * 2 - 1, margin=0.2)
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.5 * cosine).backward()
        optimizer.step()
        print(
            f"step {step} triplet {loss.item():.4f} cosine {cosine.item():.4f} {F.cosine_similarity(z[0], z[1], dim=0):.4f}"
        )


if __name__ == "__main__":
    main()
