"""cuDNN's frontend 1.18 (the Python module `cudnn`) without a GPU, as far as convolutions go: for `strict_cupy`.

Names, parameters and the order of calls are the real ones, which tests/test_gpu_cudnn.py compares where the frontend is
installed. It knows six plans for every convolution, and computes with the kernels of the CPU. It refuses what would end
in wrong numbers or a crash: numbers of tensors that the graph has not, null and unaligned pointers, a plan that was not
built or not allowed, a handle of another stream, gaps in tensors, tensors with too few dims, one layout here and
another there.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.kernels import convolution
from minigrad.kernels.convolution_shapes import Conv
from reference.strict_capture import launch
from reference.strict_cuda import get_current_stream


class data_type(enum.Enum):
    """The dtypes in use."""

    NOT_SET, HALF, FLOAT, DOUBLE = None, "float16", "float32", "float64"


class heur_mode(enum.Enum):
    """Where plans come from."""

    A, B, FALLBACK = range(3)


class numerical_note(enum.Enum):
    """What a plan does to the numbers."""

    TENSOR_CORE, DOWN_CONVERT_INPUTS, REDUCED_PRECISION_REDUCTION, NONDETERMINISTIC = range(4)


class convolution_mode(enum.Enum):
    """Whether kernels are turned around."""

    CONVOLUTION, CROSS_CORRELATION = 1, 2


class cudnnGraphNotSupportedError(Exception):
    """There is no plan; no RuntimeError, as in the real module."""


_CORE, _DOWN, _LOOSE = (
    numerical_note.TENSOR_CORE, numerical_note.DOWN_CONVERT_INPUTS, numerical_note.NONDETERMINISTIC
)  # fmt: skip
# Of every convolution: the notes of a plan, and the bytes it works in.
PLANS = [({_DOWN}, 0), ({_CORE, _LOOSE}, 512), ({_LOOSE}, 0), ({_CORE}, 64), (set(), 1 << 30), (set(), 32)]


class Log:
    """What tests want to see, and to say."""

    def __init__(self) -> None:
        self.graphs: deque[pygraph] = deque(maxlen=100)  # those planned
        self.executed: deque[tuple[pygraph, int]] = deque(maxlen=100)  # with the plan
        self.refuses: Callable[[pygraph], bool] = lambda graph: False
        self.handles: dict[int, int | None] = {}  # the stream of each


log = Log()
_numbers = itertools.count(1)


def backend_version() -> int:
    """That of 9.19.0."""
    return 91900


def create_handle() -> int:
    """A new handle."""
    handle = next(_numbers)
    log.handles[handle] = None
    return handle


def set_stream(handle: int, stream: int) -> None:
    """Let what `handle` executes go on a stream."""
    if handle not in log.handles:
        raise RuntimeError(f"there is no handle {handle}")
    log.handles[handle] = stream


class tensor:
    """What a graph knows of an array."""

    def __init__(self, dim: Sequence[int] = (), stride: Sequence[int] = (), uid: int = -1) -> None:
        self.dim, self.stride, self.uid, self.output = list(dim), list(stride), uid, False

    def set_output(self, value: bool) -> tensor:
        """Whether it is a result."""
        self.output = value
        return self

    def set_uid(self, value: int) -> tensor:
        """Its number."""
        self.uid = value
        return self

    def set_dim(self, value: Sequence[int]) -> tensor:
        """Its shape."""
        self.dim = list(value)
        return self

    def set_stride(self, value: Sequence[int]) -> tensor:
        """Its strides, in elements."""
        self.stride = list(value)
        return self

    def set_data_type(self, data_type: data_type) -> tensor:
        """Its dtype, which must be the graph's."""
        self.data_type = data_type
        return self

    def at(self, pointer: int, dtype: Any) -> np.ndarray:
        """The array at an address."""
        memory = (ctypes.c_char * (int(np.prod(self.dim)) * dtype.itemsize)).from_address(pointer)
        return np.ndarray(self.dim, dtype, memory, strides=[n * dtype.itemsize for n in self.stride])


Tensor = tensor  # a graph has a method of that name


