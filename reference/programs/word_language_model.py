"""A word language model: LSTM with tied weights, truncated backpropagation, clipped gradients, annealed rate; and a
transformer encoder on the same text."""

import argparse
import math
import os
import tempfile

import torch
import torch.nn as nn
import torch.nn.functional as F

text = """the sun rose over the quiet hills and the river ran down to the sea
the old man walked along the river and spoke to the birds in the trees
a small boat came slowly down the river with a red sail and a tired crew
the crew saw the old man and the old man saw the red sail in the sun"""


class Dictionary(object):
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]

    def __len__(self):
        return len(self.idx2word)


class RNNModel(nn.Module):
    """Container module with an encoder, a recurrent module, and a decoder."""

    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super(RNNModel, self).__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        if rnn_type in ["LSTM", "GRU"]:
            self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        else:
            nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[rnn_type]
            self.rnn = nn.RNN(ninp, nhid, nlayers, nonlinearity=nonlinearity, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            if nhid != ninp:
                raise ValueError("When using the tied flag, nhid must be equal to emsize")
            self.decoder.weight = self.encoder.weight
        self.init_weights()
        self.rnn_type, self.nhid, self.nlayers = rnn_type, nhid, nlayers

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        if self.rnn_type == "LSTM":
            return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))
        return weight.new_zeros(self.nlayers, bsz, self.nhid)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.1, max_len=50):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0).transpose(0, 1))

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0), :])


class TransformerModel(nn.Transformer):
    def __init__(self, ntoken, ninp, nhead, nhid, nlayers):
        super().__init__(
            d_model=ninp, nhead=nhead, dim_feedforward=nhid, num_encoder_layers=nlayers, num_decoder_layers=1
        )
        self.pos_encoder = PositionalEncoding(ninp)
        self.input_emb = nn.Embedding(ntoken, ninp)
        self.ninp = ninp
        self.decoder = nn.Linear(ninp, ntoken)
        nn.init.uniform_(self.input_emb.weight, -0.1, 0.1)

    def forward(self, src):
        mask = torch.log(torch.tril(torch.ones(len(src), len(src))))
        src = self.pos_encoder(self.input_emb(src) * math.sqrt(self.ninp))
        return F.log_softmax(self.decoder(self.encoder(src, mask=mask)), dim=-1)


def repackage_hidden(h):
    """Wraps hidden states in new Tensors, to detach them from their history."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def main():
    parser = argparse.ArgumentParser(description="language model")
    parser.add_argument("--lr", type=float, default=5)
    parser.add_argument("--clip", type=float, default=0.25)
    parser.add_argument("--bptt", type=int, default=6)
    args = parser.parse_args()
    torch.manual_seed(1111)
    corpus = Dictionary()
    ids = torch.tensor([corpus.add_word(w) for line in text.split("\n") for w in line.split() + ["<eos>"]]).type(
        torch.int64
    )
    data, ntokens = batchify(ids, 3), len(corpus)
    criterion = nn.NLLLoss()
    for kind in ("LSTM", "GRU", "RNN_TANH"):
        model, lr, best = RNNModel(kind, ntokens, 16, 16, 2, 0.2, tie_weights=True), args.lr, None
        for epoch in range(1, 5):
            model.train()
            hidden, total_loss = model.init_hidden(3), 0.0
            for i in range(0, data.size(0) - 1, args.bptt):
                seq_len = min(args.bptt, len(data) - 1 - i)
                source, targets = data[i : i + seq_len], data[i + 1 : i + 1 + seq_len].view(-1)
                model.zero_grad()
                hidden = repackage_hidden(hidden)
                output, hidden = model(source, hidden)
                loss = criterion(output, targets)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
                for p in model.parameters():
                    p.data.add_(p.grad, alpha=-lr)
                total_loss += loss.item() * seq_len
            cur_loss = total_loss / (len(data) - 1)
            print(f"| {kind} | epoch {epoch} | lr {lr:02.2f} | loss {cur_loss:5.3f} | ppl {math.exp(cur_loss):8.2f}")
            if best is None or cur_loss < best:
                best = cur_loss
            else:
                lr /= 4.0
    with tempfile.TemporaryDirectory() as folder:
        torch.save(model, os.path.join(folder, "model.pt"))
        model = torch.load(os.path.join(folder, "model.pt"), weights_only=False)
    model.rnn.flatten_parameters()
    model.eval()
    hidden, word = model.init_hidden(1), torch.zeros(1, 1, dtype=torch.long)
    words = []
    with torch.no_grad():
        for _ in range(12):
            output, hidden = model(word, hidden)
            word_weights = output.squeeze().div(1.0).exp().cpu()
            word.fill_(torch.multinomial(word_weights, 1)[0])
            words.append(corpus.idx2word[word])
    print(" ".join(words))
    transformer = TransformerModel(ntokens, 16, 2, 32, 2)
    optimizer = torch.optim.SGD(transformer.parameters(), lr=0.5)
    for epoch in range(3):
        optimizer.zero_grad()
        loss = criterion(transformer(data[:-1]).view(-1, ntokens), data[1:].reshape(-1))
        loss.backward()
        optimizer.step()
        print(f"| Transformer | epoch {epoch} | loss {loss:.4f}")


if __name__ == "__main__":
    main()
