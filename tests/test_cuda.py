"""`minigrad.cuda`: signatures and errors are torch's; devices, streams and memory work, on the stand-in and a GPU."""

import importlib
import inspect
import multiprocessing
import os
import subprocess
import sys

import pytest
import torch

import minigrad
from minigrad import backend, cuda
from reference import strict_cuda, strict_cupy
from tests.lockstep import Raised, attempt, same

no_gpu = pytest.mark.skipif(cuda.is_available(), reason="what follows is torch's way without a GPU")


# -- torch's names -----------------------------------------------------------------------------------------------------

PUBLIC = sorted(
    name
    for name, value in vars(cuda).items()
    if not name.startswith("_")
    and not inspect.ismodule(value)
    and name not in ("OutOfMemoryError", "default_generators")
)


def test_all_names_are_torchs():
    assert {name for name in PUBLIC if not hasattr(torch.cuda, name)} == set()
    assert cuda.OutOfMemoryError is minigrad.OutOfMemoryError
    assert issubclass(cuda.OutOfMemoryError, RuntimeError)
    assert torch.cuda.OutOfMemoryError is torch.OutOfMemoryError
    assert issubclass(torch.OutOfMemoryError, RuntimeError)


def parameters(function):
    """Names, kinds and defaults."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", [name for name in PUBLIC if callable(getattr(torch.cuda, name))])
def test_signatures_are_torchs(name):
    ours, theirs = getattr(cuda, name), getattr(torch.cuda, name)
    assert parameters(ours) == parameters(theirs)
    if inspect.isclass(ours):
        for method, function in vars(theirs).items():
            if inspect.isfunction(function) and not method.startswith("_") and hasattr(ours, method):
                assert parameters(getattr(ours, method)) == parameters(function), method


@pytest.mark.parametrize("name", ["Stream", "Event"])
def test_methods_are_torchs(name):
    def methods(kind):
        return {n for base in kind.__mro__[:-1] for n in vars(base) if not n.startswith("_")}

    without = {"from_ipc_handle", "ipc_handle"}  # events of other processes
    assert methods(getattr(torch.cuda, name)) - without <= methods(getattr(cuda, name))


# -- without a GPU -----------------------------------------------------------------------------------------------------


@no_gpu
@pytest.mark.parametrize(
    "program",
    [
        lambda T: T.cuda.is_available(),
        lambda T: T.cuda.is_initialized(),
        lambda T: T.cuda.device_count(),
        lambda T: T.cuda.init(),
        lambda T: T.cuda.current_device(),
        lambda T: T.cuda.get_device_name(),
        lambda T: T.cuda.get_device_capability(0),
        lambda T: T.cuda.get_device_properties("cuda"),
        lambda T: T.cuda.can_device_access_peer(0, 1),
        lambda T: T.cuda.device("cpu"),
        lambda T: T.cuda.device(-1).__enter__(),
        lambda T: T.cuda.device_of(T.ones(1)).__enter__(),
        lambda T: T.cuda.set_device(-1),
        lambda T: T.cuda.set_device(None),
        lambda T: T.cuda.set_device("cuda"),
        lambda T: T.cuda.set_device("cpu"),
        lambda T: T.cuda.synchronize(),
        lambda T: T.cuda.ipc_collect(),
        lambda T: T.cuda.get_arch_list(),
        lambda T: T.cuda.get_gencode_flags(),
        lambda T: T.cuda.is_bf16_supported(),
        lambda T: T.cuda.is_tf32_supported(),
        lambda T: T.cuda.Stream(),
        lambda T: T.cuda.Event(),
        lambda T: T.cuda.current_stream(),
        lambda T: T.cuda.default_stream(),
        lambda T: T.cuda.get_stream_from_external(0),
        lambda T: T.cuda.set_stream(None),
        lambda T: T.cuda.stream(None).__enter__(),
        lambda T: T.cuda.memory_allocated(),
        lambda T: T.cuda.memory_reserved("cpu"),
        lambda T: T.cuda.max_memory_allocated(0),
        lambda T: T.cuda.max_memory_reserved(),
        lambda T: T.cuda.memory_cached(),
        lambda T: T.cuda.max_memory_cached(),
        lambda T: list(T.cuda.memory_stats()),
        lambda T: T.cuda.memory_stats_as_nested_dict(),
        lambda T: T.cuda.empty_cache(),
        lambda T: T.cuda.mem_get_info(),
        lambda T: T.cuda.set_per_process_memory_fraction(0.5),
        lambda T: T.cuda.get_per_process_memory_fraction(),
        lambda T: T.ones(2).cuda(),
        lambda T: T.ones(2).cuda("cpu"),
        lambda T: T.ones(2, device="cuda:1"),
        lambda T: T.ones(2).to("cuda", non_blocking=True),
        lambda T: T.ones(2).pin_memory(),
        lambda T: T.ones(2).is_pinned(),
        lambda T: T.ones(2).is_pinned("cuda"),
        lambda T: T.zeros(2, pin_memory=True),
        lambda T: T.tensor([1.0], pin_memory=True),
        lambda T: hasattr(T.ones(2), "__cuda_array_interface__"),
        lambda T: T.ones(2).__cuda_array_interface__,
        lambda T: T.ones(2).to("cpu", T.float32, False, True).sum(),
    ],
)
def test_without_a_gpu(program):
    same(program)


def test_device_numbers_are_checked_before_the_gpu_is_asked_for():
    for which in (torch, minigrad):
        got = attempt(lambda T=which: T.cuda.get_device_properties("cpu"))
        assert isinstance(got, Raised)


IMPORTS = {
    "not installed": (
        ModuleNotFoundError("No module named 'cupy'", name="cupy"),
        AssertionError,
        "Torch not compiled with CUDA enabled: .*CuPy, which is not installed. Install",
    ),
    "for another CUDA": (
        ImportError("libcudart.so.12: cannot open shared object file"),
        AssertionError,
        "libcudart functions unavailable.*cannot be loaded .ImportError: libcudart.so.12.*built for your CUDA",
    ),
    "for another NumPy": (
        AttributeError("_ARRAY_API not found"),
        AssertionError,
        "broken build.*AttributeError: _ARRAY",
    ),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_a_cupy_that_cannot_be_imported(case, monkeypatch):
    raised, kind, text = IMPORTS[case]

    def fail(name):
        assert name == "cupy"
        raise raised

    before = backend.use_gpu_module(None)
    monkeypatch.setattr(importlib, "import_module", fail)
    try:
        assert cuda.is_available() is False
        with pytest.raises(kind, match=text):
            cuda.init()
        with pytest.raises(kind, match=text):
            minigrad.ones(2, device="cuda")
    finally:
        monkeypatch.undo()
        backend.use_gpu_module(before)


DRIVERS = {
    "no driver": (35, 0, "Found no NVIDIA driver on your system. Please check"),
    "old driver": (
        35,
        12040,
        r"driver on your system is too old .found version 12040.*CUDA 13.0 .*knows CUDA 12.4.*12x",
    ),
    "no GPU": (100, 13000, "No CUDA GPUs are available.*CUDA_VISIBLE_DEVICES"),
    "no initialization": (3, 13000, "CUDA driver initialization failed, you might not have a CUDA gpu"),
    "something else": (101, 13000, r"Unexpected error from cudaGetDeviceCount.*Error 101: cudaErrorInvalidDevice"),
}


@pytest.mark.parametrize("case", DRIVERS)
def test_a_gpu_that_cannot_be_used(case, stand_in, monkeypatch):
    status, driver, text = DRIVERS[case]

    def fail():
        raise strict_cuda.CUDARuntimeError(status)

    monkeypatch.setattr(stand_in.cuda, "is_available", lambda: False)
    monkeypatch.setattr(stand_in.cuda.runtime, "getDeviceCount", fail)
    monkeypatch.setattr(stand_in.cuda.runtime, "driverGetVersion", lambda: driver)
    assert not cuda.is_available()
    assert cuda.device_count() == cuda.memory_allocated() == 0
    for action in (cuda.init, cuda.current_stream, cuda.Stream, cuda.Event, lambda: minigrad.ones(1).cuda()):
        with pytest.raises(RuntimeError, match=text):
            action()


def in_a_child(pipe):
    pipe.send((cuda.is_available(), str(attempt(cuda.init)), str(attempt(lambda: minigrad.ones(1, device="cuda")))))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_cannot_use_the_gpu(stand_in):
    """CUDA allows it no more than torch does."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=in_a_child, args=(theirs,))
    child.start()
    available, *errors = ours.recv()
    child.join()
    assert not available
    assert all(e.startswith("RuntimeError: Cannot re-initialize CUDA in forked subprocess.") for e in errors)
    assert cuda.is_available()


