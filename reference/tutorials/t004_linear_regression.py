"""Tutorial 004: linear regression with torch.nn, from the data to the learned weights.

y = 2 x1 - 3.4 x2 + 4.2 + noise, 1000 points, batches of 10, three epochs of SGD. On the way: three ways of writing a
Sequential, parameters and their initialisation, parameter groups, and changing a learning rate by hand.
"""

from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
import torch.utils.data as Data
from torch.nn import init

NUM_INPUTS = 2
NUM_EXAMPLES = 1000
TRUE_W = [2, -3.4]
TRUE_B = 4.2
BATCH_SIZE = 10
NUM_EPOCHS = 3


class LinearNet(nn.Module):
    def __init__(self, n_feature):
        super(LinearNet, self).__init__()  # noqa: UP008 - the tutorial's spelling
        self.linear = nn.Linear(n_feature, 1)

    def forward(self, x):
        return self.linear(x)


def make_data():
    features = torch.tensor(np.random.normal(0, 1, (NUM_EXAMPLES, NUM_INPUTS)), dtype=torch.float)
    labels = TRUE_W[0] * features[:, 0] + TRUE_W[1] * features[:, 1] + TRUE_B
    labels += torch.tensor(np.random.normal(0, 0.01, size=labels.size()), dtype=torch.float)
    print(features.size(), labels.size(), features.dtype)
    print(features[0], labels[0])
    return features, labels


def read_batches(features, labels):
    dataset = Data.TensorDataset(features, labels)
    print(len(dataset), dataset[0])
    for X, y in Data.DataLoader(dataset, BATCH_SIZE, shuffle=True):
        print(X, y)
        break
    loader = Data.DataLoader(dataset=dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=2)
    for X, y in loader:
        print(X, "\n", y)
        break
    print(len(loader), len(loader.dataset))
    return loader


def build_networks():
    print("--- a class of one's own")
    net = LinearNet(NUM_INPUTS)
    print(net)
    try:
        net[0]
    except TypeError as error:
        print("net[0]:", error)

    print("--- Sequential, three ways")
    net = nn.Sequential(nn.Linear(NUM_INPUTS, 1))
    print(net)
    net = nn.Sequential()
    net.add_module("linear", nn.Linear(NUM_INPUTS, 1))
    print(net)
    net = nn.Sequential(OrderedDict([("linear", nn.Linear(NUM_INPUTS, 1))]))
    print(net)
    print(net[0])
    return net


def show_parameters(net):
    print(type(net.parameters()).__name__)
    for param in net.parameters():
        print(param)
    init.normal_(net[0].weight, mean=0, std=0.01)
    init.constant_(net[0].bias, val=0)
    for name, param in net.named_parameters():
        print(name, param)
    net[0].bias.data.fill_(0)  # the same as constant_(bias, 0), written on the data
    print(net[0].bias)


def show_optimizers(net):
    optimizer = optim.SGD(net.parameters(), lr=0.03)
    print(optimizer)

    subnets = nn.ModuleDict({"subnet1": nn.Linear(2, 3), "subnet2": nn.Linear(3, 1)})
    groups = optim.SGD(
        [
            {"params": subnets["subnet1"].parameters()},  # takes the rate given for all, 0.03
            {"params": subnets["subnet2"].parameters(), "lr": 0.01},
        ],
        lr=0.03,
    )
    for param_group in groups.param_groups:
        param_group["lr"] *= 0.1
    print([param_group["lr"] for param_group in groups.param_groups])

    # A new optimizer is another way to change the rate, but it forgets the state: here the momentum buffers.
    keeps = optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    net(torch.ones(1, NUM_INPUTS)).sum().backward()
    keeps.step()
    rebuilt = optim.SGD(net.parameters(), lr=0.003, momentum=0.9)
    print(len(keeps.state), len(rebuilt.state))
    init.normal_(net[0].weight, mean=0, std=0.01)
    init.constant_(net[0].bias, val=0)
    return optimizer


def train(net, loader, loss, optimizer):
    for epoch in range(1, NUM_EPOCHS + 1):
        for X, y in loader:
            output = net(X)
            batch_loss = loss(output, y.view(-1, 1))
            optimizer.zero_grad()
            batch_loss.backward()
            optimizer.step()
        print("epoch %d, loss: %f" % (epoch, batch_loss.item()))  # noqa: UP031 - the tutorial's spelling

    dense = net[0]
    print(TRUE_W, dense.weight)
    print(TRUE_B, dense.bias)
    print(TRUE_W, dense.weight.data)
    print(TRUE_B, dense.bias.data)


def batch_dimension(net):
    """A batch of one, as the tutorial asks for; today's layers also take a single point or image as it is."""
    point = torch.tensor([1.0, 2.0])
    image = torch.ones(1, 4, 4)
    conv = nn.Conv2d(1, 2, kernel_size=3)
    with torch.no_grad():
        print(net(point.unsqueeze(0)), net(point))
        print(conv(image.unsqueeze(0)).shape, conv(image).shape)


def main():
    torch.manual_seed(1)
    np.random.seed(1)
    print("version known:", len(torch.__version__) > 0)
    torch.set_default_tensor_type("torch.FloatTensor")  # deprecated, still found in scripts

    features, labels = make_data()
    loader = read_batches(features, labels)
    net = build_networks()
    show_parameters(net)
    optimizer = show_optimizers(net)
    loss = nn.MSELoss()
    print(loss)
    train(net, loader, loss, optimizer)
    batch_dimension(net)


if __name__ == "__main__":
    main()
