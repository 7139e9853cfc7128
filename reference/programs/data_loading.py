"""Data sets and loaders: workers, collate functions, samplers, iterable sets, packed sequences of unequal length."""

import os
import random
import tempfile

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils import data
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    random_split,
)


class Landmarks(Dataset):
    """Rows of a CSV file, with transforms."""

    def __init__(self, csv_file, transform=None):
        with open(csv_file) as f:
            rows = [line.strip().split(",") for line in f.readlines()[1:]]
        self.names = [r[0] for r in rows]
        self.points = np.array([r[1:] for r in rows], dtype=float).reshape(-1, 3, 2)
        self.transform = transform

    def __len__(self):
        return len(self.names)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        sample = {"name": self.names[idx], "points": self.points[idx]}
        return self.transform(sample) if self.transform else sample


class Rescale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, sample):
        return {**sample, "points": sample["points"] * self.factor}


class ToTensor:
    def __call__(self, sample):
        return {"name": sample["name"], "points": torch.from_numpy(sample["points"]).float()}


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, x):
        for t in self.transforms:
            x = t(x)
        return x


class Lengths(Dataset):
    def __init__(self, n):
        self.items = [torch.arange(1, 2 + (i * 7) % 5) for i in range(n)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i], i % 2


class Squares(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        return torch.tensor([i, i * i]), torch.rand(1)


class Stream(IterableDataset):
    def __init__(self, end):
        super().__init__()
        self.end = end

    def __iter__(self):
        info = data.get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(start, self.end, step))


def pad_collate(batch):
    sequences, labels = zip(*sorted(batch, key=lambda item: -len(item[0])))
    lengths = torch.tensor([len(s) for s in sequences])
    return pad_sequence(sequences, batch_first=True, padding_value=0), lengths, torch.tensor(labels)


def seed_worker(worker_id):
    worker_seed = torch.initial_seed() % 2**32
    np.random.seed(worker_seed)
    random.seed(worker_seed)


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "points.csv")
        with open(path, "w") as f:
            f.write("name,x0,y0,x1,y1,x2,y2\n")
            f.writelines(f"p{i}," + ",".join(str(i * 6 + j) for j in range(6)) + "\n" for i in range(7))
        landmarks = Landmarks(path, Compose([Rescale(0.5), ToTensor()]))
        for i_batch, sample in enumerate(DataLoader(landmarks, batch_size=3, shuffle=True, num_workers=0)):
            print(i_batch, sample["name"], sample["points"].size(), sample["points"].sum().item())
    g = torch.Generator()
    g.manual_seed(2)
    loader = DataLoader(Squares(), batch_size=4, shuffle=True, num_workers=2, worker_init_fn=seed_worker, generator=g)
    for epoch in range(2):
        for numbers, noise in loader:
            print(epoch, numbers.tolist(), noise.flatten())
    print(sorted(int(v) for batch in DataLoader(Stream(9), batch_size=2, num_workers=2) for v in batch))
    train, valid, rest = random_split(range(10), [0.6, 0.3, 0.1], generator=torch.Generator().manual_seed(42))
    print(list(train), list(valid), list(rest))
    both = ConcatDataset([Squares(), Squares()])
    print(len(both), both[13][0], list(BatchSampler(RandomSampler(range(7)), 3, drop_last=True)))
    print([b[0].flatten().tolist() for b in DataLoader(both, sampler=SubsetRandomSampler([1, 12, 15]), batch_size=2)])
    print(next(iter(DataLoader([(1, 2.0, "a", {"k": [3]}), (4, 5.0, "b", {"k": [6]})], batch_size=2))))

    embed, rnn, head = (
        nn.Embedding(6, 4, padding_idx=0),
        nn.GRU(4, 6, bidirectional=True, batch_first=True),
        nn.Linear(12, 2),
    )
    parameters = [p for m in (embed, rnn, head) for p in m.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    for epoch in range(3):
        total = 0.0
        for padded, lengths, labels in DataLoader(Lengths(24), batch_size=8, shuffle=True, collate_fn=pad_collate):
            packed = pack_padded_sequence(embed(padded), lengths, batch_first=True)
            output, hidden = rnn(packed)
            output, sizes = pad_packed_sequence(output, batch_first=True)
            mask = torch.arange(output.size(1))[None, :] < sizes[:, None]
            pooled = (output * mask.unsqueeze(-1)).sum(1) / sizes.unsqueeze(1)
            loss = nn.functional.cross_entropy(head(pooled), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(
            f"epoch {epoch} loss {total / 3:.5f} hidden {tuple(hidden.shape)} pad {embed.weight[0].abs().sum().item()}"
        )


if __name__ == "__main__":
    main()
