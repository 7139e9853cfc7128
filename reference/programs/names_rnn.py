"""Names by characters: an RNN from its own Linear layers that tells the language, and one that invents names."""

import random
import string
import unicodedata

import torch
import torch.nn as nn

all_letters = string.ascii_letters + " .,;'-"
n_letters = len(all_letters)
names = {
    "Italian": ["Rossi", "Ferrari", "Bianchi", "Romano", "Colombo", "Ricci", "Marino", "Gallo", "Conti", "D'Angelo"],
    "Polish": ["Nowak", "Kowalski", "Wiśniewski", "Wójcik", "Kamiński", "Lewandowski", "Zieliński", "Szymański"],
    "Japanese": ["Sato", "Suzuki", "Takahashi", "Tanaka", "Watanabe", "Ito", "Yamamoto", "Nakamura", "Kobayashi"],
}


def unicodeToAscii(s):
    return "".join(c for c in unicodedata.normalize("NFD", s) if unicodedata.category(c) != "Mn" and c in all_letters)


category_lines = {k: [unicodeToAscii(name) for name in v] for k, v in names.items()}
all_categories = list(category_lines)
n_categories = len(all_categories)


def lineToTensor(line):
    tensor = torch.zeros(len(line), 1, n_letters)
    for li, letter in enumerate(line):
        tensor[li][0][all_letters.find(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size, hidden_size)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        hidden = torch.tanh(self.i2h(input) + self.h2h(hidden))
        output = self.softmax(self.h2o(hidden))
        return output, hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


def train(rnn, criterion, category_tensor, line_tensor, learning_rate=0.01):
    hidden = rnn.initHidden()
    rnn.zero_grad()
    for i in range(line_tensor.size()[0]):
        output, hidden = rnn(line_tensor[i], hidden)
    loss = criterion(output, category_tensor)
    loss.backward()
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-learning_rate)
    return output, loss.item()


random.seed(5)
torch.manual_seed(5)
rnn = RNN(n_letters, 32, n_categories)
criterion = nn.NLLLoss()
current_loss = 0
for it in range(1, 301):
    category = random.choice(all_categories)
    line = random.choice(category_lines[category])
    category_tensor = torch.tensor([all_categories.index(category)], dtype=torch.long)
    output, loss = train(rnn, criterion, category_tensor, lineToTensor(line))
    current_loss += loss
    if it % 50 == 0:
        top_n, top_i = output.topk(1)
        guess = all_categories[top_i[0].item()]
        correct = "yes" if guess == category else f"no ({category})"
        print(f"{it} {loss:.4f} {line} / {guess} {correct} average {current_loss / 50:.4f}")
        current_loss = 0


class Inventor(nn.Module):
    def __init__(self, hidden_size=32):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(n_categories + n_letters + hidden_size, hidden_size)
        self.i2o = nn.Linear(n_categories + n_letters + hidden_size, n_letters + 1)
        self.o2o = nn.Linear(hidden_size + n_letters + 1, n_letters + 1)
        self.dropout = nn.Dropout(0.1)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, category, input, hidden):
        input_combined = torch.cat((category, input, hidden), 1)
        hidden = self.i2h(input_combined)
        output = self.i2o(input_combined)
        output = self.o2o(torch.cat((hidden, output), 1))
        return self.softmax(self.dropout(output)), hidden


model = Inventor()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for it in range(1, 101):
    category = random.randrange(n_categories)
    line = random.choice(category_lines[all_categories[category]])
    one_hot = nn.functional.one_hot(torch.tensor([category]), n_categories).float()
    target = torch.tensor([all_letters.find(c) for c in line[1:]] + [n_letters])
    hidden, loss = torch.zeros(1, model.hidden_size), torch.Tensor([0])
    model.zero_grad()
    for letter, wanted in zip(lineToTensor(line), target.unsqueeze(-1)):
        output, hidden = model(one_hot, letter, hidden)
        loss += criterion(output, wanted)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if it % 20 == 0:
        print(it, f"{loss.item() / line.__len__():.4f}")

model.eval()
with torch.no_grad():
    for number, start in ((0, "R"), (1, "K"), (2, "T")):
        one_hot = torch.zeros(1, n_categories)
        one_hot[0][number] = 1
        hidden, name = torch.zeros(1, model.hidden_size), start
        for _ in range(10):
            output, hidden = model(one_hot, lineToTensor(name[-1])[0], hidden)
            topv, topi = output.topk(1)
            if topi[0][0] == n_letters:
                break
            name += all_letters[topi[0][0]]
        print(all_categories[number], name)
