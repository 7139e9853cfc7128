"""`assert_close`: are two results the same numbers? torch.testing's, which here takes tensors of both engines."""

from __future__ import annotations

import cmath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.backend import np
from minigrad.testing.engines import array_of, is_tensor

# (rtol, atol) by the dtype's name; all other dtypes must be equal.
TOLERANCES = {
    "torch.float16": (1e-3, 1e-5),
    "torch.bfloat16": (1.6e-2, 1e-5),
    "torch.float32": (1.3e-6, 1e-5),
    "torch.float64": (1e-7, 1e-7),
}
Path = tuple[Any, ...]  # indices and keys that lead to a value in nested containers
Message = str | Callable[[str], str] | None


class Options(NamedTuple):
    """The keywords of `assert_close`."""

    allow_subclasses: bool = True
    rtol: float | None = None
    atol: float | None = None
    equal_nan: bool = False
    check_device: bool = True
    check_dtype: bool = True
    check_layout: bool = True
    check_stride: bool = False


class Pair(NamedTuple):
    """Two single values, where they stand, and how they are compared: what differs in words, or None."""

    compare: Callable[[Any, Any, Options], str | None]
    actual: Any
    expected: Any
    path: Path


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Message = None,
) -> None:
    """AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere; torch.testing.assert_close.

    Takes tensors of minigrad and of torch and arrays, also one of each; numbers; None; and sequences and mappings of
    these. Shapes must agree, and what the `check_` flags say; nan only equals nan with `equal_nan`. Tolerances are both
    given or follow from the dtypes: (rtol, atol) = (1.3e-6, 1e-5) in float32, (1e-7, 1e-7) in float64, 0 for integers.
    `msg` replaces the error's text, or makes another of it.

    >>> import minigrad
    >>> from minigrad.testing import assert_close
    >>> x = minigrad.tensor([1.0, 2.0])
    >>> assert_close(x.exp().log(), x)
    >>> assert_close({"loss": x.sum(), "steps": 3}, {"loss": minigrad.tensor(3.0), "steps": 3})
    >>> assert_close(x, x + 1)
    Traceback (most recent call last):
    AssertionError: Tensor-likes are not close!
    <BLANKLINE>
    Mismatched elements: 2 / 2 (100.0%)
    Greatest absolute difference: 1.0 at index (0,) (up to 1e-05 allowed)
    Greatest relative difference: 0.5 at index (0,) (up to 1.3e-06 allowed)
    """
    __tracebackhide__ = True
    options = Options(allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride)
    text = difference(actual, expected, options)
    if text is not None:
        raise AssertionError(text if msg is None else msg if isinstance(msg, str) else msg(text))


def difference(
    actual: Any, expected: Any, options: Options, tolerance: Callable[[Any], tuple[float, float]] | None = None
) -> str | None:
    """Where the first values lie that are not close, and how they differ; None if all are close.

    `tolerance` gives (rtol, atol) for an expected value. AssertionError for structures that differ, TypeError for what
    cannot be compared, ValueError for one tolerance without the other.
    """
    __tracebackhide__ = True
    for pair in list(_pairs(actual, expected, options, ())):  # all are found before the first is compared, as in torch
        rtol, atol = (options.rtol, options.atol) if tolerance is None else tolerance(pair.expected)
        text = pair.compare(pair.actual, pair.expected, options._replace(rtol=rtol, atol=atol))
        if text is not None:
            return _located(text, pair.path)
    return None


# -- which values are compared with which ------------------------------------------------------------------------------


def _pairs(actual: Any, expected: Any, options: Options, path: Path) -> Iterator[Pair]:
    """The single values of two structures, in pairs."""
    __tracebackhide__ = True
    if _are(Sequence, actual, expected) and not (isinstance(actual, str) or isinstance(expected, str)):
        if len(actual) != len(expected):
            text = f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
            raise AssertionError(_located(text, path))
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            yield from _pairs(a, e, options, (*path, i))
    elif _are(Mapping, actual, expected):
        missing, additional = expected.keys() - actual.keys(), actual.keys() - expected.keys()
        if missing or additional:
            raise AssertionError(
                _located(
                    f"The keys of the mappings do not match:\n"
                    f"Missing keys in the actual mapping: {sorted(missing, key=_order)}\n"
                    f"Additional keys in the actual mapping: {sorted(additional, key=_order)}",
                    path,
                )
            )
        for key in sorted(actual, key=_order):
            yield from _pairs(actual[key], expected[key], options, (*path, key))
    else:
        yield _pair(actual, expected, options, path)


def _pair(actual: Any, expected: Any, options: Options, path: Path) -> Pair:
    """Two values that are no containers; TypeError if nothing can compare them."""
    __tracebackhide__ = True
    if actual is None or expected is None:
        return Pair(_compare_none, actual, expected, path)
    if _are((bool, np.bool_), actual, expected):
        return Pair(_compare_booleans, bool(actual), bool(expected), path)
    if not any(isinstance(x, (bool, np.bool_)) for x in (actual, expected)) and _are(
        (int, float, complex, np.number), actual, expected
    ):
        a, e = (x.item() if isinstance(x, np.number) else x for x in (actual, expected))
        compare = _compare_numbers
    elif _are_tensors(actual, expected) and (options.allow_subclasses or type(actual) is type(expected)):
        a, e = _as_tensor(actual), _as_tensor(expected)
        compare = _compare_tensors
    else:
        text = f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
        raise TypeError(_located(text, path))
    if (options.rtol is None) != (options.atol is None):
        text = (
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no "
            f"{'rtol' if options.rtol is None else 'atol'}."
        )
        raise ValueError(_located(text, path))
    return Pair(compare, a, e, path)


