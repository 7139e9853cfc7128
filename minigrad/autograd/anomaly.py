"""Anomaly detection: which operation made the nan, or failed in backward, and on what line it was called."""

from __future__ import annotations

import warnings
from typing import Any

from minigrad.autograd.mode import mode, set_mode
from minigrad.autograd.watched import Watcher


def is_anomaly_enabled() -> bool:
    """True while anomaly detection is on in this thread."""
    return mode.watcher is not None and mode.watcher.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """True while backward refuses gradients that are nan."""
    return mode.watcher is None or mode.watcher.check_nan


def _switch(anomaly: bool, check_nan: bool) -> None:
    hooks = mode.watcher.hooks if mode.watcher else ()
    watcher = Watcher(anomaly, check_nan, hooks) if anomaly or hooks else None
    set_mode(mode.grad, mode.inference, watcher)


class set_detect_anomaly:
    """Switch anomaly detection on or off in this thread; as a context, back again at its end."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = is_anomaly_enabled(), is_anomaly_check_nan_enabled()
        _switch(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _switch(*self.previous)


class detect_anomaly:
    """While entered, every operation remembers the line that called it, and backward stops at the first nan gradient.

    The error of a failing backward is preceded by a warning with that line. Slow: for finding faults, not for training.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self.previous: list[Any] = []
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            UserWarning,
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self.previous.append((is_anomaly_enabled(), is_anomaly_check_nan_enabled()))
        _switch(True, self.check_nan)

    def __exit__(self, *exc: object) -> None:
        _switch(*self.previous.pop())
