"""Tutorial 002: the train/test loop that optimises a network's parameters.

A 784-512-512-10 network on 28 x 28 images of ten classes. The images are drawn here (ten random textures under noise)
in place of the FashionMNIST files, so that the program needs no download.

The network ends in a ReLU, as the tutorial's does. Its logits are then never negative, and a class whose last unit
stays below zero for every image gets no gradient and never learns again: leave that ReLU out of your own networks.
"""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

learning_rate = 1e-3
batch_size = 64


class ToTensor:
    """torchvision.transforms.ToTensor for a grey image: (H, W) uint8 0..255 to (1, H, W) float32 0..1."""

    def __call__(self, image):
        return torch.from_numpy(image).unsqueeze(0).float() / 255


class Lambda:
    """torchvision.transforms.Lambda: any function as a transform."""

    def __init__(self, lambd):
        self.lambd = lambd

    def __call__(self, value):
        return self.lambd(value)


class FashionImages(Dataset):
    """datasets.FashionMNIST's interface: item i is (transform(image i), target_transform(label i))."""

    def __init__(self, train=True, transform=None, target_transform=None):
        textures = np.random.RandomState(0).rand(10, 28, 28)  # the same ten for both halves
        rng = np.random.RandomState(1 if train else 2)
        self.targets = rng.randint(10, size=6464 if train else 512)  # 101 batches and 8
        noisy = 0.7 * textures[self.targets] + 0.3 * rng.rand(len(self.targets), 28, 28)
        self.data = (255 * noisy).astype(np.uint8)
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, idx):
        image, label = self.data[idx], int(self.targets[idx])
        if self.transform:
            image = self.transform(image)
        if self.target_transform:
            label = self.target_transform(label)
        return image, label


class NeuralNetwork(nn.Module):
    def __init__(self):
        super(NeuralNetwork, self).__init__()  # noqa: UP008 - the tutorial's spelling
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 512),
            nn.ReLU(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, 10),
            nn.ReLU(),
        )

    def forward(self, x):
        x = self.flatten(x)
        logits = self.linear_relu_stack(x)
        return logits


def train_loop(dataloader, model, loss_fn, optimizer):
    size = len(dataloader.dataset)
    for batch, (X, y) in enumerate(dataloader):
        pred = model(X)
        loss = loss_fn(pred, y)

        # Backpropagation; the gradients are cleared at the end of the step
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

        if batch % 100 == 0:
            loss, current = loss.item(), batch * len(X)
            print(f"loss: {loss:>7f}  [{current:>5d}/{size:>5d}]")


def test_loop(dataloader, model, loss_fn):
    size = len(dataloader.dataset)
    num_batches = len(dataloader)
    test_loss, correct = 0, 0

    with torch.no_grad():
        for X, y in dataloader:
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).type(torch.float).sum().item()

    test_loss /= num_batches
    correct /= size
    print(f"Test Error: \n Accuracy: {(100 * correct):>0.1f}%, Avg loss: {test_loss:>8f} \n")


def common_losses():
    """nn.MSELoss for regression, nn.NLLLoss for log-probabilities, nn.CrossEntropyLoss = LogSoftmax + NLLLoss."""
    logits = torch.tensor([[2.0, 1.0, 0.1], [0.5, 2.5, 0.3]])
    labels = torch.tensor([0, 2])
    print(nn.MSELoss()(logits, torch.ones(2, 3)))
    print(nn.NLLLoss()(nn.LogSoftmax(dim=1)(logits), labels))
    print(nn.CrossEntropyLoss()(logits, labels))


def one_hot_labels():
    one_hot = Lambda(lambda y: torch.zeros(10, dtype=torch.float).scatter_(0, torch.tensor(y), value=1))
    dataset = FashionImages(train=False, transform=ToTensor(), target_transform=one_hot)
    image, target = dataset[0]
    print(image.shape, image.dtype, target)


def dead_classes(dataloader, model):
    """How many of the ten logits are 0 for every image: those classes can no longer be learned."""
    with torch.no_grad():
        logits = torch.cat([model(X) for X, _ in dataloader])
    return (logits.max(0)[0] == 0).sum().item()


def main():
    torch.manual_seed(2)
    one_hot_labels()
    common_losses()

    training_data = FashionImages(train=True, transform=ToTensor())
    test_data = FashionImages(train=False, transform=ToTensor())
    train_dataloader = DataLoader(training_data, batch_size=batch_size)
    test_dataloader = DataLoader(test_data, batch_size=batch_size)

    model = NeuralNetwork()
    print(model)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)

    epochs = 5
    for t in range(epochs):
        print(f"Epoch {t + 1}\n-------------------------------")
        train_loop(train_dataloader, model, loss_fn, optimizer)
        test_loop(test_dataloader, model, loss_fn)
    print("Done!")

    # The tutorial then trains for ten epochs; a tenth of the images are enough to see the loss go on falling.
    small_dataloader = DataLoader(Subset(training_data, range(640)), batch_size=batch_size, shuffle=True)
    epochs = 10
    for t in range(epochs):
        print(f"Epoch {t + 1}\n-------------------------------")
        train_loop(small_dataloader, model, loss_fn, optimizer)
        test_loop(test_dataloader, model, loss_fn)
    print("Done!")
    print(f"{dead_classes(test_dataloader, model)} classes are dead behind the last ReLU")


if __name__ == "__main__":
    main()
