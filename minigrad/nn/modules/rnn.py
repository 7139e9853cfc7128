"""Recurrent layers, stacked and in both directions, composed of one step a time.

For every layer and direction: weight_ih and bias_ih act on the input, weight_hh and bias_hh on the state of the step
before; their rows are those of the gates, one block of `hidden_size` after the other, in the order in which the steps
name them.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

from minigrad import backend
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.nn.utils.rnn import PackedSequence
from minigrad.ops import create
from minigrad.ops.elementwise import sigmoid, tanh
from minigrad.ops.join import cat, stack
from minigrad.ops.slices import index_select

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

State = tuple[Any, ...]  # what one direction of one layer carries from step to step, each (N, hidden_size)


GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}  # blocks of rows in the weights


class RNNBase(Module):
    """What the three have in common. All parameters start uniform on +-1/sqrt(hidden_size)."""

    states: ClassVar[int] = 1  # tensors in a state

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

    def step(self, x: Any, state: State, weight_hh: Any, bias_hh: Any, weight_hr: Any = None) -> State:
        """The next state, whose first part is the output, from `x`, the input's part of it, and the state before."""
        raise NotImplementedError(f'Module [{self._get_name()}] is missing the required "forward" function')

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(output, last state) for `input` (T, N, input_size), (N, T, input_size) if batch_first, or (T, input_size).

        output has D * hidden_size features, D being 2 if bidirectional; the last state, and `hx`, the first one (zeros
        by default), are (D * num_layers, N, hidden_size); for LSTM a pair of such tensors. A `proj_size` replaces
        hidden_size, but for the second of that pair. For a PackedSequence so is the output, and the last state is that
        of each sequence's last element.
        """
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
        output, last = self._run(input, initial)
        if not batched:
            output, last = output.squeeze(1), [part.squeeze(1) for part in last]
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, (tuple(last) if self.states > 1 else last[0])

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> Any:
        data, batch_sizes, order, back = packed
        sizes = batch_sizes.tolist()
        self._check_features(data, 2)
        if hx is not None:
            parts = [hx] if self.states == 1 else hx
            hx = [part if order is None else index_select(part, 1, order) for part in parts]
        output, last = self._run(data, self._initial_states(hx, data, sizes[0]), sizes)
        if back is not None:
            last = [index_select(part, 1, back) for part in last]
        return PackedSequence(output, batch_sizes, order, back), (tuple(last) if self.states > 1 else last[0])

    def _run(self, x: Any, initial: list[State], sizes: list[int] | None = None) -> tuple[Any, list[Any]]:
        """All layers over a sequence (T, N, features), or a packed one: the last one's outputs and last states."""
        last: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._suffixes(layer):
                backwards = suffix.endswith("reverse")
                sequence, state = self._run_direction(x, initial[len(last)], suffix, backwards, sizes)
                outputs.append(sequence)
                last.append(state)
            x = cat(outputs, -1) if self.bidirectional else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, [stack(parts) for parts in zip(*last)]

    def _run_direction(
        self, x: Any, state: State, suffix: str, backwards: bool, sizes: list[int] | None
    ) -> tuple[Any, State]:
        """One layer in one direction: its outputs (T, N, hidden_size), or packed, and its last state."""
        weight_hh, bias_hh = getattr(self, "weight_hh" + suffix), getattr(self, "bias_hh" + suffix, None)
        weight_ih, bias_ih = getattr(self, "weight_ih" + suffix), getattr(self, "bias_ih" + suffix, None)
        weight_hr = getattr(self, "weight_hr" + suffix, None)
        x = F.linear(x, weight_ih, bias_ih)

        def step(x: Any, state: State) -> State:
            return self.step(x, state, weight_hh, bias_hh, weight_hr)

        if sizes is not None:
            return (_packed_backwards if backwards else _packed_forwards)(step, x.split(sizes), state)
        steps, outputs = x.unbind(0), []
        for part in reversed(steps) if backwards else steps:
            state = step(part, state)
            outputs.append(state[0])
        return stack(outputs[::-1] if backwards else outputs), state

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
            (*front, size) for size in (self.proj_size or self.hidden_size, self.hidden_size)[: self.states]
        ]
        if hx is None:
            device = backend.device_of(input.array)
            hx = [create.zeros(shape, dtype=input.dtype, device=device) for shape in shapes]
        for i, (part, shape) in enumerate(zip(hx, shapes)):
            if part.array.shape != shape:
                which = f"hidden[{i}]" if self.states > 1 else "hidden"
                raise RuntimeError(f"Expected {which} size {shape}, got {list(part.array.shape)}")
        return list(zip(*[part.unbind(0) for part in hx]))

    def _batched(self, hx: Any, batched: bool) -> list[Any]:
        """The parts of `hx`; those of an unbatched input get their batch of one."""
        parts = [hx] if self.states == 1 else list(hx)
        ndims = [part.dim() for part in parts]
        if any(n != (3 if batched else 2) for n in ndims):
            wanted = "batched 3-D" if batched else "unbatched 2-D"
            names = "hx and cx should" if self.states > 1 else "hx should"
            got = ", ".join(f"{n}-D" for n in ndims)
            got = f"({got}) tensors" if self.states > 1 else f"{got} tensor"
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


def _packed_forwards(step: Any, steps: Any, state: State) -> tuple[Any, State]:
    """Over parts of ever fewer sequences. The state of those that end is put aside, the shortest first."""
    outputs, ended = [], []
    for x in steps:
        left = x.size(0)
        if left < state[0].size(0):
            ended.append([part[left:] for part in state])
            state = tuple(part[:left] for part in state)
        state = step(x, state)
        outputs.append(state[0])
    return cat(outputs), tuple(cat(parts) for parts in zip(state, *reversed(ended)))


def _packed_backwards(step: Any, steps: Any, initial: State) -> tuple[Any, State]:
    """From the last part to the first, of ever more sequences. Those that join bring their first state."""
    outputs, state = [], tuple(part[:0] for part in initial)
    for x in reversed(steps):
        present, size = state[0].size(0), x.size(0)
        if size > present:
            state = tuple(cat([part, first[present:size]]) for part, first in zip(state, initial))
        state = step(x, state)
        outputs.append(state[0])
    return cat(outputs[::-1]), state


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

    def step(self, x: Any, state: State, weight_hh: Any, bias_hh: Any, weight_hr: Any = None) -> State:
        total = x + F.linear(state[0], weight_hh, bias_hh)
        return (tanh(total) if self.nonlinearity == "tanh" else F.relu(total),)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): gates i, f, o and candidate g from x and h; see
    `forward`.

    c' = f c + i g, h' = o tanh(c'). With a `proj_size` h' is multiplied by a matrix weight_hr, proj_size rows high.
    """

    states = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def step(self, x: Any, state: State, weight_hh: Any, bias_hh: Any, weight_hr: Any = None) -> State:
        h, c = state
        i, f, g, o = (x + F.linear(h, weight_hh, bias_hh)).chunk(4, -1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return (h if weight_hr is None else F.linear(h, weight_hr)), c


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014), as cuDNN computes it: gates r and z, candidate n; see `forward`.

    n = tanh(x_n + r h_n), h' = (1 - z) n + z h, with x_n and h_n the candidate's rows of the two products.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)

    def step(self, x: Any, state: State, weight_hh: Any, bias_hh: Any, weight_hr: Any = None) -> State:
        (h,) = state
        x_r, x_z, x_n = x.chunk(3, -1)
        h_r, h_z, h_n = F.linear(h, weight_hh, bias_hh).chunk(3, -1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = tanh(x_n + r * h_n)
        return (n + z * (h - n),)
