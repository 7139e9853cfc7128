"""The Mersenne Twister behind torch's CPU generator: its stream of bits and the byte layout of its state.

Both torch and NumPy seed and step the MT19937 of Matsumoto and Nishimura (1998) alike, so NumPy's compiled bit
generator gives torch's stream. torch takes from it, per number drawn, one 32-bit word, or two (first the high, then the
low half) for 64 bits.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import np
from minigrad.kernels.words import Words

WORDS = 624  # 32-bit words of state

# torch's `CPUGeneratorImplState`, laid out as a C compiler does. `next` is the index of the next word in the block,
# `left` the number of words left, plus one. Fresh from seeding they are (0, 1): twisted before a first word is taken.
STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),
        ("seeded", "<i4"),
        ("next", "<u8"),
        ("words", "<u8", WORDS),
        ("normal_x", "<f8"),
        ("normal_y", "<f8"),
        ("normal_rho", "<f8"),
        ("normal_is_valid", "<i4"),
        ("unused", "V12"),  # padding, and a float32 spare that no draw on the CPU leaves
    ],
    align=True,
)


class MT19937(Words):
    """torch's random engine: `origin`, the seed it started from; the words that follow; `spare`, a normal number kept.

    >>> MT19937(5489).words32(1)
    array([3499211612], dtype=uint64)
    """

    __slots__ = ("_bits", "_fresh", "origin", "spare")

    spare: float | None  # of the last pair of normal numbers, the one not yet given out

    def __init__(self, seed: int) -> None:
        self._bits = np.random.MT19937(0)
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the stream of `seed`, 0 <= seed < 2**64, of which MT19937 uses the low 32 bits."""
        np.random.RandomState(self._bits).seed(seed & 0xFFFFFFFF)
        self.origin, self.spare, self._fresh = seed, None, True

    def words32(self, n: int) -> np.ndarray:
        """The next `n` words of 32 bits, as uint64."""
        if n:
            self._fresh = False
        return self._bits.random_raw(n)

    def chances(self, n: int, p: float) -> np.ndarray:
        """The next `n` truth values, each True with probability `p`: k 2**-53 < p, in integers."""
        return self.digits53(n) < np.uint64(math.ceil(p * 2.0**53))

    def state(self) -> np.ndarray:
        """The state as torch's 5056 bytes (uint8)."""
        state = np.zeros(1, STATE)
        inner = self._bits.state["state"]
        position = 0 if self._fresh else inner["pos"]
        state["seed"], state["seeded"], state["words"] = self.origin, 1, inner["key"]
        state["next"], state["left"] = position, 1 if self._fresh else WORDS + 1 - position
        state["normal_is_valid"], state["normal_y"] = self.spare is not None, self.spare or 0.0
        return state.view(np.uint8)

    def load_state(self, data: np.ndarray) -> None:
        """Go on from a state that `state` or torch gave.

        Errors: RuntimeError if it has another size, or counters that no MT19937 has.
        """
        if data.size != STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE.itemsize} but found the input RNG state size to be "
                f"{data.size}"
            )
        state = np.ascontiguousarray(data).reshape(-1).view(STATE)[0]
        position, left = int(state["next"]), int(state["left"])
        fresh = (position, left) == (0, 1)
        if state["seeded"] != 1 or not (fresh or (1 <= position <= WORDS and left == WORDS + 1 - position)):
            raise RuntimeError("Invalid mt19937 state")
        inner: Any = {"key": state["words"].astype(np.uint32), "pos": WORDS if fresh else position}
        self._bits.state = {"bit_generator": "MT19937", "state": inner}
        self.origin, self._fresh = int(state["seed"]), fresh
        self.spare = float(state["normal_y"]) if state["normal_is_valid"] else None


def shuffled(words: np.ndarray) -> np.ndarray:
    """Fisher and Yates' shuffle of 0 ... n-1 by n - 1 words: step i swaps places i and i + words[i] % (n - i).

    Computed without a loop over the steps. Place k is the target of earlier steps, of which the last, own(k), left
    there what it found at its own place; so at step k place k holds root(k): follow own from k until no step comes
    before. What step i brings to place i, for good, is likewise root of the last step before i with the same target, or
    else the target itself. The chains are short, so doubling them a few times finds every root. (60,000 places: 1.5 ms;
    swapping in Python: 7.)
    """
    n = len(words) + 1
    steps = np.arange(n)
    target = steps.copy()  # the last place has no step; a swap with itself stands for it
    target[:-1] += (words % np.arange(n, 1, -1, dtype=np.uint64)).view(np.int64)
    # Sort the steps by target, then by step: each one's predecessor in its group is the last step with the same target.
    keys = np.sort(target << 32 | steps)
    step, place = keys & 0xFFFFFFFF, keys >> 32
    before = np.full(n, -1)
    repeats = np.flatnonzero(place[1:] == place[:-1])
    before[step[repeats + 1]] = step[repeats]
    last = np.full(n, -1)
    last[place] = step  # of equal places the last assignment stays
    own = np.where(last == steps, before, last)
    root = np.where(own < 0, steps, own)
    while not np.array_equal(further := root[root], root):
        root = further
    return np.where(before < 0, target, root[before])
