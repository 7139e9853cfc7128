"""Tutorial 001: tensors, own layers, datasets of images and of texts, a bidirectional LSTM, losses, optimisers.

The image folder and the texts are made here, small and from a seed, so that the program needs no download.
"""

import glob
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

# ------------------------------------------------------------------------------------------------- tensors and layers


def tensors():
    print("--- tensors")
    t = torch.Tensor([[1, 1, 1, 1], [1, 1, 1, 1]])
    print(t, t.dtype)
    print(torch.randn(3, 5))
    print(torch.ones(3, 5), torch.zeros(3, 5))
    print(torch.randint(low=0, high=10, size=(3, 5)))
    a = np.array([[1, 2], [3, 4]])
    shared = torch.from_numpy(a)
    a[0, 0] = 7  # from_numpy shares the memory
    print(shared, shared.numpy())

    A, W = torch.randn(3, 5), torch.randn(5, 3)
    print(A.mm(W), A.mm(W).size())
    print(A.t())
    print(A**2)


class MyLinear(nn.Module):
    """A layer of one's own: the parameters are found because they are nn.Parameter."""

    def __init__(self, in_size, out_size):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(in_size, out_size))
        self.bias = nn.Parameter(torch.zeros(out_size))

    def forward(self, x):
        return x.mm(self.weights) + self.bias


class MyNeuralNet(nn.Module):
    """784 to 10 through a hidden layer that is used twice: its gradient is the sum over both uses."""

    def __init__(self):
        super().__init__()
        self.first = MyLinear(784, 20)
        self.again = MyLinear(20, 20)
        self.last = MyLinear(20, 10)

    def forward(self, x):
        x = torch.tanh(self.first(x) / 28)
        x = torch.tanh(self.again(x))
        x = torch.tanh(self.again(x))
        return self.last(x)


def layers():
    print("--- layers")
    network = MyNeuralNet()
    print(network)
    print([(name, param.size()) for name, param in network.named_parameters()])
    output = network(torch.randn((100, 784)))
    print(output.size())
    output.pow(2).mean().backward()
    print(network.again.bias.grad)

    conv_layer = nn.Conv2d(in_channels=3, out_channels=64, kernel_size=(3, 3), stride=1, padding=1)
    x = torch.randn((100, 3, 24, 24))
    print(conv_layer(x).size())


# ------------------------------------------------------------------------------------------------------ image datasets


class Resize:
    """torchvision.transforms.Resize for an (H, W, C) array: the shorter side becomes `size`, by nearest neighbour."""

    def __init__(self, size):
        self.size = size

    def __call__(self, image):
        height, width = image.shape[:2]
        scale = self.size / min(height, width)
        rows = (np.arange(int(height * scale)) / scale).astype(int)
        columns = (np.arange(int(width * scale)) / scale).astype(int)
        return image[rows[:, None], columns]


class CenterCrop:
    """torchvision.transforms.CenterCrop for an (H, W, C) array: the square of `size` in the middle."""

    def __init__(self, size):
        self.size = size

    def __call__(self, image):
        top, left = (image.shape[0] - self.size) // 2, (image.shape[1] - self.size) // 2
        return image[top : top + self.size, left : left + self.size]


class ToTensor:
    """torchvision.transforms.ToTensor for an ndarray: (H, W, C) uint8 0..255 to (C, H, W) float32 0..1."""

    def __call__(self, image):
        return torch.from_numpy(image).permute(2, 0, 1).contiguous().float() / 255


