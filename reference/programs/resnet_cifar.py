"""A residual network of CIFAR's kind, narrow and short, on tiny colour images; MultiStepLR, best checkpoint, resume."""

import argparse
import os
import tempfile

import torch
import torch.backends.cudnn as cudnn
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim


def _weights_init(m):
    if isinstance(m, (nn.Linear, nn.Conv2d)):
        init.kaiming_normal_(m.weight)


class LambdaLayer(nn.Module):
    def __init__(self, lambd):
        super().__init__()
        self.lambd = lambd

    def forward(self, x):
        return self.lambd(x)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_planes, planes, stride=1, option="A"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            if option == "A":
                self.shortcut = LambdaLayer(
                    lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4), "constant", 0)
                )
            elif option == "B":
                self.shortcut = nn.Sequential(
                    nn.Conv2d(in_planes, self.expansion * planes, kernel_size=1, stride=stride, bias=False),
                    nn.BatchNorm2d(self.expansion * planes),
                )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=4):
        super().__init__()
        self.in_planes = 8
        self.conv1 = nn.Conv2d(3, 8, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = self._make_layer(block, 8, num_blocks[0], stride=1, option="A")
        self.layer2 = self._make_layer(block, 16, num_blocks[1], stride=2, option="A")
        self.layer3 = self._make_layer(block, 32, num_blocks[2], stride=2, option="B")
        self.linear = nn.Linear(32, num_classes)
        self.apply(_weights_init)

    def _make_layer(self, block, planes, num_blocks, stride, option):
        layers = []
        for stride in [stride] + [1] * (num_blocks - 1):
            layers.append(block(self.in_planes, planes, stride, option))
            self.in_planes = planes * block.expansion
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        return self.linear(out)


def accuracy(output, target, topk=(1,)):
    maxk = max(topk)
    _, pred = output.topk(maxk, 1, True, True)
    correct = pred.t().eq(target.view(1, -1).expand_as(pred.t()))
    return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / target.size(0)) for k in topk]


def make_data(n, seed):
    """Images whose brightest corner is the label."""
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, 3, 16, 16, generator=g), torch.randint(4, (n,), generator=g)
    for i, label in enumerate(y):
        row, column = divmod(int(label), 2)
        x[i, :, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] += 1.5
    return x, y


def save_checkpoint(state, filename):
    torch.save(state, filename)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", default=3, type=int)
    parser.add_argument("--lr", "--learning-rate", default=0.05, type=float)
    args = parser.parse_args()
    torch.manual_seed(0)
    cudnn.deterministic = True
    cudnn.benchmark = False
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = ResNet(BasicBlock, [1, 1, 1]).to(device)
    if device.type == "cuda":
        model = nn.DataParallel(model)
    print("Total layers", len(list(filter(lambda p: p.requires_grad and len(p.data.size()) > 1, model.parameters()))))
    (x, y), (x_val, y_val) = make_data(128, 1), make_data(64, 2)
    criterion = nn.CrossEntropyLoss().to(device)
    optimizer = optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=1e-4)
    lr_scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 2])
    best_prec1, folder = 0, tempfile.mkdtemp()
    for epoch in range(args.epochs):
        print("current lr {:.5e}".format(optimizer.param_groups[0]["lr"]))
        model.train()
        for i, batch in enumerate(torch.randperm(128).split(32)):
            output = model(x[batch])
            loss = criterion(output, y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            prec1 = accuracy(output.float().data, y[batch])[0]
            print(
                "Epoch: [{0}][{1}/4]\tLoss {loss:.3f}\tPrec@1 {p:.3f}".format(
                    epoch, i, loss=loss.item(), p=prec1.item()
                )
            )
        lr_scheduler.step()
        model.eval()
        with torch.no_grad():
            prec1, prec3 = accuracy(model(x_val), y_val, topk=(1, 3))
        print(f" * Prec@1 {prec1.item():.3f} Prec@3 {prec3.item():.3f}")
        is_best = prec1.item() > best_prec1
        best_prec1 = max(prec1.item(), best_prec1)
        if is_best:
            state = {"epoch": epoch + 1, "state_dict": model.state_dict(), "best_prec1": best_prec1}
            save_checkpoint(state | {"optimizer": optimizer.state_dict()}, os.path.join(folder, "best.th"))
    checkpoint = torch.load(os.path.join(folder, "best.th"), map_location=device)
    model.load_state_dict(checkpoint["state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    print(checkpoint["epoch"], checkpoint["best_prec1"], len(optimizer.state), list(checkpoint["state_dict"])[:6])


if __name__ == "__main__":
    main()
