"""Philox4x32-10, the engine behind the generators of GPUs, in NumPy: what the kernels in `gpu/random.cu` must give.

Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3": four words are a function of a counter of 128 bits
and a key of 64, so that any thread computes any of them, with no state in between. The key is the seed; counter c has
the words 4 c to 4 c + 3 of one stream. `offset` is the place of the next word in it. A draw of n numbers takes the next
n words, or 2 n where a number needs 64 bits, element i the i-th; then the offset goes up to a multiple of 4. Which
thread computes what does not count, so a program draws the same on every GPU, and here.

torch draws from the same function, but which counter an element gets depends there on the number of multiprocessors:
the numbers are not those of torch's CUDA generator, while seeds, states and offsets are handled as there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from minigrad.backend import Array, np
from minigrad.kernels.words import Words

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
STEPS = 0x9E3779B9, 0xBB67AE85  # by which the two halves of the key grow from round to round
ROUNDS = 10
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: tuple[np.ndarray, ...], key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """The four words (uint64 arrays below 2**32) for a counter of four such arrays and a key of two words.

    >>> [f"{int(w):08x}" for w in philox((np.zeros((), np.uint64),) * 4, (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    a, b, c, d = counter
    for i in range(ROUNDS):
        k, l = (np.uint64((part + i * step) % 2**32) for part, step in zip(key, STEPS))
        p, q = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (q >> HALF) ^ b ^ k, q & LOW, (p >> HALF) ^ d ^ l, p & LOW
    return a, b, c, d


def stream(seed: int, offset: int, n: int) -> np.ndarray:
    """`n` words of the stream of `seed` from place `offset`, a multiple of 4, on: uint64."""
    counters = np.arange(-(-n // 4), dtype=np.uint64) + np.uint64(offset // 4 % 2**64)
    none = np.zeros_like(counters)
    words = philox((counters & LOW, counters >> HALF, none, none), (seed % 2**32, seed >> 32))
    return np.stack(words, axis=-1).reshape(-1)[:n]


def limit(p: float) -> int:
    """The number of words of which each is below it with probability `p`."""
    return math.ceil(p * 2.0**32)


class Place(NamedTuple):
    """Where a draw begins, as kernels take it: seed and offset, or what a buffer on the GPU adds to the offset.

    The buffer holds (seed, offset) as two uint64: a recorded launch keeps its numbers, but reads the buffer anew.
    """

    seed: int
    offset: int
    buffer: Array | None


class Recorded:
    """What one recording of launches draws: the buffer that its kernels read, and how many words they take."""

    __slots__ = ("buffer", "words")

    def __init__(self, buffer: Array) -> None:
        self.buffer, self.words = buffer, 0

    def __bool__(self) -> bool:
        return self.words > 0


class Philox(Words):
    """A stream with a place in it; `recorded` is what a recording under way has drawn, else None."""

    __slots__ = ("offset", "origin", "recorded")

    def __init__(self, seed: int) -> None:
        self.recorded: Recorded | None = None
        self.reseed(seed)

    spare = property(lambda self: None, lambda self, value: None)  # a state is a seed and an offset: none is kept

    def reseed(self, seed: int) -> None:
        """Start the stream of `seed`, 0 <= seed < 2**64."""
        self.origin, self.offset = seed, 0

    def take(self, n: int) -> Place:
        """Where the next `n` words are, for a kernel; they count as drawn."""
        n = -(-n // 4) * 4
        recorded = self.recorded
        if recorded is None:
            start, self.offset = self.offset, (self.offset + n) % 2**64
            return Place(signed(self.origin), signed(start), None)
        start, recorded.words = recorded.words, recorded.words + n
        return Place(0, start, recorded.buffer)

    def words32(self, n: int) -> np.ndarray:
        """The next `n` words. RuntimeError in a recording: a replay would not draw on the host again."""
        if self.recorded is not None and n:
            raise RuntimeError(
                "Cannot draw these random numbers during CUDA graph capture: they are made on the CPU and uploaded. "
                "Draw them before the recording."
            )
        start = self.offset
        self.take(n)
        return stream(self.origin, start, n)

    def chances(self, n: int, p: float) -> np.ndarray:
        """The next `n` truth values, one word each."""
        return self.words32(n) < np.uint64(limit(p))

    def normals(self, n: int, dtype: np.dtype) -> np.ndarray:
        """The next `n` standard normal numbers, in pairs by Box and Muller: sqrt(-2 log a) cos and sin of 2 pi b.

        a, of (0, 1], and b, of [0, 1], are of 32 bits for float32, of 53 for float64; computed in that dtype.
        """
        even = n + n % 2
        real, bits = (np.float64, 53) if dtype == np.float64 else (np.float32, 32)
        words: Any = (self.digits53(even) if bits == 53 else self.words32(even)).astype(real)
        a, b = (words[::2] + real(1)) * real(2.0**-bits), words[1::2] * real(2.0**-bits)
        radius, angle = np.sqrt(real(-2) * np.log(a)), real(2 * math.pi) * b
        return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=-1).reshape(-1)[:n]


def signed(number: int) -> int:
    """A number of 64 bits as a C `long long` has it."""
    return number - 2**64 if number >= 2**63 else number