class Compose:
    """torchvision.transforms.Compose: one transform after the other."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class FolderDataset(Dataset):
    """datasets.ImageFolder's interface: root/class/file, labels by the classes' alphabetical order, files opened late.

    The files are .npy arrays, opened in __getitem__; with PIL they would be `Image.open(path)` at the same place.
    """

    def __init__(self, root, transform):
        self.classes = sorted(os.listdir(root))
        self.paths = sorted(glob.glob(os.path.join(root, "*", "*.npy")))
        self.transform = transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, idx):
        path = self.paths[idx]
        label = self.classes.index(os.path.basename(os.path.dirname(path)))
        return self.transform(np.load(path)), label


def image_folder():
    print("--- images from a folder")
    rng = np.random.RandomState(0)
    with tempfile.TemporaryDirectory() as root:
        for name, count in (("boat", 400), ("car", 447)):
            os.mkdir(os.path.join(root, name))
            for i in range(count):
                image = rng.randint(256, size=(8, 10, 3)).astype(np.uint8)
                np.save(os.path.join(root, name, f"{i:03d}.npy"), image)

        transform = Compose([Resize(256), CenterCrop(224), ToTensor()])
        train_dataset = FolderDataset(root, transform)
        print(f"{len(train_dataset)} images, classes {train_dataset.classes}")
        image, label = train_dataset[2]
        print(image.size(), label)
        print(image)
        for image_batch, label_batch in DataLoader(train_dataset, batch_size=64, shuffle=True):
            print(image_batch.size(), label_batch.size())
            break

        small_dataset = FolderDataset(root, Compose([Resize(16), CenterCrop(8), ToTensor()]))
        loader = DataLoader(small_dataset, batch_size=64, shuffle=True, num_workers=10)
        labels = torch.cat([label_batch for _, label_batch in loader])
        print(len(loader), labels.size(), labels[:10], labels.sum())


# -------------------------------------------------------------------------------------------------------- text datasets


class TextDataset(Dataset):
    """Texts as arrays of word numbers, shortest first, so that the texts of a batch are of about one length."""

    def __init__(self, texts, labels):
        order = np.argsort([len(text) for text in texts], kind="stable")
        self.texts = [texts[i] for i in order]
        self.labels = [labels[i] for i in order]

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, idx):
        return self.texts[idx], self.labels[idx]


def make_texts(longest_of_batches, batch_size):
    """Shuffled texts which, sorted and cut into batches, have the given longest lengths; label 1 if word 7 occurs."""
    lengths = []
    for shortest, longest in zip([5] + longest_of_batches[:-1], longest_of_batches, strict=True):
        lengths += np.linspace(shortest, longest, batch_size).astype(int).tolist()
    texts = [np.random.randint(10, 10000, size=length) for length in np.random.permutation(lengths)]
    labels = [float(i % 2) for i in range(len(texts))]
    for text, label in zip(texts, labels, strict=True):
        if label:
            text[::3] = 7
    return texts, labels


def collate_text(data):
    """A batch of ragged texts: padded with 0 to the longest of them."""
    texts, labels = zip(*data, strict=True)
    longest = max(len(text) for text in texts)
    texts = [np.pad(text, (0, longest - len(text))) for text in texts]
    return torch.LongTensor(np.array(texts)), torch.LongTensor(labels)


def text_batches():
    print("--- texts of different lengths")
    ragged = [(np.arange(3), 0.0), (np.arange(4), 1.0)]
    try:
        next(iter(DataLoader(ragged, batch_size=2)))
    except RuntimeError as error:
        print(error)
    print(torch.LongTensor([np.array([1, 2, 3]), np.array([4, 5, 0])]))  # slow from a list of arrays, and warns so
    print(torch.LongTensor([0.0, 1.0, 1.7]))

    texts, labels = make_texts([66, 84, 98, 127, 152, 190, 238, 299], batch_size=16)
    dataset = TextDataset(texts, labels)
    loader = DataLoader(dataset, batch_size=16, shuffle=False, collate_fn=collate_text)
    print([text_batch.size(1) for text_batch, _ in loader])
    text_batch, label_batch = next(iter(loader))
    print(text_batch, label_batch)


# ----------------------------------------------------------------------------------------------------------- the BiLSTM


class BiLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden_size = 64
        self.embedding = nn.Embedding(10000, 300)
        self.lstm = nn.LSTM(300, self.hidden_size, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(self.hidden_size * 4, 64)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.1)
        self.out = nn.Linear(64, 1)

    def forward(self, x):
        h_embedding = self.embedding(x)
        h_lstm, _ = self.lstm(h_embedding)
        avg_pool = torch.mean(h_lstm, 1)
        max_pool, _ = torch.max(h_lstm, 1)
        conc = torch.cat((avg_pool, max_pool), 1)
        conc = self.dropout(self.relu(self.linear(conc)))
        return self.out(conc)


def bilstm():
    print("--- a bidirectional LSTM")
    model = BiLSTM()
    print(model)
    for length in (10, 25):
        x = torch.randint(low=0, high=10000, size=(100, length))
        print(x.size(), model(x).size())
    x = torch.randn(3, 4)
    print(torch.unsqueeze(x, 1).size(), torch.squeeze(torch.unsqueeze(x, 1)).size())

    texts, labels = make_texts([12, 20, 25], batch_size=16)
    loader = DataLoader(TextDataset(texts, labels), batch_size=16, collate_fn=collate_text)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, betas=(0.9, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    num_epochs = 5
    for epoch in range(num_epochs):
        model.train()
        for x_batch, y_batch in loader:
            optimizer.zero_grad()
            loss = criterion(model(x_batch).squeeze(1), y_batch.float())
            loss.backward()
            optimizer.step()

        model.eval()
        val_loss = 0
        with torch.no_grad():
            for x_batch, y_batch in loader:
                val_loss += criterion(model(x_batch).squeeze(1), y_batch.float()).item() / len(loader)
        print(f"epoch {epoch + 1}, loss {loss.item():.6f}, validation loss {val_loss:.6f}")


# --------------------------------------------------------------------------------------------- losses and optimisers


class MyCustomNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)
        self.log_softmax = nn.LogSoftmax(dim=1)

    def forward(self, x):
        return self.log_softmax(self.fc(x))


def customized_mse(output, target):
    return torch.mean((output - target) ** 2)


def customized_nll(x, y):
    """The mean of -x[i, y[i]]."""
    return (-1.0 * x).gather(1, y.unsqueeze(1)).mean()


class CustomNLLLoss(nn.Module):
    def forward(self, x, y):
        log_prob = -1.0 * x
        loss = log_prob.gather(1, y.unsqueeze(1))
        return loss.mean()


def losses():
    print("--- losses")
    model = MyCustomNet()
    X = torch.randn((100, 784))
    y = torch.randint(low=0, high=10, size=(100,))
    preds = model(X)
    print(nn.NLLLoss()(preds, y))
    print(customized_nll(preds, y))
    print(CustomNLLLoss()(preds, y))
    print(nn.CrossEntropyLoss()(model.fc(X), y))

    target = torch.zeros(100, 10)
    print(customized_mse(preds, target))
    print(nn.MSELoss()(preds, target))
    print(nn.KLDivLoss(reduction="batchmean")(preds, torch.full((100, 10), 0.1)))
    return model, X, y


class MyOptimizer(Optimizer):
    """SGD with a step bounded to lr in each coordinate: p -= lr clamp(g, -1, 1)."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad.clamp(-1, 1), alpha=-group["lr"])


