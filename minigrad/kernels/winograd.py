"""Convolution with 3x3 kernels and stride 1 by Winograd's F(2x2, 3x3), which multiplies 16 times where sums take 36.

A tile of 4x4 inputs makes 2x2 outputs. For every tile of every channel

    out = A' [ sum over c of (G w G') * (B' x B) ] A          (* elementwise, ' the transpose)

         1  0 -1  0            1    0    0
    B' = 0  1  1  0       G = 1/2  1/2  1/2       A' = 1  1  1  0
         0 -1  1  0           1/2 -1/2  1/2            0  1 -1 -1
         0  1  0 -1            0    0    1

and the sum over channels becomes 16 matrix products, one an element of the tile: (K, C) by (C, tiles). The transforms
are additions, in compiled loops. The transpose in x is the convolution of g with the kernels turned by half a turn,
which only reorders the 16; that in w is  G' [ sum over tiles of (A g A') * (B' x B) ] G.

S. Winograd 1980; A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. In float32 the error
is one to three times that of the plain sum. An infinite number makes nan of all outputs of its tiles, where the plain
sum has inf in some.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.kernels.convolution_shapes import Conv
from minigrad.kernels.loops import compiled
from minigrad.kernels.products import product
from minigrad.kernels.threads import over

Array = Any
Shape = tuple[int, ...]

TILES = 256  # at once, in whole rows of them: 16 * (C + K) numbers each, which should stay in the cache
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
SQUARE = np.kron(G, G)  # (16, 9): G w G' of flattened kernels
TURNED = np.array([4 * i + j for i in (3, 1, 2, 0) for j in (3, 1, 2, 0)])  # of a kernel turned by half a turn


def pays(w_shape: Shape, how: Conv) -> bool:
    """Whether a convolution has this form, and channels enough to be faster than in columns."""
    plain = w_shape[2:] == (3, 3) and how.stride == how.dilation == (1, 1) and how.groups == 1
    return plain and max(how.padding) < 3 and min(w_shape[:2]) >= 32


def conv(x: Array, w: Array, padding: Shape, windows: Shape) -> Array:
    """(N, C, H, W), (K, C, 3, 3) -> (N, K, *windows)."""
    return _conv(x, _kernels(w), np.arange(16), padding, windows)


def conv_input(g: Array, w: Array, padding: Shape, sizes: Shape) -> Array:
    """The transpose of `conv` in x: the convolution of g with the kernels turned by half a turn."""
    return _conv(g, _kernels(w).swapaxes(1, 2), TURNED, tuple(2 - p for p in padding), sizes)


def conv_weight(g: Array, x: Array, padding: Shape) -> Array:
    """The transpose of `conv` in w: (N, K, *windows), (N, C, H, W) -> (K, C, 3, 3)."""
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    k, c, (high, wide) = g.shape[1], x.shape[1], _tiles(g.shape[2:])
    of_inputs, of_gradients = compiled(input_tiles, fast=True), compiled(gradient_tiles, fast=True)

    def work(start: int, stop: int) -> Array:
        total = np.zeros((16, k, c), g.dtype)
        for a, b in _blocks(start, stop, wide):
            tiles = (b - a) * wide
            v, u = np.empty((16, c, tiles), x.dtype), np.empty((16, k, tiles), g.dtype)
            of_inputs(x, v, np.arange(16), a, high, wide, *padding)
            of_gradients(g, u, a, high, wide)
            total += np.matmul(u, v.swapaxes(1, 2))
        return total

    first, *others = over(len(x) * high, work, k * c * x.size)
    for other in others:
        first += other
    square = product(SQUARE.T.astype(g.dtype), first.reshape(16, k * c))
    return np.ascontiguousarray(square.T).reshape(k, c, 3, 3)


def _kernels(w: Array) -> Array:
    """G w G' of every kernel: (16, K, C)."""
    k, c = w.shape[:2]
    return product(SQUARE.astype(w.dtype), w.reshape(k * c, 9).T).reshape(16, k, c)


def _conv(x: Array, kernels: Array, order: Array, padding: Shape, windows: Shape) -> Array:
    """The convolution with transformed kernels (16, K, C), the i-th of which stands at order[i]."""
    x, (_, k, c), (high, wide) = np.ascontiguousarray(x), kernels.shape, _tiles(windows)
    out = np.empty((len(x), k, *windows), x.dtype)
    of_inputs, to_outputs = compiled(input_tiles, fast=True), compiled(outputs, fast=True)

    def work(start: int, stop: int) -> None:
        for a, b in _blocks(start, stop, wide):
            tiles = (b - a) * wide
            v, products = np.empty((16, c, tiles), x.dtype), np.empty((16, k, tiles), x.dtype)
            of_inputs(x, v, order, a, high, wide, *padding)
            np.matmul(kernels, v, out=products)
            to_outputs(products, out, order, a, high, wide)

    over(len(x) * high, work, k * c * x.size)
    return out


def _tiles(windows: Shape) -> tuple[int, int]:
    return (windows[0] + 1) // 2, (windows[1] + 1) // 2


