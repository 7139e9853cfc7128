"""Tutorial 003: recognising digits with a 784-128-64-10 network, and how autograd finds its gradients.

The digits are drawn here (ten random shapes under noise) in place of the MNIST files, so that the program needs no
download: 28 x 28 grey levels, labels 0 to 9.
"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

TRAIN_IMAGES = 12800  # 200 batches of 64; MNIST has 60,000 images
EPOCHS = 10
CLASSES = 10


class Compose:
    """torchvision.transforms.Compose: one transform after the other."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """torchvision.transforms.ToTensor for a grey image: (H, W) uint8 0..255 to (1, H, W) float32 0..1."""

    def __call__(self, image):
        return torch.from_numpy(image).unsqueeze(0).float() / 255


class Normalize:
    """torchvision.transforms.Normalize for one channel: (x - mean) / std."""

    def __init__(self, mean, std):
        self.mean, self.std = mean[0], std[0]

    def __call__(self, image):
        return (image - self.mean) / self.std


class Digits(torch.utils.data.Dataset):
    """datasets.MNIST's interface: item i is (transform(image i), label i)."""

    def __init__(self, size, transform):
        rng = np.random.RandomState(3)
        shapes = np.kron(rng.rand(CLASSES, 7, 7) > 0.5, np.ones((4, 4)))  # ten shapes of 28 x 28
        drawn = rng.randint(CLASSES, size=size)
        noisy = 204 * shapes[drawn] + 51 * rng.rand(size, 28, 28)
        self.images = noisy.astype(np.uint8)
        # One label in 25 is wrong, so the loss levels out near 0.25 as it does on the real digits.
        self.labels = np.where(rng.rand(size) < 0.04, rng.randint(CLASSES, size=size), drawn)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), int(self.labels[index])


def half_mean_square(y, y_hat):
    """The tutorial's loss, l = 1/(2n) sum (y - y_hat)^2: half of nn.MSELoss."""
    return torch.sum((y - y_hat) ** 2) / (2 * y.numel())


def losses_of_an_untrained_network(images, labels):
    images = images.view(images.shape[0], -1)

    print("--- logits and CrossEntropyLoss")
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    criterion = nn.CrossEntropyLoss()
    logits = model(images)
    print(criterion(logits, labels))

    print("--- LogSoftmax and NLLLoss")
    model = new_model()
    print(model)
    criterion = nn.NLLLoss()
    logps = model(images)
    print(criterion(logps, labels))
    print(torch.allclose(torch.exp(logps).sum(dim=1), torch.ones(len(images))))

    print("--- dim=0 runs down a column, dim=1 along a row")
    scores = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    print(F.log_softmax(scores, dim=0), torch.exp(F.log_softmax(scores, dim=0)).sum(dim=0))
    print(F.log_softmax(scores, dim=1), torch.exp(F.log_softmax(scores, dim=1)).sum(dim=1))

    print("--- two mean square errors")
    y, y_hat = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.5, 2.0, 1.0])
    print(half_mean_square(y, y_hat), nn.MSELoss()(y_hat, y))


def new_model():
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10), nn.LogSoftmax(dim=1)
    )


def gradient_modes():
    print("--- grad modes")
    x = torch.zeros(1, requires_grad=True)
    with torch.no_grad():
        y = x * 2
    print(y.requires_grad)
    torch.set_grad_enabled(False)
    print((x * 2).requires_grad)
    torch.set_grad_enabled(True)
    print((x * 2).requires_grad)
    with torch.set_grad_enabled(False):
        print((x * 2).requires_grad)
    print(torch.ones(2).requires_grad_(True))


def a_small_gradient():
    print("--- the gradient of mean(x ** 2)")
    x = torch.randn(2, 2, requires_grad=True)
    print(x)
    y = x**2
    print(y)
    print(y.grad_fn)
    z = y.mean()
    print(z)
    print(x.grad)
    z.backward()
    print(x.grad)
    print(x / 2)


def gradients_of_the_network(images, labels):
    print("--- the gradient of the first layer")
    model = new_model()
    criterion = nn.NLLLoss()
    images = images.view(images.shape[0], -1)
    logps = model(images)
    loss = criterion(logps, labels)
    print("Before backward pass: \n", model[0].weight.grad)
    loss.backward()
    print("After backward pass: \n", model[0].weight.grad)


def one_step(loader):
    print("--- one step of SGD")
    model = new_model()
    criterion = nn.NLLLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    print("Initial weights - ", model[0].weight)

    images, labels = next(iter(loader))
    images.resize_(64, 784)
    optimizer.zero_grad()  # gradients add up from one backward to the next
    output = model(images)
    loss = criterion(output, labels)
    loss.backward()
    print("Gradient -", model[0].weight.grad)
    optimizer.step()
    print("Updated weights - ", model[0].weight)


def train(loader):
    print("--- training")
    model = new_model()
    criterion = nn.NLLLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.003)
    for _ in range(EPOCHS):
        running_loss = 0
        for images, labels in loader:
            images = images.view(images.shape[0], -1)
            optimizer.zero_grad()
            output = model(images)
            loss = criterion(output, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        else:
            print(f"Training loss: {running_loss / len(loader)}")
    return model


def view_classify(img, ps, version="MNIST"):
    """Draw the image beside horizontal bars of its ten class probabilities; returns the two axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ps = ps.data.numpy().squeeze()
    fig, (ax1, ax2) = plt.subplots(figsize=(6, 9), ncols=2)
    ax1.imshow(img.resize_(1, 28, 28).numpy().squeeze())
    ax1.axis("off")
    ax2.barh(np.arange(10), ps)
    ax2.set_aspect(0.1)
    ax2.set_yticks(np.arange(10))
    if version == "MNIST":
        ax2.set_yticklabels(np.arange(10))
    elif version == "Fashion":
        names = [
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ]
        ax2.set_yticklabels(names, size="small")
    ax2.set_title("Class Probability")
    ax2.set_xlim(0, 1.1)
    plt.close(fig)
    return ax1, ax2


def predict(model, loader):
    print("--- one prediction")
    images, labels = next(iter(loader))
    img = images[0].view(1, 784)
    with torch.no_grad():
        logps = model(img)
    ps = torch.exp(logps)
    print(ps)
    print(ps.argmax(dim=1), labels[0])
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("no matplotlib, no picture")
        return
    for version in ("MNIST", "Fashion"):
        left, right = view_classify(img.view(1, 28, 28), ps, version=version)
        print(left.images[0].get_array().shape, right.get_title(), tuple(map(float, right.get_xlim())))
        print([label.get_text() for label in right.get_yticklabels()])
        print([f"{bar.get_width():.4f}" for bar in right.patches])


def main():
    torch.manual_seed(3)
    transform = Compose([ToTensor(), Normalize((0.5,), (0.5,))])
    # As in the tutorial: datasets.MNIST("~/.pytorch/MNIST_data/", download=True, train=True, transform=transform)
    trainset = Digits(TRAIN_IMAGES, transform)
    trainloader = torch.utils.data.DataLoader(trainset, batch_size=64, shuffle=True)
    images, labels = next(iter(trainloader))
    print(images.shape, labels.shape, images.dtype, labels.dtype)

    losses_of_an_untrained_network(images, labels)
    gradient_modes()
    a_small_gradient()
    gradients_of_the_network(images, labels)
    one_step(trainloader)
    model = train(trainloader)
    predict(model, trainloader)


if __name__ == "__main__":
    main()
