"""Random number generators with torch's CPU stream: `Generator`, the default one, seeds and states.

`manual_seed(s)` starts the stream that torch's starts, and `kernels.draws` and `kernels.choices` take from it what
torch takes, so a seeded program draws the same weights, shuffles and masks on both. A state has torch's bytes and can
be carried over: `minigrad` goes on where `torch.get_rng_state()` stands, and back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.backend import np
from minigrad.kernels.choices import draw_seed
from minigrad.kernels.mt19937 import MT19937

__all__ = [
    "Generator", "default_generator", "draw_seed", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed",
    "set_rng_state",
]  # fmt: skip

DEFAULT_SEED = 67280421310721  # a new generator's, as in torch


class Generator(MT19937):
    """A stream of random numbers with a seed and a state of its own: torch.Generator.

    `Generator(device="cuda")` has the same stream: numbers are drawn on the CPU and uploaded (`kernels.draws.store`).
    Not locked: threads that share one must take turns. Can be pickled and deep-copied.

    >>> Generator().manual_seed(0).initial_seed()
    0
    """

    __slots__ = ("device",)

    def __init__(self, device: Any = "cpu") -> None:
        backend.module_on(device)  # raises where there is no such device
        super().__init__(DEFAULT_SEED)
        self.device = backend.device(device)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`, -2**63 <= seed < 2**64 a negative one counting as seed + 2**64; return self.

        Only its low 32 bits matter to the stream, as in torch. Errors: RuntimeError if it is no integer, ValueError if
        it is outside that range.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"Overflow when unpacking long long\nmanual_seed: {seed} is outside [-2**63, 2**64 - 1]")
        self.reseed(int(seed) % 2**64)
        return self

    def seed(self) -> int:
        """Start again from a seed taken from the operating system, and return it."""
        return self.manual_seed(int.from_bytes(os.urandom(8), "little")).origin

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self.origin

    def get_state(self) -> Any:
        """The whole state as torch's 5056 bytes: a uint8 tensor."""
        return wrap(self.state())

    def set_state(self, new_state: Any) -> Generator:
        """Go on from a state: an array or tensor of 5056 bytes, of `get_state` or of torch's.

        Errors: TypeError unless it is an array of uint8; RuntimeError if it has another size or is no state.
        """
        array = getattr(new_state, "array", new_state)
        if not backend.is_array(array):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if array.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        self.load_state(backend.to_numpy(array))
        return self

    def clone_state(self) -> Generator:
        """A new generator that goes on from where this one stands."""
        return type(self)(self.device).set_state(self.get_state())


default_generator = Generator()
default_generator.seed()  # a program that sets no seed draws other numbers each time it runs


def manual_seed(seed: Any) -> Generator:
    """Start the default generator again from `int(seed)`; returns it. See `Generator.manual_seed`."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Start the default generator again from a seed of the operating system, and return that seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator: see `Generator.get_state`."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Let the default generator go on from a state: see `Generator.set_state`."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices: Iterable[Any] | None = None, enabled: bool = True) -> Iterator[None]:
    """What is drawn inside does not move the default generator outside. Also a decorator.

    `devices` is accepted for torch's sake: all devices draw from the one default generator. `enabled=False` does
    nothing.
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
