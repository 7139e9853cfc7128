"""The losses of classification: nll_loss and cross_entropy, over classes in dim 1 (dim 0 of a 1-dim input).

With p = softmax(x) and the true class t, the loss of a sample is -log p[t], and its derivative by x is p - one_hot(t).
That makes log_softmax, the choice and the reduction one op here; soft targets are composed of smaller ones.
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, unwrap, wrap
from minigrad.backend import is_gpu_array, np
from minigrad.kernels.gpu import cross_entropy as gpu
from minigrad.kernels.sums import total
from minigrad.ops.checks import need_float, refuse_gradient
from minigrad.ops.compare import ne, where
from minigrad.ops.layers.softmax import log_softmax, softmax
from minigrad.ops.losses.elementwise import reduced, reduction_by
from minigrad.ops.reduce import sum
from minigrad.ops.shape import reshape

__all__ = ["cross_entropy", "nll_loss"]


# -- samples and their weights -----------------------------------------------------------------------------------------


def _axis(input: Any) -> int:
    """The dim of the classes."""
    return 1 if input.ndim > 1 else 0


def samples_of(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> tuple[Any, Any, Any]:
    """(where each sample's class is in the input, the samples' weights, the derivative of the result by each loss).

    No weights mean that all are 1. An ignored sample has weight 0 and class 0. IndexError for a class that is none; on
    the GPU nobody looks, for the answer would have to be waited for.
    """
    input, target, weight = unwrap(input), unwrap(target), unwrap(weight)
    xp, classes = backend.module_of(target), input.shape[_axis(input)]
    if target.dtype != "int64":
        target = target.astype("int64")
    weights = None
    # As an unsigned number a negative class is a huge one.
    if xp is not np or (target.size and target.view("uint64").max() >= classes) or 0 <= ignore_index < classes:
        ignored = target == ignore_index
        if xp is np and (bad := target[~ignored & ((target < 0) | (target >= classes))]).size:
            raise IndexError(f"Target {bad[0]} is out of bounds.\nThere are {classes} classes, the first one being 0.")
        target = xp.where(ignored, 0, target)
        weights = xp.where(ignored, 0.0, 1.0 if weight is None else weight[target]).astype(input.dtype)
    elif weight is not None:
        weights = weight[target]
    places = _places(target, xp)
    if reduction != "mean":
        return places, weights, 1.0 if weights is None else weights
    if weights is None:
        return places, None, 1 / (target.size or 1)
    return places, weights, xp.where(weights == 0, 0.0, weights / weights.sum())


def _reduced_by_weight(losses: Any, weights: Any, reduction: str, xp: Any) -> Any:
    """Losses times weights, reduced; a mean is divided by the sum of the weights."""
    if weights is None:
        return reduced(losses, reduction)
    losses = xp.where(weights == 0, 0, losses * weights)  # an ignored sample counts for nothing even if it is nan
    return losses.sum() / weights.sum() if reduction == "mean" else reduced(losses, reduction)


def _places(target: Any, xp: Any) -> tuple[Any, ...]:
    """The index of the elements of an input that `target` names in dim 1 (0)."""
    ndim = target.ndim
    if ndim == 1:
        return xp.arange(len(target)), target
    grid = [xp.arange(n).reshape((-1,) + (1,) * (ndim - 1 - i)) for i, n in enumerate(target.shape)]
    return (*grid[:1], target, *grid[1:])


# -- choosing each sample's class: two adjoint ops ---------------------------------------------------------------------


@Op
def picked(input, places: tuple):
    """One element of every sample: the one that `places` names."""
    return input[places]


@Op
def put_picked(input, places: tuple, shape: tuple, *, xp):
    """Zeros of `shape`, with `input` at `places`: the adjoint of `picked`."""
    out = xp.zeros(shape, input.dtype)
    out[places] = input
    return out


@Op
def off_target(input, scale, places: tuple, *, xp):
    """scale * (input - one_hot), where one_hot is 1 at `places`; with one `scale` for all samples or one for each."""
    out = input * (xp.expand_dims(scale, _axis(input)) if scale.ndim else scale)
    out[places] -= scale
    return out


def _with_classes(scale: Any, shape: tuple[int, ...]) -> Any:
    """One number per sample as a factor of all its classes."""
    return reshape(scale, (*shape[:1], 1, *shape[2:]) if len(shape) > 1 else (1,)) if scale.ndim else scale


picked.derivative(input=lambda g, places, input_shape: put_picked(g, places, input_shape))
put_picked.derivative(input=lambda g, places: picked(g, places))
off_target.derivative(
    input=lambda g, scale: g * _with_classes(scale, g.shape),
    scale=lambda g, input, places: sum(g * input, _axis(g)) - picked(g, places),
)


# -- nll_loss and cross_entropy of class numbers -----------------------------------------------------------------------


def _nll(input, target, weight, ignore_index: int, reduction: str, *, xp):
    """-input[target], weighted and reduced."""
    need_float(input, "nll_loss_out_frame")
    if xp is not np and gpu.fits(input, target, weight):
        return gpu.nll_loss(input, target, weight, ignore_index, reduction)
    places, weights, share = samples_of(input, target, weight, ignore_index, reduction)
    return _reduced_by_weight(-input[places], weights, reduction, xp), (places, share)


def _cross_entropy(input, target, weight, ignore_index: int, reduction: str, *, xp):
    """-log_softmax(input)[target], weighted and reduced."""
    need_float(input, "log_softmax_lastdim_kernel_impl")
    if xp is not np and gpu.fits(input, target, weight):
        return gpu.cross_entropy(input, target, weight, ignore_index, reduction)
    return with_probabilities(input, target, weight, ignore_index, reduction, xp)


def with_probabilities(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, xp: Any) -> Any:
    """The same of arrays, and (the probabilities, and what `samples_of` gives of targets and slopes)."""
    axis = _axis(input)
    places, weights, share = samples_of(input, target, weight, ignore_index, reduction)
    p = input - input.max(axis=axis, keepdims=True)
    losses = -p[places]
    xp.exp(p, out=p)
    sums = total(p, (axis,), True)
    p /= sums
    losses = losses + xp.log(sums).reshape(losses.shape)
    return _reduced_by_weight(losses, weights, reduction, xp), (p, places, share)


nll_rows = Op(_nll, node="NllLossBackward0", cache=True)
nll_images = Op(_nll, node="NllLoss2DBackward0", cache=True)
cross_entropy_rows = Op(_cross_entropy, node="NllLossBackward0", cache=True)
cross_entropy_images = Op(_cross_entropy, node="NllLoss2DBackward0", cache=True)


def _nll_rule(g, input, target, weight, ignore_index, reduction, cache):
    """-share at the true class, else 0."""
    if is_gpu_array(cache):
        return gpu.nll_loss_back(g, input.shape, target, weight, cache, ignore_index, reduction)
    if cache is None:
        places, _, share = samples_of(input, target, weight, ignore_index, reduction)
    else:
        places, share = cache
    return put_picked(-(g * share), places, input.shape)


def _cross_entropy_rule(g, input, target, weight, ignore_index, reduction, cache):
    """share * (softmax(x) - one_hot(target))."""
    if is_gpu_array(cache):
        return gpu.cross_entropy_back(g, input, target, weight, cache, ignore_index, reduction)
    if cache is None:
        p = softmax(input, _axis(input))
        places, _, share = samples_of(input, target, weight, ignore_index, reduction)
    else:
        p, places, share = cache
    return off_target(p, g * share, places)


for _op in (nll_rows, nll_images):
    _op.derivative(input=_nll_rule)
for _op in (cross_entropy_rows, cross_entropy_images):
    _op.derivative(input=_cross_entropy_rule)


# -- checks ------------------------------------------------------------------------------------------------------------


def _checked_target(input: Any, target: Any, weight: Any, function: str) -> Any:
    """The target, with a dim less than the input. torch's errors for shapes and dtypes that do not fit."""
    if not isinstance(target, Variable):
        raise TypeError(f"{function}(): argument 'target' (position 2) must be Tensor, not {type(target).__name__}")
    x, t = input.array, target.array
    if not x.ndim:
        raise ValueError("Expected 1 or more dimensions (got 0)\nclasses are in dim 1 of the input, or in its only dim")
    _check_shapes(x.shape, t.shape)
    if t.dtype != "int64" and t.dtype != "uint8":
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {backend.dtype_of(t).type_name}\nclass numbers "
            f"are cast with .long(); probabilities have the shape of the input"
        )
    if weight is not None:
        _check_weight(x, weight, "")
        refuse_gradient("nll_loss_forward", weight=weight)
        if x.dtype.kind == "f" and weight.array.dtype != x.dtype:
            a, b = input.dtype.type_name, weight.dtype.type_name
            raise RuntimeError(f"expected scalar type {a} but found {b}\ncast the weights with .to({input.dtype})")
    return reshape(target, ()) if t.ndim == x.ndim else target


def _need_classes(input: Any) -> None:
    if not input.array.ndim:
        raise IndexError(
            "Dimension out of range (expected to be in range of [-1, 0], but got 1)\n"
            "classes are in dim 1 of the input, or in its only dim"
        )


def _check_weight(x: Any, weight: Any, prefix: str) -> None:
    classes = x.shape[_axis(x)]
    if weight.array.shape != (classes,):
        raise RuntimeError(
            f"{prefix}weight tensor should be defined either for all {classes} classes or no classes but got weight "
            f"tensor of shape: {list(weight.array.shape)}"
        )


def _check_shapes(x: tuple[int, ...], t: tuple[int, ...]) -> None:
    n, m = len(x), len(t)
    if n == 1 and m == 1 and t[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {t[0]}")
    if n > 1 and (not m or x[0] != t[0]):
        raise ValueError(
            f"Expected input batch_size ({x[0]}) to match target batch_size ({t[0] if m else 0}).\n"
            f"Their shapes are {list(x)} and {list(t)}."
        )
    if n <= 2 and m > 1:
        raise RuntimeError(f"0D or 1D target tensor expected, multi-target not supported\nthe target has {m} dims")
    if n < 3 or t == (x[0], *x[2:]):
        return
    if n == 4 and m != 3:
        raise RuntimeError(f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {m}")
    if n == 4:
        raise RuntimeError(f"size mismatch (got input: {list(x)} , target: {list(t)}")
    raise RuntimeError(f"Expected target size {[x[0], *x[2:]]}, got {list(t)}")


# -- what torch has ----------------------------------------------------------------------------------------------------


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """-input[target] for `input` of log-probabilities (N, C, ...) and class numbers (N, ...): the mean, sum, or each.

    Samples are weighted by the `weight` of their class, and a mean divided by the sum of those; samples of the class
    `ignore_index` are left out. IndexError for a class out of range; on the GPU, where nobody waits to see, nan.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    target = _checked_target(input, target, weight, "nll_loss_nd")
    op = nll_rows if input.array.ndim <= 2 else nll_images
    return op(input, target, weight, ignore_index, reduction)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-log softmax(input)[target] for `input` (N, C, ...) and class numbers (N, ...): the mean, the sum, or each.

    A target of the input's shape gives probabilities of all classes. With `label_smoothing` e the true class counts
    1 - e and all classes share e. `weight` and `ignore_index` are as for `nll_loss`.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    if label_smoothing > 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if isinstance(target, Variable) and input.array.shape == target.array.shape:
        return _of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    _need_classes(input)
    target = _checked_target(input, target, weight, "cross_entropy_loss")
    if label_smoothing > 0:
        return _smoothed(input, target, weight, ignore_index, reduction, label_smoothing)
    op = cross_entropy_rows if input.array.ndim <= 2 else cross_entropy_images
    return op(input, target, weight, ignore_index, reduction)


def _smoothed(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float) -> Any:
    """(1 - e) of the loss for the true class, and e of the mean of the losses that each class would give."""
    axis = _axis(input)
    classes = input.shape[axis]
    log_p = log_softmax(input, axis)
    op = nll_rows if input.ndim <= 2 else nll_images
    hard = op(log_p, target, weight, ignore_index, reduction)
    of_all = -sum(log_p if weight is None else log_p * _per_class(weight, input), axis)
    counted = ne(target, ignore_index)
    soft = where(counted, of_all, 0)
    if reduction != "none":
        soft = sum(soft)
    if reduction == "mean":
        _, weights, _ = samples_of(input, target, weight, ignore_index, reduction)
        soft = soft / (target.numel() if weights is None else wrap(backend.as_array(weights.sum())))
    return soft * (smoothing / classes) + hard * (1 - smoothing)


def _of_probabilities(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float) -> Any:
    """-sum(target * log_softmax(input)) over the classes; a mean is divided by the number of samples."""
    if target.array.dtype.kind != "f":
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {target.dtype.type_name}\nclass "
            f"numbers have a dim less than the input"
        )
    _need_classes(input)
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target\na probability names no class")
    if weight is not None:
        _check_weight(input.array, weight, "cross_entropy: ")
    axis = _axis(input)
    classes = input.shape[axis]
    terms = log_softmax(input, axis) * (target if smoothing <= 0 else target * (1 - smoothing) + smoothing / classes)
    if weight is not None:
        terms = terms * _per_class(weight, input)
    if reduction == "none":
        return -sum(terms, axis)
    total = -sum(terms)
    return total / (terms.numel() / classes) if reduction == "mean" else total


def _per_class(weight: Any, input: Any) -> Any:
    """The weights of the classes, as a factor of `input`."""
    return reshape(weight, (-1,) + (1,) * (input.ndim - 1 - _axis(input)))