def _blocks(start: int, stop: int, wide: int) -> list[tuple[int, int]]:
    """Rows of tiles, numbered through all samples, in blocks."""
    step = max(1, TILES // wide)
    return [(a, min(a + step, stop)) for a in range(start, stop, step)]


# -- the loops: rows of tiles from `start` on, `high` rows a sample of `wide` tiles each -------------------------------


def input_tiles(x, out, order, start, high, wide, pad_y, pad_x):
    """B' x B of every tile: out (16, C, tiles), the i-th of a tile's elements at order[i]."""
    rows = out.shape[2] // wide
    line = np.zeros(2 * wide + 2, x.dtype)
    t = np.empty((2, 4, (rows + 1) * wide), x.dtype)  # along x alone, of even lines and odd ones
    first, last = min(pad_x, 2 * wide + 2), min(pad_x + x.shape[3], 2 * wide + 2)
    for c in range(x.shape[1]):
        row = 0
        while row < rows:  # those of one sample
            n, top = (start + row) // high, (start + row) % high
            many = min(rows - row, high - top)
            for i in range(2 * many + 2):
                y = 2 * top + i - pad_y
                at = i // 2 * wide
                t0, t1 = t[i % 2, 0, at : at + wide], t[i % 2, 1, at : at + wide]
                t2, t3 = t[i % 2, 2, at : at + wide], t[i % 2, 3, at : at + wide]
                if 0 <= y < x.shape[2]:
                    line[first:last] = x[n, c, y, : last - first]
                    for q in range(wide):
                        d0, d1, d2, d3 = line[2 * q], line[2 * q + 1], line[2 * q + 2], line[2 * q + 3]
                        t0[q] = d0 - d2
                        t1[q] = d1 + d2
                        t2[q] = d2 - d1
                        t3[q] = d1 - d3
                else:
                    t0[:] = 0
                    t1[:] = 0
                    t2[:] = 0
                    t3[:] = 0
            at, length = row * wide, many * wide
            for j in range(4):
                d0, d1, d2, d3 = t[0, j], t[1, j], t[0, j, wide:], t[1, j, wide:]
                v0, v1 = out[order[j], c, at : at + length], out[order[4 + j], c, at : at + length]
                v2, v3 = out[order[8 + j], c, at : at + length], out[order[12 + j], c, at : at + length]
                for q in range(length):
                    v0[q] = d0[q] - d2[q]
                    v1[q] = d1[q] + d2[q]
                    v2[q] = d2[q] - d1[q]
                    v3[q] = d1[q] - d3[q]
            row += many


def outputs(m, out, order, start, high, wide):
    """A' m A of every tile: m (16, K, tiles), the i-th of a tile's elements at order[i]."""
    rows = m.shape[2] // wide
    t = np.empty((2, 4, m.shape[2]), m.dtype)  # along y alone
    half = out.shape[3] // 2
    for k in range(m.shape[1]):
        for j in range(4):
            m0, m1, m2, m3 = m[order[j], k], m[order[4 + j], k], m[order[8 + j], k], m[order[12 + j], k]
            t0, t1 = t[0, j], t[1, j]
            for q in range(m.shape[2]):
                t0[q] = m0[q] + m1[q] + m2[q]
                t1[q] = m1[q] - m2[q] - m3[q]
        for row in range(rows):
            n, y = (start + row) // high, 2 * ((start + row) % high)
            at = row * wide
            for i in range(min(2, out.shape[2] - y)):
                line = out[n, k, y + i]
                t0, t1 = t[i, 0, at : at + wide], t[i, 1, at : at + wide]
                t2, t3 = t[i, 2, at : at + wide], t[i, 3, at : at + wide]
                for q in range(half):
                    line[2 * q] = t0[q] + t1[q] + t2[q]
                    line[2 * q + 1] = t1[q] - t2[q] - t3[q]
                if half < wide:
                    line[2 * half] = t0[half] + t1[half] + t2[half]


def gradient_tiles(g, out, start, high, wide):
    """A g A' of every 2x2 tile of g, zeros beyond its ends: out (16, K, tiles)."""
    rows = out.shape[2] // wide
    line = np.zeros(2 * wide, g.dtype)
    t = np.zeros((2, 4, out.shape[2]), g.dtype)  # along x alone
    for k in range(g.shape[1]):
        for row in range(rows):
            n, y = (start + row) // high, 2 * ((start + row) % high)
            at = row * wide
            for i in range(2):
                t0, t1 = t[i, 0, at : at + wide], t[i, 1, at : at + wide]
                t2, t3 = t[i, 2, at : at + wide], t[i, 3, at : at + wide]
                if y + i < g.shape[2]:
                    line[: g.shape[3]] = g[n, k, y + i]
                else:
                    line[:] = 0
                for q in range(wide):
                    a, b = line[2 * q], line[2 * q + 1]
                    t0[q] = a
                    t1[q] = a + b
                    t2[q] = a - b
                    t3[q] = -b
        for j in range(4):
            t0, t1 = t[0, j], t[1, j]
            v0, v1, v2, v3 = out[j, k], out[4 + j, k], out[8 + j, k], out[12 + j, k]
            for q in range(out.shape[2]):
                v0[q] = t0[q]
                v1[q] = t0[q] + t1[q]
                v2[q] = t0[q] - t1[q]
                v3[q] = -t1[q]