def optimisers(model, X, y):
    print("--- optimisers")
    start = {name: value.clone() for name, value in model.state_dict().items()}
    choices = {
        "Adadelta": lambda params: torch.optim.Adadelta(params, lr=1.0),
        "Adagrad": lambda params: torch.optim.Adagrad(params, lr=0.01),
        "RMSprop": lambda params: torch.optim.RMSprop(params, lr=0.01),
        "Adam": lambda params: torch.optim.Adam(params, lr=0.01, betas=(0.9, 0.999)),
        "MyOptimizer": lambda params: MyOptimizer(params, lr=0.5),
    }
    for name, choose in choices.items():
        print(model.load_state_dict(start))
        optimizer = choose(model.parameters())
        print(optimizer)
        seen = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = nn.NLLLoss()(model(X), y)
            loss.backward()
            optimizer.step()
            seen.append(f"{loss.item():.6f}")
        print(name, " ".join(seen))


def devices(model, X):
    print("--- devices")
    if torch.cuda.is_available():
        model, X = model.to("cuda"), X.cuda()
    print("several GPUs:", torch.cuda.device_count() > 1)
    parallel = nn.DataParallel(model)  # on one device it passes everything through
    print(parallel)
    print(torch.equal(parallel(X), model(X)))


def main():
    torch.manual_seed(1)
    np.random.seed(1)
    tensors()
    layers()
    image_folder()
    text_batches()
    bilstm()
    model, X, y = losses()
    optimisers(model, X, y)
    devices(model, X)


if __name__ == "__main__":
    main()
