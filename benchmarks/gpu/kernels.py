"""Each of minigrad's CUDA kernels beside the time that its bytes need at the speed of a copy, and beside torch's.

Arrays are larger than the GPU's cache. The bytes of an operation are those of each array that it must read or write,
once; an operation whose time is near that floor cannot become faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.bench import Bench, Call, distance
from benchmarks.workloads import resnet18


@dataclass(frozen=True)
class Kernel:
    """`function(T, x, *more)` on `arrays`, of which floats want gradients; what is read and written, in float32s."""

    name: str
    arrays: tuple[np.ndarray, ...]
    function: Callable[..., Any]
    moves: float
    moves_back: float = 0.0  # no backward if 0
    draws: bool = False  # its results are random


def section(bench: Bench) -> None:
    speed = bench.attempt("copy", lambda: _copy_speed(bench))
    for kernel in _kernels(bench):
        bench.attempt(kernel.name, lambda kernel=kernel: _compare(bench, kernel, speed or float("nan")))
    bench.attempt("optimizers", lambda: _optimizers(bench, speed or float("nan")))


def _copy_speed(bench: Bench) -> float:
    """Bytes a second of a copy on the GPU, those read and those written."""
    cp = bench.cp
    source = cp.ones(bench.size(1 << 29, 1 << 27, 1 << 10), "float32")
    target = cp.empty_like(source)

    def copy() -> None:
        target[...] = source

    speed = 2 * source.nbytes / bench.seconds(copy)
    bench.row("copy", GB_a_second=speed / 1e9)
    return speed


def _kernels(bench: Bench) -> Iterator[Kernel]:
    """Made one after the other, for they are large."""
    rng = np.random.default_rng(0)
    draw = partial(rng.standard_normal, dtype=np.float32)
    rows, n = bench.size(65536, 16384, 8), bench.size(1024, 1024, 40)
    size = rows * n
    x, labels, row = draw((rows, n)), rng.integers(0, n, rows), draw(n)
    F = "nn.functional"
    yield Kernel("softmax", (x,), lambda T, x: T.softmax(x, -1), 2 * size, 3 * size)
    yield Kernel("log_softmax", (x,), lambda T, x: T.log_softmax(x, -1), 2 * size, 3 * size)
    yield Kernel("cross entropy", (x, labels), _call(F, "cross_entropy"), size, 2 * size)
    yield Kernel("layer norm", (x, row, row), lambda T, x, w, b: T.nn.functional.layer_norm(x, (n,), w, b),
                 2 * size, 3 * size)  # fmt: skip
    yield Kernel("relu", (x,), _call(F, "relu"), 2 * size, 3 * size)
    yield Kernel("gelu", (x,), _call(F, "gelu"), 2 * size, 3 * size)
    yield Kernel("sigmoid", (x,), lambda T, x: T.sigmoid(x), 2 * size, 3 * size)
    yield Kernel("bias of rows", (x, row), lambda T, x, b: x + b, 2 * size, size)
    yield Kernel("dropout", (x,), lambda T, x: T.nn.functional.dropout(x, 0.25), 2 * size, 2.25 * size, draws=True)
    yield Kernel("sum of rows", (x,), lambda T, x: x.sum(-1), size)
    yield Kernel("sum", (x,), lambda T, x: x.sum(), size)
    side, channels = bench.size(32, 32, 6), bench.size(64, 64, 3)
    batch = max(1, size // (side * side * channels))
    images, channel = draw((batch, channels, side, side)), draw(channels)
    pixels = images.size
    yield Kernel("batch norm", (images, channel, channel), _batch_norm, 3 * pixels, 5 * pixels)
    yield Kernel("bias of channels", (images, channel), lambda T, x, b: x + b.reshape(-1, 1, 1), 2 * pixels, pixels)
    yield Kernel("max pooling", (images,), _call(F, "max_pool2d", 2), 1.25 * pixels, 1.25 * pixels)
    yield Kernel("max pooling, 3x3 stride 2", (images,), _call(F, "max_pool2d", 3, 2, 1), 1.25 * pixels, 1.25 * pixels)
    yield Kernel("average pooling", (images,), _call(F, "avg_pool2d", 2), 1.25 * pixels, 1.25 * pixels)
    yield Kernel("adaptive average pooling", (images,), _call(F, "adaptive_avg_pool2d", 1), pixels, pixels)
    words, width, count = bench.size(50_000, 50_000, 20), bench.size(512, 512, 8), size // bench.size(512, 512, 8)
    table, chosen = draw((words, width)), rng.integers(0, words, count)
    yield Kernel("embedding", (table, chosen), lambda T, w, i: T.nn.functional.embedding(i, w),
                 2 * size + 2 * count, size + table.size + 2 * count)  # fmt: skip


def _call(space: str, name: str, *more: Any) -> Callable[..., Any]:
    def call(T: Any, *tensors: Any) -> Any:
        for part in space.split("."):
            T = getattr(T, part)
        return getattr(T, name)(*tensors, *more)

    return call


def _batch_norm(T: Any, x: Any, w: Any, b: Any) -> Any:
    return T.nn.functional.batch_norm(x, None, None, w, b, training=True)


def _compare(bench: Bench, kernel: Kernel, speed: float) -> None:
    for way, moves in (("", kernel.moves), (", backward", kernel.moves_back)):
        if not moves:
            continue
        times, results = {}, {}
        for name, (T, device) in bench.engines().items():
            forward, backward = _calls(T, device, kernel)
            call = backward if way else forward
            results[name] = call()
            times[name] = bench.seconds(call)
        _row(bench, kernel.name + way, times, 4 * moves / speed)
        if "torch" in results and not kernel.draws:
            pairs = zip(*(_list(results[name]) for name in ("minigrad", "torch")), strict=True)
            apart = max(distance(a, b) for a, b in pairs)
            if not apart < 1e-4:
                bench.fail(kernel.name + way, f"differs from torch by {apart:.2g}, relative")


def _calls(T: Any, device: str, kernel: Kernel) -> tuple[Call, Call]:
    """Forward without recording, and backward alone, for a gradient of ones times the output's signs."""
    tensors = [T.from_numpy(array).to(device) for array in kernel.arrays]
    leaves = [t.requires_grad_() for t in tensors if t.is_floating_point()]
    y = kernel.function(T, *tensors)
    g = T.linspace(-1, 1, y.numel(), device=device).reshape(y.shape)

    def forward() -> Any:
        with T.no_grad():
            return kernel.function(T, *tensors)

    return forward, lambda: T.autograd.grad(y, leaves, g, retain_graph=True)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _row(bench: Bench, name: str, times: dict[str, float], floor: float) -> None:
    found = {f"{engine}_ms": 1e3 * seconds for engine, seconds in times.items()}
    found |= {"floor_ms": 1e3 * floor, "times_floor": times["minigrad"] / floor}
    if "torch" in times:
        found["ratio"] = times["minigrad"] / times["torch"]
    bench.row(name, **found)


