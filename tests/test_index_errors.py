"""Keys, indices and masks that cannot be: torch's exception, beginning with torch's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lockstep import Raised, attempt, same

READS = """\
x[4]
x[-5]
x[0, 6]
x[0, 0, 0]
s[0]
s[:]
x[::-1]
x[0:2:0]
x[1.0]
x[T.tensor(5)]
x[T.tensor(1.0)]
x[T.tensor([1], dtype=T.int16)]
x[T.tensor([1, 0], dtype=T.uint8)]
x[T.tensor([1.0, 0.0])]
x[(x[:, 0] > 7)[:3]]
x[0, x[:, 0] > 7]
x[x[:, 0] > 7, x[:, 0] > 7]
x[c > 3]
x[T.tensor([4])]
x[T.tensor([-5])]
x[i, T.tensor([0, 1, 2])]
x[i, i, i]
x[i, 7]
x[i, T.tensor([0, 7])]
x[T.zeros(0, 6, dtype=T.bool)]
x[:T.tensor([1, 2])]
x[0.5:2]
c[:, T.tensor([[True, False], [False, True], [False, True]])]
T.gather(x, 2, j)
x.put(i.int(), v[:2])
x.put(i, v[:2].double())
x.put(i, v)
x.put(i + 30, v[:2])
T.zeros(0).put(i, v[:2])
v.scatter_reduce(0, i, v[:2], 'mode')
T.scatter_reduce(v, 0, i, 2.0, 'sum')
v.scatter_reduce(0, i.int() + 0.5, v[:2], 'prod')
v.scatter_reduce(0, i + 5, v[:2], 'prod')
v.scatter_reduce(0, i, v[:2].double(), 'amax')
v.scatter_reduce(1, i, v[:2], 'mean')
v.scatter_reduce(0, j, v, 'sum')
(v > 1).scatter_reduce(0, i, v[:2] > 1, 'mean')
x.index_reduce(0, i, x[:2], 'sum')
x.index_reduce(0, i, x[:3], 'mean')
x.index_reduce(0, i, x[:2].double(), 'mean')
x.index_reduce(0, i + 7, x[:2], 'amax')
x.index_reduce(0, j, x[:2], 'amax')
x.index_reduce(0, x[0, :2], x[:2], 'amax')
m[0].index_reduce(0, i, m[0, :2], 'prod')
x.select_scatter(v, 0, 0)
x.select_scatter(x[0], 0, 5)
x.select_scatter(x[0], 2, 0)
s.select_scatter(s, 0, 0)
x.slice_scatter(x, 0, 0, 2)
x.slice_scatter(x[:2], 0, 0, 2, 0)
s.slice_scatter(s)
x.diagonal_scatter(v)
x.diagonal_scatter(v, 0, 1, 1)
x.as_strided_scatter(v, (2,), (1,))
x.as_strided_scatter(v, (3,), (90,))
n.select_scatter(s.requires_grad_(True), 0, 0)
n.fill_diagonal_(2)
c.fill_diagonal_(2)
x.masked_fill(m, 1j)
x.narrow(0, n, 2)
x.narrow(0, T.tensor(1.0), 2)
T.fill(x, v)
T.fill(n, s.requires_grad_(True))
T.gather(x, 0, f)
T.gather(x, 0, j.to(T.int16))
T.gather(x, 0, j + 4)
T.gather(x, 0, j - 3)
T.gather(x, 0, i)
T.gather(x, 1, T.zeros(5, 2, dtype=T.long))
T.gather(x, 0, T.zeros(1, 7, dtype=T.long))
T.gather(x, 0, i0)
T.gather(s, 0, T.zeros(2, 2, dtype=T.long))
T.scatter(x, 0, j, x.to(T.int64))
T.scatter(x, 0, j, x.to(T.float64))
T.scatter(x, 0, j, x[:1])
T.scatter(x, 0, j, s)
T.scatter(x, 0, i, x)
T.scatter(x, 0, j + 5, x)
T.scatter(x, 0, j - 5, x)
T.scatter(x, 0, f, x)
T.scatter(x, 3, j, x)
T.scatter(x, 0, T.zeros(1, 7, dtype=T.long), 1)
T.scatter(x, 0, j, 2, reduce='mean')
T.scatter_add(x, 0, j, x.to(T.float64))
T.scatter_add(x, 0, j + 5, x)
T.take_along_dim(x, j, 0)
T.take_along_dim(x, i, 0)
T.take_along_dim(x, j.to(T.int32), 0)
T.take_along_dim(x, f, 0)
T.take(x, j + 24)
T.take(x, j - 25)
T.take(x, j.to(T.int32))
T.take(x, f)
T.take(T.zeros(0), j)
T.index_select(x, 0, j)
T.index_select(x, 0, i + 5)
T.index_select(x, 0, i - 3)
T.index_select(x, 0, i.to(T.int16))
T.index_select(x, 0, f[0])
T.index_select(x, 2, i)
T.index_select(s, 0, T.tensor([0, 0]))
T.index_add(x, 0, i, x)
T.index_add(x, 0, i, x.to(T.float64)[:2])
T.index_add(x, 0, j, x)
T.index_add(x, 0, i + 5, x[:2])
T.index_add(x, 0, i - 5, x[:2])
T.index_add(x, 0, f[0], x[:2])
T.index_add(x, 1, i, x[:2])
T.index_add(x, 0, i0, x[0])
T.index_add(s, 0, T.tensor([0, 0]), T.tensor([1.0, 2.0]))
T.index_add(x, 0, i, x[:2, :3])
T.index_copy(x, 0, i, x)
T.index_copy(x, 0, i, s)
T.index_copy(x, 0, i, x.to(T.float64)[:2])
T.index_copy(x, 0, i.to(T.int32), x[:2])
T.index_copy(x, 0, i + 5, x[:2])
T.index_copy(x, 0, i - 5, x[:2])
T.index_copy(x, 0, j, x)
T.index_copy(x, 0, i0, x[0])
T.index_copy(x, 0, i, x[:2, :3])
T.index_fill(x, 0, i, x)
T.index_fill(x, 0, i + 5, 1)
T.index_fill(x, 0, j, 1)
T.index_fill(x, 0, i.to(T.int32), 1)
T.masked_select(x, m[:, :2])
T.masked_select(x, i)
T.masked_select(x, m.to(T.uint8))
T.masked_scatter(x, m, x[0])
T.masked_scatter(x, m, x.to(T.float64))
T.masked_scatter(x, m.to(T.int64), x)
T.repeat_interleave(s, 2, 0)
T.repeat_interleave(j)
T.repeat_interleave(x, T.tensor([1, 2, 0, 1], dtype=T.int16), 0)
T.repeat_interleave(x, T.tensor([1.0]), 0)
T.repeat_interleave(x, T.tensor([[2]]), 0)
T.repeat_interleave(x, T.tensor([1, -2, 1, 1]), 0)
T.repeat_interleave(x, T.tensor([1, 2]), 0)
T.repeat_interleave(x, -1)
T.repeat_interleave(x, 2, 5)
T.repeat_interleave(x, 2, 0, output_size=9)
T.sort(x, 2)
T.sort(s, 1)
T.topk(x, 7)
T.topk(x, -1)
T.topk(x, 1, 2)
T.topk(s, 2)
T.topk(x > 1, 1)
T.kthvalue(x, 0)
T.kthvalue(x, 7)
T.kthvalue(s, 2)
T.kthvalue(x > 1, 1)
T.kthvalue(T.zeros(0), 1)
T.kthvalue(T.zeros(0, 2), 1, 0)
T.unique(n, dim=3)
T.searchsorted(w, T.tensor([0.0, 3.0, 8.0]), side='nonsense')
T.searchsorted(w, T.tensor([0.0, 3.0, 8.0]), side='left', right=True)
T.searchsorted(T.stack([w, w + 1]), T.tensor([3.0]))
T.searchsorted(T.stack([w, w + 1]), T.tensor([[3.0]]))
T.searchsorted(T.stack([w, w + 1]), 3)
T.searchsorted(s, s)
T.searchsorted(w, w, sorter=i)
T.searchsorted(w, w, sorter=w)
T.searchsorted(w, w, sorter=n + 3)
T.bucketize(x, x)
T.bincount(n - 1)
T.bincount(w)
T.bincount(n > 1)
T.bincount(n.reshape(2, 2))
T.bincount(n, T.tensor([1.0, 2.0]))
T.bincount(n, minlength=-1)
F.one_hot(n, 3)
F.one_hot(n - 1)
F.one_hot(n.to(T.int32))
F.one_hot(n[:0])
F.one_hot(n, 0)
F.one_hot(n, -2)
F.embedding(T.tensor([4]), x)
F.embedding(T.tensor([-1]), x)
F.embedding(T.tensor([0.0]), x)
F.embedding(i.to(T.int16), x)
F.embedding(i, x[0])
F.embedding(i, x[None])
F.embedding(i, x, padding_idx=7)
F.embedding(i, x, padding_idx=-5)
F.embedding([0], x)
""".splitlines()

WRITES = """\
x[0] = T.ones(3)
x[0] = T.ones(2, 6)
x[i] = T.ones(3)
x[i] = T.ones(1, 2, 6, dtype=T.int32)
x[x > 3] = T.ones(3)
x[0] = [1, 2, 3, 4, 5, 6]
x[0] = 'a'
x[0] = None
x[4] = 0
x[i + 9] = 0
n[i] = T.tensor(1.5)
n[0] = float('inf')
n[i] = float('nan')
n.to(T.uint8)[0] = 300
n.to(T.int32)[i] = 2 ** 40
x[x[:, 0] > 7] = T.ones(4, 6)
x.index_put_((i,), T.ones(6, dtype=T.float64))
x.index_put((i,), 3.0)
x.index_put_((i, None), T.ones(2))
x.index_put_((i + 9,), T.ones(6), accumulate=True)
v.requires_grad_(True)[0] = 1
v.requires_grad_(True)[i] = 1
x.requires_grad_(True)[0] = 1
x.requires_grad_(True)[i] = 1
v.requires_grad_(True)[1:][0] = 1
v.expand(2, 3)[:] = 1
v.expand(2, 3).add_(1)
""".splitlines()


def names(T: Any) -> dict[str, Any]:
    """x is a matrix (4, 6), v a vector (3), c has the shape (2, 3, 4), s is a 0-dim tensor.

    Integers are i and n (vectors), j (a matrix), i0 (0-dim); f are floats where integers belong, w is sorted, m a mask.
    """
    x = T.arange(24.0).reshape(4, 6)
    return {
        "T": T, "F": T.nn.functional, "x": x, "v": T.arange(3.0), "c": T.zeros(2, 3, 4), "s": T.tensor(3.0),
        "i": T.tensor([1, 0]), "n": T.tensor([2, 0, 2, 5]), "j": T.tensor([[0, 1], [2, 0]]), "i0": T.tensor(0),
        "f": T.tensor([[0.0, 1.0]]), "w": T.tensor([1.0, 3.0, 3.0, 7.0]), "m": x > 7,
    }  # fmt: skip


@pytest.mark.parametrize("expression", READS)
def test_torchs_error_on_reading(expression: str) -> None:
    assert isinstance(same(lambda T: eval(expression, names(T))), Raised)


@pytest.mark.parametrize("statement", WRITES)
def test_torchs_error_on_writing(statement: str) -> None:
    assert isinstance(same(lambda T: exec(statement, names(T))), Raised)


@pytest.mark.parametrize("values", [[0.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
def test_a_product_with_two_zeros_in_one_place_is_differentiated_once(values: list[float]) -> None:
    def program(T: Any) -> Any:
        src = T.tensor(values, requires_grad=True)
        out = T.ones(3).scatter_reduce(0, T.tensor([0, 0, 2]), src, "prod")
        (first,) = T.autograd.grad((out * out).sum(), src, create_graph=True)
        return first, attempt(lambda: T.autograd.grad(first.sum(), src))

    same(program)
