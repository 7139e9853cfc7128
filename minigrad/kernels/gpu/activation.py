"""Activation functions and their gradients, each as one kernel where the plain way is several.

A function's name is its kernel's; the gradient's has `_back` behind it. The numbers are the function's constants.
"""

from __future__ import annotations

from minigrad.backend import Array, module_of
from minigrad.kernels.gpu.launch import flat, over_elements


def forward(name: str, x: Array, *numbers: float) -> Array:
    """The function `name` of every element of x, which is not empty."""
    x = flat(x)
    out = module_of(x).empty_like(x)
    over_elements("activation", name, x, x.size, x, out, x.size, *map(float, numbers))
    return out


def backward(name: str, g: Array, x: Array, *numbers: float) -> Array:
    """The gradient of its input x, or as the kernel has it of its output, from the gradient g of the output."""
    g, x = flat(g), flat(x)
    out = module_of(g).empty_like(g)
    over_elements("activation", f"{name}_back", g, g.size, g, x, out, g.size, *map(float, numbers))
    return out
