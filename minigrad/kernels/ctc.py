"""Connectionist temporal classification: all ways to spell a sequence of labels over time, added up.

A label sequence y of length S becomes L = 2 S + 1 states, with a blank before, between and after the labels:
_ y1 _ y2 _. Each time step stays in its state, moves on by one, or by two from a label to a different one. `alpha` is
the logarithm of the sum over all beginnings that end in a state, `beta` over all ends that begin there, both with the
step's own factor (Graves et al. 2006, equations 6 to 11). Arrays are (T, N, L); the loop is over time. All is float64:
logarithms of probabilities of long sequences are large numbers, whose small differences matter.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

__all__: list[str] = []

LEAST = -1e300  # for the largest of several -inf, which must not be taken from themselves


class States:
    """The states of a batch of targets, (N, L): which label each is, and from which one may move on by two."""

    def __init__(self, targets: Any, input_lengths: Any, target_lengths: Any, blank: int, xp: ModuleType) -> None:
        """`targets` is (N, S), of which row n counts to target_lengths[n], all arrays of int64."""
        n, s = targets.shape
        self.input_lengths, self.last = input_lengths, 2 * target_lengths[:, None]
        self.number = xp.arange(2 * s + 1)
        self.labels = xp.full((n, 2 * s + 1), blank, targets.dtype)
        self.labels[:, 1::2] = targets
        self.labels = xp.where(self.number < self.last, self.labels, blank)
        jumps = (self.labels[:, 2:] != blank) & (self.labels[:, 2:] != self.labels[:, :-2])
        self.jumps = xp.where(jumps, 0, -math.inf)  # to be added: from state i to i + 2
        # Where a sequence ends: in its last label or in the blank after it.
        self.ends = (self.number == self.last) | (self.number == self.last - 1)

    def emissions(self, log_probs: Any, xp: ModuleType) -> Any:
        """The log-probability of each state's label at each time, from (T, N, C)."""
        labels = xp.broadcast_to(self.labels, (len(log_probs), *self.labels.shape))
        return xp.take_along_axis(log_probs, labels, 2).astype("float64")


def _log_sum(a: Any, b: Any, c: Any, xp: ModuleType) -> Any:
    """log(exp(a) + exp(b) + exp(c))."""
    largest = xp.maximum(xp.maximum(xp.maximum(a, b), c), LEAST)
    total = xp.exp(a - largest)
    total += xp.exp(b - largest)
    total += xp.exp(c - largest)
    xp.log(total, out=total)
    total += largest
    return total


def alphas(emissions: Any, states: States, xp: ModuleType) -> Any:
    """From the first step on."""
    steps, n, width = emissions.shape
    padded = xp.full((steps, n, width + 2), -math.inf)  # two impossible states before the first one
    out = padded[:, :, 2:]
    out[0, :, :2] = xp.where(states.number[:2] <= states.last, emissions[0, :, :2], -math.inf)
    jumps = xp.zeros((n, width))
    jumps[:, 2:] = states.jumps
    for t in range(1, steps):
        before = padded[t - 1]
        out[t] = _log_sum(before[:, 2:], before[:, 1:-1], before[:, :-2] + jumps, xp)
        out[t] += emissions[t]
    return out


def betas(emissions: Any, states: States, xp: ModuleType) -> Any:
    """From each sequence's last step back."""
    steps, n, width = emissions.shape
    padded = xp.full((steps + 1, n, width + 2), -math.inf)  # two impossible states after the last one, and a step
    out = padded[:steps, :, :width]
    jumps = xp.zeros((n, width))
    jumps[:, :-2] = states.jumps
    for t in reversed(range(steps)):
        after = padded[t + 1]
        moved = _log_sum(after[:, :-2], after[:, 1:-1], after[:, 2:] + jumps, xp)
        out[t] = xp.where(states.ends & (states.input_lengths == t + 1)[:, None], 0, moved)
        out[t] += emissions[t]
    return out


def losses(alpha: Any, states: States, xp: ModuleType) -> Any:
    """-log of the sum of the ways that end where they should, for each sequence; of no time at all: inf, or 0."""
    last = xp.maximum(states.input_lengths - 1, 0)
    final = xp.where(states.ends, alpha[last, xp.arange(alpha.shape[1])], -math.inf)
    nothing = xp.where(states.last[:, 0] == 0, 0.0, math.inf)
    largest = xp.maximum(final.max(axis=1), LEAST)
    total = largest + xp.log(xp.exp(final - largest[:, None]).sum(axis=1))
    return xp.where(states.input_lengths > 0, -total, nothing)
