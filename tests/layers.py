"""Small modules for programs about hooks, and what such programs log."""

from __future__ import annotations

from contextlib import contextmanager

import torch

import minigrad
from minigrad.nn import global_hooks


def plain(value):
    """Tensors as copies, for logs that outlive later changes."""
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        return value.detach().clone()
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def of_all(T):
    """Where torch keeps the hooks common to all modules."""
    return T.nn.modules.module


@contextmanager
def no_kind_settled():
    """torch remembers for the rest of a process which kind of global backward hook it was first given."""
    torch.nn.modules.module._global_is_full_backward_hook = global_hooks._Kind.full = None
    try:
        yield
    finally:
        torch.nn.modules.module._global_is_full_backward_hook = global_hooks._Kind.full = None


def layer(T, function):
    """A module that computes `function`."""

    class Layer(T.nn.Module):
        def forward(self, *args, **kwargs):
            return function(*args, **kwargs)

    return Layer()


def linear(T):
    m = T.nn.Linear(2, 2)
    with T.no_grad():
        m.weight.copy_(T.tensor([[1.0, -2.0], [0.5, 3.0]]))
        m.bias.copy_(T.tensor([0.25, -1.0]))
    return m
