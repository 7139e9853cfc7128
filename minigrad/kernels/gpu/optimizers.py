"""Steps of optimizers over many arrays in one launch, and the norm and the bounds of gradients.

An array here is on the GPU, of float32 or float64 as the others of its table, and lies in memory as they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minigrad.backend import Array, address, is_gpu_array, module_of, np
from minigrad.kernels.gpu.launch import BLOCKS, launch, takes

MOST, CHUNK = 80, 2048  # of a launch the tensors, of a block the elements; optimizers.cu says the same
LARGEST = 1 << 31  # sizes are ints there

_TENSORS = np.dtype([("at", "i8", (5, MOST)), ("sizes", "i4", MOST), ("first", "i4", MOST + 1)], align=True)
_COUNTS = np.dtype([("at", "i8", MOST)], align=True)


class Table:
    """Where up to MOST tensors lie: `columns` of arrays, the i-th of every column belonging to tensor i."""

    def __init__(self, columns: Sequence[Sequence[Array]]) -> None:
        self.like, self.count = columns[0][0], len(columns[0])
        self.struct = np.zeros(1, _TENSORS)
        sizes = np.array([a.size for a in columns[0]])
        self.struct["sizes"][0, : self.count] = sizes
        ends = np.cumsum(-(-sizes // CHUNK))
        self.struct["first"][0, 1 : self.count + 1] = ends
        self.blocks = int(ends[-1])
        for i, arrays in enumerate(columns):
            self.point(i, [address(a) for a in arrays])

    def point(self, column: int, addresses: Any) -> None:
        """Let a column have its arrays at these addresses."""
        self.struct["at"][0, column, : self.count] = addresses

    def launch(self, name: str, *args: Any) -> None:
        """Start a kernel over all the elements."""
        launch("optimizers", name, self.like, self.blocks, self.struct, self.count, *args)


def tables(arrays: Sequence[Array]) -> list[Table]:
    """Tables of one column."""
    return [Table([arrays[i : i + MOST]]) for i in range(0, len(arrays), MOST)]


# -- updates -----------------------------------------------------------------------------------------------------------


def sgd(
    table: Table,
    *,
    lr: Any,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    begins: bool,
) -> None:
    """`SGD.update`, columns p, g and, with a momentum, its buffer, which is yet to be filled if it `begins`."""
    numbers = float(weight_decay), float(momentum), float(1 - dampening)
    table.launch("sgd", *_rate(lr), *numbers, bool(nesterov), maximize, begins)


def adam(
    table: Table,
    *,
    step: float | Array,
    lr: Any,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """`Adam.update`, columns p, g, exp_avg, exp_avg_sq and, for amsgrad, max_exp_avg_sq.

    `step` is the number of this step, or an array that `adam_factors` gave: `lr` has gone into it.
    """
    b1, b2 = betas
    factors: tuple[Any, ...] = (step, 0.0, 0.0, 0.0)
    if not is_gpu_array(step):
        factors = (None, lr / (1 - b1**step), (1 - b2**step) ** 0.5, float(1 - lr * weight_decay))
    table.launch(
        "adam", *factors,
        *(1 - b1, 1 - (1 - b1), 1 - b1 < 0.5, float(b2), float(1 - b2), float(eps), float(weight_decay)),
        *(bool(decoupled_weight_decay and weight_decay), maximize, bool(amsgrad)),
    )  # fmt: skip


def adam_factors(
    steps: Sequence[Array], like: Array, lr: Any, betas: tuple[float, float], weight_decay: float
) -> Array:
    """Count up to MOST counts on the GPU up by 1; what `adam` needs of each tensor, computed there in float64."""
    factors = module_of(like).empty(3 * len(steps), "float64")
    numbers = *_rate(lr), float(betas[0]), float(betas[1]), float(weight_decay)
    launch("optimizers", "adam_factors", like, 1, _pointers(steps), len(steps), factors, *numbers)
    return factors


def rmsprop(
    table: Table,
    *,
    lr: Any,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    """`RMSprop.update`, columns p, g, square_avg and, where they are, momentum_buffer and grad_avg."""
    mean = float(alpha), float(1 - alpha), float(1 - (1 - alpha)), 1 - alpha < 0.5
    numbers = float(eps), float(weight_decay), float(momentum)
    table.launch("rmsprop", *_rate(lr), *mean, *numbers, bool(centered), maximize)


def count_up(steps: Sequence[Array], like: Array) -> None:
    """Count up to MOST counts on the GPU up by 1."""
    launch("optimizers", "count_up", like, 1, _pointers(steps), len(steps))


def _pointers(counts: Sequence[Array]) -> np.ndarray:
    struct = np.zeros(1, _COUNTS)
    struct["at"][0, : len(counts)] = [address(count) for count in counts]
    return struct


def _rate(lr: Any) -> tuple[Array | None, Array | None, float]:
    """A learning rate as kernels take it: on the device in float32, there in float64, or a number."""
    if is_gpu_array(lr):
        return (lr, None, 0.0) if lr.dtype.char == "f" else (None, lr, 0.0)
    return None, None, float(lr)


# -- gradients ---------------------------------------------------------------------------------------------------------


def takes_all(arrays: Sequence[Array]) -> bool:
    """Whether the kernels below may take these arrays: without gaps, and none with memory that another one has."""
    if not arrays or not takes(*arrays) or not all(a.flags.forc and a.size < LARGEST for a in arrays):
        return False
    extents = sorted((a.data.ptr, a.nbytes) for a in arrays if a.size)
    return all(start + size <= after for (start, size), (after, _) in pairwise(extents))


def norm(arrays: Sequence[Array]) -> Array:
    """The 2-norm of all elements together, a 0-dim array."""
    xp, like = module_of(arrays[0]), arrays[0]
    made = tables(arrays)
    counts = [min(max(table.blocks, 1), BLOCKS) for table in made]
    sums, start = xp.empty(sum(counts), like.dtype), 0
    for table, count in zip(made, counts, strict=True):
        table.launch("squares", sums[start : start + count])
        start += count
    total = xp.empty((), like.dtype)
    launch("optimizers", "root_of_sum", like, 1, sums, start, total)
    return total


def shorten(arrays: Sequence[Array], most: float, norm: Array) -> None:
    """Multiply all elements by most / norm, unless that is more than 1."""
    for table in tables(arrays):
        table.launch("shorten", norm, most)


def confine(arrays: Sequence[Array], bound: float) -> None:
    """Move all elements into [-bound, bound]."""
    for table in tables(arrays):
        table.launch("confine", bound)


def clear(arrays: Sequence[Array]) -> None:
    """Set all elements of any arrays to 0."""
    if takes_all(arrays):
        for table in tables(arrays):
            table.launch("clear")
    else:
        for array in arrays:
            array.fill(0)
