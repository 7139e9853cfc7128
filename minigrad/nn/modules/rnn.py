"""Recurrent layers, stacked and in both directions: each direction of each is one op, `ops.recurrent_layer`.

For every layer and direction: weight_ih and bias_ih act on the input, weight_hh and bias_hh on the state of the step
before; their rows are those of the gates, one block of `hidden_size` after the other, in the order in which the steps
name them.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from minigrad import backend
from minigrad.kernels.recurrent import GATES, STATES, Layer
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.nn.utils.rnn import PackedSequence
from minigrad.ops import create
from minigrad.ops.join import cat, stack
from minigrad.ops.layers.recurrent import State, recurrent_layer
from minigrad.ops.slices import index_select

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]


class RNNBase(Module):
    """What the three have in common. All parameters start uniform on +-1/sqrt(hidden_size)."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_dropout(dropout, num_layers)
        _check_types(bool, bias=bias, batch_first=batch_first)
        _check_sizes(input_size, hidden_size, num_layers)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_proj_size()
        if mode not in GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        rows, out = GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = out * self._directions if layer else input_size
            for suffix in self._suffixes(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(create.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _states(self) -> int:
        return STATES[self.mode]

    def _suffixes(self, layer: int) -> list[str]:
        """What is put after the names of the parameters of each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: torch moves the parameters together in GPU memory here."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(output, last state) for `input` (T, N, input_size), (N, T, input_size) if batch_first, or (T, input_size).

        output has D * hidden_size features, D being 2 if bidirectional; the last state, and `hx`, the first one (zeros
        by default), are (D * num_layers, N, hidden_size); for LSTM a pair of such tensors. A `proj_size` replaces
        hidden_size, but for the second of that pair. For a PackedSequence so is the output, and the last state is that
        of each sequence's last element.
        """
        if type(self) is RNNBase:
            return super().forward(input, hx)  # there is none
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        self._check_input(input)
        batched = input.dim() == 3
        if not batched:
            input = input.unsqueeze(1)
        elif self.batch_first:
            input = input.transpose(0, 1)
        if hx is not None:
            hx = self._batched(hx, batched)
        initial = self._initial_states(hx, input, input.size(1))
        steps, batch, features = input.array.shape
        if not steps:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        rows = input.reshape(steps * batch, features)
        output, last = self._run(rows, initial, (batch,) * steps)
        output = output.view(steps, batch, output.size(1))
        if not batched:
            output, last = output.squeeze(1), [part.squeeze(1) for part in last]
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, (tuple(last) if self._states > 1 else last[0])

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> Any:
        data, batch_sizes, order, back = packed
        sizes = tuple(batch_sizes.tolist())
        self._check_features(data, 2)
        if hx is not None:
            parts = [hx] if self._states == 1 else hx
            hx = [part if order is None else index_select(part, 1, order) for part in parts]
        output, last = self._run(data, self._initial_states(hx, data, sizes[0]), sizes)
        if back is not None:
            last = [index_select(part, 1, back) for part in last]
        return PackedSequence(output, batch_sizes, order, back), (tuple(last) if self._states > 1 else last[0])

    def _run(self, x: Any, initial: list[State], sizes: tuple[int, ...]) -> tuple[Any, list[Any]]:
        """All layers over the rows of all steps: the last one's outputs, and the last states of all."""
        last: list[list[Any]] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._suffixes(layer):
                how = Layer(self.mode, sizes, suffix.endswith("reverse"), self.bias)
                out, *state = recurrent_layer(x, *initial[len(last)], *self._weights(suffix), layer=how)
                outputs.append(out)
                last.append(state)
            x = cat(outputs, -1) if self.bidirectional else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, [stack(parts) for parts in zip(*last)]

    def _weights(self, suffix: str) -> list[Any]:
        """The parameters of one direction of one layer, in the order of `Weights`."""
        names = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * self.bias + ["weight_hr"] * bool(self.proj_size)
        return [getattr(self, name + suffix) for name in names]

    # -- checks ------------------------------------------------------------------------------------------------------

    def _check_proj_size(self) -> None:
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError(f"proj_size has to be smaller than hidden_size\n{self.proj_size}, {self.hidden_size}")

    def _check_input(self, input: Any) -> None:
        if input.dim() not in (2, 3):
            name, got = self._get_name(), f"{input.dim()}D{' tensor' if self.mode[:3] == 'RNN' else ''}"
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {got} instead")
        self._check_features(input, input.dim())

    def _check_features(self, input: Any, ndim: int) -> None:
        weight = self.weight_ih_l0
        if input.dtype is not weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.dim() != ndim:
            raise RuntimeError(f"input must have {ndim} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def _initial_states(self, hx: Any, input: Any, batch: int) -> list[State]:
        """The first state of every layer and direction: the parts of `hx`, whose shapes are checked, or zeros."""
        front = (self.num_layers * self._directions, batch)
        shapes: list[tuple[int, ...]] = [
            (*front, size) for size in (self.proj_size or self.hidden_size, self.hidden_size)[: self._states]
        ]
        if hx is None:
            device = backend.device_of(input.array)
            hx = [create.zeros(shape, dtype=input.dtype, device=device) for shape in shapes]
        for i, (part, shape) in enumerate(zip(hx, shapes)):
            if part.array.shape != shape:
                which = f"hidden[{i}]" if self._states > 1 else "hidden"
                raise RuntimeError(f"Expected {which} size {shape}, got {list(part.array.shape)}")
        return list(zip(*[part.unbind(0) for part in hx]))

    def _batched(self, hx: Any, batched: bool) -> list[Any]:
        """The parts of `hx`; those of an unbatched input get their batch of one."""
        parts = [hx] if self._states == 1 else list(hx)
        ndims = [part.dim() for part in parts]
        if any(n != (3 if batched else 2) for n in ndims):
            wanted = "batched 3-D" if batched else "unbatched 2-D"
            names = "hx and cx should" if self._states > 1 else "hx should"
            got = ", ".join(f"{n}-D" for n in ndims)
            got = f"({got}) tensors" if self._states > 1 else f"{got} tensor"
            raise RuntimeError(f"For {wanted} input, {names} also be {3 if batched else 2}-D but got {got}")
        return parts if batched else [part.unsqueeze(1) for part in parts]

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.proj_size:
            parts.append(f"proj_size={self.proj_size}")
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if self.batch_first:
            parts.append("batch_first=True")
        if self.dropout:
            parts.append(f"dropout={self.dropout}")
        if self.bidirectional:
            parts.append("bidirectional=True")
        return ", ".join(parts)


def _refuse_projection(options: dict[str, Any]) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


def _check_types(kind: type, **arguments: Any) -> None:
    for name, value in arguments.items():
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")


def _check_sizes(input_size: Any, hidden_size: Any, num_layers: int) -> None:
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        _check_types(int, **{name: size})
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero\ngot {size}")
    if num_layers <= 0:
        raise ValueError(f"num_layers must be greater than zero\ngot {num_layers}")


def _check_dropout(dropout: Any, num_layers: int) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            f"dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            UserWarning,
            stacklevel=4,
        )


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it (Elman 1990); see `forward`."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", *args: Any,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        _refuse_projection(kwargs)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): gates i, f, o and candidate g from x and h; see
    `forward`.

    c' = f c + i g, h' = o tanh(c'). With a `proj_size` h' is multiplied by a matrix weight_hr, proj_size rows high.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014), as cuDNN computes it: gates r and z, candidate n; see `forward`.

    n = tanh(x_n + r h_n), h' = (1 - z) n + z h, with x_n and h_n the candidate's rows of the two products.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)
