"""Rows added to tables with kernels and without."""

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad.kernels.gpu import embedding, settings
from reference import strict_cupy
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers

in_order_or_not = pytest.mark.parametrize("looks", [embedding.LOOKS, 0], ids=["in order", "as they come"])


def some(shape, rows, dtype="int64", low=0):
    """Indices on the GPU, many of them twice."""
    return minigrad.tensor(np.random.default_rng(3).integers(low, rows, shape).astype(dtype)).cuda()


@needs_emulation
@both_dtypes
@in_order_or_not
@pytest.mark.parametrize("index", ["int64", "int32"])
@pytest.mark.parametrize(
    ("rows", "width", "shape"), [(7, 5, (3, 4)), (3, 300, (70,)), (200, 1, (2, 5, 6)), (1, 129, (1000,)), (4, 3, ())]
)
@pytest.mark.parametrize("padding", [None, 0, -1])
def test_the_gradient_of_an_embedding(rows, width, shape, padding, index, looks, dtype, monkeypatch):
    monkeypatch.setattr(embedding, "LOOKS", looks)

    def program(dtype):
        table = numbers((rows, width), dtype).requires_grad_()
        out = F.embedding(some(shape, rows, index), table, padding)
        g = numbers(tuple(out.shape), dtype, seed=1).requires_grad_()
        (back,) = minigrad.autograd.grad(out, table, g, create_graph=True)
        (again,) = minigrad.autograd.grad(back, g, numbers((rows, width), dtype, seed=2))
        return [out, minigrad.autograd.grad(F.embedding(some(shape, rows, index), table, padding).sum(), table)[0],
                back, again]  # fmt: skip

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
@in_order_or_not
def test_other_ways_to_add_rows(looks, dtype, monkeypatch):
    monkeypatch.setattr(embedding, "LOOKS", looks)

    def program(dtype):
        x, y = numbers((9, 4, 3), dtype).requires_grad_(), numbers((20, 4, 3), dtype, seed=1).requires_grad_()
        index = some((20,), 9)
        out = x.index_add(0, index, y, alpha=2)
        back = minigrad.autograd.grad(out, [x, y], numbers((9, 4, 3), dtype, seed=2))
        read = x[some((5, 6), 9, low=-9)]
        line = x.reshape(-1)
        found = [
            out,
            *back,
            *minigrad.autograd.grad(read, x, numbers(tuple(read.shape), dtype, seed=3)),
            *minigrad.autograd.grad(x.index_select(0, index), x, y),
            *minigrad.autograd.grad(x.index_select(1, some((7,), 4)).sum(), x),
            *minigrad.autograd.grad(line.take(some((50,), 108, low=-108)).sum(), x),
            line.scatter_add(0, some((50,), 108), numbers((60,), dtype, seed=4)),
            x.index_put((some((6,), 9, "int32"),), y[:6], accumulate=True),
            x.index_put((some((2, 3), 9),), y[0], accumulate=True),
            x.transpose(0, 2).index_add(0, some((5,), 3), numbers((5, 4, 9), dtype)),
        ]
        return found

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@in_order_or_not
def test_an_index_out_of_range_wraps_around(looks, monkeypatch):
    """As in CuPy: nobody looks, and nothing outside the table is written."""
    monkeypatch.setattr(embedding, "LOOKS", looks)

    def program(dtype):
        table = numbers((6, 4), dtype).requires_grad_()
        index = minigrad.tensor([-1, -13, 5, 6, 100, -700, 13]).cuda()
        return minigrad.autograd.grad(F.embedding(index, table), table, numbers((7, 4), dtype))

    assert_kernels_change_nothing(program, "float64")


@needs_emulation
def test_only_large_tables_are_added_to_as_rows_come(monkeypatch):
    used = []
    monkeypatch.setattr(embedding, "launch", lambda file, name, *rest: used.append(name))
    monkeypatch.setattr(embedding, "over_elements", lambda file, name, *rest: used.append(name))

    def program(dtype):
        for deterministic in (False, True):
            monkeypatch.setattr(settings, "deterministic", deterministic)
            for rows in (10, 100_000):
                table = numbers((rows, 1), dtype).requires_grad_()
                F.embedding(some((300,), rows), table).sum().backward()
        return []

    assert_kernels_change_nothing(program, "float32")
    assert used[:4] == ["add_rows_in_order", "add_rows", "add_rows_in_order", "add_rows_in_order"]


@needs_emulation
def test_rows_by_frequency():
    def program(dtype):
        table = numbers((6, 4), dtype).requires_grad_()
        out = F.embedding(some((5, 7), 6), table, padding_idx=2, scale_grad_by_freq=True)
        with strict_cupy.forbid_synchronize():
            return minigrad.autograd.grad(out, table, numbers((5, 7, 4), dtype, seed=1))

    assert_kernels_change_nothing(program, "float64")


@needs_emulation
def test_no_indices():
    def program(dtype):
        table = numbers((6, 4), dtype).requires_grad_()
        return minigrad.autograd.grad(F.embedding(some((0, 3), 6), table).sum(), table)

    assert_kernels_change_nothing(program, "float32")
