"""The loss of connectionist temporal classification: -log of the probability of a sequence, over all its timings."""

from __future__ import annotations

from typing import Any, NoReturn

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, wrap
from minigrad.kernels import ctc as kernel
from minigrad.kernels import places
from minigrad.ops.checks import not_implemented
from minigrad.ops.losses.elementwise import reduced_tensor
from minigrad.ops.shape import reshape, unsqueeze

__all__: list[str] = []


@Op(node="CtcLossBackward0", cache=True)
def ctc(log_probs, states: kernel.States, zero_infinity: bool, *, xp):
    """The losses of a batch (T, N, C); those that are infinite are 0 with `zero_infinity`."""
    emissions = states.emissions(log_probs, xp)
    alpha = kernel.alphas(emissions, states, xp)
    losses = kernel.losses(alpha, states, xp).astype(log_probs.dtype)
    return xp.where(xp.isinf(losses), 0, losses) if zero_infinity else losses, (emissions, alpha)


@Op
def ctc_slope(g, log_probs, states: kernel.States, zero_infinity: bool, cache: tuple | None, *, xp):
    """g (softmax - posterior), the slope by the logits whose log_softmax `log_probs` is; where a class is expected
    when, the posterior tells. (Graves et al. 2006, equation 16.)
    """
    emissions = states.emissions(log_probs, xp) if cache is None else cache[0]
    alpha = kernel.alphas(emissions, states, xp) if cache is None else cache[1]
    losses = kernel.losses(alpha, states, xp)
    posterior = xp.exp(alpha + kernel.betas(emissions, states, xp) - emissions + losses[:, None])
    posterior[emissions == -xp.inf] = 0
    t, n, _ = log_probs.shape
    expected = xp.zeros(log_probs.shape, log_probs.dtype)
    where = (xp.arange(t)[:, None, None], xp.arange(n)[None, :, None], states.labels[None])
    places.add(expected, tuple(xp.broadcast_arrays(*where)), posterior.astype(log_probs.dtype), xp)
    g = xp.where(xp.isinf(losses), xp.nan, g).astype(g.dtype)  # as nothing is expected of what cannot be
    counts = (xp.arange(t)[:, None] < states.input_lengths) & ~(zero_infinity & xp.isinf(losses))
    return xp.where(counts[:, :, None], (xp.exp(log_probs) - expected) * g[:, None], 0)


def _no_second_slope(g: Any) -> NoReturn:
    raise RuntimeError("derivative for aten::_ctc_loss_backward is not implemented")


ctc.derivative(
    log_probs=lambda g, log_probs, states, zero_infinity, cache: ctc_slope(g, log_probs, states, zero_infinity, cache)
)
ctc_slope.derivative(g=_no_second_slope, log_probs=_no_second_slope)


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """-log p(targets), p being the sum over all ways to spread the labels and blanks over time. (Graves et al. 2006.)

    log_probs  (T, N, C) or (T, C), of which the first input_lengths[n] steps count; the derivative is right for what
               `log_softmax` returned, and as such is told to it
    targets    (N, S), of which the first target_lengths[n] labels count; or all of them in a row
    reduction  "mean" divides each loss by its number of labels first

    A target that needs more steps than there are costs inf, or 0 with `zero_infinity`. There is no second derivative.
    RuntimeError for lengths that do not fit.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction\nit is 'none', 'mean' or 'sum'")
    single = log_probs.ndim != 3
    batch = unsqueeze(log_probs, 1) if single else log_probs
    x = batch.array
    if x.ndim != 3:
        raise RuntimeError(
            f"Expected 3-dimensional tensor, but got {x.ndim}-dimensional tensor for argument #1 'log_probs' (while "
            f"checking arguments for ctc_loss_allocate_outputs)"
        )
    if x.dtype.kind != "f" or x.dtype == "float16":
        not_implemented("ctc_loss_cpu", x)
    if not x.size:
        raise RuntimeError(f"log_probs tensor must not be empty\nits shape is {list(x.shape)}")
    if not 0 <= blank < x.shape[2]:
        raise RuntimeError(f"blank must be in label range\n{blank} is none of {x.shape[2]} labels")
    xp = backend.module_of(x)
    of_inputs = _lengths("input_lengths", input_lengths, x.shape[1], xp)
    of_targets = _lengths("target_lengths", target_lengths, x.shape[1], xp)
    _check_range("input_lengths", of_inputs, x.shape[0])
    _check_range("target_lengths", of_targets, None)
    rows = _rows(targets, of_targets, xp)
    losses = ctc(batch, kernel.States(rows, of_inputs, of_targets, blank, xp), zero_infinity)
    if reduction == "mean":
        losses = losses / wrap(xp.maximum(of_targets, 1).astype(x.dtype))
    losses = reduced_tensor(losses, reduction)
    return reshape(losses, ()) if single and reduction == "none" else losses


def _lengths(name: str, lengths: Any, batch: int, xp: Any) -> Any:
    """The lengths as an array of int64."""
    array = lengths.array if isinstance(lengths, Variable) else backend.np.array(lengths, dtype="int64")
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral\ngot {array.dtype}")
    if array.size != batch:
        raise RuntimeError(f"{name} must be of size batch_size\ngot {array.size} for a batch of {batch}")
    return xp.asarray(array.reshape(-1), dtype="int64")


def _check_range(name: str, lengths: Any, most: int | None) -> None:
    """RuntimeError for a length below 0 or above `most`. On a GPU nobody looks."""
    if type(lengths) is not backend.np.ndarray:
        return
    too_much = most is not None and lengths.max() > most
    if too_much or lengths.min() < 0:
        bound, value = ("most", lengths.max()) if too_much else ("least", lengths.min())
        raise RuntimeError(
            f"Expected {name} to have value at {bound} {most if too_much else 0}, but got value {value} (while "
            f"checking arguments for ctc_loss_allocate_outputs)"
        )


def _rows(targets: Any, lengths: Any, xp: Any) -> Any:
    """The targets as (N, S)."""
    labels = xp.asarray(targets.array).astype("int64")
    if labels.ndim not in (1, 2):
        raise RuntimeError(
            f"Expected 1 to 2 dimensions, but got {labels.ndim}-dimensional tensor for argument #2 'targets' (while "
            f"checking arguments for ctc_loss_allocate_outputs)"
        )
    longest, total = int(lengths.max()), int(lengths.sum())
    if labels.ndim == 2:
        if len(labels) != len(lengths) or labels.shape[1] < longest:
            dim, wanted = (1, f"at least {longest}") if len(labels) == len(lengths) else (0, f"{len(lengths)}")
            raise RuntimeError(
                f"Expected tensor to have size {wanted} at dimension {dim}, but got size {labels.shape[dim]} for "
                f"argument #2 'targets' (while checking arguments for ctc_loss_allocate_outputs)"
            )
        return labels[:, :longest]
    if len(labels) != total:
        raise RuntimeError(
            f"Expected tensor to have size {total} at dimension 0, but got size {len(labels)} for argument #2 "
            f"'targets' (while checking arguments for ctc_loss_allocate_outputs)"
        )
    column = xp.arange(longest)
    first = xp.cumsum(lengths) - lengths
    at = xp.minimum(first[:, None] + column, max(total - 1, 0))
    return labels[at] if total else xp.zeros((len(lengths), 0), "int64")
