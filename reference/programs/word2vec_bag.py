"""Skip-gram with negative samples, a text classifier over EmbeddingBag with offsets, and matrix factorisation."""

import re
from collections import Counter

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

torch.manual_seed(5)
sentences = [
    "the king rules the land", "the queen rules the land", "a dog chases a cat", "a cat chases a mouse",
    "the king and the queen eat bread", "the dog and the cat eat fish", "a mouse eats bread",
]  # fmt: skip
tokens = [re.findall(r"\w+", s.lower()) for s in sentences]
counts = Counter(w for s in tokens for w in s)
vocab = {w: i for i, (w, _) in enumerate(counts.most_common())}
print(len(vocab), list(vocab)[:5])


class SkipGram(nn.Module):
    def __init__(self, vocab_size, dim):
        super().__init__()
        self.u = nn.Embedding(vocab_size, dim)
        self.v = nn.Embedding(vocab_size, dim)
        nn.init.uniform_(self.u.weight, -0.5 / dim, 0.5 / dim)
        nn.init.constant_(self.v.weight, 0)

    def forward(self, pos_u, pos_v, neg_v):
        emb_u, emb_v = self.u(pos_u), self.v(pos_v)
        score = torch.clamp(torch.sum(torch.mul(emb_u, emb_v), dim=1), max=10, min=-10)
        neg_score = torch.clamp(torch.bmm(self.v(neg_v), emb_u.unsqueeze(2)).squeeze(2), max=10, min=-10)
        return torch.mean(-F.logsigmoid(score) - torch.sum(F.logsigmoid(-neg_score), dim=1))


pairs = torch.tensor(
    [(vocab[s[i]], vocab[s[j]]) for s in tokens for i in range(len(s)) for j in range(len(s)) if 0 < abs(i - j) <= 2]
)
noise = torch.tensor([counts[w] for w in vocab], dtype=torch.float).pow(0.75)
model = SkipGram(len(vocab), 8)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.3)
for epoch in range(6):
    total = 0
    for batch in pairs[torch.randperm(len(pairs))].split(16):
        negatives = torch.multinomial(noise, len(batch) * 3, replacement=True).view(-1, 3)
        optimizer.zero_grad()
        loss = model(batch[:, 0], batch[:, 1], negatives)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"skip-gram {epoch} {total / len(pairs):.4f}")
similarity = F.cosine_similarity(model.u.weight[vocab["king"]], model.u.weight, dim=-1)
print(f"{similarity[vocab['queen']].item():.4f}", similarity.argsort(descending=True)[0].item() == vocab["king"])


def collate_batch(batch):
    label_list, text_list, offsets = [], [], [0]
    for _text, _label in batch:
        label_list.append(_label)
        text_list.append(torch.tensor(_text, dtype=torch.int64))
        offsets.append(text_list[-1].size(0))
    return torch.tensor(label_list), torch.cat(text_list), torch.tensor(offsets[:-1]).cumsum(dim=0)


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size, embed_dim, num_class, mode):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, mode=mode, sparse=False)
        self.fc = nn.Linear(embed_dim, num_class)
        self.init_weights()

    def init_weights(self):
        initrange = 0.5
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.fc.weight.data.uniform_(-initrange, initrange)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


samples = [([vocab[w] for w in s], int("king" in s or "queen" in s)) for s in tokens] * 4
for mode in ("mean", "sum", "max"):
    classifier = TextClassificationModel(len(vocab), 6, 2, mode)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.8)
    for epoch in range(3):
        total_acc = total_count = 0
        for label, text, offsets in DataLoader(samples, batch_size=7, shuffle=True, collate_fn=collate_batch):
            optimizer.zero_grad()
            predicted = classifier(text, offsets)
            loss = F.cross_entropy(predicted, label)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), 0.1)
            optimizer.step()
            total_acc += (predicted.argmax(1) == label).sum().item()
            total_count += label.size(0)
        scheduler.step()
        print(f"{mode} | epoch {epoch} | loss {loss.item():.4f} | accuracy {total_acc / total_count:8.3f}")


class Factorisation(nn.Module):
    def __init__(self, n_users, n_items, k=4):
        super().__init__()
        self.user, self.item = nn.Embedding(n_users, k), nn.Embedding(n_items, k)
        self.user_bias, self.item_bias = nn.Embedding(n_users, 1), nn.Embedding(n_items, 1)

    def forward(self, u, i):
        return (self.user(u) * self.item(i)).sum(-1, keepdim=True).squeeze(-1) + (
            self.user_bias(u) + self.item_bias(i)
        ).view(-1)


true = torch.randn(12, 2) @ torch.randn(2, 9)
users, items = torch.rand(12, 9).lt(0.7).nonzero(as_tuple=True)
model = Factorisation(12, 9)
optimizer = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=1e-4)
for epoch in range(41):
    loss = F.mse_loss(model(users, items), true[users, items])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        print(f"factorisation {epoch} rmse {loss.sqrt().item():.4f}")
