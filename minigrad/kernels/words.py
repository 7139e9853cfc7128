"""What is made of a stream of random 32-bit words, whichever engine gives them: integers and uniform numbers."""

from __future__ import annotations

from minigrad.backend import np


class Words:
    """An engine: `words32(n)` gives its next `n` words; the rest follows from them."""

    __slots__ = ()

    origin: int  # the seed it started from

    def words32(self, n: int) -> np.ndarray:
        """The next `n` words of 32 bits, as uint64."""
        raise NotImplementedError

    def words64(self, n: int) -> np.ndarray:
        """The next `n` numbers of 64 bits, as uint64."""
        words = self.words32(2 * n)
        high, low = words[::2], words[1::2]
        return (high << np.uint64(32)) | low

    def digits53(self, n: int) -> np.ndarray:
        """The next `n` integers below 2**53, as uint64: a float64 uniform number is one of them times 2**-53."""
        return self.words64(n) & np.uint64(2**53 - 1)

    def uniform64(self, n: int) -> np.ndarray:
        """The next `n` float64 numbers, uniform on [0, 1)."""
        return self.digits53(n) * 2.0**-53

    def uniform32(self, n: int) -> np.ndarray:
        """The next `n` float32 numbers, uniform on [0, 1): the low 24 bits of a word, times 2**-24."""
        return (self.words32(n) & np.uint64(2**24 - 1)).astype(np.float32) * np.float32(2**-24)

    def chances(self, n: int, p: float) -> np.ndarray:
        """The next `n` truth values, each True with probability `p`."""
        raise NotImplementedError
