"""Averages of a model's weights over training: equal ones (SWA) or exponential ones (EMA), and what goes with them.

averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
...                                          # after each step of the optimizer
averaged.update_parameters(model)
update_bn(loader, averaged)                  # at the end: statistics of batch norm for the averaged weights
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import no_grad
from minigrad.nn.module import Module
from minigrad.nn.modules.batchnorm import _BatchNorm
from minigrad.ops import create
from minigrad.optim.lr_scheduler.cyclic import _for_groups
from minigrad.optim.lr_scheduler.scheduler import LRScheduler
from minigrad.optim.optimizer import Optimizer

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip

Average = Callable[[Any, Any, Any], Any]  # of one tensor's average, its new value, and how many it is the average of
MultiAverage = Callable[[Sequence[Any], Sequence[Any], Any], None]  # the same for lists, in place


# -- how to average ----------------------------------------------------------------------------------------------------


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """average <- decay * average + (1 - decay) * new. ValueError unless `decay` is in [0, 1]."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Average:
    """The mean of all: average <- average + (new - average) / (n + 1), after n of them."""

    @no_grad()
    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """`get_ema_avg_fn` for lists of tensors of one dtype, in place; by `lerp_` where they are floating point."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: Sequence[Any], current_param_list: Sequence[Any], _: Any) -> None:
        floating = ema_param_list[0].is_floating_point()
        for ema, current in zip(ema_param_list, current_param_list, strict=True):
            if floating:
                ema.lerp_(current, 1 - decay)
            else:
                ema.copy_(ema * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverage:
    """`get_swa_avg_fn` for lists of tensors of one dtype, in place.

    By `lerp_` where they are floating point. Integers are refused by `add_` or `addcdiv_`, as torch does.
    """

    @no_grad()
    def swa_update(averaged_param_list: Sequence[Any], current_param_list: Sequence[Any], num_averaged: Any) -> None:
        floating = averaged_param_list[0].is_floating_point()
        for averaged, current in zip(averaged_param_list, current_param_list, strict=True):
            if floating:
                averaged.lerp_(current, float(1 / (num_averaged + 1)))
            elif isinstance(num_averaged, int):
                averaged.add_(current - averaged, alpha=1.0 / (num_averaged + 1))
            else:
                averaged.addcdiv_(current - averaged, num_averaged + 1)

    return swa_update


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


# -- the averaged model ------------------------------------------------------------------------------------------------


class AveragedModel(Module):
    """A copy of `model`, on `device` if given, that holds the average of the values it is updated with.

    avg_fn, multi_avg_fn   how to average a tensor, or a list of them in place: one of the two at most; the equal
                           mean (Izmailov et al. 2018) if neither is given
    use_buffers            average the buffers too; else they are those of the model last seen
    """

    n_averaged: Any

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", create.tensor(0, dtype=backend.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the values of `model` into the average; the first ones are copied."""
        averaged, new = self.module.parameters(), model.parameters()
        if self.use_buffers:
            averaged, new = chain(averaged, self.module.buffers()), chain(new, model.buffers())
        pairs = [(a.detach(), p.detach().to(a.device)) for a, p in zip(averaged, new, strict=False)]
        if self.n_averaged == 0:
            for a, p in pairs:
                a.copy_(p)
        elif self.multi_avg_fn is not None:
            for alike in _by_device_and_dtype(pairs):
                ours, theirs = ([pair[i] for pair in alike] for i in (0, 1))
                self.multi_avg_fn(ours, theirs, self.n_averaged.to(ours[0].device))
        else:
            avg_fn = self.avg_fn or get_swa_avg_fn()
            for a, p in pairs:
                a.copy_(avg_fn(a, p, self.n_averaged.to(a.device)))
        if not self.use_buffers:
            for a, b in zip(self.module.buffers(), model.buffers(), strict=True):
                a.detach().copy_(b.detach().to(a.device))
        self.n_averaged += 1


def _by_device_and_dtype(pairs: list[tuple[Any, Any]]) -> Iterable[list[tuple[Any, Any]]]:
    """The pairs in lists of those whose averages have the same device and dtype."""
    lists: dict[Any, list[tuple[Any, Any]]] = {}
    for pair in pairs:
        lists.setdefault((str(pair[0].device), pair[0].dtype), []).append(pair)
    return lists.values()


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Make the running statistics of all batch norms in `model` the averages over the batches of `loader`, each a
    tensor or a list or tuple that begins with one; they are moved to `device` if it is given.
    """
    norms = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not norms:
        return
    was_training = model.training
    model.train()
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # averages over all batches
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for module, momentum in norms.items():
        module.momentum = momentum
    model.train(was_training)


# -- the learning rate -------------------------------------------------------------------------------------------------


class SWALR(LRScheduler):
    """From the rate it finds to `swa_lr`, one or a list for the groups, in `anneal_epochs` steps, and stay there.

    lr(t) = (1 - a(t)) lr(0) + a(t) swa_lr, where a(t) is t / anneal_epochs ("linear") or half a cosine wave ("cos").
    lr(0) is worked out from the current rate, so that edits by hand count.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for group, rate in zip(optimizer.param_groups, _for_groups("swa_lr", optimizer, swa_lr), strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """How far the rate has gone, from 0 to 1, after the share `t` of the epochs."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (self.anneal_func(max(0, min(1, s / max(1, self.anneal_epochs)))) for s in (step - 1, step))
        rates = []
        for group in self.optimizer.param_groups:
            lr, target = group["lr"], group["swa_lr"]
            start = target if before == 1 else (lr - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates
