"""`x[key]` and `x[key] = value`.

A key of ints, slices, None and Ellipsis shows a view; index arrays and masks copy. In torch, as here and other than in
NumPy, an int beside index arrays is applied first: `x[0, :, i]` is `x[0][:, i]`. The adjoint of reading at places is
adding there; what is overwritten has no gradient.
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd import views
from minigrad.autograd.mode import mode
from minigrad.autograd.node import wants_grad
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.kernels import places
from minigrad.kernels.places import Where
from minigrad.ops import inplace
from minigrad.ops.cast import to
from minigrad.ops.checks import as_integer
from minigrad.ops.expand import expand
from minigrad.ops.fill import copy_, fill_
from minigrad.ops.forms import forms
from minigrad.ops.keys import Key, checked_slice, plan
from minigrad.ops.shape import alias, reshape

__all__ = ["index", "index_put", "setitem"]

NUMBERS = (bool, int, float)


# -- views, and their adjoint ------------------------------------------------------------------------------------------


@Op(view=True, node="SelectBackward0")
def select_at(input, key: Key):
    """input[key], where the last item of `key` that changes anything is an int."""
    return input[key]


@Op(view=True, node="SliceBackward0")
def slice_at(input, key: Key):
    """input[key], where the last item of `key` that changes anything is a slice."""
    return input[key]


@Op(view=True, node="UnsqueezeBackward0")
def unsqueeze_at(input, key: Key):
    """input[key], where the last item of `key` that changes anything is None."""
    return input[key]


@Op
def put_at(input, key: Key, shape: tuple, *, xp):
    """Zeros of `shape` with `input` at `key`: the adjoint of the views."""
    out = xp.zeros(shape, input.dtype)
    out[key] = input
    return out


VIEWS = {int: select_at, slice: slice_at, None: unsqueeze_at}
VIEW_NAMES = {int: "Select", slice: "Slice", None: "Unsqueeze", ...: "Alias"}

for _op in VIEWS.values():
    _op.derivative(input=lambda g, key, input_shape: put_at(g, key, input_shape))
put_at.derivative(input=lambda g, key: slice_at(g, key))


# -- places named by arrays, and their adjoint -------------------------------------------------------------------------


@Op(node="IndexBackward0")
def read_at(input, where: Where, *, xp):
    """input[where], a copy."""
    try:
        return places.read(input, where, xp)
    except IndexError as error:
        raise _explained(error, where, input.shape) from None


@Op
def add_at(input, where: Where, shape: tuple, *, xp):
    """Zeros of `shape` with `input` added at `where`: the adjoint of `read_at`."""
    return places.added(input, where, shape, xp)


@Op
def erase_at(input, where: Where):
    """`input` with zeros at `where`."""
    out = input.copy()
    _write(out, where, 0)
    return out


@Op(node="IndexPutBackward0")
def put_values(input, values, where: Where):
    """`input` with `values` at `where`."""
    out = input.copy()
    _write(out, where, values)
    return out


@Op(node="IndexPutBackward0")
def add_values(input, values, where: Where, *, xp):
    """`input` with `values` added at `where`."""
    if xp is np and (error := places.out_of_bounds(where, input.shape)) is not None:
        raise error
    out = input.copy()
    try:
        places.add(out, where, values, xp)
    except ValueError:
        raise _misfit(out, where, values) from None
    return out


@Op(node="IndexPutBackward0")
def overwritten(input, values, where: Where):
    """`input`, in whose memory `values` have been written at `where` already."""
    return input


read_at.derivative(input=lambda g, where, input_shape: add_at(g, where, input_shape))
add_at.derivative(input=lambda g, where: read_at(g, where))
erase_at.derivative(input=lambda g, where: erase_at(g, where))
add_values.derivative(input=lambda g: g, values=lambda g, where: read_at(g, where))
for _op in (put_values, overwritten):
    _op.derivative(input=lambda g, where: erase_at(g, where), values=lambda g, where: read_at(g, where))


def _write(array: Any, where: Where, values: Any) -> None:
    """array[where] = values, an array or a number."""
    if type(array) is not np.ndarray and places.is_mask(where) and not getattr(values, "ndim", 0):
        mask, rest = where[0], array.ndim - where[0].ndim
        if mask.shape == array.shape[: mask.ndim]:  # without the mask as an index, for which the host waits
            value = values if hasattr(values, "ndim") else array.dtype.type(values)
            array[...] = backend.module_of(array).where(mask.reshape(*mask.shape, *(1,) * rest), value, array)
            return
    try:
        array[where] = values
    except IndexError as error:
        raise _explained(error, where, array.shape) from None
    except (ValueError, TypeError):  # NumPy says one or the other
        raise _misfit(array, where, values) from None


def _misfit(array: Any, where: Where, values: Any) -> RuntimeError:
    result = places.read(array, where, backend.module_of(array))
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape "
        f"{list(result.shape)}"
    )


def _explained(error: IndexError, where: Where, shape: tuple[int, ...]) -> IndexError:
    """NumPy's error in torch's words."""
    return places.out_of_bounds(where, shape) or IndexError(
        f"shape mismatch: indexing tensors could not be broadcast together with shapes "
        f"{', '.join(str(list(part.shape)) for part in where if type(part) is not slice)}"
    )


# -- x[key] ------------------------------------------------------------------------------------------------------------


def index(input: Any, key: Any) -> Any:
    """x[key]. The key may hold ints, slices with positive steps, None, Ellipsis, bools, and index arrays: tensors,
    arrays or lists of integers, or masks of bools.

    IndexError for what is out of range, too many indices, masks of another shape. On a GPU index arrays wrap around.
    """
    shape = input.array.shape
    if type(key) is int and shape and -shape[0] <= key < shape[0]:  # what loops do: no need to take it apart
        return select_at(input, (key, ...))
    if type(key) is slice and shape:
        return slice_at(input, (checked_slice(key),))
    basic, last, where, _ = plan(key, input.array, keep=mode.grad and wants_grad(input))
    if last is ...:
        return alias(input) if where is None else read_at(input, where)
    part = VIEWS[last](input, basic)
    return part if where is None else read_at(part, where)


# -- x[key] = value ----------------------------------------------------------------------------------------------------


def setitem(input: Any, key: Any, value: Any) -> None:
    """x[key] = value: a number, or a tensor that is broadcast and, unless the key holds index arrays, cast.

    Writes into the memory; the history of `input` (and of what it is a view of) moves on, so that gradients reach the
    value and what was not overwritten. Of values for one place the last one wins, on a GPU any.
    """
    if not isinstance(value, Variable) and type(value) not in NUMBERS:
        raise TypeError(
            f"can't assign a {_type_name(value)} to a torch.{backend.dtype_of(input.array).type_name}Tensor"
        )
    fills = input.array.ndim and not (isinstance(value, Variable) and value.array.ndim)
    if isinstance(value, Variable) and value.array.shape[:1] == (1,):
        shape = value.array.shape
        value = reshape(value, shape[next((i for i, n in enumerate(shape) if n != 1), len(shape)) :])
    array = input.array
    basic, last, where, masks = plan(key, array, keep=mode.grad)
    if where is None and _takes_all(key) and array[basic].shape == array.shape:  # no view: `input` itself
        value = value if isinstance(value, Variable) else wrap(backend.module_of(array).asarray(value))
        if not fills and value.array.shape != array.shape:
            value = expand(value, array.shape)
        (fill_ if fills else copy_)(input, value)
        return
    if where is None:
        part = _view(input, array[basic])
    else:
        part = input if last is ... else VIEWS[last](input, basic)
    values = [value] if isinstance(value, Variable) else []
    inplace.check_writable(input, values, None if part is input else VIEW_NAMES[last])
    several = [v for v in values if v.array.ndim]  # a single one is read first
    inplace.check_memory(part.array, input, several, expanded=True)
    if isinstance(value, Variable) and (where is None or (masks and value.array.size == 1)):
        value = to(value, backend.dtype_of(array), device=backend.device_of(array))
    if mode.grad and isinstance(value, Variable) and value.counter is input.counter:  # its history before the write
        value = wrap(value.array, wants_grad(value), value.node, value.output_nr)
    value = _write_all(part, value) if where is None else _write_at_places(part, where, value)
    views.bump(input)
    if mode.grad:
        views.move_history(part, value)


def _takes_all(key: Any) -> bool:
    """True if the key has nothing but slices with step 1 and `...`."""
    items = key if isinstance(key, tuple) else (key,)
    return all(item is ... or (type(item) is slice and item.step in (None, 1)) for item in items)


def _view(source: Any, array: Any) -> Any:
    """An unrecorded view of a tensor."""
    view = wrap(array)
    view.base, view.counter = source if source.base is None else source.base, source.counter
    view.seen, view.origin = 0, None
    return view


def _write_all(part: Any, value: Any) -> Any:
    """Overwrite all of a tensor; returns a tensor that broadcasts to it, with the history of what it holds now."""
    array = part.array
    if not isinstance(value, Variable):
        array[...] = value if array.dtype.kind == "f" else as_integer(value, array.dtype)
        return wrap(array)
    try:
        array[...] = value.array
    except ValueError:
        expand(value, array.shape)  # raises torch's error
        raise
    return value


def _write_at_places(part: Any, where: Where, value: Any) -> Any:
    """Overwrite a tensor at `where`; returns the tensor as it is then, with its history."""
    if isinstance(value, Variable):
        _same_dtype(part.array, value.array)
        _write(part.array, where, value.array)
    else:
        dtype = part.array.dtype
        _write(part.array, where, value if dtype.kind == "f" else as_integer(value, dtype))
    return overwritten(part, value, where)


# -- index_put ---------------------------------------------------------------------------------------------------------


@forms(in_place=True, out=False)
def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """`input` with `values` at the places named by `indices`, a tuple of tensors; with `accumulate`, added there."""
    for i, item in enumerate(indices):
        if not isinstance(item, Variable):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {_type_name(item)}")
    if not isinstance(values, Variable):
        raise TypeError(f"index_put(): argument 'values' (position 2) must be Tensor, not {_type_name(values)}")
    _same_dtype(input.array, values.array)
    indices = tuple([item if item.array.ndim else reshape(item, (1,)) for item in indices])
    where = plan(indices, input.array, keep=mode.grad).where
    return (add_values if accumulate else put_values)(input, values, where)


def _same_dtype(target: Any, source: Any) -> None:
    have, need = backend.dtype_of(source), backend.dtype_of(target)
    if have is not need:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {need.type_name} for the destination and "
            f"{have.type_name} for the source.\ncast the values with .to({need})"
        )


def _type_name(value: Any) -> str:
    """The type as torch's errors name it."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
