"""Sequences of several lengths in one batch: padded to the longest, or packed without any padding.

A packed batch holds the first elements of all sequences, then the second ones of those that have one, and so on, with
the longest sequence first. Packing and padding are each one gather of rows, so gradients come by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.ops import create
from minigrad.ops.join import cat
from minigrad.ops.ranges import arange
from minigrad.ops.slices import index_select

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Packed):
    """A packed batch; made by `pack_padded_sequence` or `pack_sequence`, taken and returned by RNN, LSTM and GRU.

    data               (elements of all sequences, *)
    batch_sizes        how many sequences have a first element, a second, ...; always on the CPU
    sorted_indices     the order, by length, that the sequences were brought into; None if they came in it
    unsorted_indices   the way back
    """

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> Self:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence and pack_padded_sequences in "
                "nn.utils.rnn. https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """With the data in another dtype or on another device; itself if that changes nothing."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        orders = (None if t is None else t.to(data.device) for t in (self.sorted_indices, self.unsorted_indices))
        return type(self)(data, self.batch_sizes, *orders)

    def pin_memory(self) -> Self:
        """In page-locked memory."""
        orders = (None if t is None else t.pin_memory() for t in (self.sorted_indices, self.unsorted_indices))
        return type(self)(self.data.pin_memory(), self.batch_sizes, *orders)

    def is_pinned(self) -> bool:
        """True if the data lies in page-locked memory."""
        return self.data.is_pinned()

    def cuda(self, device: Any = None) -> Self:
        """On a GPU, the current one unless `device` names another."""
        return self.to(device="cuda" if device is None else device)

    def cpu(self) -> Self:
        """On the CPU."""
        return self.to(device="cpu")

    def double(self) -> Self:
        """As float64."""
        return self.to(dtype=backend.float64)

    def float(self) -> Self:
        """As float32."""
        return self.to(dtype=backend.float32)

    def half(self) -> Self:
        """As float16."""
        return self.to(dtype=backend.float16)

    def long(self) -> Self:
        """As int64."""
        return self.to(dtype=backend.int64)

    def int(self) -> Self:
        """As int32."""
        return self.to(dtype=backend.int32)

    def short(self) -> Self:
        """As int16."""
        return self.to(dtype=backend.int16)

    def char(self) -> Self:
        """As int8."""
        return self.to(dtype=backend.int8)

    def byte(self) -> Self:
        """As uint8."""
        return self.to(dtype=backend.uint8)

    @property
    def is_cuda(self) -> bool:
        """True if the data is on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes `permutation`, which lists the numbers below its length; None for None.

    RuntimeError for other numbers, and for another dtype than int64.
    """
    if permutation is None:
        return None
    numbers = arange(permutation.numel(), device=permutation.device)
    return create.empty_like(permutation).scatter_(0, permutation, numbers)


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack `input` (T, N, *), or (N, T, *) if `batch_first`, of which sequence n is the first lengths[n] elements.

    RuntimeError for lengths that do not fit, or that increase although `enforce_sorted` says they do not.
    """
    if isinstance(lengths, Variable):
        lengths = lengths.to(dtype=backend.int64)  # type: ignore[attr-defined]
    else:
        lengths = create.as_tensor(lengths, dtype=backend.int64, device="cpu")
    order = None
    if not enforce_sorted:
        lengths, order = lengths.sort(descending=True)
        order = order.to(input.device)
        input = index_select(input, 0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    _check_lengths(input, lengths)
    np, ends = backend.np, lengths.array
    present = np.arange(int(ends[0]))[:, None] < ends  # (T, N)
    rows = np.flatnonzero(present)
    data = index_select(input.reshape(-1, *input.shape[2:]), 0, _indices(rows, input))
    return PackedSequence(data, wrap(present.sum(1)), order)


def _check_lengths(input: Any, lengths: Any) -> None:
    if lengths.dim() != 1 or lengths.device.type != "cpu":
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.dim()}D {lengths.device.type} "
            f"Long tensor"
        )
    if not input.array.size:
        raise RuntimeError("Cannot pack empty tensors.")
    ends = lengths.array
    if ends.size != input.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {ends.size} (batch_size={input.size(1)})"
        )
    if ends[-1] <= 0:  # the shortest, if they are sorted
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (ends[1:] > ends[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability."
        )
    if ends[0] > input.size(0):  # torch packs fewer elements than batch_sizes says here
        raise RuntimeError(f"a sequence of length {ends[0]} cannot be packed from an input of {input.size(0)} elements")


def _indices(rows: Any, like: Any) -> Any:
    """A host array of row numbers as a tensor where `like` is."""
    return wrap(backend.move(rows, backend.device_of(like.array)))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """(padded, lengths): the inverse of `pack_padded_sequence`, padded to the longest sequence or to `total_length`.

    ValueError if a sequence is longer than that.
    """
    longest = sequence.batch_sizes.size(0)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                f"Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    np, data, sizes = backend.np, sequence.data, sequence.batch_sizes.array
    present = np.zeros((longest, int(sizes[0])), bool)
    present[: sizes.size] = np.arange(int(sizes[0])) < sizes[:, None]
    lengths = present.sum(0)
    order = sequence.unsorted_indices
    columns = slice(None) if order is None else backend.to_numpy(order.array)
    rows = np.full(present.shape, -1)
    rows[present] = np.arange(int(sizes.sum()))
    return _padded(data, rows[:, columns], batch_first, padding_value), wrap(lengths[columns])


def _padded(data: Any, rows: Any, batch_first: bool, padding_value: float) -> Any:
    """The rows of `data` in the places of `rows` (T, N), a host array, -1 for padding."""
    rest = data.shape[1:]
    filler = create.full((1, *rest), padding_value, dtype=data.dtype, device=data.device)
    places = (rows.T if batch_first else rows) % (data.size(0) + 1)  # the filler comes last
    return index_select(cat([data, filler]), 0, _indices(places.reshape(-1), data)).reshape(*places.shape, *rest)


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Tensors (length, *) side by side, (longest, N, *) or (N, longest, *) if `batch_first`, padded at the end.

    With `padding_side` "left" they are padded at the start. The first one's dtype and trailing shape hold for all.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    listed = list(sequences)
    if not listed:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    for i, s in enumerate(listed):
        if not isinstance(s, Variable):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(s).__name__}")
    np, lengths = backend.np, [s.size(0) for s in listed]
    longest, starts = max(lengths), np.cumsum([0, *lengths[:-1]])
    rows = np.arange(longest)[:, None] - (longest - np.array(lengths) if padding_side == "left" else 0)
    rows = np.where((rows >= 0) & (rows < lengths), rows + starts, -1)
    return _padded(cat([_fitted(s, listed[0]) for s in listed]), rows, batch_first, padding_value)


def _fitted(s: Any, first: Any) -> Any:
    """`s` with the dtype and the trailing shape of `first`."""
    if s.dtype is first.dtype and s.shape[1:] == first.shape[1:]:
        return s
    return create.empty((s.size(0), *first.shape[1:]), dtype=first.dtype, device=first.device).copy_(s)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of a padded batch, each cut to its length.

    As in torch, `padded_sequences` itself has its first two dims swapped afterwards, unless `batch_first`.
    """
    if not batch_first:
        padded_sequences.transpose_(0, 1)
    positions = arange(padded_sequences.shape[1], device=lengths.device)
    return [sequence[positions < length] for sequence, length in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences: list[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (length, *); the longest first, unless `enforce_sorted=False`."""
    lengths = create.as_tensor([s.size(0) for s in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The sequences of a packed batch, in their first order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
