"""What the numbers of a dtype are like, and which dtype two of them make: torch's `finfo`, `iinfo` and promotion."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.variable import unwrap
from minigrad.backend import np

__all__ = ["can_cast", "finfo", "iinfo", "promote_types", "result_type"]


class _Info:
    """The dtype by name, its size in bits, and its largest and smallest numbers."""

    bits: int
    max: Any
    min: Any

    def __init__(self, type: Any, limits: Any) -> None:
        self.dtype, self.bits = type.name, limits.bits
        self.max, self.min = limits.max, limits.min

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(self.dtype)


class finfo(_Info):
    """The limits of a floating dtype, by default of the default one.

    eps         from 1 to the next larger number
    tiny        the smallest positive number of full precision, also `smallest_normal`
    resolution  10 to the minus number of decimal digits that are kept
    """

    def __init__(self, type: Any = None) -> None:
        type = backend.get_default_dtype() if type is None else _checked("finfo", type)
        if not type.is_floating_point:
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'\n"
                f"got {type}"
            )
        limits: Any = np.finfo(backend.numpy_dtype(type))
        super().__init__(type, limits)
        self.max, self.min = float(limits.max), float(limits.min)
        self.eps, self.tiny = float(limits.eps), float(limits.tiny)
        self.smallest_normal, self.resolution = self.tiny, float(f"1e-{limits.precision}")

    def __repr__(self) -> str:
        names = "resolution", "min", "max", "eps", "smallest_normal", "tiny"
        return f"finfo({', '.join(f'{n}={getattr(self, n):.6g}' for n in names)}, dtype={self.dtype})"


class iinfo(_Info):
    """The limits of an integer dtype."""

    def __init__(self, type: Any) -> None:
        if not _checked("iinfo", type).category:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if type.is_floating_point:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'\ngot {type}"
            )
        super().__init__(type, np.iinfo(backend.numpy_dtype(type)))

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:.6g}, max={self.max:.6g}, dtype={self.dtype})"


def _checked(function: str, type: Any, name: str = "type", position: int = 1) -> backend.dtype:
    if not isinstance(type, backend.dtype):
        kind = type.__class__.__name__
        raise TypeError(f"{function}(): argument '{name}' (position {position}) must be torch.dtype, not {kind}")
    return type


def promote_types(type1: backend.dtype, type2: backend.dtype) -> backend.dtype:
    """The smallest dtype to which both can go."""
    _checked("promote_types", type1, "type1"), _checked("promote_types", type2, "type2", 2)
    return backend.promote_types(type1, type2)


def result_type(tensor: Any, other: Any) -> backend.dtype:
    """The dtype of the result of arithmetic between the two, tensors or numbers."""
    return backend.result_type([unwrap(tensor), unwrap(other)])


def can_cast(from_: backend.dtype, to: backend.dtype) -> bool:
    """True unless numbers would lose their kind: floats none of theirs to integers, nor these to truth values."""
    return _checked("can_cast", from_, "from_").category <= _checked("can_cast", to, "to", 2).category
