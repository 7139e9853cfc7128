"""Classes that torch keeps for old programs; each says what to use instead."""

from __future__ import annotations

import warnings
from typing import Any

from minigrad.nn.module import Module
from minigrad.nn.modules.loss import NLLLoss

__all__ = ["Container", "NLLLoss2d"]

CONTAINER = (
    "`nn.Container` is deprecated. All of its functionality is now implemented in `nn.Module`. Subclass that instead."
)
NLL_LOSS_2D = (
    "`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in replacement and see "
    "https://pytorch.org/docs/main/nn.html#torch.nn.NLLLoss for more details."
)


class Container(Module):
    """A Module with the children given by name. A subclass is warned of where it is defined, not where it is used."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Container:
            warnings.warn(CONTAINER, FutureWarning, stacklevel=2)
        return super().__new__(cls)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        for name, child in kwargs.items():
            self.add_module(name, child)

    def __init_subclass__(cls) -> None:
        warnings.warn(CONTAINER, FutureWarning, stacklevel=2)


class NLLLoss2d(NLLLoss):
    """NLLLoss, for images too."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is NLLLoss2d:
            warnings.warn(NLL_LOSS_2D, FutureWarning, stacklevel=2)
        return super().__new__(cls)

    def __init_subclass__(cls) -> None:
        warnings.warn(NLL_LOSS_2D, FutureWarning, stacklevel=2)
