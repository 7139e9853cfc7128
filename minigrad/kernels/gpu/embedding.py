"""Rows added to a table where their indices say: the gradient of an embedding, and of everything that takes slices.

For small tables each row of the table looks through the indices, in a fixed order, so results repeat. For large ones
that would be too much to read, and rows are added as they come, atomically, in an order left to chance; unless
`settings.deterministic` says that results must repeat.
"""

from __future__ import annotations

import math

from minigrad.backend import Array, module_of
from minigrad.kernels.gpu import settings
from minigrad.kernels.gpu.launch import flat, launch, over_elements

LOOKS = 1 << 24  # indices read by all blocks together, up to which the order is kept
COLUMNS = 128  # of a row that a block has; embedding.cu says the same


def add_rows(g: Array, index: Array, shape: tuple[int, ...], padding: int = -1, into: Array | None = None) -> Array:
    """`into`, or zeros of `shape`, with g (*index.shape, *shape[1:]) added at `index` along the first dim.

    `into` has no gaps. An index of `padding` counts for nothing; others out of range wrap around.
    """
    xp, rows, width, count = module_of(g), shape[0], math.prod(shape[1:]), index.size
    if index.dtype != "int32":
        index = index.astype("int64", copy=False)
    g, index = flat(g), flat(index)
    indices = (None, index) if index.dtype == "int32" else (index, None)
    tiles = -(-width // COLUMNS)
    if rows * tiles * count <= LOOKS or settings.deterministic:
        out = xp.empty(shape, g.dtype) if into is None else into
        launch(
            "embedding", "add_rows_in_order", g, rows * tiles, g, *indices, out, count, width, rows, padding,
            into is not None,
        )  # fmt: skip
    else:
        out = xp.zeros(shape, g.dtype) if into is None else into
        over_elements("embedding", "add_rows", g, g.size, g, *indices, out, count, width, rows, padding)
    return out
