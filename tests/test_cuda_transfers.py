"""Copies to and from the GPU, pinned memory, and memory shared with other libraries."""

import collections

import numpy as np
import pytest
import torch

import minigrad
from minigrad import cuda, nn
from minigrad.ops import exchange
from minigrad.utils.data import DataLoader, TensorDataset
from reference import strict_cuda, strict_cupy
from tests.lockstep import attempt, same


def waits(action):
    """How often the host waits in `action`."""
    before = strict_cupy.synchronizations.count
    action()
    return strict_cupy.synchronizations.count - before


# -- pinned memory -----------------------------------------------------------------------------------------------------


def test_pinned_tensors(gpu):
    x = minigrad.arange(12.0).reshape(3, 4).t()
    p = x.pin_memory()
    assert not x.is_pinned()
    assert p.is_pinned()
    assert p[1:].is_pinned()
    assert p.pin_memory() is p
    assert p.stride() == x.stride()
    assert p.numpy().tolist() == x.numpy().tolist()
    assert not p.clone().is_pinned()
    assert not p.cuda().is_pinned()
    assert minigrad.empty(0).pin_memory().shape == (0,)
    with pytest.raises(RuntimeError, match=r"cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned"):
        p.cuda().pin_memory()


def test_pinned_memory_is_given_back(stand_in):
    before = len(strict_cuda.pinned_ranges)
    p = minigrad.ones(10).pin_memory()
    view = p[3:]
    del p
    assert len(strict_cuda.pinned_ranges) == before + 1
    del view
    assert len(strict_cuda.pinned_ranges) == before


def test_gradients_pass_pinning_and_moving(gpu):
    x = minigrad.ones(3, requires_grad=True)
    (x.pin_memory().to("cuda", non_blocking=True) * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    assert not x.grad.is_cuda


def test_new_tensors_in_pinned_memory(gpu):
    like = minigrad.ones(2, 3)
    made = [
        minigrad.tensor([1.0, 2.0], pin_memory=True),
        minigrad.empty(2, 3, pin_memory=True),
        minigrad.empty(2, 3, 4, 5, memory_format=minigrad.channels_last, pin_memory=True),
        minigrad.empty_strided((2, 3), (1, 2), pin_memory=True),
        minigrad.zeros(2, pin_memory=True, requires_grad=True),
        minigrad.ones(2, dtype=minigrad.int64, pin_memory=True),
        minigrad.full((2,), 3.0, pin_memory=True),
        minigrad.zeros_like(like, pin_memory=True),
        minigrad.full_like(like, 2, pin_memory=True),
    ]
    assert [t.is_pinned() for t in made] == [True] * len(made)
    assert made[2].is_contiguous(memory_format=minigrad.channels_last)
    assert made[5].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="Only dense CPU tensors can be pinned"):
        minigrad.zeros(2, device="cuda", pin_memory=True)


# -- copies ------------------------------------------------------------------------------------------------------------


def test_who_waits_for_a_copy(stand_in):
    """The host waits for a copy from pinned memory, unless told not to; ordinary memory is copied aside."""
    ordinary = minigrad.ones(5)
    pinned, module = ordinary.pin_memory(), nn.Linear(2, 2)
    assert waits(lambda: pinned.cuda()) == 1
    assert waits(lambda: pinned.to("cuda")) == 1
    for copy in (
        lambda: pinned.cuda(non_blocking=True),
        lambda: pinned.cuda("cuda:0", True),
        lambda: pinned.to("cuda", non_blocking=True),
        lambda: pinned.to("cuda", minigrad.float32, True),
        lambda: pinned.to(minigrad.zeros(1, device="cuda"), True),
        lambda: minigrad.empty(5, device="cuda").copy_(pinned, non_blocking=True),
        lambda: minigrad.empty(5, device="cuda").copy_(pinned, True),
        lambda: pinned.to("cuda", minigrad.float64, non_blocking=True),
        lambda: ordinary.cuda(),
        lambda: ordinary.to("cuda", non_blocking=True),
        lambda: module.to("cuda", non_blocking=True),
    ):
        assert waits(copy) == 0
    there = ordinary.cuda()
    assert waits(there.cpu) == waits(lambda: there.to("cpu", non_blocking=True)) == 1


