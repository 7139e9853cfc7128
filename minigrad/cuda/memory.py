"""How much of a GPU's memory is in use, at most was, and may be.

"Allocated" is what arrays use, "reserved" what CuPy's pool has taken from the GPU for them; what arrays free stays in
the pool. The most that was allocated is counted from the first time on that somebody asks for it or resets it (until
then it is taken to be what was reserved): an allocation then costs an addition, and now and then a count of all blocks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.cuda.devices import device, is_available, number_of
from minigrad.gpu_memory import Memory, OutOfMemoryError, memory_of, written

__all__ = [
    "OutOfMemoryError", "empty_cache", "get_allocator_backend", "get_per_process_memory_fraction",
    "max_memory_allocated", "max_memory_cached", "max_memory_reserved", "mem_get_info", "memory_allocated",
    "memory_cached", "memory_reserved", "memory_stats", "memory_stats_as_nested_dict", "memory_summary",
    "reset_accumulated_memory_stats", "reset_max_memory_allocated", "reset_max_memory_cached",
    "reset_peak_memory_stats", "set_per_process_memory_fraction",
]  # fmt: skip


@contextmanager
def _memory_on(which: Any) -> Iterator[Memory]:
    """The memory, with the GPU `which` current inside. Raises where there is no GPU."""
    cp = backend.gpu_module()
    with device(number_of(which, optional=True)):
        yield memory_of(cp)


def empty_cache() -> None:
    """Give memory that no array uses back to the GPU, for others; without one there is nothing to do."""
    if is_available():
        memory_of(backend.gpu_module()).give_back()


def memory_allocated(device: Any = None) -> int:
    """Bytes in use by arrays, in units of 512; 0 without a GPU."""
    if not is_available():
        return 0
    with _memory_on(device) as memory:
        return memory.used()


def memory_reserved(device: Any = None) -> int:
    """Bytes that CuPy's pool has taken from the GPU; 0 without one."""
    if not is_available():
        return 0
    with _memory_on(device) as memory:
        return memory.held()


def max_memory_allocated(device: Any = None) -> int:
    """The most that was in use by arrays since `reset_peak_memory_stats`; 0 without a GPU."""
    if not is_available():
        return 0
    with _memory_on(device) as memory:
        return memory.watch().peak


def max_memory_reserved(device: Any = None) -> int:
    """The most that the pool had taken since `reset_peak_memory_stats`; 0 without a GPU."""
    if not is_available():
        return 0
    with _memory_on(device) as memory:
        memory.held()
        return memory.use().peak_held


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let both maxima begin anew, with what is in use now. Raises where there is no GPU."""
    with _memory_on(device) as memory:
        memory.reset_peaks()


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Let the sums of `memory_stats` begin anew. Raises where there is no GPU."""
    with _memory_on(device) as memory:
        use = memory.use()
        use.given = use.ooms = use.retries = 0


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Bytes of the GPU that nobody has taken, and all it has."""
    with _memory_on(device) as memory:
        free, total = memory.cp.cuda.runtime.memGetInfo()
    return free, total


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """The pool may take this part of the GPU's memory and no more: beyond it, allocations are out of memory.

    TypeError unless `fraction` is a float, ValueError unless it is from 0 to 1.
    """
    with _memory_on(device) as memory:
        if not isinstance(fraction, float):
            raise TypeError("Invalid type for fraction argument, must be `float`")
        if not 0 <= fraction <= 1:
            raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
        total = memory.cp.cuda.runtime.memGetInfo()[1]
        # CuPy takes a limit of 0 bytes for none
        memory.default.pool.set_limit(size=0 if fraction == 1 else max(int(fraction * total), 1))


def get_per_process_memory_fraction(device: Any = None) -> float:
    """What `set_per_process_memory_fraction` set; 1.0 without a limit."""
    with _memory_on(device) as memory:
        limit = memory.default.pool.get_limit()
        return limit / memory.cp.cuda.runtime.memGetInfo()[1] if limit else 1.0


# -- all figures -------------------------------------------------------------------------------------------------------


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """torch's figures, as far as CuPy's pool knows them: {"allocated_bytes": {"all": {"current": ...}}, ...}.

    "allocated" and "freed" are sums since the first question for a maximum. {} without a GPU.
    """
    if not is_available():
        return {}
    with _memory_on(device) as memory:
        use, used, held = memory.watch(), memory.used(), memory.held()
        given = max(use.given, used)
        arrays = {"all": {"current": used, "peak": max(use.peak or 0, used), "allocated": given, "freed": given - used}}
        blocks = {"all": {"current": held, "peak": use.peak_held, "allocated": held, "freed": 0}}
        return {
            "allocated_bytes": arrays,
            "active_bytes": arrays,
            "reserved_bytes": blocks,
            "num_alloc_retries": use.retries,
            "num_ooms": use.ooms,
        }


def memory_stats(device: Any = None) -> dict[str, Any]:
    """The same without nesting: {"allocated_bytes.all.current": ...}."""
    flat: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if not isinstance(value, dict):
            flat[prefix] = value
        else:
            for key, part in value.items():
                add(f"{prefix}.{key}" if prefix else key, part)

    add("", memory_stats_as_nested_dict(device))
    return OrderedDict(sorted(flat.items()))


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The figures as a table. Raises where there is no GPU; `abbreviated` changes nothing, for pools are not split."""
    backend.gpu_module()
    stats, rule = memory_stats_as_nested_dict(device), "=" * 75
    lines = [
        rule,
        f"{f'minigrad CUDA memory summary, device ID {number_of(device, optional=True)}':^75}",
        "-" * 75,
        f"{'CUDA OOMs: ' + str(stats['num_ooms']):^36} | {'retries: ' + str(stats['num_alloc_retries']):^36}",
        rule,
        "        Metric         | Cur Usage  | Peak Usage | Tot Alloc  | Tot Freed  ",
    ]
    for key, name in (("allocated_bytes", "Allocated memory"), ("reserved_bytes", "GPU reserved memory")):
        figures = [written(stats[key]["all"][kind]) for kind in ("current", "peak", "allocated", "freed")]
        lines += ["-" * 75, f" {name:<21} | " + " | ".join(f"{figure:>10}" for figure in figures) + " "]
    return "".join(f"|{line:<75}|\n" for line in [*lines, rule])


# -- older names -------------------------------------------------------------------------------------------------------


def memory_cached(device: Any = None) -> int:
    """Deprecated; see `memory_reserved`."""
    warn("`torch.cuda.memory_cached` has been renamed to `torch.cuda.memory_reserved`", FutureWarning)
    return memory_reserved(device)


def max_memory_cached(device: Any = None) -> int:
    """Deprecated; see `max_memory_reserved`."""
    warn("`torch.cuda.max_memory_cached` has been renamed to `torch.cuda.max_memory_reserved`", FutureWarning)
    return max_memory_reserved(device)


def reset_max_memory_allocated(device: Any = None) -> None:
    """`reset_peak_memory_stats`, with a warning."""
    warn(_RESETS_ALL.format("allocated"), FutureWarning)
    reset_peak_memory_stats(device)


def reset_max_memory_cached(device: Any = None) -> None:
    """`reset_peak_memory_stats`, with a warning."""
    warn(_RESETS_ALL.format("cached"), FutureWarning)
    reset_peak_memory_stats(device)


_RESETS_ALL = (
    "torch.cuda.reset_max_memory_{} now calls torch.cuda.reset_peak_memory_stats, which resets /all/ peak memory stats."
)


def get_allocator_backend() -> str:
    """What allocates: CuPy."""
    return "cupy"
