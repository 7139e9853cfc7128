"""`torch.amp`: mixed precision, which minigrad does not have; scripts that offer it run in full precision."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available", "is_autocast_enabled"]


class autocast:
    """A context, or a decorator, that changes nothing: everything is computed in the dtype it has."""

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if enabled:
            warn(f"autocast({device_type!r}): minigrad computes in the dtype that tensors have. Disabling autocast.")
        self.device, self.fast_dtype = device_type, dtype

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function


class GradScaler:
    """Scales nothing: `scale(loss)` is the loss, `step(optimizer)` is `optimizer.step()`."""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled:
            warn(f"GradScaler({device!r}): gradients are computed in full precision here.  Disabling.")

    def scale(self, outputs: Any) -> Any:
        """What it is given."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing was scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step(*args, **kwargs)."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """There is no scale."""

    def get_scale(self) -> float:
        """1.0"""
        return 1.0

    def is_enabled(self) -> bool:
        """False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """{}, as of torch's when disabled."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """There is nothing to load into."""


def is_autocast_available(device_type: str) -> bool:
    """False for any device."""
    backend.device(device_type)
    return False


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """False for any device."""
    return is_autocast_available(device_type)


def custom_fwd(fwd: Any = None, *, device_type: str = "cuda", cast_inputs: Any = None) -> Any:
    """Decorates a Function's `forward`, which stays as it is."""
    return functools.partial(custom_fwd, device_type=device_type) if fwd is None else fwd


def custom_bwd(bwd: Any = None, *, device_type: str = "cuda") -> Any:
    """Decorates a Function's `backward`, which stays as it is."""
    return functools.partial(custom_bwd, device_type=device_type) if bwd is None else bwd