OPTIMIZERS: dict[str, tuple[dict[str, float], int]] = {  # and how many numbers move for each parameter
    "SGD": ({"lr": 0.01}, 3),
    "SGD, momentum": ({"lr": 0.01, "momentum": 0.9}, 5),
    "Adam": ({"lr": 1e-3}, 7),
    "AdamW": ({"lr": 1e-3}, 7),
    "RMSprop": ({"lr": 1e-3}, 5),
}


def _optimizers(bench: Bench, speed: float) -> None:
    """Steps on ResNet-18's parameters, and gradients clipped by their norm."""
    models = {}
    for name, (T, device) in bench.engines().items():
        step = resnet18(T, device, batch=2, width=bench.size(64, 64, 4), size=8)
        step()  # for gradients
        models[name] = T, list(step.model.parameters())
    count = sum(p.numel() for p in models["minigrad"][1])
    for text, (settings, moves) in OPTIMIZERS.items():
        times = {}
        for name, (T, parameters) in models.items():
            optimizer = getattr(T.optim, text.partition(",")[0])(parameters, **settings)
            times[name] = bench.seconds(optimizer.step)
        _row(bench, f"{text}, ResNet-18's parameters", times, 4 * count * moves / speed)
    times = {}
    for name, (T, parameters) in models.items():
        clip = T.nn.utils.clip_grad_norm_
        times[name] = bench.seconds(lambda clip=clip, parameters=parameters: clip(parameters, 1e6))
    _row(bench, "clip_grad_norm_, ResNet-18's parameters", times, 4 * count * 3 / speed)
