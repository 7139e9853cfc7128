"""Weights of convolutions laid out in memory as a format says; the modules around them stay as they are."""

from __future__ import annotations

from typing import Any

from minigrad.nn.module import Module
from minigrad.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """`module`, with the weights of every Conv2d and ConvTranspose2d in it laid out as `memory_format` says."""
    return _convert((Conv2d, ConvTranspose2d), module, memory_format)


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """`module`, with the weights of every Conv3d and ConvTranspose3d in it laid out as `memory_format` says."""
    return _convert((Conv3d, ConvTranspose3d), module, memory_format)


def _convert(kinds: tuple[type[Module], ...], module: Any, memory_format: Any) -> Any:
    if isinstance(module, kinds):
        module.weight.data = module.weight.detach().clone(memory_format=memory_format)
    for child in module.children():
        _convert(kinds, child, memory_format)
    return module
