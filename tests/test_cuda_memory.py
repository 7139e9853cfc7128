"""The GPU's memory: what is in use, the most that was, and what is said when there is no more."""

import gc

import numpy as np
import pytest

import minigrad
from minigrad import cuda
from minigrad.gpu_memory import memory_of, written
from reference import strict_cuda

UNIT = 1 << 20


def block(units=1):
    """`units` MiB of the GPU."""
    return minigrad.empty(units * UNIT // 4, device="cuda")


def test_memory_in_use_and_held(gpu):
    gc.collect()
    cuda.empty_cache()
    used, held = cuda.memory_allocated(), cuda.memory_reserved()
    x = block(3)
    assert cuda.memory_allocated() == used + 3 * UNIT
    assert cuda.memory_reserved(0) >= held
    del x
    assert cuda.memory_allocated("cuda") == used
    cuda.empty_cache()
    assert cuda.memory_reserved() == held


def test_the_peak_is_the_most_that_was_in_use_at_once(gpu):
    gc.collect()
    cuda.reset_peak_memory_stats()
    used = cuda.max_memory_allocated()
    assert used == cuda.memory_allocated()
    x = block(4)
    del x
    y = [block() for _ in range(3)]
    assert cuda.max_memory_allocated() == used + 4 * UNIT
    z = block(2)
    assert cuda.max_memory_allocated() == used + 5 * UNIT
    assert cuda.max_memory_reserved() >= cuda.max_memory_allocated()
    assert cuda.memory_stats()["allocated_bytes.all.peak"] == used + 5 * UNIT
    del y, z
    cuda.reset_peak_memory_stats()
    assert cuda.max_memory_allocated() == used


def test_the_peak_of_many_arrays(gpu):
    """In any order of making and dropping."""
    gc.collect()
    cuda.reset_peak_memory_stats()
    numbers, alive, peak = np.random.default_rng(0), [], cuda.memory_allocated()
    for _ in range(300):
        if alive and numbers.random() < 0.48:
            alive.pop(numbers.integers(len(alive)))
        else:
            alive.append(minigrad.empty(int(numbers.integers(1, 5000)), device="cuda"))
        peak = max(peak, cuda.memory_allocated())
        assert cuda.max_memory_allocated() == peak


def test_a_private_pool_counts(gpu):
    memory = memory_of(gpu)
    gc.collect()
    used = cuda.memory_allocated()
    pool = memory.new_pool()
    with gpu.cuda.using_allocator(pool.malloc):
        x = block(2)
    assert cuda.memory_allocated() == used + 2 * UNIT
    del x
    held = cuda.memory_reserved()
    cuda.empty_cache()
    assert pool.pool.total_bytes() >= 2 * UNIT  # a graph writes to it
    assert cuda.memory_reserved() <= held


def test_out_of_memory(gpu):
    """It is an error in torch's words, and all goes on."""
    gc.collect()
    cuda.empty_cache()
    x = block(2).fill_(1)
    total = cuda.mem_get_info()[1]
    before = cuda.memory_stats()
    cuda.set_per_process_memory_fraction((cuda.memory_reserved() + 4 * UNIT + 4096) / total)
    try:
        assert 0 < cuda.get_per_process_memory_fraction() < 0.5
        with pytest.raises(minigrad.OutOfMemoryError) as caught:
            x.new_empty(16 * UNIT)
        text = str(caught.value)
        assert text.startswith("CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of ")
        assert f"of which {text.split('of which ')[1].split(' is free')[0]} is free. " in text
        assert "iB allowed; Of the allocated memory" in text
        assert "is reserved but unallocated" in text
        assert caught.value.__context__ is caught.value.__cause__ is None  # CuPy's error would hold arrays
        assert float((x * 2).sum()) == UNIT
        after = cuda.memory_stats()
        assert after["num_ooms"] == before["num_ooms"] + 1
        y = block(3)  # held by the pool from here on, and of a size that nothing else asks for
        del y
        z = block(4)  # fits only if the pool gives that back first
        assert cuda.memory_stats()["num_ooms"] == before["num_ooms"] + 1
        del z
    finally:
        cuda.set_per_process_memory_fraction(1.0)
    assert cuda.get_per_process_memory_fraction() == 1.0
    x.new_empty(16 * UNIT)


def test_out_of_memory_of_the_device(stand_in, monkeypatch):
    cuda.empty_cache()
    monkeypatch.setattr(strict_cuda.hardware, "total", strict_cuda.hardware.taken + 4 * UNIT)
    with pytest.raises(minigrad.OutOfMemoryError, match=r"Tried to allocate 8.00 MiB\. .* unallocated\. What helps"):
        block(8)
    block(2)


def test_out_of_memory_in_a_step_leaves_the_process_usable(stand_in, monkeypatch):
    layer = minigrad.nn.Linear(256, 256).cuda()

    def step(batch):
        loss = layer(minigrad.ones(batch, 256, device="cuda")).relu().sum()
        loss.backward()
        return loss.item()

    expected = step(2)
    gc.collect()  # what other tests have left
    cuda.empty_cache()
    monkeypatch.setattr(strict_cuda.hardware, "total", strict_cuda.hardware.taken + 2 * UNIT)
    held = cuda.memory_allocated()
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        step(4096)
    gc.collect()
    assert cuda.memory_allocated() == held
    assert step(2) == expected


@pytest.mark.parametrize("wrong", [2, 1.5, -0.1, "half"])
def test_wrong_fractions(stand_in, wrong):
    kind = ValueError if isinstance(wrong, float) else TypeError
    with pytest.raises(kind, match="fraction"):
        cuda.set_per_process_memory_fraction(wrong)


def test_figures(gpu):
    cuda.reset_accumulated_memory_stats()
    stats, nested = cuda.memory_stats(), cuda.memory_stats_as_nested_dict()
    assert list(stats) == sorted(stats)
    assert nested["reserved_bytes"]["all"]["current"] == stats["reserved_bytes.all.current"]
    assert stats["num_ooms"] == stats["num_alloc_retries"] == 0
    lines = cuda.memory_summary().splitlines()
    assert {len(line) for line in lines} == {77}
    assert any("Allocated memory" in line and written(stats["allocated_bytes.all.peak"]) in line for line in lines)
    with pytest.warns(FutureWarning, match="resets /all/ peak memory stats"):
        cuda.reset_max_memory_allocated()
    with pytest.warns(FutureWarning, match="reset_max_memory_cached now calls"):
        cuda.reset_max_memory_cached()


def test_sizes_are_written_as_torch_does():
    assert [written(n) for n in (0, 1024, 1025, 1 << 20, (1 << 20) + 1, 3 << 29, 1 << 40)] == [
        "0 bytes", "1024 bytes", "1.00 KiB", "1024.00 KiB", "1.00 MiB", "1.50 GiB", "1024.00 GiB",
    ]  # fmt: skip
