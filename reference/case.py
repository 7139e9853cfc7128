"""Case: one line of THE TABLE, which drives the tests and the benchmarks of every operation.

    Case("mul", broadcastable(2))
    Case("exp", unary(-5, 5))
    Case("nn.functional.relu", unary(kinks=[0]))
    Case("max", with_dim(ties=True), "dim")

The name is torch's, looked up on whichever engine runs the case. What is drawn, and how, is said in `strategies`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from reference.strategies import Draw

# The properties of tests/test_ops.py that a case may be excused from, by name.
COMPARED = ("values", "float32", "half", "dtypes", "layouts", "verdict", "method", "in_place", "grad_fn", "device")
DERIVED = ("second_order", "finite_difference", "paths")
PROPERTIES = COMPARED + DERIVED


class Fixed:
    """A float array that becomes a tensor wanting no gradient (targets, weights of a loss, running statistics)."""

    def __init__(self, array: Any) -> None:
        self.array = array.array if isinstance(array, Fixed) else _zero_dim(array)

    def __repr__(self) -> str:
        return f"Fixed({self.array!r})"


class Sample:
    """Arguments of one call. NumPy arrays become tensors; float arrays want a gradient unless they are `Fixed`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = tuple(_zero_dim(a) for a in args)
        self.kwargs = {k: _zero_dim(v) for k, v in kwargs.items()}

    def __repr__(self) -> str:
        parts = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items()]
        return f"Sample({', '.join(parts)})"

    def map(self, change: Callable[[Any], Any]) -> Sample:
        """The sample with every array (or `Fixed`), also those in lists and tuples, replaced by `change` of it."""

        def walk(value: Any) -> Any:
            if isinstance(value, (np.ndarray, Fixed)):
                return change(value)
            if isinstance(value, (list, tuple)):
                return type(value)(walk(v) for v in value)
            return value

        return Sample(*walk(self.args), **{k: walk(v) for k, v in self.kwargs.items()})

    def options(self) -> list[Any]:
        """The arguments that are no arrays."""
        return [v for v in [*self.args, *self.kwargs.values()] if not isinstance(v, (np.ndarray, Fixed, list, tuple))]

    def arrays(self) -> list[np.ndarray]:
        """All arrays, in order."""
        found: list[np.ndarray] = []
        self.map(lambda a: found.append(a.array if isinstance(a, Fixed) else a))
        return found


def _zero_dim(value: Any) -> Any:
    """NumPy gives a scalar where a recipe computes with 0-dim arrays."""
    return np.asarray(value) if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Tolerance:
    """How far two engines may be apart, relative to each element and to the tensor's largest one."""

    float64: float
    float32: float = 1.3e-6  # torch.testing's
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.float64 > 1e-12 or self.float32 > 1.3e-6) and not self.reason:
            raise ValueError("a tolerance looser than the house's needs a reason")


ULPS = Tolerance(1e-14)  # elementwise functions: each engine's libm within a few units in the last place
SUMS = Tolerance(1e-12)  # reductions and matrix products: the order of summation is the engine's own


@dataclass(frozen=True, repr=False)
class Case:
    """One operation and how to call it.

    name        torch's dotted name ("mul", "nn.functional.relu"), the same on both engines
    draw        draws one `Sample`: a recipe of `strategies`, or a function of a `Draw`
    variant     tells two cases of one operation apart
    call        `call(T, *args, **kwargs)`, T being torch or minigrad, where it is not simply T.<name>(*args, **kwargs)
    tolerance   ULPS, SUMS, or another one with its reason
    kinks_from  the torch release since which gradients at ties and kinks are as here; before it, samples avoid them
    covers      further public ops that this case tests
    skip        properties this case is excused from: {property: reason}
    """

    name: str
    draw: Callable[[Draw], Sample]
    variant: str = ""
    call: Callable[..., Any] | None = None
    tolerance: Tolerance = ULPS
    kinks_from: str = ""
    covers: tuple[str, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, reason in self.skip.items():
            if name not in PROPERTIES or not reason:
                raise ValueError(f"{self}: skip is a reason for each of {PROPERTIES}, got {name!r}: {reason!r}")

    def __repr__(self) -> str:
        return f"{self.name}[{self.variant}]" if self.variant else self.name

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # Hypothesis would print every field

    @property
    def op(self) -> str:
        """The operation's own name: "relu" of "nn.functional.relu"."""
        return self.name.rpartition(".")[2]

    def run(self, T: Any, sample: Sample) -> Any:
        """Call the operation on module `T` with a sample whose arrays are tensors already."""
        if self.call is not None:
            return self.call(T, *sample.args, **sample.kwargs)
        return attrgetter(self.name)(T)(*sample.args, **sample.kwargs)


def torch_at_least(version: str) -> bool:
    """True if the installed torch is `version` or newer; an empty version is always reached."""
    installed = torch.__version__.partition("+")[0].split(".")
    return not version or [int(n) for n in installed[:2]] >= [int(n) for n in version.split(".")]
