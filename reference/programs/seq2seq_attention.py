"""Turn dates into another notation: an encoder and a decoder of GRUs with additive attention and teacher forcing."""

import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

SOS_token, EOS_token, MAX_LENGTH = 0, 1, 9
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Lang:
    def __init__(self, name):
        self.name = name
        self.word2index = {}
        self.index2word = {0: "SOS", 1: "EOS"}
        self.n_words = 2

    def addSentence(self, sentence):
        for word in sentence.split(" "):
            if word not in self.word2index:
                self.word2index[word] = self.n_words
                self.index2word[self.n_words] = word
                self.n_words += 1


def make_pairs(n=96):
    random.seed(4)
    months = ["january", "february", "march", "april", "may", "june"]
    pairs = []
    for _ in range(n):
        m, d = random.randrange(6), random.randint(1, 9)
        pairs.append((f"the day {d} of {months[m]} please", f"{m + 1} / {d}"))
    return pairs


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.1):
        super(EncoderRNN, self).__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        embedded = self.dropout(self.embedding(input))
        return self.gru(embedded)


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super(BahdanauAttention, self).__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        weights = F.softmax(scores.squeeze(2).unsqueeze(1), dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.1):
        super(AttnDecoderRNN, self).__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long, device=device).fill_(SOS_token)
        decoder_hidden = encoder_hidden
        decoder_outputs, attentions = [], []
        for i in range(4):
            decoder_output, decoder_hidden, weights = self.forward_step(decoder_input, decoder_hidden, encoder_outputs)
            decoder_outputs.append(decoder_output)
            attentions.append(weights)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = decoder_output.topk(1)
                decoder_input = topi.squeeze(-1).detach()
        return F.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1), decoder_hidden, torch.cat(attentions, dim=1)

    def forward_step(self, input, hidden, encoder_outputs):
        embedded = self.dropout(self.embedding(input))
        query = hidden.permute(1, 0, 2)
        context, attn_weights = self.attention(query, encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
        return self.out(output), hidden, attn_weights


def indexes(lang, sentence, length):
    ids = [lang.word2index[word] for word in sentence.split(" ")] + [EOS_token]
    return ids + [0] * (length - len(ids))


def main():
    start = time.time()
    torch.manual_seed(2)
    pairs, source, target = make_pairs(), Lang("words"), Lang("numbers")
    for a, b in pairs:
        source.addSentence(a)
        target.addSentence(b)
    print(f"Counted words: {source.name} {source.n_words} {target.name} {target.n_words}")
    x = torch.LongTensor([indexes(source, a, MAX_LENGTH) for a, _ in pairs]).to(device)
    y = torch.LongTensor([indexes(target, b, 4) for _, b in pairs]).to(device)
    train_data = TensorDataset(x, y)
    dataloader = DataLoader(train_data, sampler=RandomSampler(train_data), batch_size=32)
    encoder = EncoderRNN(source.n_words, 24).to(device)
    decoder = AttnDecoderRNN(24, target.n_words).to(device)
    encoder_optimizer = optim.Adam(encoder.parameters(), lr=0.01)
    decoder_optimizer = optim.Adam(decoder.parameters(), lr=0.01)
    criterion = nn.NLLLoss(ignore_index=0)
    for epoch in range(1, 13):
        total_loss = 0
        for input_tensor, target_tensor in dataloader:
            encoder_optimizer.zero_grad()
            decoder_optimizer.zero_grad()
            encoder_outputs, encoder_hidden = encoder(input_tensor)
            decoder_outputs, _, _ = decoder(encoder_outputs, encoder_hidden, target_tensor)
            loss = criterion(decoder_outputs.view(-1, decoder_outputs.size(-1)), target_tensor.view(-1))
            loss.backward()
            encoder_optimizer.step()
            decoder_optimizer.step()
            total_loss += loss.item()
        if epoch % 2 == 0:
            print("(%d %d%%) %.4f" % (epoch, epoch / 12 * 100, total_loss / len(dataloader)))
    encoder.eval()
    decoder.eval()
    with torch.no_grad():
        for i in range(4):
            outputs, _, attentions = decoder(*encoder(x[i : i + 1]))
            words = [target.index2word[idx.item()] for idx in outputs.topk(1)[1].squeeze()]
            print(">", pairs[i][0], "=", pairs[i][1], "<", " ".join(words), attentions.shape)
    assert time.time() > start


if __name__ == "__main__":
    main()
