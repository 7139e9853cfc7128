"""Softmax over very many classes, of which few are frequent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.nn.modules.container import ModuleList, Sequential
from minigrad.nn.modules.linear import Linear
from minigrad.ops.join import cat
from minigrad.ops.slices import index_select

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    """The log-probabilities of the targets, and the mean of their negatives."""

    output: Any
    loss: Any


class AdaptiveLogSoftmaxWithLoss(Module):
    """log-softmax in two steps (Grave et al. 2017): of the most frequent classes and the clusters of all others, then
    within a cluster.

    Classes are numbered from the most frequent one; those below cutoffs[0] are in the `head`, and cluster i has those
    from cutoffs[i] on, with in_features / div_value^(i + 1) features. ValueError for cutoffs that do not increase.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        increasing = all(a < b for a, b in pairwise([0, *cutoffs, n_classes]))
        if not increasing or any(int(c) != c for c in cutoffs):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                "value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail: Any = ModuleList()
        for i, (start, end) in enumerate(pairwise(self.cutoffs)):
            features = int(in_features // div_value ** (i + 1))
            down = Linear(in_features, features, bias=False, **made)
            self.tail.append(Sequential(down, Linear(features, end - start, bias=False, **made)))

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        self.head.reset_parameters()
        for down, up in self.tail:
            down.reset_parameters()
            up.reset_parameters()

    def forward(self, input_: Any, target_: Any) -> _ASMoutput:
        """The log-probabilities of the targets (N,) and their mean loss, for inputs (N, in_features); or without N.

        RuntimeError for shapes that do not fit, and for targets that are no classes.
        """
        _check_shapes(input_, target_)
        batched = target_.dim() > 0
        input, target = (input_, target_) if batched else (input_.unsqueeze(0), target_.unsqueeze(0))
        classes = target.array
        xp = backend.module_of(classes)
        if classes.size and not (classes.min() >= 0 and classes.max() < self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        cluster = xp.searchsorted(xp.asarray(self.cutoffs), classes, side="right")  # 0 for those in the head
        at_head = xp.where(cluster > 0, self.shortlist_size + cluster - 1, classes)
        output = F.log_softmax(self.head(input), 1).gather(1, wrap(at_head[:, None])).squeeze(1)
        order, within = [], []  # the rows of each cluster, and log-probabilities within it
        for i, start in enumerate([0, *self.cutoffs[:-1]]):
            rows = xp.flatnonzero(cluster == i)
            order.append(rows)
            if i == 0:
                within.append(output.new_zeros(rows.size))
            elif rows.size:
                inside = F.log_softmax(self.tail[i - 1](index_select(input, 0, wrap(rows))), 1)
                within.append(inside.gather(1, wrap(classes[rows][:, None] - start)).squeeze(1))
        output = output + index_select(cat(within), 0, wrap(xp.concatenate(order).argsort()))
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _get_full_log_prob(self, input: Any, head_output: Any) -> Any:
        head = F.log_softmax(head_output, 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail, start=self.shortlist_size):
            parts.append(F.log_softmax(tail(input), 1) + head[:, i : i + 1])
        return cat(parts, 1)

    def log_prob(self, input: Any) -> Any:
        """The log-probabilities (N, n_classes) of all classes."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Any) -> Any:
        """The most probable classes (N,). Clusters are looked into only where one is more probable than all others."""
        head = self.head(input)
        best = head.argmax(1)
        in_tail = best >= self.shortlist_size
        if in_tail.any():
            best[in_tail] = self._get_full_log_prob(input[in_tail], head[in_tail]).argmax(1)
        return best


def _check_shapes(input: Any, target: Any) -> None:
    dims = target.dim()
    if dims > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if dims == 1 and input.size(0) != target.size(0):
        raise RuntimeError("Input and target should have the same size in the batch dimension.")
    if input.dim() != dims + 1:
        raise RuntimeError(
            f"{dims}D target tensor expects {dims + 1}D input tensors, but found inputs with size {input.size()}"
        )
