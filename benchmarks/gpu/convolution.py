"""Conv2d beside torch's: six shapes, forward and backward, in float32 and in TF32, and the error of both engines."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gpu.bench import Bench, Call, distance
from benchmarks.workloads import allow_tf32

# batch, channels in and out, size of the image, kernel, options
SHAPES: dict[str, tuple[int, int, int, int, int, dict[str, int]]] = {
    "LeNet's second": (64, 6, 16, 14, 5, {}),
    "ResNet's first": (64, 3, 64, 224, 7, {"stride": 2, "padding": 3}),
    "64 channels": (128, 64, 64, 32, 3, {"padding": 1}),
    "512 channels": (128, 512, 512, 4, 3, {"padding": 1}),
    "1x1": (64, 256, 64, 56, 1, {}),
    "depthwise": (64, 128, 128, 28, 3, {"padding": 1, "groups": 128}),
}


def section(bench: Bench) -> None:
    """Times in ms; errors against float64, relative, of the output and of both gradients."""
    for tf32 in (False, True):
        for name, shape in SHAPES.items():
            text = f"{name}, {'TF32' if tf32 else 'float32'}"
            bench.attempt(text, lambda text=text, shape=shape, tf32=tf32: _compare(bench, text, shape, tf32))
    for T, _ in bench.engines().values():
        allow_tf32(T, False)


def _compare(bench: Bench, text: str, shape: tuple[int, int, int, int, int, dict[str, int]], tf32: bool) -> None:
    n, inputs, outputs, size, kernel, options = shape
    n = bench.size(n, n // 4, 1)
    if bench.stand_in:
        size, inputs, outputs = max(kernel + 2, 6), min(inputs, 4), min(outputs, 4)
        options = options | ({"groups": 4} if "groups" in options else {})
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, inputs, size, size)).astype("float32")
    w = rng.standard_normal((outputs, inputs // options.get("groups", 1), kernel, kernel)).astype("float32")
    found: dict[str, Any] = {}
    results: dict[str, list[Any]] = {}
    for name, (T, device) in bench.engines().items():
        allow_tf32(T, tf32)
        forward, backward, everything = _calls(T, device, x, w, options)
        results[name] = everything()
        found |= {f"{name}_ms": 1e3 * bench.seconds(forward), f"{name}_back_ms": 1e3 * bench.seconds(backward)}
    if bench.torch:
        exact = _calls(bench.torch, bench.torch_device, x.astype("float64"), w.astype("float64"), options)[2]()
        for name, own in results.items():
            errors = [distance(a, b) for a, b in zip(own, exact, strict=True)]
            found[f"{name}_error"] = max(errors)
            if not max(errors) < (5e-3 if tf32 else 1e-5):
                bench.fail(f"{text}, {name}", f"errors {', '.join(f'{error:.2g}' for error in errors)}")
        found["ratio"] = found["minigrad_ms"] / found["torch_ms"]
        found["ratio_back"] = found["minigrad_back_ms"] / found["torch_back_ms"]
    bench.row(text, **found)


def _calls(T: Any, device: str, x: np.ndarray, w: np.ndarray, options: dict[str, int]) -> tuple[Call, Call, Call]:
    """Forward without recording, backward alone, and both with all their results."""
    x, w = (T.from_numpy(array).to(device).requires_grad_() for array in (x, w))
    y = T.nn.functional.conv2d(x, w, **options)
    g = T.ones_like(y)

    def forward() -> Any:
        with T.no_grad():
            return T.nn.functional.conv2d(x, w, **options)

    def backward() -> Any:
        return T.autograd.grad(y, (x, w), g, retain_graph=True)

    return forward, backward, lambda: [forward(), *backward()]
