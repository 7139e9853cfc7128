"""The multilayer perceptron 784-512-512-10 (SGD) over batch sizes, and at batch 64 over widths."""

from __future__ import annotations

from benchmarks.workloads import Chain, perceptron

SGD = ("SGD", {"lr": 1e-3})
BATCHES = (1, 4, 16, 64, 256, 1024)
WIDTHS = (32, 128, 512, 2048)

SCALING: dict[str, Chain] = {
    **{f"batch {n}": perceptron(784, 512, 512, 10, batch=n, optimizer=SGD) for n in BATCHES},
    **{f"width {n}": perceptron(784, n, n, 10, batch=64, optimizer=SGD) for n in WIDTHS},
}
