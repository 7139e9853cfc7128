"""How a tensor prints: torch's digits, brackets, line breaks and suffixes, character for character.

`format_tensor` works in four steps: choose the elements to show, choose one way of writing them all (fixed point,
scientific, whole numbers), lay them out in brackets, and append what the values do not say (`dtype=`, `grad_fn=`, ...).
It knows raw NumPy arrays only; what a tensor alone knows (history, device, class) the caller passes as text.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["PrintOptions", "format_scalar", "format_tensor", "printoptions", "set_printoptions"]


@dataclass(frozen=True)
class PrintOptions:
    """What decides how tensors print; the defaults are torch's."""

    precision: int = 4  # digits after the decimal point
    threshold: float = 1000  # tensors of more elements than this show only their edges
    edgeitems: int = 3  # elements at either end of a summarised axis
    linewidth: int = 80
    sci_mode: bool | None = None  # scientific notation: always, never, or (None) where fixed point would lose digits


PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}

_current = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print from now on.

    `profile` ("default", "short" or "full") sets everything first, then each option given. As in torch an option left
    out keeps its value, except `sci_mode`, which goes back to None (automatic), and an unknown profile changes nothing.
    """
    global _current
    numbers = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    given: dict[str, Any] = {name: value for name, value in numbers.items() if value is not None}
    _current = replace(PROFILES.get(profile or "", _current), sci_mode=sci_mode, **given)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """`set_printoptions(**options)` for the length of a `with` block."""
    before = _current
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**asdict(before))


def format_tensor(
    array: np.ndarray,
    *,
    suffixes: Sequence[str] = (),
    device: str | None = None,
    prefix: str = "tensor(",
    default_dtype: DTypeLike = np.float32,
    options: PrintOptions | None = None,
) -> str:
    """The repr of a tensor with these elements: `tensor([1., 2.], dtype=torch.float64, grad_fn=<MulBackward0>)`.

    `suffixes` come last, in order: `grad_fn=<...>` or `requires_grad=True`. `device` (such as "cuda:0") comes first;
    None, the CPU, is not shown. `default_dtype` is the float dtype that needs no `dtype=`. Continuation lines are
    indented by the length of `prefix`. `options` are those of `set_printoptions` unless given.
    """
    options = options or _current
    summarised = array.size > options.threshold
    facts = [f"device='{device}'"] if device else []
    shape_is_hidden = options.edgeitems == 0 if array.size else array.ndim != 1
    if shape_is_hidden:
        facts.append(f"size={array.shape}")
    if array.dtype not in ([default_dtype, np.int64, np.bool_] if array.size else [default_dtype]):
        facts.append(f"dtype=torch.{array.dtype}")
    body = _layout(array, summarised, len(prefix), options) if array.size else "[]"
    return _append(prefix + body, [*facts, *suffixes], len(prefix), options.linewidth) + ")"


def format_scalar(array: np.ndarray, spec: str) -> str:
    """`f"{tensor:spec}"`: the one number of a 0-dim tensor, formatted as Python formats it.

    Raises TypeError for a tensor of one or more dimensions.
    """
    if array.ndim == 0:
        return format(array.item(), spec)
    raise TypeError(
        "unsupported format string passed to Tensor.__format__\n"
        f"a tensor of shape {array.shape} takes no format specification ({spec!r}): format its elements one by one"
    )


def _layout(array: np.ndarray, summarised: bool, indent: int, options: PrintOptions) -> str:
    """The elements in nested brackets, whose first one stands at column `indent`.

    An inner row is broken into lines of `linewidth`; rows are one line apart, matrices two, and so on outwards.
    """
    edge, last = options.edgeitems, array.ndim - 1
    gaps = [summarised and n > 2 * edge for n in array.shape]
    kept = [[*range(edge), *range(n - edge, n)] if gap else range(n) for n, gap in zip(array.shape, gaps, strict=True)]
    shown = array[np.ix_(*kept)] if any(gaps) else array
    write, width = _number_style(shown, options)
    per_line = max(1, (options.linewidth - indent - last) // (width + len(", ")))

    def brackets(items: Any, axis: int) -> str:
        if axis > last:
            return write(items).rjust(width)
        rows = [brackets(item, axis + 1) for item in items]
        if gaps[axis]:
            rows.insert(edge, " ..." if axis == last and rows else "...")
        if axis == last:
            rows = [", ".join(rows[i : i + per_line]) for i in range(0, len(rows), per_line)]
        return "[" + ("," + "\n" * max(1, last - axis) + " " * (indent + axis + 1)).join(rows) + "]"

    return brackets(shown.tolist(), 0)


def _number_style(shown: np.ndarray, options: PrintOptions) -> tuple[Callable[[Any], str], int]:
    """One way of writing all the elements shown, and the width to pad them to.

    As in torch, zeros, infinities and nan neither choose the style nor count for the width: `[1., inf]` is not padded.
    """
    write: Callable[[Any], str] = str
    measured = shown
    if shown.dtype.kind == "f":
        measured = shown[np.isfinite(shown) & (shown != 0)]
        write = _float_style(np.abs(measured), options)
    return write, max((len(write(x)) for x in measured.ravel().tolist()), default=1)


def _float_style(magnitudes: np.ndarray, options: PrintOptions) -> Callable[[float], str]:
    """Fixed point; scientific if that would lose digits; `2.` if every number is whole."""
    whole = bool(np.all(magnitudes == np.ceil(magnitudes)))
    scientific = options.sci_mode
    if magnitudes.size == 0:
        scientific = False  # only zeros, infinities and nan: whole numbers, even under sci_mode=True
    elif scientific is None:
        low, high = float(magnitudes.min()), float(magnitudes.max())
        scientific = high / low > 1000 or high > 1e8 or low < 1e-4
    if scientific:
        return f"{{:.{options.precision}e}}".format
    if whole:
        return lambda x: f"{x:.0f}." if math.isfinite(x) else str(x)
    return f"{{:.{options.precision}f}}".format


def _append(text: str, suffixes: Sequence[str], indent: int, linewidth: int) -> str:
    """`text, suffix, suffix`, each suffix on a new line where it would not fit."""
    column = len(text) - text.rfind("\n") + 1  # two more than the last line is long: torch keeps these free
    for suffix in suffixes:
        if column + len(", ") + len(suffix) > linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(", ") + len(suffix)
    return text
