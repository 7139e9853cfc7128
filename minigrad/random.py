"""Random number generators: `Generator`, the default ones, seeds and states.

On the CPU the stream is torch's: `manual_seed(s)` starts the one that torch's starts, and `kernels.draws` and
`kernels.choices` take from it what torch takes, so a seeded program draws the same weights, shuffles and masks on both.
A state has torch's bytes and can be carried over: `minigrad` goes on where `torch.get_rng_state()` stands, and back.

Each GPU has a Philox generator (`kernels.philox`), whose numbers are made where they are needed. They are not those of
torch's CUDA generator, which depend on the GPU; what is done with seeds, states and offsets is the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.backend import np
from minigrad.kernels.choices import draw_seed
from minigrad.kernels.gpu import random as gpu
from minigrad.kernels.mt19937 import MT19937
from minigrad.kernels.philox import Philox, Recorded
from minigrad.kernels.words import Words

__all__ = [
    "Generator", "default_generator", "draw_seed", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed",
    "set_rng_state",
]  # fmt: skip

DEFAULT_SEED = 67280421310721  # a new generator's, as in torch


class Generator(Words):
    """A stream of random numbers with a seed and a state of its own: torch.Generator.

    Made for a device, on which alone it draws. Not locked: threads that share one must take turns. Can be pickled and
    deep-copied.

    >>> Generator().manual_seed(0).initial_seed()
    0
    """

    __slots__ = ()

    device: backend.device

    def __new__(cls, device: Any = "cpu") -> Generator:
        return object.__new__(cls if cls is not Generator else kind_for(device))

    def reseed(self, seed: int) -> None:
        """Start the stream of `seed`, 0 <= seed < 2**64."""
        raise NotImplementedError

    def state(self) -> np.ndarray:
        """The state as torch's bytes."""
        raise NotImplementedError

    def load_state(self, data: np.ndarray) -> None:
        """Go on from torch's bytes."""
        raise NotImplementedError

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`, -2**63 <= seed < 2**64, a negative one counting as seed + 2**64; return self.

        On the CPU only its low 32 bits matter to the stream, as in torch. Errors: RuntimeError if it is no integer,
        ValueError if it is outside that range.
        """
        self.reseed(checked_seed(seed))
        return self

    def seed(self) -> int:
        """Start again from a seed taken from the operating system, and return it."""
        return self.manual_seed(int.from_bytes(os.urandom(8), "little")).origin

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self.origin

    def get_state(self) -> Any:
        """The whole state, a uint8 tensor: torch's 5056 bytes on the CPU, on a GPU 16, the seed and the offset."""
        return wrap(self.state())

    def set_state(self, new_state: Any) -> Generator:
        """Go on from a state: an array or tensor of bytes, of `get_state` or of torch's.

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

    def get_offset(self) -> int:
        """How many words of the stream are drawn. RuntimeError on the CPU, whose generator counts none."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int) -> None:
        """Go on from another place of the stream, a multiple of 4. RuntimeError on the CPU."""
        raise RuntimeError("CPU Generator does not use offset")


def checked_seed(seed: Any) -> int:
    """The seed, 0 <= seed < 2**64; the errors of `Generator.manual_seed`."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"Overflow when unpacking long long\nmanual_seed: {seed} is outside [-2**63, 2**64 - 1]")
    return int(seed) % 2**64


class CpuGenerator(MT19937, Generator):
    """torch's CPU stream."""

    __slots__ = ("device",)

    def __init__(self, device: Any = "cpu") -> None:
        super().__init__(DEFAULT_SEED)
        self.device = backend.device(device)


class GpuGenerator(Philox, Generator):
    """A Philox stream, for a GPU; made without asking whether there is one.

    While launches are recorded for a CUDA graph their numbers are counted from 0 and read from a buffer; a replay
    writes there where the generator stands, and moves it on. So replays draw what calls would have drawn.
    """

    __slots__ = ("captured", "device")

    captured: Recorded | None  # what the last recording draws

    def __init__(self, device: Any = "cuda") -> None:
        super().__init__(DEFAULT_SEED)
        self.device, self.captured = backend.canonical(device), None

    def reseed(self, seed: int) -> None:
        """Start the stream of `seed`. RuntimeError in a recording, unless it is the seed already."""
        if self.recorded is None:
            super().reseed(seed)
        elif seed != self.origin:
            raise RuntimeError(
                "CUDAGeneratorImpl::set_current_seed can be called during stream capture only if new seed is the same "
                "as the original seed."
            )

    def state(self) -> np.ndarray:
        """Seed and offset, 8 bytes each."""
        self._refuse_capture("current_seed")
        return np.array([self.origin, self.offset], "<u8").view(np.uint8)

    def load_state(self, data: np.ndarray) -> None:
        """Go on from a seed and an offset, or from the beginning if there is a seed only."""
        self._refuse_capture("set_state")
        if data.size not in (8, 16):
            raise RuntimeError(f"RNG state is wrong size\na CUDA generator's has 16 bytes, not {data.size}")
        seed, *offset = np.ascontiguousarray(data).reshape(-1).view("<u8").tolist()
        self.set_offset(*offset or [0])
        self.origin = seed

    def get_offset(self) -> int:
        """How many words of the stream are drawn."""
        self._refuse_capture("get_offset")
        return self.offset

    def set_offset(self, offset: int) -> None:
        """Go on from another place of the stream. RuntimeError unless it is a multiple of 4."""
        self._refuse_capture("set_offset")
        if offset % 4:
            raise RuntimeError(f"offset must be a multiple of 4\ngot {offset}")
        self.offset = int(offset) % 2**64

    def _refuse_capture(self, what: str) -> None:
        if self.recorded is not None:
            raise RuntimeError(f"Cannot call CUDAGeneratorImpl::{what} during CUDA graph capture.")

    def begin_capture(self) -> None:
        """From now on launches are recorded: what is drawn is counted from 0."""
        self._refuse_capture("begin_capture")
        self.recorded = gpu.recorded(backend.gpu_module())

    def end_capture(self) -> Recorded | None:
        """The recording is over; returns, and keeps as `captured`, what it draws: False if nothing."""
        self.captured, self.recorded = self.recorded, None
        return self.captured

    def before_replay(self, captured: Recorded) -> None:
        """Let the launches that are about to be replayed draw the numbers that come next."""
        if captured:
            gpu.set_state(self, captured)

    def __reduce__(self) -> tuple:
        return Generator, (self.device,), self.state()

    def __setstate__(self, state: np.ndarray) -> None:
        self.load_state(state)


def kind_for(device: Any) -> type[Generator]:
    """The class of a device's generators; raises where there is no such device."""
    return CpuGenerator if backend.module_on(device) is np else GpuGenerator


# -- the default generators -------------------------------------------------------------------------------------------


class GpuGenerators(Sequence[GpuGenerator]):
    """The default generators of the GPUs, made when they are first asked for: for a seed CuPy is not imported.

    `seed_to_come` is the last seed for all GPUs, from which those start that are not made yet; None if there was none.
    """

    def __init__(self) -> None:
        self.made: dict[int, GpuGenerator] = {}
        self.seed_to_come: int | None = None

    def __len__(self) -> int:
        return backend.gpu_module().cuda.runtime.getDeviceCount() if backend.gpu_available() else 0

    def __getitem__(self, index: Any) -> Any:
        number = range(len(self))[index]
        return self.of(number) if isinstance(number, int) else [self.of(i) for i in number]

    def of(self, index: int) -> GpuGenerator:
        """That of one GPU, without asking whether there is one."""
        generator = self.made.get(index)
        if generator is None:
            self.made[index] = generator = GpuGenerator(backend.device("cuda", index))
            if self.seed_to_come is None:
                generator.seed()  # as on the CPU, below
            else:
                generator.reseed(self.seed_to_come)
        return generator

    def manual_seed_all(self, seed: int) -> None:
        """Start all of them from `seed`, also those that are not made yet."""
        seed = checked_seed(seed)
        for generator in self.made.values():
            generator.reseed(seed)
        self.seed_to_come = seed

    def places(self) -> dict[int, tuple[int, int]]:
        """(seed, offset) of those that are made."""
        return {index: (generator.origin, generator.get_offset()) for index, generator in self.made.items()}

    def go_to(self, places: dict[int, tuple[int, int]]) -> None:
        """Go on from what `places` gave."""
        for index, (seed, offset) in places.items():
            generator = self.of(index)
            generator.reseed(seed)
            generator.set_offset(offset)


default_generator = CpuGenerator()
default_generator.seed()  # a program that sets no seed draws other numbers each time it runs
default_generators = GpuGenerators()


def generator_for(array: backend.Array, generator: Any = None) -> Any:
    """What draws for an array: `generator`, or the default one of its device; RuntimeError for another device's."""
    if generator is None:
        return default_generator if isinstance(array, np.ndarray) else default_generators.of(array.device.id)
    return generator_on(backend.device_of(array), generator)


def generator_on(device: backend.device, generator: Any = None) -> Any:
    """The same for a device that has a number."""
    if generator is None:
        return default_generator if device.type == "cpu" else default_generators.of(device.index or 0)
    if generator.device.type != device.type:
        raise RuntimeError(
            f"Expected a '{device.type}' device type for generator but found '{generator.device.type}'\n"
            f"give a minigrad.Generator(device='{device.type}')"
        )
    return generator


def manual_seed(seed: Any) -> Generator:
    """Start all default generators again from `int(seed)`; returns the CPU's. See `Generator.manual_seed`."""
    default_generators.manual_seed_all(int(seed))
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Start all default generators again from one seed of the operating system, and return that seed."""
    chosen = default_generator.seed()
    default_generators.manual_seed_all(chosen)
    return chosen


def initial_seed() -> int:
    """The seed that the CPU's default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the CPU's default generator: see `Generator.get_state`."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Let the CPU's default generator go on from a state: see `Generator.set_state`."""
    default_generator.set_state(new_state)


def rng_states() -> tuple[bytes, dict[int, tuple[int, int]]]:
    """Where all default generators stand."""
    return default_generator.state().tobytes(), default_generators.places()


def set_rng_states(states: tuple[bytes, dict[int, tuple[int, int]]]) -> None:
    """Let them go on from what `rng_states` gave."""
    default_generator.load_state(np.frombuffer(states[0], np.uint8))
    default_generators.go_to(states[1])


@contextlib.contextmanager
def fork_rng(devices: Iterable[Any] | None = None, enabled: bool = True) -> Iterator[None]:
    """What is drawn inside does not move the default generators outside. Also a decorator.

    `devices` are the GPUs whose generators are meant beside the CPU's, all of them by default; `enabled=False` does
    nothing.
    """
    if not enabled:
        yield
        return
    state, places = rng_states()
    if devices is not None:
        numbers = {backend.canonical(device).index for device in devices}
        places = {index: place for index, place in places.items() if index in numbers}
    try:
        yield
    finally:
        set_rng_states((state, places))