# -- devices -----------------------------------------------------------------------------------------------------------


def test_devices(gpu):
    count = cuda.device_count()
    assert cuda.is_available()
    assert count >= 1
    assert cuda.current_device() == 0
    told = cuda.get_device_properties("cuda:0")
    assert (told.name, (told.major, told.minor)) == (cuda.get_device_name(), cuda.get_device_capability(0))
    assert told.total_memory == pytest.approx(cuda.mem_get_info()[1], rel=0.05)
    assert told.multi_processor_count > 0
    assert told.warp_size == 32
    assert f"total_memory={told.total_memory // 2**20}MB" in repr(told)
    assert cuda.get_arch_list() == [f"sm_{told.major}{told.minor}"]
    for wrong in (count, -1):
        with pytest.raises(AssertionError, match="Invalid device id"):
            cuda.get_device_properties(wrong)
    with pytest.raises(AssertionError, match="Invalid peer device id"):
        cuda.can_device_access_peer(0, count)
    with pytest.raises(RuntimeError, match=r"[Ii]nvalid"):
        cuda.set_device(count)
    with cuda.device(0), cuda.device_of(minigrad.ones(1).cuda()), cuda.device(-1), cuda.device(cuda.device(0)):
        assert cuda.current_device() == 0


# -- streams and events ------------------------------------------------------------------------------------------------


