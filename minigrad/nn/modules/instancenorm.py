"""Instance normalisation layers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from minigrad.nn import functional as F
from minigrad.nn.modules.batchnorm import _NormBase

__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _InstanceNorm(_NormBase):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, for each channel of each sample; the batch may be missing.

    The moments are the sample's own; with `track_running_stats` running ones move towards their averages by the
    fraction `momentum`, and take their place in evaluation.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Any) -> Any:
        self._check_input_dim(input)
        batched = input.dim() == self.ranks[1]
        self._check_features(input, 1 if batched else 0)
        own = self.training or not self.track_running_stats
        fraction = 0.0 if self.momentum is None else self.momentum
        out = F.instance_norm(
            input if batched else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            fraction,
            self.eps,
        )
        return out if batched else out.squeeze(0)

    def _check_features(self, input: Any, dim: int) -> None:
        if (size := input.size(dim)) == self.num_features:
            return
        if self.affine:
            raise ValueError(
                f"expected input's size at dim={dim} to match num_features ({self.num_features}), but got: {size}."
            )
        warnings.warn(
            f"input's size at dim={dim} does not match num_features. You can silence this warning by not passing in "
            f"num_features, which is not used because affine=False",
            UserWarning,
            stacklevel=3,
        )

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: Mapping[str, Any], *rest: Any
    ) -> None:
        """Refuse running statistics in states without a version, which have them always, where none are tracked."""
        kept = [prefix + name for name in ("running_mean", "running_var") if prefix + name in state_dict]
        if local_metadata.get("version") is None and not self.track_running_stats and kept:
            names, kind = " and ".join(f'"{key}"' for key in kept), self._get_name()
            rest[-1].append(
                f"Unexpected running stats buffer(s) {names} for {kind} with track_running_stats=False. If state_dict "
                f"is a checkpoint saved before 0.4.0, this may be expected because {kind} does not track running stats "
                f"by default since 0.4.0. Please remove these keys from state_dict. If the running stats are actually "
                f"needed, instead set track_running_stats=True in {kind} to enable them. See the documentation of "
                f"{kind} for details."
            )
            state_dict = {key: value for key, value in state_dict.items() if key not in kept}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L)."""

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W)."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W)."""

    ranks = (4, 5)