def _are(kinds: Any, *values: Any) -> bool:
    return all(isinstance(value, kinds) for value in values)


def _are_tensors(*values: Any) -> bool:
    return all(is_tensor(value) or backend.is_array(value) for value in values)


def _as_tensor(value: Any) -> Any:
    """A tensor on an array, so that it can be asked for shape, dtype and device as the others; TypeError for dtypes
    that minigrad has not."""
    if is_tensor(value):
        return value
    backend.dtype_of(value)
    return wrap(value)


def _order(key: Any) -> Any:
    return str(type(key)), key if isinstance(key, (int, float, str)) else str(key)


def _located(text: str, path: Path) -> str:
    where = "".join(f"[{part!r}]" for part in path)
    return f"{text}\n\nThe failure occurred for item {where}" if path else text


# -- comparing two values: what differs, or None -----------------------------------------------------------------------


def _compare_none(actual: Any, expected: Any, options: Options) -> str | None:
    return None if actual is expected else f"None mismatch: {actual} is not {expected}"


def _compare_booleans(actual: bool, expected: bool, options: Options) -> str | None:
    return None if actual is expected else f"Booleans mismatch: {actual} is not {expected}"


def _compare_numbers(actual: Any, expected: Any, options: Options) -> str | None:
    if options.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    dtypes = ["torch.int64" if isinstance(x, int) else "torch.float64" for x in (actual, expected)]
    rtol, atol = _tolerances(dtypes, options)
    if actual == expected or (options.equal_nan and cmath.isnan(actual) and cmath.isnan(expected)):
        return None
    difference = abs(actual - expected)
    if cmath.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return None
    return _scalar_text(actual, expected, rtol, atol)


def _compare_tensors(actual: Any, expected: Any, options: Options) -> str | None:
    for name, checked in (
        ("shape", True),
        ("layout", options.check_layout),
        ("stride()", options.check_stride),
        ("device", options.check_device),
        ("dtype", options.check_dtype),
    ):
        a, e = (t.stride() if name == "stride()" else getattr(t, name) for t in (actual, expected))
        if checked and str(a) != str(e):
            return f"The values for attribute '{name}' do not match: {a} != {e}."
    rtol, atol = _tolerances([str(t.dtype) for t in (actual, expected)], options)
    with np.errstate(all="ignore"):
        return _compare_arrays(array_of(actual), array_of(expected), rtol, atol, options.equal_nan)


def _compare_arrays(a: np.ndarray, e: np.ndarray, rtol: float, atol: float, equal_nan: bool) -> str | None:
    """Arrays of one shape, on the CPU; differences are computed in their common dtype, as torch prints them."""
    common = backend.numpy_dtype(backend.promote_types(backend.dtype_of(a), backend.dtype_of(e)))
    a, e = a.astype(common, copy=False), e.astype(common, copy=False)
    scalar = (a.item(), e.item()) if a.ndim == 0 else None
    equal = a == e
    if equal_nan and common.kind == "f":
        equal |= np.isnan(a) & np.isnan(e)
    if common.kind != "f":
        a, e = a.astype(np.int64), e.astype(np.int64)
    difference = np.abs(a - e)
    close = equal
    if rtol or atol:
        close = equal | (np.isfinite(difference) & (difference <= atol + np.abs(rtol * e)))
    if close.all():
        return None
    if scalar:
        return _scalar_text(*scalar, rtol, atol)
    ratio = backend.numpy_dtype(backend.get_default_dtype()) if common.kind != "f" else common
    relative = difference.astype(ratio) / np.abs(e).astype(ratio)
    lines = [
        f"Tensor-likes are not {_close(rtol, atol)}!\n",
        f"Mismatched elements: {(~close).sum()} / {close.size} ({(~close).sum() / close.size:.1%})",
    ]
    for kind, values, tolerance in (("absolute", difference, atol), ("relative", relative, rtol)):
        values = np.where(close, values.dtype.type(0), values)
        index = np.unravel_index(values.argmax(), values.shape)
        where = f"at index {tuple(int(i) for i in index)}{_allowed(tolerance, rtol, atol)}"
        lines.append(f"Greatest {kind} difference: {values[index].item()} {where}")
    return "\n".join(lines)


def _scalar_text(actual: Any, expected: Any, rtol: float, atol: float) -> str:
    difference = abs(actual - expected)
    relative = difference / abs(expected) if expected else float("inf")
    return (
        f"Scalars are not {_close(rtol, atol)}!\n\n"
        f"Expected {expected} but got {actual}.\n"
        f"Absolute difference: {difference}{_allowed(atol, rtol, atol)}\n"
        f"Relative difference: {relative}{_allowed(rtol, rtol, atol)}"
    )


def _close(rtol: float, atol: float) -> str:
    return "close" if rtol or atol else "equal"


def _allowed(tolerance: float, rtol: float, atol: float) -> str:
    return f" (up to {tolerance} allowed)" if rtol or atol else ""


def _tolerances(dtypes: list[str], options: Options) -> tuple[float, float]:
    """The tolerances given, or the loosest of the dtypes' defaults."""
    if options.rtol is not None and options.atol is not None:
        return options.rtol, options.atol
    pairs = [TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes]
    return max(rtol for rtol, _ in pairs), max(atol for _, atol in pairs)
