"""What the sections share: both engines on the GPU, a clock, rows of results, and a log."""

from __future__ import annotations

import datetime
import importlib
import json
import statistics
import subprocess
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

import minigrad
from minigrad import backend

ROOT = Path(__file__).resolve().parents[2]
Call = Callable[[], Any]


class Bench:
    """A run: `with Bench(folder, quick, stand_in) as bench`, then `bench.run` for each section, then `bench.finish`.

    On the stand-in for CuPy minigrad is emulated and torch stays on the CPU: that tries the sections, and measures
    nothing.
    """

    def __init__(self, folder: Path, quick: bool = False, stand_in: bool = False) -> None:
        self.folder, self.quick, self.stand_in = folder, quick or stand_in, stand_in
        self.results: dict[str, Any] = {"date": now(), "commit": commit(), "quick": quick, "stand_in": stand_in}
        self.failures: list[str] = []
        self._open = ExitStack()
        self._section = ""

    def __enter__(self) -> Bench:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = self._open.enter_context((self.folder / "log.txt").open("w", encoding="utf-8"))
        try:
            self.torch: Any = importlib.import_module("torch")
        except ImportError:
            self.torch = None
        if self.stand_in:
            self._open.enter_context(importlib.import_module("reference.strict_cupy").install())
        elif self.torch and self.torch.cuda.is_available():
            self.torch.backends.cuda.matmul.allow_tf32 = self.torch.backends.cudnn.allow_tf32 = False
        self.torch_device = "cpu" if self.stand_in else "cuda"
        self.say(f"{self.results['date']}, commit {self.results['commit']}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    # -- what happened ---------------------------------------------------------------------------------------------

    def say(self, *parts: Any) -> None:
        """A line for the reader, on the terminal and in the log."""
        text = " ".join(str(part) for part in parts)
        print(text, flush=True)
        print(text, file=self._log, flush=True)

    def row(self, name: str, **values: Any) -> None:
        """One result of the section, with numbers rounded for the reader."""
        self.results[self._section].append({"name": name, **values})
        self.say(f"  {name:<44}", *(f"{key} {shown(value)}" for key, value in values.items()))

    def run(self, name: str, section: Callable[[Bench], None]) -> None:
        """Do a section; its failure is noted, and does not end the run."""
        self._section, start = name, time.perf_counter()
        self.results[name] = []
        self.say(f"\n== {name}")
        self.attempt("", lambda: section(self))
        self.say(f"   {time.perf_counter() - start:.0f} s")
        self._write()

    def attempt(self, what: str, action: Call) -> Any:
        """The result of a part of the section, or None and a failure noted."""
        try:
            return action()
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            self.fail(what, f"{type(error).__name__}: {first}")
            print(traceback.format_exc(), file=self._log, flush=True)
            return None

    def fail(self, what: str, reason: str) -> None:
        """Note that something is not as it must be."""
        self.failures.append(f"{self._section}{', ' * bool(what)}{what}: {reason}")
        self.say(f"  FAILED {self.failures[-1]}")

    def check(self, what: str, holds: bool, found: Any = "") -> None:
        """A row that says whether something holds, and a failure if it does not."""
        self.row(what, holds=bool(holds), found=str(found))
        if not holds:
            self.fail(what, str(found) or "does not hold")

    def finish(self) -> int:
        """List the failures; the exit status."""
        self.say(f"\n{len(self.failures)} failures")
        for failure in self.failures:
            self.say(f"  {failure}")
        self._write()
        return 1 if self.failures else 0

    def _write(self) -> None:
        everything = self.results | {"failures": self.failures}
        (self.folder / "results.json").write_text(json.dumps(everything, indent=1, default=str) + "\n")

    # -- the engines -------------------------------------------------------------------------------------------------

    @property
    def cp(self) -> Any:
        """CuPy."""
        return backend.gpu_module()

    def engines(self) -> dict[str, tuple[Any, str]]:
        """The two libraries, by name, with the device for their tensors; torch where it is installed."""
        own: dict[str, tuple[Any, str]] = {"minigrad": (minigrad, "cuda")}
        return own | ({"torch": (self.torch, self.torch_device)} if self.torch else {})

    def size(self, full: int, quick: int, tiny: int) -> int:
        """One of three: of a real run, of a quick one, of one on the stand-in."""
        return tiny if self.stand_in else quick if self.quick else full

    # -- the clock ---------------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until the GPU has done everything, whoever asked for it."""
        self.cp.cuda.runtime.deviceSynchronize()

    def seconds(self, call: Call) -> float:
        """A call's time on the GPU, or in Python where that takes longer: the median of blocks that end awaited."""
        if self.stand_in:
            return self._block(call, 1)
        for _ in range(3):
            call()
        count = max(1, min(500, round(0.02 / self._block(call, 1))))
        return statistics.median(self._block(call, count) for _ in range(3 if self.quick else 7))

    def _block(self, call: Call, count: int) -> float:
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            call()
        self.wait()
        return (time.perf_counter() - start) / count

    def host_microseconds(self, call: Call) -> float:
        """What Python and the driver take to start a call, the GPU's own time left out: the median of short blocks."""
        count, blocks = (1, 1) if self.stand_in else (100, 20)
        times = []
        for _ in range(blocks + 1):
            self.wait()
            start = time.perf_counter()
            for _ in range(count):
                call()
            times.append((time.perf_counter() - start) / count)
        return statistics.median(times[1:]) * 1e6


def to_numpy(value: Any) -> np.ndarray:
    """A tensor's values, of either engine."""
    return value.detach().cpu().numpy()


def distance(ours: Any, exact: Any) -> float:
    """|ours - exact| / |exact|, in float64; nan never passes for small."""
    a, b = (np.asarray(to_numpy(value), dtype=np.float64) for value in (ours, exact))
    if a.shape != b.shape:
        raise AssertionError(f"shapes {a.shape} and {b.shape}")
    return float(np.linalg.norm((a - b).ravel()) / max(np.linalg.norm(b.ravel()), 1e-300))


def shown(value: Any) -> str:
    """Numbers with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def commit() -> str:
    """The commit that is measured, with a mark if files differ from it; "unknown" outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
