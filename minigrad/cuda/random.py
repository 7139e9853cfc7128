"""Seeds and states of the GPUs' default generators; a program may seed them whether there is a GPU or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad import backend
from minigrad.random import default_generators

__all__ = [
    "default_generators",
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
]


def _index(device: Any = "cuda") -> int:
    """The number of a GPU; without one the first, which may be seeded nevertheless."""
    index = device if isinstance(device, int) else backend.device(device).index
    if index is None:
        index = backend.gpu_module().cuda.Device().id if backend.gpu_available() else 0
    return index


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of a GPU's generator: a uint8 tensor on the CPU, 16 bytes. Raises where there is no GPU."""
    backend.gpu_module()
    return default_generators[_index(device)].get_state()


def get_rng_state_all() -> list[Any]:
    """The states of all GPUs' generators."""
    return [generator.get_state() for generator in default_generators]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Let a GPU's generator go on from a state."""
    default_generators.of(_index(device)).set_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Let the generators of the first GPUs go on from states."""
    for index, state in enumerate(new_states):
        set_rng_state(state, index)


def manual_seed(seed: int) -> None:
    """Start the current GPU's generator again from `seed`."""
    default_generators.of(_index()).manual_seed(int(seed))


def manual_seed_all(seed: int) -> None:
    """Start the generators of all GPUs again from `seed`."""
    default_generators.manual_seed_all(int(seed))


def seed() -> None:
    """Start the current GPU's generator again from a seed of the operating system."""
    default_generators.of(_index()).seed()


def seed_all() -> None:
    """Start the generators of all GPUs again from one seed of the operating system."""
    default_generators.manual_seed_all(default_generators.of(0).seed())


def initial_seed() -> int:
    """The seed that the current GPU's generator started from. Raises where there is no GPU."""
    backend.gpu_module()
    return default_generators[_index()].initial_seed()
