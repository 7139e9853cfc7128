"""Tutorial 000: a small CNN on 32 x 32 colour images listed in a CSV file; autograd; Function; learning-rate schedules.

The images are drawn here (ten striped patterns under noise) in place of CIFAR-10 and written as PPM files beside their
CSV, so that the dataset reads files as the tutorial's does; `imread` stands for cv2.imread, `read_csv` for pandas.
"""

import csv
import math
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.autograd import Function
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR, MultiStepLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset

learning_rate = 1e-3
momentum = 0.9
batch_size = 64
epochs = 20


# ---------------------------------------------------------------------------------------------- files and transforms


def write_images(folder, name, size, seed):
    """Write `size` images as folder/name-i.ppm and list them with their labels in folder/name.csv."""
    rows, columns = np.mgrid[:32, :32] / 32
    angles = np.arange(10)[:, None, None] * np.pi / 10
    stripes = np.sin(25 * (rows * np.cos(angles) + columns * np.sin(angles))) > 0
    colours = np.random.RandomState(0).rand(10, 1, 1, 3) > 0.5
    gratings = stripes[..., None] ^ colours  # a class is a direction of stripes and two opposite colours

    rng = np.random.RandomState(seed)
    lines = ["path,label"]
    for i, label in enumerate(rng.randint(10, size=size)):
        image = (255 * (0.9 * gratings[label] + 0.1 * rng.rand(32, 32, 3))).astype(np.uint8)
        path = os.path.join(folder, f"{name}-{i}.ppm")
        with open(path, "wb") as file:
            file.write(b"P6 32 32 255\n" + image.tobytes())
        lines.append(f"{path},{label}")
    annotations_file = os.path.join(folder, f"{name}.csv")
    with open(annotations_file, "w") as file:
        file.write("\n".join(lines) + "\n")
    return annotations_file


def read_csv(path):
    """The rows below the header, as (path, numpy.int64 label): what pd.read_csv(path).iloc[i] holds."""
    with open(path, newline="") as file:
        return [(name, np.int64(label)) for name, label in list(csv.reader(file))[1:]]


def imread(path):
    """The image as cv2.imread gives it: (H, W, 3) uint8, blue first and red last; None if there is no such file."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        width, height = (int(number) for number in file.readline().split()[1:3])
        rgb = np.frombuffer(file.read(), dtype=np.uint8).reshape(height, width, 3)
    return rgb[:, :, ::-1].copy()


class Compose:
    """torchvision.transforms.Compose: one transform after the other."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """torchvision.transforms.ToTensor for an ndarray: (H, W, C) uint8 0..255 to (C, H, W) float32 0..1."""

    def __call__(self, image):
        return torch.from_numpy(image).permute(2, 0, 1).contiguous().float() / 255


class Normalize:
    """torchvision.transforms.Normalize: (x - mean) / std, channel by channel."""

    def __init__(self, mean, std):
        self.mean, self.std = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)

    def __call__(self, image):
        return (image - self.mean) / self.std


# ------------------------------------------------------------------------------------------------ dataset and network


class CustomImageDataset(Dataset):
    def __init__(self, annotations_file, transform=None, target_transform=None):
        self.img_labels = read_csv(annotations_file)
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self):
        return len(self.img_labels)

    def __getitem__(self, idx):
        path, label = self.img_labels[idx]
        image = imread(path)
        if self.transform:
            image = self.transform(image)
        if self.target_transform:
            label = self.target_transform(label)
        return image, label


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)  # all but the batch dimension
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


# ------------------------------------------------------------------------------------------------------------ the loop


def train(dataloader, model, loss_fn, optimizer):
    size = len(dataloader.dataset)
    model.train()
    for batch, (X, y) in enumerate(dataloader):
        optimizer.zero_grad()
        pred = model(X)  # not model.forward(X), which would skip the hooks
        loss = loss_fn(pred, y)
        loss.backward()
        optimizer.step()

        if batch % 10 == 0:
            loss, current = loss.item(), (batch + 1) * len(X)
            print(f"loss: {loss:>7f}  [{current:>5d}/{size:>5d}]")


def test(dataloader, model, loss_fn):
    size = len(dataloader.dataset)
    num_batches = len(dataloader)
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for X, y in dataloader:
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).type(torch.float).sum().item()
    test_loss /= num_batches
    correct /= size
    print(f"Test Error: \n Accuracy: {(100 * correct):>0.1f}%, Avg loss: {test_loss:>8f} \n")
    return test_loss


def train_the_network():
    transform = Compose([ToTensor(), Normalize((0.5,) * 3, (0.5,) * 3)])
    with tempfile.TemporaryDirectory() as folder:
        training_data = CustomImageDataset(write_images(folder, "train", 704, seed=1), transform)
        test_data = CustomImageDataset(write_images(folder, "test", 128, seed=2), transform)
        print(imread(os.path.join(folder, "nothing.ppm")))
        image, label = training_data[0]
        print(len(training_data), image.shape, image.dtype, type(label).__name__)

        train_dataloader = DataLoader(training_data, batch_size=batch_size, shuffle=True)
        test_dataloader = DataLoader(test_data, batch_size=batch_size, shuffle=False)
        X, y = next(iter(test_dataloader))
        print(X.shape, y.shape, y.dtype, len(train_dataloader))

        model = Net()
        print(model)
        loss_fn = nn.CrossEntropyLoss()
        optimizer = optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum)
        scheduler = ExponentialLR(optimizer, gamma=0.9)
        for t in range(epochs):
            print(f"Epoch {t + 1}\n-------------------------------")
            train(train_dataloader, model, loss_fn, optimizer)
            test(test_dataloader, model, loss_fn)
            scheduler.step()  # after the optimizer's steps, once an epoch
        print(f"last learning rate: {scheduler.get_last_lr()[0]:.8f}")
        print("Done!")


# ------------------------------------------------------------------------------------------------------------ autograd


class Exp(Function):
    """exp with its derivative written by hand: d exp(i)/di = exp(i), the result itself."""

    @staticmethod
    def forward(ctx, i):
        result = i.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        (result,) = ctx.saved_tensors
        return grad_output * result


def one_layer():
    """The tutorial's example: a linear layer and a binary cross-entropy, and what autograd knows of them."""
    print("--- one layer")
    x = torch.ones(5)
    y = torch.zeros(3)
    w = torch.randn(5, 3, requires_grad=True)
    b = torch.randn(3, requires_grad=True)
    z = torch.matmul(x, w) + b
    loss = F.binary_cross_entropy_with_logits(z, y)
    print(z)
    print(loss)
    print(type(z.grad_fn).__name__, type(loss.grad_fn).__name__)
    loss.backward()
    print(w.grad)
    print(b.grad)

    print("--- b without gradient")
    b.requires_grad = False
    w.grad = None
    b.grad = None
    F.binary_cross_entropy_with_logits(torch.matmul(x, w) + b, y).backward()
    print(w.grad is not None, b.grad)
    w.requires_grad = False
    print((torch.matmul(x, w) + b).grad_fn)


