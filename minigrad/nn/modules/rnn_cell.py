"""Single steps of recurrent layers, for loops over time that a script writes itself."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.kernels.recurrent import STATES
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops import create
from minigrad.ops.layers.recurrent import CELLS

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """One step of a recurrent layer. All parameters start uniform on +-1/sqrt(hidden_size)."""

    mode: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}
        for name, shape in {**shapes, "bias_ih": (rows,), "bias_hh": (rows,)}.items():
            wanted = bias or name in shapes
            self.register_parameter(
                name, Parameter(create.empty(shape, device=device, dtype=dtype)) if wanted else None
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state from `input` (N, input_size) and the state before, (N, hidden_size), zeros by default.

        Both may lack the batch. For LSTMCell a state is a pair of tensors.
        """
        self._check(input, hx)
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            shape, device = (input.size(0), self.hidden_size), backend.device_of(input.array)
            state = (create.zeros(shape, dtype=input.dtype, device=device),) * STATES[self.mode]
        else:
            parts = hx if STATES[self.mode] > 1 else (hx,)
            state = tuple(part if batched else part.unsqueeze(0) for part in parts)
        weights = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        new = CELLS[self.mode](input, state if len(state) > 1 else state[0], *weights)
        if batched:
            return new
        return new.squeeze(0) if len(state) == 1 else tuple(part.squeeze(0) for part in new)

    def _check(self, input: Any, hx: Any) -> None:
        given = {"input": input}
        if hx is not None:
            given |= {f"hx[{i}]": part for i, part in enumerate(hx)} if STATES[self.mode] > 1 else {"hidden": hx}
        for name, tensor in given.items():
            if tensor.dim() not in (1, 2):
                raise ValueError(f"{self._get_name()}: Expected {name} to be 1D or 2D, got {tensor.dim()}D instead")

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            parts.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(parts)


class RNNCell(RNNCellBase):
    """One step of `RNN`: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    @property
    def mode(self) -> str:  # type: ignore[override]  # the nonlinearity may be changed
        return f"RNN_{self.nonlinearity.upper()}"

    def forward(self, input: Any, hx: Any = None) -> Any:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}\nit is 'tanh' or 'relu'")
        return super().forward(input, hx)


class LSTMCell(RNNCellBase):
    """One step of `LSTM`, from (h, c) to (h', c')."""

    mode = "LSTM"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)


class GRUCell(RNNCellBase):
    """One step of `GRU`."""

    mode = "GRU"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)