def test_the_current_stream(gpu):
    outer, side = cuda.current_stream(), cuda.Stream()
    assert outer == cuda.default_stream()
    assert outer.cuda_stream == 0
    assert side != outer
    with cuda.stream(side):
        assert cuda.current_stream() == side
        assert gpu.cuda.get_current_stream().ptr == side.cuda_stream
        with cuda.stream(None), outer:
            assert cuda.current_stream() == outer
        assert cuda.current_stream() == side
    assert cuda.current_stream() == outer
    cuda.set_stream(side)
    assert cuda.current_stream() == side
    cuda.set_stream(outer)
    assert len({side, outer, cuda.current_stream()}) == 2
    assert repr(side) == f"<torch.cuda.Stream device=cuda:0 cuda_stream={side.cuda_stream:#x}>"


def test_streams_are_as_torch_makes_them(gpu):
    first, urgent = cuda.Stream(), cuda.Stream(0, -1)
    assert first.raw.is_non_blocking  # of the default stream
    assert (first.priority, urgent.priority) == (0, -1)
    foreign = cuda.ExternalStream(first.cuda_stream)
    assert foreign == first
    assert cuda.get_stream_from_external(first.cuda_stream, "cuda") == first
    assert first.__cuda_stream__() == (0, first.cuda_stream)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        cuda.Stream(colour=3)
    first.synchronize()
    assert first.query()


def test_work_on_another_stream_is_ordered_by_waiting(gpu):
    side = cuda.Stream()
    x = minigrad.ones(300, 300, device="cuda")
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        y = x @ x
    x.record_stream(side)
    del x
    cuda.current_stream().wait_stream(side)
    assert float((y + 1).sum()) == 300**3 + 300**2
    with pytest.raises(RuntimeError, match="one is on cpu"):
        minigrad.ones(1).record_stream(side)


def test_waiting_makes_the_stream_wait_for_the_event(stand_in):
    first, second, event = cuda.Stream(), cuda.Stream(), cuda.Event()
    second.wait_event(event)  # not recorded: nothing to wait for
    assert event.raw is None
    first.record_event(event)
    assert (event.raw.on, event.raw.awaited_by) == (first.cuda_stream, [])
    second.wait_event(event)
    event.wait()
    assert event.raw.awaited_by == [second.cuda_stream, 0]
    before = strict_cupy.synchronizations.count
    for action in (event.synchronize, first.synchronize, cuda.synchronize):
        action()
    assert strict_cupy.synchronizations.count == before + 3


def test_an_array_given_to_a_stream_lives_until_that_is_done(stand_in, monkeypatch):
    done = []
    cuda.empty_cache()
    monkeypatch.setattr(strict_cuda.Event, "done", property(lambda self: bool(done)))
    x, before = minigrad.ones(1000, device="cuda"), cuda.memory_allocated()
    x.record_stream(cuda.Stream())
    del x
    assert cuda.memory_allocated() == before
    done.append(True)
    cuda.empty_cache()
    assert cuda.memory_allocated() == before - 4096


def test_times_of_events(gpu):
    start, end, other = cuda.Event(enable_timing=True), cuda.Event(True), cuda.Event()
    assert repr(start) == "<torch.cuda.Event uninitialized>"
    assert start.query()
    with pytest.raises(ValueError, match="must be recorded before"):
        start.elapsed_time(end)
    start.record()
    minigrad.ones(1000, device="cuda").exp().sum()
    end.record(cuda.current_stream())
    other.record()
    end.synchronize()
    assert 0 < start.elapsed_time(end) < 60_000
    assert f"{end.cuda_event:#x}" in repr(end)
    with pytest.raises(ValueError, match="must be created with argument 'enable_timing=True'"):
        start.elapsed_time(other)


# -- as a whole --------------------------------------------------------------------------------------------------------


def test_importing_minigrad_does_not_import_cupy():
    code = "import sys, minigrad; assert not {'cupy', 'cupyx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