def one_graph_one_backward():
    print("--- a graph can be walked once, unless it is retained")
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = (x**2).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    print(x.grad)  # the two gradients added up
    try:
        loss.backward()
    except RuntimeError as error:
        print(str(error)[:64])

    print("--- two losses of one graph")
    for together in (False, True):
        x.grad = None
        hidden = x.exp()
        loss1, loss2 = hidden.sum(), (hidden**2).mean()
        if together:
            (loss1 + loss2).backward()
        else:
            loss1.backward(retain_graph=True)
            loss2.backward()
        print(x.grad)


def a_function_of_ones_own():
    print("--- Exp, not called by forward() but by apply()")
    x = torch.tensor([0.0, 1.0, -2.0], requires_grad=True)
    result = Exp.apply(x)
    print(result)
    result.sum().backward()
    print(x.grad)
    print(torch.equal(x.grad, x.exp()))


# ----------------------------------------------------------------------------------------------------------- schedules


def rates(optimizer, scheduler, steps, metrics=None):
    """The learning rate before each of `steps` steps."""
    used = []
    for t in range(steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if metrics is None:
            scheduler.step()
        else:
            scheduler.step(metrics[t])
    return used


def show(name, used):
    print(name, " ".join(f"{rate:.6f}" for rate in used))


def schedules():
    print("--- schedules")

    def new_optimizer():
        return optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)

    optimizer = new_optimizer()
    show("piecewise constant", rates(optimizer, MultiStepLR(optimizer, milestones=[3, 6], gamma=0.1), 9))

    # eta(t) = eta(0) exp(-t / r), and eta(0) (1 + t / r)^-c; t counts steps and r is the size of the training set
    r, c = 704, 0.75
    optimizer = new_optimizer()
    show("exponential", rates(optimizer, ExponentialLR(optimizer, gamma=math.exp(-1 / r)), 5))
    optimizer = new_optimizer()
    show("reciprocal", rates(optimizer, LambdaLR(optimizer, lambda t: (1 + t / r) ** -c), 5))

    losses = [1.0, 0.8, 0.8, 0.7, 0.75, 0.74, 0.6]
    optimizer = new_optimizer()
    show("halving", rates(optimizer, ReduceLROnPlateau(optimizer, factor=0.5, patience=0), 7, metrics=losses))

    optimizer = new_optimizer()
    scheduler = ExponentialLR(optimizer, gamma=0.9)
    show("exponential, an epoch a step", rates(optimizer, scheduler, epochs))

    optimizer = new_optimizer()
    scheduler1 = ExponentialLR(optimizer, gamma=0.9)
    scheduler2 = MultiStepLR(optimizer, milestones=[3, 6], gamma=0.1)
    chained = []
    for _ in range(8):
        chained.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler1.step()
        scheduler2.step()
    show("two schedulers in a chain", chained)


def main():
    torch.manual_seed(0)
    one_layer()
    one_graph_one_backward()
    a_function_of_ones_own()
    schedules()
    train_the_network()


if __name__ == "__main__":
    main()
