"""A small student learns from a teacher's soft labels, its hidden layer and the labels; parameters counted."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
device = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
print(f"Using {device} device")
centres = torch.randn(6, 20) * 1.2
labels = torch.randint(6, (360,))
points = centres[labels] + torch.randn(360, 20)
train_loader = DataLoader(TensorDataset(points[:300], labels[:300]), batch_size=50, shuffle=True)
test_loader = DataLoader(TensorDataset(points[300:], labels[300:]), batch_size=60)


class Deep(nn.Module):
    def __init__(self, width, num_classes=6):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(20, width), nn.ReLU(), nn.Linear(width, 16), nn.ReLU())
        self.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(16, num_classes))

    def forward(self, x):
        hidden = self.features(x)
        return self.classifier(hidden), hidden


def train(model, epochs, lr):
    criterion, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=lr)
    model.train()
    for epoch in range(epochs):
        running_loss = 0.0
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            outputs, _ = model(inputs.to(device))
            loss = criterion(outputs, targets.to(device))
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        print(f"Epoch {epoch + 1}/{epochs}, Loss: {running_loss / len(train_loader):.4f}")


def test(model):
    model.to(device).eval()
    correct = total = 0
    with torch.no_grad():
        for inputs, targets in test_loader:
            _, predicted = torch.max(model(inputs)[0].data, 1)
            total += targets.size(0)
            correct += (predicted == targets).sum().item()
    print(f"Test Accuracy: {100 * correct / total:.2f}%")
    return correct


def distill(teacher, student, epochs, lr, temperature, weights):
    soft, hard, hidden_weight = weights
    ce, cosine, kl = (
        nn.CrossEntropyLoss(),
        nn.CosineEmbeddingLoss(),
        nn.KLDivLoss(reduction="batchmean", log_target=True),
    )
    optimizer = optim.AdamW(student.parameters(), lr=lr)
    teacher.eval()
    student.train()
    for epoch in range(epochs):
        running = 0.0
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            with torch.no_grad():
                teacher_logits, teacher_hidden = teacher(inputs)
            logits, hidden = student(inputs)
            soft_targets = F.log_softmax(teacher_logits / temperature, dim=-1)
            soft_prob = F.log_softmax(logits / temperature, dim=-1)
            loss = soft * kl(soft_prob, soft_targets) * temperature**2 + hard * ce(logits, targets)
            loss = loss + hidden_weight * cosine(hidden, teacher_hidden, target=torch.ones(inputs.size(0)))
            loss = loss + 0.1 * nn.MSELoss()(hidden, teacher_hidden)
            loss.backward()
            optimizer.step()
            running += loss.item()
        print(f"Epoch {epoch + 1}/{epochs}, Loss: {running / len(train_loader):.4f}")


teacher, student = Deep(64), Deep(8)
torch.manual_seed(42)
twin = Deep(8)
twin.load_state_dict(student.state_dict())
print(
    "Norm of 1st layer:",
    f"{torch.norm(student.features[0].weight).item():.6f}",
    f"{torch.norm(twin.features[0].weight):.6f}",
)
for name, model in (("teacher", teacher), ("student", student)):
    print(f"{name} parameters: {'{:,}'.format(sum(p.numel() for p in model.parameters()))}")
train(teacher, epochs=4, lr=0.003)
test(teacher)
train(twin, epochs=3, lr=0.003)
test(twin)
distill(teacher, student, epochs=3, lr=0.003, temperature=2, weights=(0.25, 0.75, 0.1))
test(student)
