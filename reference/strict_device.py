"""What is known of CuPy and its device without a GPU: the recorded names, the device, and how often the host waits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reference.strict_capture import capture

NAMES: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("cupy_names.json").read_text("utf-8"))
VERSION = NAMES["versions"]["cupy"]


class DeviceSynchronized(RuntimeError):
    """The host waited for the device inside `forbid_synchronize()`."""


@dataclass
class Synchronizations:
    """How often the host waited for the device: `float(x)`, `x.get()`, `print(x)`, `x[mask]`, `if x:` ..."""

    count: int = 0
    forbidden: bool = False

    def add(self, what: str) -> None:
        """Note one; DeviceSynchronized where they are forbidden, RuntimeError while a stream captures."""
        capture.refuse(what)
        self.count += 1
        if self.forbidden:
            raise DeviceSynchronized(f"Device synchronization was detected while disallowed: {what}")


class HostCopied(RuntimeError):
    """Values went from the host to the device inside `forbid_uploads()`."""


@dataclass
class Uploads:
    """How often values went from the host to the device: `cupy.asarray([1])`, `x.set(numpy_array)`, `x[[0, 2]]` ..."""

    count: int = 0
    forbidden: bool = False

    def add(self, what: str) -> None:
        """Note one; HostCopied where they are forbidden."""
        self.count += 1
        if self.forbidden:
            raise HostCopied(f"Values were copied from the host while disallowed: {what}")


synchronizations, uploads = Synchronizations(), Uploads()


@dataclass(frozen=True)
class Device:
    """A GPU. There is one, number 0; entering or using another is an error."""

    id: int = 0

    def __int__(self) -> int:
        return self.id

    def use(self) -> Device:
        """Make it the current device; RuntimeError if it does not exist."""
        if self.id != 0:
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        return self

    def __enter__(self) -> Device:
        return self.use()

    def __exit__(self, *error: object) -> None:
        pass

    def synchronize(self) -> None:
        """Wait for the device; counted."""
        synchronizations.add("Device.synchronize")


@dataclass(frozen=True)
class MemoryPointer:
    """Where an array's memory begins."""

    ptr: int
    mem: object = None  # the same for all arrays on a block of memory
    device: Device = Device()


@dataclass(frozen=True)
class Flags:
    """The layout flags that CuPy has: no `writeable`, no `aligned`."""

    c_contiguous: bool
    f_contiguous: bool
    owndata: bool
    fnc = property(lambda self: self.f_contiguous and not self.c_contiguous)
    forc = property(lambda self: self.f_contiguous or self.c_contiguous)

    def __getitem__(self, name: str) -> bool:
        return {"C_CONTIGUOUS": self.c_contiguous, "F_CONTIGUOUS": self.f_contiguous, "OWNDATA": self.owndata}[name]
