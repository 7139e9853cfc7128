"""Two small classics: a graph convolution over a dense adjacency matrix, and Forward-Forward layers trained alone."""

import math
from argparse import ArgumentParser

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.modules.module import Module
from torch.nn.parameter import Parameter
from torch.optim import Adam


class GraphConvolution(Module):
    """out = A (X W) + b"""

    def __init__(self, in_features, out_features, bias=True):
        super(GraphConvolution, self).__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.FloatTensor(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        output = torch.spmm(adj, support)
        return output + self.bias if self.bias is not None else output

    def __repr__(self):
        return self.__class__.__name__ + " (" + str(self.in_features) + " -> " + str(self.out_features) + ")"


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super(GCN, self).__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def accuracy(output, labels):
    preds = output.max(1)[1].type_as(labels)
    correct = preds.eq(labels).double()
    return correct.sum() / len(labels)


def graph_convolution():
    torch.manual_seed(42)
    labels = torch.LongTensor([i // 10 for i in range(30)])
    features = torch.eye(3)[labels] + 0.7 * torch.randn(30, 3)
    chance = torch.where(labels[:, None] == labels[None, :], 0.4, 0.05)
    adj = torch.bernoulli(chance).triu(1)
    adj = adj + adj.t() + torch.eye(30)
    rowsum = adj.sum(1)
    r_inv = rowsum.pow(-0.5).flatten()
    r_inv[torch.isinf(r_inv)] = 0.0
    adj = torch.mm(torch.diag(r_inv), adj).mm(torch.diag(r_inv))
    model = GCN(nfeat=3, nhid=8, nclass=3, dropout=0.3)
    print(model)
    optimizer = Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    idx_train, idx_val = torch.arange(0, 30, 3), torch.arange(1, 30, 3)
    for epoch in range(30):
        model.train()
        optimizer.zero_grad()
        output = model(features, adj)
        loss_train = F.nll_loss(output[idx_train], labels[idx_train])
        loss_train.backward()
        optimizer.step()
        if (epoch + 1) % 10 == 0:
            model.eval()
            output = model(features, adj)
            acc = accuracy(output[idx_val], labels[idx_val])
            print(
                "Epoch: {:04d}".format(epoch + 1),
                "loss: {:.4f}".format(loss_train.item()),
                "acc: {:.4f}".format(acc.item()),
            )


class Layer(nn.Linear):
    def __init__(self, in_features, out_features, threshold=2.0, lr=0.03):
        super().__init__(in_features, out_features)
        self.relu = torch.nn.ReLU()
        self.opt = Adam(self.parameters(), lr=lr)
        self.threshold = threshold
        self.num_epochs = 20

    def forward(self, x):
        x_direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
        return self.relu(torch.mm(x_direction, self.weight.T) + self.bias.unsqueeze(0))

    def train_layer(self, x_pos, x_neg):
        for i in range(self.num_epochs):
            g_pos = self.forward(x_pos).pow(2).mean(1)
            g_neg = self.forward(x_neg).pow(2).mean(1)
            loss = torch.log(1 + torch.exp(torch.cat([-g_pos + self.threshold, g_neg - self.threshold]))).mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            if i % 10 == 0:
                print("Loss: ", f"{loss.item():.5f}")
        return self.forward(x_pos).detach(), self.forward(x_neg).detach()


def overlay(x, y):
    x_ = x.clone()
    x_[:, :3] *= 0.0
    x_[range(x.shape[0]), y] = x.max()
    return x_


def forward_forward():
    torch.manual_seed(1)
    y = torch.randint(0, 3, (90,))
    x = torch.cat([torch.zeros(90, 3), F.one_hot(y, 3).float().repeat(1, 4) + 0.3 * torch.randn(90, 12)], 1)
    layers = [Layer(15, 20), Layer(20, 20)]
    h_pos, h_neg = overlay(x, y), overlay(x, y[torch.randperm(90)])
    for i, layer in enumerate(layers):
        print("training layer: ", i)
        h_pos, h_neg = layer.train_layer(h_pos, h_neg)
    goodness = []
    for label in range(3):
        h = overlay(x, label)
        each = []
        for layer in layers:
            h = layer(h)
            each = each + [h.pow(2).mean(1)]
        goodness += [sum(each).unsqueeze(1)]
    print("train error: {:.3f}".format(1.0 - torch.cat(goodness, 1).argmax(1).eq(y).float().mean().item()))


if __name__ == "__main__":
    ArgumentParser().parse_args()
    graph_convolution()
    forward_forward()
