"""What can be recorded in a CUDA graph, and that a replay computes what the call computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import minigrad
from benchmarks.device import captured
from benchmarks.gpu.bench import Bench, distance, to_numpy
from benchmarks.workloads import char_transformer, lenet, perceptron, resnet18

F = minigrad.nn.functional


def section(bench: Bench) -> None:
    bench.attempt("cupy.matmul", lambda: _cupy_products(bench))
    for name, (function, shapes) in RECORDED.items():
        bench.attempt(name, lambda name=name, f=function, s=shapes: _replays(bench, name, f, s))
    bench.attempt("dropout", lambda: _dropout(bench))
    for name, (build, most) in STEPS.items():
        if not (bench.stand_in and name == "ResNet-18"):  # whose steps take a second there
            bench.attempt(name, lambda name=name, build=build, most=most: _trains_the_same(bench, name, build, most))


def _cupy_products(bench: Bench) -> None:
    """That CuPy refuses its own products, for which reason minigrad calls cuBLAS itself."""
    cp = bench.cp
    a, refused = cp.ones((4, 4), "float32"), ""
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            cp.matmul(a, a)
        except Exception as error:  # which one it is, is what is asked
            refused = f"{type(error).__name__}: {error}"
        stream.end_capture()
    bench.check("cupy.matmul is refused in a capture", bool(refused), refused or "it was recorded")


def _grads(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The result and the gradients of all inputs."""

    def both(*inputs: Any) -> list[Any]:
        out = function(*inputs)
        return [out, *minigrad.autograd.grad(out.square().sum(), inputs)]

    return both


_labels = np.array([0, 2, 1, 3])

RECORDED: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "product of matrices": (lambda a, b: a @ b, [(17, 33), (33, 9)]),
    "product with a transpose": (lambda a, b: a @ b.mT, [(3, 17, 33), (3, 9, 33)]),
    "linear": (F.linear, [(4, 5, 6), (3, 6), (3,)]),
    "convolution": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(2, 3, 8, 8), (4, 3, 3, 3), (4,)]),
    "pooling": (lambda x: F.max_pool2d(x, 2) + F.avg_pool2d(x, 2), [(2, 3, 8, 8)]),
    "softmax": (lambda x: F.softmax(x, -1), [(5, 7)]),
    "gelu": (F.gelu, [(5, 7)]),
    "layer norm": (lambda x, w, b: F.layer_norm(x, (7,), w, b), [(5, 7), (7,), (7,)]),
    "batch norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), [(5, 3, 4), (3,), (3,)]),
    "attention": (F.scaled_dot_product_attention, [(2, 3, 5, 4)] * 3),
}


def _replays(bench: Bench, name: str, function: Callable[..., Any], shapes: list[tuple[int, ...]]) -> None:
    """Record it with its gradients, give its inputs other values, replay, and compare with a plain call."""
    rng = np.random.default_rng(0)

    def values() -> list[Any]:
        return [minigrad.from_numpy(rng.standard_normal(shape).astype("float32")).cuda() for shape in shapes]

    inputs, others, work = [x.requires_grad_() for x in values()], values(), _grads(function)
    replay = captured(minigrad, lambda: work(*inputs))
    with minigrad.no_grad():
        for x, other in zip(inputs, others, strict=True):
            x.copy_(other)
    got = replay()
    expected = work(*[other.requires_grad_() for other in others])
    error = max(distance(a, b) for a, b in zip(got, expected, strict=True))
    bench.check(f"{name} is replayed right", error < 1e-5, f"relative difference {error:.2g}")


def _dropout(bench: Bench) -> None:
    """A replay draws other numbers than the one before, and the share that is kept is right."""
    x = minigrad.ones(100, 100, device="cuda")
    replay = captured(minigrad, lambda: F.dropout(x, 0.25))
    first, second = (to_numpy(replay()).copy() for _ in range(2))
    kept = float((first > 0).mean())
    bench.check("two replays of dropout differ", bool((first != second).any()))
    bench.check("dropout keeps three quarters", abs(kept - 0.75) < 0.03, f"kept {kept:.3f}")
    minigrad.manual_seed(5)
    before = to_numpy(replay()).copy()
    minigrad.manual_seed(5)
    bench.check("a seed repeats a replay of dropout", bool((to_numpy(replay()) == before).all()))


STEPS: dict[str, tuple[Callable[..., Any], float]] = {  # and how far losses may be apart, relative
    "perceptron with Adam": (perceptron(50, 40, 10, batch=16, optimizer=("Adam", {"lr": 1e-3})), 1e-4),
    "LeNet": (lenet, 1e-4),
    "transformer": (partial(char_transformer, batch=2, context=8, width=16, layers=1), 1e-4),
    "ResNet-18": (partial(resnet18, width=16), 1e-2),  # its batch norms enlarge what sums of another order change
}


def _trains_the_same(bench: Bench, name: str, build: Callable[..., Any], most: float) -> None:
    """Five losses of recorded steps beside those of plain steps, after the three steps that warm it up."""
    steps = []
    for _ in range(2):
        minigrad.manual_seed(0)
        steps.append(build(minigrad, "cuda"))
    plain, other = steps
    for _ in range(3):
        plain()
    replay = captured(minigrad, other)
    pairs = [(float(replay().item()), float(plain().item())) for _ in range(5)]
    apart = max(abs(a - b) / abs(b) for a, b in pairs)
    bench.check(f"{name}: recorded steps train as plain ones", apart < most, f"losses apart by {apart:.2g}, relative")