class pygraph:
    """A graph, of one convolution."""

    def __init__(
        self,
        name: str = "test_graph",
        io_data_type: data_type = data_type.NOT_SET,
        intermediate_data_type: data_type = data_type.NOT_SET,
        compute_data_type: data_type = data_type.NOT_SET,
        handle: int | None = None,
    ) -> None:
        if handle not in log.handles:
            raise RuntimeError(f"there is no handle {handle}")
        if intermediate_data_type is data_type.NOT_SET:
            raise RuntimeError("no dtype for what lies between")
        self.io, self.compute = io_data_type, compute_data_type
        self.inputs: list[Tensor] = []
        self.result = Tensor()
        self.done: list[str] = []
        self.notes: set[numerical_note] = set()
        self.workspace_limit: float = float("inf")
        self.built: dict[int, int] = {}  # workspaces
        self.chosen = -1

    def tensor(
        self, dim: Sequence[int], stride: Sequence[int], data_type: data_type = data_type.NOT_SET, uid: int = -1
    ) -> Any:
        """An input."""
        if data_type is not self.io:
            raise RuntimeError(f"a tensor of {data_type} in a graph of {self.io}")
        self.inputs.append(Tensor(dim, stride, uid))
        return self.inputs[-1]

    def conv_fprop(
        self, image: Tensor, weight: Tensor, padding: Sequence[int] = (), stride: Sequence[int] = (),
        dilation: Sequence[int] = (),
    ) -> Tensor:  # fmt: skip
        """`conv`."""
        return self._conv("conv_fprop", (image, weight, self.result), padding, stride, dilation)

    def conv_dgrad(
        self, loss: Tensor, filter: Tensor, padding: Sequence[int] = (), stride: Sequence[int] = (),
        dilation: Sequence[int] = (),
    ) -> Tensor:  # fmt: skip
        """`conv_input`."""
        return self._conv("conv_dgrad", (self.result, filter, loss), padding, stride, dilation)

    def conv_wgrad(
        self, image: Tensor, loss: Tensor, padding: Sequence[int] = (), stride: Sequence[int] = (),
        dilation: Sequence[int] = (),
    ) -> Tensor:  # fmt: skip
        """`conv_weight`."""
        return self._conv("conv_wgrad", (image, self.result, loss), padding, stride, dilation)

    def _conv(
        self, kind: str, tensors: tuple[Tensor, ...], padding: Sequence[int], stride: Sequence[int],
        dilation: Sequence[int],
    ) -> Tensor:  # fmt: skip
        self.kind, self.tensors = kind, tensors
        self.how = Conv(tuple(stride), tuple(padding), tuple(dilation), 1)
        return self.result

    def _after(self, *calls: str) -> None:
        """RuntimeError unless the last call was one of these."""
        if (self.done or [""])[-1] not in calls:
            raise RuntimeError(f"out of order: after {self.done}")

    def validate(self) -> None:
        """RuntimeError unless shapes, strides and numbers fit together."""
        x, w, y = self.tensors
        for t in self.tensors:
            if not 4 <= len(t.dim) <= 5 or len(t.stride) != len(t.dim):
                raise RuntimeError(f"dims {t.dim} with strides {t.stride}: a result must be told, and has 4 or 5 dims")
        if len({t.uid for t in self.tensors}) != 3 or not self.result.output:
            raise RuntimeError(f"the numbers {[t.uid for t in self.tensors]}")
        if self.result.data_type is not self.io:
            raise RuntimeError(f"a result of {self.result.data_type} in a graph of {self.io}")
        self.how = self.how._replace(groups=x.dim[1] // w.dim[1])
        if list(convolution.check(tuple(x.dim), tuple(w.dim), self.how)) != y.dim:
            raise RuntimeError(f"{y.dim} is not the convolution of {x.dim} with {w.dim}")
        self.done.append("validate")

    def build_operation_graph(self) -> None:
        """After `validate`."""
        self._after("validate")
        self.done.append("build_operation_graph")

    def create_execution_plans(self, modes: list[heur_mode]) -> None:
        """cudnnGraphNotSupportedError for layouts without plans; the heuristics alone have none for some shapes."""
        self._after("build_operation_graph")
        if heur_mode.FALLBACK not in modes or heur_mode.A not in modes:
            raise cudnnGraphNotSupportedError("no plan of the heuristics will do")
        log.graphs.append(self)
        n = len(self.result.dim)
        orders = tuple(range(n)), (0, *range(2, n), 1)
        if not any(all(_packed(t, order) for t in self.tensors) for order in orders):
            raise cudnnGraphNotSupportedError(f"strides {[t.stride for t in self.tensors]}")
        self.done.append("create_execution_plans")

    def deselect_numeric_notes(self, notes: list[numerical_note]) -> None:
        """Allow no plan with one of the notes."""
        self._after("create_execution_plans")
        self.notes |= set(notes)

    def deselect_workspace_greater_than(self, size: int) -> None:
        """Allow no plan that needs more bytes."""
        self._after("create_execution_plans")
        self.workspace_limit = size

    def check_support(self) -> None:
        """cudnnGraphNotSupportedError unless a plan is allowed."""
        self._after("create_execution_plans")
        if log.refuses(self) or not any(map(self._allowed, range(len(PLANS)))):
            raise cudnnGraphNotSupportedError("No valid execution plans")
        self.done.append("check_support")

    def build_plans(self) -> None:
        """Choose the first plan allowed."""
        self._after("check_support")
        self.build_plan_at_index(next(filter(self._allowed, range(len(PLANS)))))

    def get_execution_plan_count(self) -> int:
        """How many there are, allowed or not."""
        return len(PLANS)

    def build_plan_at_index(self, index: int) -> None:
        """Choose a plan; cudnnGraphNotSupportedError if it is not allowed."""
        if not self._allowed(index):
            raise cudnnGraphNotSupportedError("Deselecting execution plan")
        self.built[index] = PLANS[index][1]
        self.chosen = index

    def _allowed(self, index: int) -> bool:
        notes, workspace = PLANS[index]
        return not notes & self.notes and workspace <= self.workspace_limit

    def get_workspace_size(self) -> int:
        """In bytes, of the plan chosen last."""
        return self.built[self.chosen]

    def get_workspace_size_plan_at_index(self, index: int) -> int:
        """In bytes; 0 for a plan that is not built."""
        return self.built.get(index, 0)

    def execute(self, tensor_to_device_buffer: dict[int, int], workspace: int, handle: int | None = None) -> None:
        """Compute with the plan chosen last."""
        self.execute_plan_at_index(tensor_to_device_buffer, workspace, self.chosen, handle)

    def execute_plan_at_index(
        self, tensor_to_device_buffer: dict[int, int], workspace: int, index: int, handle: int | None = None
    ) -> None:
        """Compute; the workspace is overwritten."""
        pointers = tensor_to_device_buffer
        if handle not in log.handles or log.handles[handle] != get_current_stream().ptr:
            raise RuntimeError(f"the handle {handle} does not go with the current stream")
        if index not in self.built:
            raise RuntimeError(f"plan {index} is not built")
        if pointers.keys() != {t.uid for t in self.tensors}:
            raise RuntimeError(f"pointers to {[*pointers]} for the tensors {[t.uid for t in self.tensors]}")
        if any(type(p) is not int or not p or p % 16 for p in pointers.values()):
            raise RuntimeError(f"pointers that are null or not aligned: {pointers}")
        if self.built[index] and not workspace:
            raise RuntimeError("no workspace")
        log.executed.append((self, index))
        self._compute(dict(pointers), workspace, index)

    @launch
    def _compute(self, pointers: dict[int, int], workspace: int, index: int) -> None:
        ctypes.memset(workspace, 255, self.built[index])
        x, w, y = (t.at(pointers[t.uid], np.dtype(self.io.value)) for t in self.tensors)
        kind = np.dtype(self.compute.value)
        if self.kind == "conv_fprop":
            y[...] = convolution.conv(x.astype(kind), w.astype(kind), self.how, np)
        elif self.kind == "conv_dgrad":
            x[...] = convolution.conv_input(y.astype(kind), w.astype(kind), self.how, x.shape, np)
        else:
            w[...] = convolution.conv_weight(y.astype(kind), x.astype(kind), self.how, w.shape, np)


def _packed(t: Tensor, order: tuple[int, ...]) -> bool:
    """Whether the dims follow each other in memory in this order, without gaps."""
    expected = 1
    for axis in reversed(order):
        if t.stride[axis] != expected:
            return False
        expected *= t.dim[axis]
    return True
