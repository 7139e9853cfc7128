"""Methods of a tensor that few programs use: functions called element by element, and facts that never change here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable
from minigrad.autograd.views import bump
from minigrad.backend import np
from minigrad.ops.cast import to


class Rarer(Variable):
    """Bound to Tensor."""

    is_nested = False
    name = property(lambda self: None)

    def apply_(self, callable: Callable[[Any], Any]) -> Any:
        """Replace each element by what a Python function makes of it: slow, and on the CPU only."""
        return self._each("apply_", callable)

    def map_(self, other: Any, callable: Callable[[Any, Any], Any]) -> Any:
        """The same with a function of this element and of another tensor's, which is expanded to this one's shape."""
        if other.array.dtype != self.array.dtype:
            raise TypeError(f"map_: expected {self.type()} for 'other' (got {other.type()})")  # type: ignore[attr-defined]
        return self._each("map_", callable, other.expand(self.array.shape))

    def _each(self, name: str, function: Callable[..., Any], *others: Any) -> Any:
        if self.needs_grad:
            raise RuntimeError(
                f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead."
            )
        arrays = [t.array for t in (self, *others)]
        if any(backend.module_of(a) is not np for a in arrays):
            raise TypeError(f"{name} is only implemented on CPU tensors")
        for place in np.ndindex(self.array.shape):
            self.array[place] = function(*(a[place].item() for a in arrays))
        bump(self)
        return self

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """The tensor, perhaps cast: all are dense."""
        return self if dtype is None else to(self, dtype)

    def is_shared(self) -> bool:
        """False: no memory is shared between processes, unless a loader's worker sent it."""
        return False

    def is_conj(self) -> bool:
        """False: no conjugate is left to be computed."""
        return False

    def is_neg(self) -> bool:
        """False: no sign is left to be changed."""
        return False