def test_values_arrive(gpu):
    numbers = np.random.default_rng(0).standard_normal((64, 32)).astype("float32")
    x = minigrad.from_numpy(numbers)
    for source in (x, x.pin_memory(), x.t().pin_memory().t(), x.pin_memory()[::2, 1:], x[0, 0]):
        for how in ({}, {"non_blocking": True}):
            there = source.to("cuda", **how)
            assert there.is_cuda
            assert np.array_equal(there.cpu().numpy(), source.numpy())
            assert np.array_equal(there.to("cpu", **how).numpy(), source.numpy())


def test_a_blocking_copy_is_done_when_it_returns(gpu):
    p = minigrad.ones(1 << 20).pin_memory()
    there = p.cuda()
    p.zero_()
    assert there.min().item() == 1


def test_a_batch_may_be_dropped_while_it_is_copied(gpu):
    """Its memory is not pinned anew before the copy is done."""
    side, got = cuda.Stream(), []
    with cuda.stream(side):
        for i in range(20):
            batch = minigrad.full((1 << 16,), float(i)).pin_memory()
            got.append(batch.to("cuda", non_blocking=True))
            del batch
    cuda.current_stream().wait_stream(side)
    assert [x.sum().item() for x in got] == [i * 2.0**16 for i in range(20)]


# -- batches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_pins_its_batches(stand_in, workers):
    data = TensorDataset(minigrad.arange(10.0).reshape(5, 2), minigrad.arange(5))
    pinning, plain = (DataLoader(data, 2, num_workers=workers, pin_memory=pin) for pin in (True, False))
    for (x, y), (x1, y1) in zip(pinning, plain, strict=True):
        assert (x.is_pinned(), y.is_pinned()) == (True, True)
        assert not x1.is_pinned()
        assert (x.tolist(), y.tolist()) == (x1.tolist(), y1.tolist())


Pair = collections.namedtuple("Pair", "x name")


class Own:
    """A type of batch that pins itself."""

    def pin_memory(self):
        return "pinned"


def test_batches_of_all_kinds_are_pinned(gpu):
    x = minigrad.ones(2)
    batch = {"a": x, "b": [x, "text", 3], "c": (x, Pair(x, b"bytes")), "d": Own(), "e": range(2)}
    loader = DataLoader([batch], batch_size=None, collate_fn=lambda item: item, pin_memory=True)
    (got,) = loader
    assert got["a"].is_pinned()
    assert got["b"][0].is_pinned()
    assert got["b"][1:] == ["text", 3]
    first, pair = got["c"]
    assert type(got["c"]) is tuple
    assert type(pair) is Pair
    assert first.is_pinned()
    assert pair.x.is_pinned()
    assert pair.name == b"bytes"
    assert got["d"] == "pinned"
    assert not x.is_pinned()


def test_packed_sequences_are_pinned(gpu):
    packed = nn.utils.rnn.pack_sequence([minigrad.ones(2), minigrad.ones(3)], enforce_sorted=False)
    pinned = packed.pin_memory()
    assert (packed.is_pinned(), pinned.is_pinned()) == (False, True)
    assert pinned.unsorted_indices.is_pinned()
    assert pinned.data.tolist() == packed.data.tolist()


# -- memory shared with other libraries --------------------------------------------------------------------------------

