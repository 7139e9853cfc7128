"""Which operations share memory, and what writing through a view does to values and gradients: as in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from reference.adapters import same_layout
from reference.cases.index import any_key
from reference.cases.shape import same_size
from reference.strategies import Draw
from tests.lockstep import attempt, same

VIEWS = """\
x.view(6, 4)
x.view(-1)
x.view_as(x)
x.reshape(24)
x.flatten()
x.ravel()
x.unflatten(1, (2, 3))
x.squeeze()
x.squeeze(0)
x.squeeze((0, 1))
x.unsqueeze(1)
x.transpose(0, 1)
x.t()
x.T
x.mT
x.permute(1, 0)
x.movedim(0, 1)
x.expand(2, 4, 6)[0]
x.narrow(0, 1, 2)
x.select(1, 2)
x.diagonal(1)
x.unfold(1, 2, 2)
x.split(3)[1]
x.split([1, 3])[1]
x.chunk(2)[1]
x.unbind(1)[2]
x.tensor_split(2)[1]
x.hsplit(2)[1]
x.as_strided((2, 3), (6, 2), 1)
x[1]
x[1, 2]
x[1:3, ::2]
x[..., 2]
x[:, None]
x[...]
x[T.tensor(1)]
""".splitlines()

COPIES = """\
x.t().reshape(24)
x.t().flatten()
x.repeat(1, 1)
x.tile(1)
x.flip(0)
x.roll(0)
x.rot90(0)
x.tril(9)
x[[0, 1]]
x[x >= 0]
x[T.tensor([1])]
x.index_select(0, T.tensor([0, 1]))
x.gather(0, T.zeros(1, 6, dtype=T.int64))
x.take(T.tensor([1, 2]))
x.repeat_interleave(1, 0)
T.cat([x])
T.stack([x])
T.nn.functional.pad(x, (0, 0))
""".splitlines()


def strided(d: Draw) -> np.ndarray:
    """An array with its dims in some order, some of them cut or stepped through."""
    x = d.floats(d.shape(max_dims=4)).astype(np.float32)
    for dim in range(x.ndim):
        cut = d.one_of(slice(None), slice(1, None), slice(None, None, 2))
        x = x[(slice(None),) * dim + (cut,)]
    return x.transpose(d.permutation(x.ndim))


@given(st.data())
def test_view_is_refused_for_the_strides_that_torch_refuses(data: st.DataObject) -> None:
    """And where it is, reshape copies; where it is not, reshape is a view."""
    d = Draw(data.draw, smooth=False)
    array = strided(d)
    shape = same_size(d, array.size)

    def program(T: Any) -> Any:
        x = T.from_numpy(same_layout(array))
        viewed, shaped = attempt(lambda: x.view(shape)), attempt(lambda: x.reshape(shape))
        return viewed, shaped, bool(array.size) and shaped.data_ptr() == x.data_ptr()

    same(program)


@pytest.mark.parametrize("expression", VIEWS)
def test_a_write_through_a_view_shows_in_its_base(expression: str) -> None:
    def program(T: Any) -> Any:
        x = T.arange(24.0).reshape(4, 6).clone()
        view = eval(expression, {"T": T, "x": x})
        version = x._version
        view[...] = -1
        return x, view, view._base is x, x._version - version, view._version - version

    assert same(program)[2]


@pytest.mark.parametrize("expression", COPIES)
def test_a_copy_is_a_copy(expression: str) -> None:
    def program(T: Any) -> Any:
        x = T.arange(24.0).reshape(4, 6).clone()
        copy = eval(expression, {"T": T, "x": x})
        copy[...] = -1
        return x, copy

    same(program)


@pytest.mark.parametrize("expression", VIEWS)
def test_gradients_pass_what_a_view_was_written_to(expression: str) -> None:
    """The base takes on the view's new history: what was overwritten leaves the graph, the value enters it."""

    def program(T: Any) -> Any:
        leaf, value = T.arange(24.0).reshape(4, 6).clone().requires_grad_(), T.tensor(3.0, requires_grad=True)
        x = leaf * 2
        view = eval(expression, {"T": T, "x": x})
        view[...] = value * value
        (x * x * leaf).sum().backward()
        return x, leaf.grad, value.grad

    same(program)


@given(st.data())
def test_programs_of_writes(data: st.DataObject) -> None:
    """Several writes into one tensor, directly and through a view of it, of numbers and of tensors with a history."""
    d = Draw(data.draw, smooth=False)
    shape = d.shape(min_dims=1, max_dims=3, min_side=1)
    start, weights = d.floats(shape), d.floats(shape)
    base_wants = d.flag()
    writes = []
    for _ in range(d.size(1, 4)):
        through = d.one_of(None, (d.size(0, shape[0] - 1),), (..., slice(0, 2)))
        target = start if through is None else start[through]
        key = any_key(d, target.shape)
        place = np.arange(target.size).reshape(target.shape)[key]
        if np.unique(place).size != place.size:  # of several values for one place torch may keep any
            continue
        writes.append((through, key, d.one_of(1.5, d.floats(place.shape[d.size(0, place.ndim) :]))))

    def tensor(T: Any, part: Any) -> Any:
        return T.from_numpy(part.copy()) if isinstance(part, np.ndarray) else part

    def program(T: Any) -> Any:
        leaf = tensor(T, start).requires_grad_(base_wants)
        values = [tensor(T, value).requires_grad_() for _, _, value in writes if isinstance(value, np.ndarray)]
        x, unused = leaf * 2, list(values)
        for through, key, value in writes:
            target = x if through is None else x[through]
            value = unused.pop(0) * 3 if isinstance(value, np.ndarray) else value
            target[tuple(tensor(T, part) for part in key)] = value
        if x.requires_grad:
            (x * x * tensor(T, weights)).sum().backward()
        return x, leaf.grad, [v.grad for v in values]

    same(program)


def test_a_shape_changed_in_place_keeps_the_gradient() -> None:
    def program(T: Any) -> Any:
        leaf = T.arange(6.0).requires_grad_()
        x = (leaf * leaf).unsqueeze_(0)
        x.transpose_(0, 1).squeeze_()
        (x * T.arange(6.0)).sum().backward()
        return x, x._version, leaf.grad

    same(program)


def test_the_index_may_change_after_it_was_used() -> None:
    """torch refuses the backward then; here the graph has its own copy."""
    x, i = minigrad.arange(3.0).requires_grad_(), minigrad.tensor([0, 1])
    out = x[i]
    i[...] = 2
    out.sum().backward()
    assert x.grad.tolist() == [1, 1, 0]
    y, j = torch.arange(3.0).requires_grad_(), torch.tensor([0, 1])
    out = y[j]
    j[...] = 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
