"""When two results are equal, and what is said when they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from reference.adapters import flatten, is_tensor


@dataclass(frozen=True)
class Closeness:
    """|ours - theirs| <= relative * (the tensor's largest finite value) + absolute; nan and inf must be met exactly."""

    relative: float
    absolute: float
    reason: str = ""


CLOSE = {
    "float64": Closeness(1e-10, 1e-12),
    "float32": Closeness(1.3e-6, 1e-5),  # torch.testing's defaults
    "float16": Closeness(1e-3, 1e-5),  # likewise
    "bfloat16": Closeness(1.6e-2, 1e-5),
}

# Operations whose float64 results may be farther apart, and why. Samples that need it are counted as such.
BCE = Closeness(1e-8, 1e-12, "torch's second derivative has 1e-12 added to the factors of its denominator")
LOOSER = {
    "nn.functional.binary_cross_entropy": BCE,
    "nn.BCELoss": BCE,
    "logcumsumexp": Closeness(1e-10, 1e-11, "torch's second derivative, through logarithms, misses zeros by 5e-12"),
    "mvlgamma": Closeness(1e-9, 1e-12, "torch's trigamma ends its series early, at 4e-10 of its value"),
    "nn.functional.hardsigmoid": Closeness(1e-7, 1e-12, "torch multiplies by 1/6 rounded to float32"),
}


def difference(ours: Any, theirs: Any, looser: Closeness | None = None) -> str:
    """ "" if the results are equal in structure, dtype, shape and value; else the first difference, in a line."""
    if isinstance(theirs, (list, tuple)):
        if not isinstance(ours, (list, tuple)) or len(ours) != len(theirs):
            count = len(ours) if isinstance(ours, (list, tuple)) else type(ours).__name__
            return f"{count} results, not {len(theirs)}"
        found = (difference(o, t, looser) for o, t in zip(ours, theirs))
        return next((f"[{i}] {text}" for i, text in enumerate(found) if text), "")
    if not is_tensor(theirs) and is_tensor(ours):
        return f"a tensor, not {theirs!r}"
    if not is_tensor(theirs):
        same = type(ours) is type(theirs) and (ours == theirs or (ours != ours and theirs != theirs))
        return "" if same or isinstance(theirs, (torch.dtype, torch.device)) else f"{ours!r}, not {theirs!r}"
    if not is_tensor(ours):
        return f"{ours!r}, not a tensor"
    return structure(ours, theirs) or values(ours, theirs, looser)


def structure(ours: Any, theirs: Any) -> str:
    """The difference in dtype or shape of two tensors."""
    if str(ours.dtype) != str(theirs.dtype):
        return f"dtype {ours.dtype}, not {theirs.dtype}"
    if tuple(ours.shape) != tuple(theirs.shape):
        return f"shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    return ""


def values(ours: Any, theirs: Any, looser: Closeness | None) -> str:
    """The difference in value of two tensors of one dtype and shape."""
    close = looser or CLOSE.get(str(theirs.dtype).removeprefix("torch."), CLOSE["float64"])
    o, t = array(ours), array(theirs)
    if t.dtype.kind != "f":
        wrong = o != t
        return told(o, t, wrong) if wrong.any() else ""
    finite = np.isfinite(t)
    scale = np.abs(t[finite]).max(initial=0)
    with np.errstate(invalid="ignore"):
        far = np.abs(o - t) > close.relative * scale + close.absolute
        wrong = np.where(finite, far | ~np.isfinite(o), ~((o == t) | (np.isnan(o) & np.isnan(t))))
    return told(o, t, wrong) if wrong.any() else ""


def told(ours: np.ndarray, theirs: np.ndarray, wrong: np.ndarray) -> str:
    """Where two arrays differ most, in a line."""
    with np.errstate(all="ignore"):
        size = np.abs(np.where(wrong, ours.astype(float) - theirs.astype(float), 0))
    at = np.unravel_index(np.where(np.isnan(size), np.inf, size).argmax(), size.shape)
    place = f" at {tuple(map(int, at))}" if at else ""
    return f"{ours[at]!r}, not {theirs[at]!r}{place}; {int(wrong.sum())} of {wrong.size} differ".replace("np.", "")


def array(tensor: Any) -> np.ndarray:
    """A tensor's values; halves, which NumPy may not have, as float32."""
    halves = ("torch.bfloat16", "torch.float16")
    return (tensor.detach().float() if str(tensor.dtype) in halves else tensor).numpy(force=True)


# -- allowances: not equal, but no fault of ours -----------------------------------------------------------------------


def zeros_for_none(ours: list[Any], theirs: list[Any]) -> tuple[list[Any], list[Any]]:
    """The gradients that stay to be compared once those are left out that one engine calls None and the other zero."""

    def nothing(g: Any) -> bool:
        return g is None or not array(g).any()

    pairs = [(o, t) for o, t in zip(ours, theirs) if not ((o is None) != (t is None) and nothing(o) and nothing(t))]
    return [o for o, _ in pairs], [t for _, t in pairs]


def nearer(ours: Any, theirs: Any, exact: Any) -> bool:
    """True if float32 results of ours are as near to torch's float64 ones as torch's own float32 results are."""
    triples = list(zip(flatten(ours), flatten(theirs), flatten(exact), strict=True))
    return all(
        t is o if not is_tensor(t) else is_tensor(o) and not structure(o, t) and as_near(array(o), array(t), array(e))
        for o, t, e in triples
    )


def as_near(ours: np.ndarray, theirs: np.ndarray, exact: np.ndarray) -> bool:
    if not all(np.isfinite(a).all() for a in (ours, theirs, exact)):
        return False
    scale = max(np.abs(exact).max(initial=0), 1)
    off, torchs_off = (np.abs(a - exact).max(initial=0) for a in (ours, theirs))
    return bool(torchs_off <= 0.01 * scale and off <= torchs_off + CLOSE["float32"].relative * scale)