KINDS = ["float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["tensor", "capsule"])
def test_torch_and_minigrad_share_memory(kind, way):
    for here, there in ((minigrad, torch), (torch, minigrad)):
        x = here.ones(3, 4).to(getattr(here, kind)).t()[1:]
        y = there.from_dlpack(x if way == "tensor" else here.utils.dlpack.to_dlpack(x))
        assert (tuple(y.shape), y.stride(), str(y.dtype)) == (tuple(x.shape), x.stride(), str(x.dtype))
        assert y.data_ptr() == x.data_ptr()
        y[0, 0] = 0
        x[1, 1] = 0
        assert y.tolist() == x.tolist()
        assert sum(map(sum, y.tolist())) == 7


def test_memory_outlives_the_tensor_that_lent_it():
    for here, there in ((minigrad, torch), (torch, minigrad)):
        y = there.from_dlpack(here.full((1000,), 7.0))
        assert here.zeros(1000).sum() == 0
        assert y.sum() == 7000


def test_what_a_capsule_says_of_its_memory():
    for x in (torch.ones(3), minigrad.ones(3)):
        for version in (None, (1, 0)):
            capsule = x.__dlpack__(max_version=version)
            assert ("versioned" in repr(capsule)) == (version is not None)
            assert exchange._Capsule(capsule).__dlpack_device__() == (1, 0)


def test_dlpack_as_torchs():
    def program(T):
        x = T.ones(2, 3)
        capsule = T.utils.dlpack.to_dlpack(x)
        T.from_dlpack(capsule)
        return [
            [int(n) for n in x.__dlpack_device__()],
            attempt(lambda: T.from_dlpack(capsule)),
            attempt(lambda: T.from_dlpack(3)),
            attempt(lambda: x.__dlpack__(stream="s")),
            attempt(lambda: x.__dlpack__(stream=5)),
            attempt(lambda: x.requires_grad_().__dlpack__()),
            attempt(lambda: type(T.ones(1).__dlpack__(stream=-1)).__name__),
            attempt(lambda: T.from_dlpack(T.ones(2), device="cpu", copy=False)),
        ]

    same(program)


def test_cupy_and_minigrad_share_memory(gpu):
    x = minigrad.arange(6.0, device="cuda").reshape(2, 3).t()
    array = gpu.from_dlpack(x)
    assert array.data.ptr == x.data_ptr()
    array[0, 0] = 9
    y = minigrad.from_dlpack(array)
    y += 1
    assert x.tolist() == y.tolist() == [[10.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert [int(n) for n in x.__dlpack_device__()] == [2, 0]
    assert minigrad.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()
    assert minigrad.from_dlpack(x, device="cpu").tolist() == x.tolist()
    with pytest.raises(ValueError, match="without copying"):
        minigrad.from_dlpack(x, device="cpu", copy=False)
    with pytest.raises(BufferError, match="require gradient"):
        gpu.from_dlpack(minigrad.ones(2, device="cuda", requires_grad=True))


def test_the_cuda_array_interface(gpu):
    x = minigrad.ones(2, 3, device="cuda")
    assert x.__cuda_array_interface__ == {
        "typestr": "<f4", "shape": (2, 3), "strides": None, "data": (x.data_ptr(), False), "version": 2,
    }  # fmt: skip
    assert x.t().__cuda_array_interface__["strides"] == (4, 12)
    assert minigrad.empty(0, device="cuda").__cuda_array_interface__["data"][0] == 0
    assert not hasattr(minigrad.ones(1), "__cuda_array_interface__")
    with pytest.raises(RuntimeError, match="on Variable that requires grad"):
        minigrad.ones(1, device="cuda", requires_grad=True).__cuda_array_interface__  # noqa: B018


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch is a build without CUDA")
@pytest.mark.parametrize("kind", KINDS)
def test_torch_and_minigrad_share_the_gpus_memory(kind):
    for here, there in ((minigrad, torch), (torch, minigrad)):
        x = here.ones(3, 4, device="cuda").to(getattr(here, kind)).t()[1:]
        for lent in (x, here.utils.dlpack.to_dlpack(x)):
            y = there.from_dlpack(lent)
            assert y.is_cuda
            assert (y.data_ptr(), y.stride(), str(y.dtype)) == (x.data_ptr(), x.stride(), str(x.dtype))
        y[0, 0] = 0
        assert y.tolist() == x.tolist()
    assert torch.as_tensor(minigrad.ones(3, device="cuda"), device="cuda").sum() == 3
