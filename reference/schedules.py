"""The four learning-rate schedules of tutorial 000, as recipes on torch's scheduler classes.

Each takes an engine's `optim.lr_scheduler` module (torch's or minigrad's), an optimizer built with the initial rate
eta(0), and the schedule's constants. t counts the calls of `scheduler.step()`: call it once an epoch where the tutorial
speaks of epochs, and once a training step where it measures t against r, the size of the training set.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from types import ModuleType
from typing import Any


def piecewise_constant(
    lr_scheduler: ModuleType, optimizer: Any, milestones: Sequence[int], factors: Sequence[float]
) -> Any:
    """eta(t) = eta(0) factors[k] from milestones[k - 1] up to milestones[k]: one rate for each stretch of epochs.

    One factor more than milestones. Where each is the one before times a fixed gamma, MultiStepLR says the same.
    """
    if len(factors) != len(milestones) + 1:
        raise ValueError(
            f"{len(milestones)} milestones part {len(milestones) + 1} stretches, got {len(factors)} factors"
        )
    return lr_scheduler.LambdaLR(optimizer, lambda t: factors[bisect_right(milestones, t)])


def exponential(lr_scheduler: ModuleType, optimizer: Any, r: float) -> Any:
    """eta(t) = eta(0) exp(-t / r): a factor gamma = exp(-1 / r) at each step.

    With r the training-set size, t is in steps. `ExponentialLR(gamma=0.9)`, once an epoch, is r = -1 / log(0.9), about
    9.5 epochs.
    """
    return lr_scheduler.ExponentialLR(optimizer, gamma=math.exp(-1 / r))


def reciprocal(lr_scheduler: ModuleType, optimizer: Any, r: float, c: float) -> Any:
    """eta(t) = eta(0) (1 + t / r) ** -c.

    A closed form in t, so LambdaLR, which overwrites whatever rate was set by hand in between.
    """
    return lr_scheduler.LambdaLR(optimizer, lambda t: (1 + t / r) ** -c)


def halving(lr_scheduler: ModuleType, optimizer: Any) -> Any:
    """eta is halved each time a validation loss, given as `scheduler.step(loss)`, is no better than the best so far.

    The class's defaults cut harder and later: to a tenth, after more than ten epochs without improvement. "Better"
    keeps its default meaning, lower by more than one part in 10,000.
    """
    return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
