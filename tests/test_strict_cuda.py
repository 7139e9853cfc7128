"""The stand-in's `cupy.cuda`: it has CuPy's names and parameters only, and counts memory as CuPy's pool does."""

import inspect

import pytest

from reference import strict_cuda
from reference.strict_cuda import Event, MemoryPool, OutOfMemoryError, Stream, hardware
from reference.strict_cupy import cupy
from reference.strict_device import NAMES


@pytest.mark.parametrize("kind", [Stream, Event, MemoryPool])
def test_only_names_of_cupys_classes_exist(kind):
    recorded = NAMES[f"cupy.cuda.{kind.__name__}"]
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        assert name in recorded
        if inspect.isfunction(value):
            names = [p.strip().split("=")[0] for p in recorded[name][1:-1].split(",")]
            assert list(inspect.signature(value).parameters) == names


def test_only_names_of_cupys_modules_exist():
    assert strict_cuda.CUDA.keys() <= NAMES["cupy.cuda"].keys()
    assert strict_cuda.RUNTIME.keys() <= NAMES["cupy.cuda.runtime"].keys()
    for name, value in {**strict_cuda.CUDA, **strict_cuda.RUNTIME}.items():
        recorded = {**NAMES["cupy.cuda"], **NAMES["cupy.cuda.runtime"]}[name]
        if inspect.isfunction(value) and value.__name__ != "<lambda>" and recorded.startswith("("):
            assert len(inspect.signature(value).parameters) == len(recorded[1:-1].split(",")) - (recorded == "()"), name


def test_what_is_not_cupys_or_not_imitated():
    with pytest.raises(AttributeError, match="has no attribute 'deviceSynchronise'"):
        cupy.cuda.runtime.deviceSynchronise()
    with pytest.raises(AttributeError, match="has no attribute 'empty_cache'"):
        cupy.cuda.memory.empty_cache()
    with pytest.raises(NotImplementedError, match="hostAlloc exists in CuPy"):
        cupy.cuda.runtime.hostAlloc(1, 0)
    with pytest.raises(NotImplementedError, match="malloc_async exists"):
        cupy.cuda.malloc_async(1)


def test_a_pool_keeps_what_is_freed_for_the_stream_that_had_it():
    pool, stream = MemoryPool(), Stream(non_blocking=True)
    block = pool.malloc(1000)
    assert (pool.used_bytes(), pool.total_bytes(), pool.n_free_blocks()) == (1024, 1024, 0)
    del block
    assert (pool.used_bytes(), pool.free_bytes(), pool.n_free_blocks()) == (0, 1024, 1)
    again = pool.malloc(1024)
    assert pool.total_bytes() == 1024
    del again
    with stream:
        other = pool.malloc(1024)
    assert pool.total_bytes() == 2048
    pool.free_all_blocks(stream)
    assert pool.total_bytes() == 2048
    pool.free_all_blocks()
    assert pool.total_bytes() == 1024
    del other
    with pytest.raises(NotImplementedError):
        MemoryPool(pool.malloc)


def test_a_pool_has_an_end(monkeypatch):
    pool = MemoryPool()
    pool.set_limit(size=2048)
    assert pool.get_limit() == 2048
    block = pool.malloc(1024)
    del block
    with pytest.raises(OutOfMemoryError, match=r"allocating 2,048 bytes .allocated so far: 1,024 bytes, limit set to"):
        pool.malloc(2048)  # CuPy does not give free blocks back for a limit
    pool.set_limit(fraction=0.5)
    assert pool.get_limit() == hardware.total // 2
    for wrong in ({"fraction": 2.0}, {"size": 1, "fraction": 0.5}):
        with pytest.raises(ValueError, match="fraction"):
            pool.set_limit(**wrong)
    pool.set_limit()
    monkeypatch.setattr(hardware, "total", hardware.taken + 1024)
    pool.malloc(2048)  # but for CUDA's own want of memory it does
    with pytest.raises(MemoryError, match=r"allocating 4,096 bytes .allocated so far: 0 bytes.\."):
        pool.malloc(4096)


def test_allocators():
    asked = []

    def allocate(size):
        asked.append(size)
        return strict_cuda.default_pool.malloc(size)

    with cupy.cuda.using_allocator(allocate):
        cupy.ones(10)
        with pytest.raises(ValueError, match="inside `using_allocator`"):
            cupy.cuda.set_allocator(allocate)
        x = cupy.ones(10)
        x[:5].reshape(-1)  # no memory of its own
    cupy.ones(10)
    assert asked == [80, 80]
