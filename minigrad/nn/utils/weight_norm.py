"""Weight normalization (Salimans & Kingma 2016): w = g v / |v|, as a hook before each forward.

The newer form is `parametrizations.weight_norm`.
"""

from __future__ import annotations

import warnings
from typing import Any

from minigrad.nn.parameter import Parameter, is_lazy
from minigrad.ops.linalg.norms import norm


def norm_except_dim(v: Any, pow: float = 2, dim: int = 0) -> Any:
    """The norms of the slices of `v` along `dim`, shaped to broadcast with it; of all of it for -1."""
    if dim == -1:
        return norm(v, pow)
    flat = v.transpose(0, dim).flatten(1) if v.dim() > 1 else v.unsqueeze(1)
    shape = [1] * v.dim()
    shape[dim] = -1
    return norm(flat, pow, 1).reshape(shape)


def normalized(v: Any, g: Any, dim: int = 0) -> Any:
    """g v / |v|, with one norm and one entry of `g` for each slice of `v` along `dim`."""
    return v * (g / norm_except_dim(v, 2, dim))


class WeightNorm:
    """The hook: sets the module's `name` from its parameters `name`_g and `name`_v."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Any:
        """The weight."""
        return normalized(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    @staticmethod
    def apply(module: Any, name: str, dim: int | None) -> WeightNorm:
        """Split the parameter into length and direction, and register the hook."""
        warnings.warn(
            "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
            FutureWarning,
            stacklevel=3,
        )
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
        hook, weight = WeightNorm(name, dim), getattr(module, name)
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy "
                "forward before applying weight normalization"
            )
        del module._parameters[name]
        module.register_parameter(name + "_g", Parameter(norm_except_dim(weight, 2, hook.dim).detach()))
        module.register_parameter(name + "_v", Parameter(weight.detach()))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Any) -> None:
        """Make the present weight the parameter."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.detach()))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Train length and direction of a parameter apart, one length for each slice along `dim`, or one for None."""
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Undo `weight_norm`; the weight keeps its value. ValueError if there is nothing to undo."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
