"""Which GPUs there are, which one "cuda" means, and what they can do."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from minigrad import backend

__all__ = [
    "can_device_access_peer", "current_device", "device", "device_count", "device_of", "get_arch_list",
    "get_device_capability", "get_device_name", "get_device_properties", "get_gencode_flags", "init", "ipc_collect",
    "is_available", "is_bf16_supported", "is_initialized", "is_tf32_supported", "set_device", "synchronize",
]  # fmt: skip


def number_of(which: Any, optional: bool = False) -> int:
    """The number of a GPU: of 1, "cuda:1", `backend.device` or `cuda.device`; "cuda" and None mean the current one.

    ValueError for other devices, and unless `optional` for those without a number.
    """
    if isinstance(which, int):
        return which
    if isinstance(which, device):
        return which.idx
    if isinstance(which, str):
        which = backend.device(which)
    if isinstance(which, backend.device):
        if which.type != "cuda":
            raise ValueError(f"Expected a cuda device, but got: {which}")
        if which.index is not None:
            return which.index
    if not optional:
        raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{which}")
    return current_device()


# -- is there one? -----------------------------------------------------------------------------------------------------


def is_available() -> bool:
    """True if CuPy is installed and sees a GPU. Never raises: `init()` says what is missing."""
    return backend.gpu_available()


def init() -> None:
    """Nothing, where there is a GPU; else the error says why there is none."""
    backend.gpu_module()


def is_initialized() -> bool:
    """True if there is a GPU: CuPy needs no preparation."""
    return is_available()


def device_count() -> int:
    """How many GPUs there are; 0 without CuPy."""
    return backend.gpu_module().cuda.runtime.getDeviceCount() if is_available() else 0


# -- the current one ---------------------------------------------------------------------------------------------------


def current_device() -> int:
    """The number of the GPU on which "cuda" tensors are made."""
    return backend.gpu_module().cuda.runtime.getDevice()


def set_device(device: Any) -> None:
    """Make "cuda" mean this GPU; a negative number changes nothing."""
    index = number_of(device)
    if index >= 0:
        backend.gpu_module().cuda.runtime.setDevice(index)


class device:
    """`with cuda.device(1):` "cuda" means GPU 1 inside; a negative number, or None, changes nothing."""

    def __init__(self, device: Any) -> None:
        self.idx = number_of(device, optional=True)
        self.prev_idx = -1

    def __enter__(self) -> None:
        if self.idx >= 0:
            self.prev_idx = current_device()
            set_device(self.idx)

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:
        set_device(self.prev_idx)


class device_of(device):
    """`with cuda.device_of(x):` "cuda" means the GPU of tensor `x` inside; nothing changes for a tensor of the CPU."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else -1)


def synchronize(device: Any = None) -> None:
    """Wait until all that was started on the GPU, on whichever stream, has finished."""
    cp = backend.gpu_module()
    cp.cuda.Device(number_of(device, optional=True)).synchronize()


# -- what it is --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _CudaDeviceProperties:
    """What CUDA tells of a GPU; sizes in bytes, rates in kHz (0 where CUDA tells them no more)."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    uuid: uuid.UUID
    L2_cache_size: int
    is_integrated: int
    is_multi_gpu_board: int
    max_threads_per_multi_processor: int
    max_threads_per_block: int
    warp_size: int
    regs_per_multiprocessor: int
    shared_memory_per_block: int
    shared_memory_per_block_optin: int
    shared_memory_per_multiprocessor: int
    clock_rate: int
    memory_clock_rate: int
    memory_bus_width: int
    pci_bus_id: int
    pci_device_id: int
    pci_domain_id: int

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory >> 20}MB, multi_processor_count={self.multi_processor_count}, "
            f"uuid={self.uuid}, L2_cache_size={self.L2_cache_size >> 20}MB)"
        )


def get_device_properties(device: Any = None) -> _CudaDeviceProperties:
    """What the GPU is: `name`, `total_memory`, `major`, `minor`, `multi_processor_count` and more.

    AssertionError for a number that no GPU has.
    """
    runtime = backend.gpu_module().cuda.runtime
    index = number_of(device, optional=True)
    if not 0 <= index < runtime.getDeviceCount():
        raise AssertionError("Invalid device id")
    told = runtime.getDeviceProperties(index)
    return _CudaDeviceProperties(
        name=told["name"].decode(),
        major=told["major"],
        minor=told["minor"],
        total_memory=told["totalGlobalMem"],
        multi_processor_count=told["multiProcessorCount"],
        uuid=uuid.UUID(bytes=bytes(told["uuid"])[:16].ljust(16, b"\0")),  # CuPy reads it as text, which ends at a 0
        L2_cache_size=told["l2CacheSize"],
        is_integrated=told["integrated"],
        is_multi_gpu_board=told["isMultiGpuBoard"],
        max_threads_per_multi_processor=told["maxThreadsPerMultiProcessor"],
        max_threads_per_block=told["maxThreadsPerBlock"],
        warp_size=told["warpSize"],
        regs_per_multiprocessor=told["regsPerMultiprocessor"],
        shared_memory_per_block=told["sharedMemPerBlock"],
        shared_memory_per_block_optin=told["sharedMemPerBlockOptin"],
        shared_memory_per_multiprocessor=told["sharedMemPerMultiprocessor"],
        clock_rate=told.get("clockRate", 0),
        memory_clock_rate=told.get("memoryClockRate", 0),
        memory_bus_width=told["memoryBusWidth"],
        pci_bus_id=told["pciBusID"],
        pci_device_id=told["pciDeviceID"],
        pci_domain_id=told["pciDomainID"],
    )


def get_device_name(device: Any = None) -> str:
    """The GPU's name, such as "NVIDIA H200"."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Its generation: (9, 0) for Hopper."""
    told = get_device_properties(device)
    return told.major, told.minor


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """True if one GPU can read the other's memory. AssertionError for a number that no GPU has."""
    runtime = backend.gpu_module().cuda.runtime
    index, peer = number_of(device, optional=True), number_of(peer_device)
    count = runtime.getDeviceCount()
    if not 0 <= index < count:
        raise AssertionError("Invalid device id")
    if not 0 <= peer < count:
        raise AssertionError("Invalid peer device id")
    return bool(runtime.deviceCanAccessPeer(index, peer))


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: there is no such dtype."""
    return False


def is_tf32_supported() -> bool:
    """True for GPUs since Ampere, whose products may use TF32."""
    return is_available() and get_device_capability()[0] >= 8


def get_arch_list() -> list[str]:
    """The generation for which kernels are compiled: that of the current GPU, when they are first used."""
    return ["sm_{}{}".format(*get_device_capability())] if is_available() else []


def get_gencode_flags() -> str:
    """The same, as a compiler's option."""
    return " ".join(f"-gencode compute=compute_{arch[3:]},code={arch}" for arch in get_arch_list())


def ipc_collect() -> None:
    """Nothing: no memory of the GPU is shared between processes. Raises where there is no GPU."""
    init()
