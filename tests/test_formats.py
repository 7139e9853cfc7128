"""How tensors lie in memory: which order a copy, or a tensor like another, has, and `memory_format`."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from tests.lockstep import attempt, same

LIKE = ("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like")
NAMES = ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")


@st.composite
def layouts(draw):
    """What `made` makes a tensor of: permuted, with gaps, expanded, with dims of length 1."""
    sides = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=0, max_size=4))
    order = draw(st.permutations(range(len(sides))))
    steps = [draw(st.sampled_from([1, 1, 2])) for _ in sides]
    expand = draw(st.booleans())  # all dims of length 1, or none

    return sides, steps, order, expand


def made(T, sides, steps, order, expand):
    x = T.zeros([n * step for n, step in zip(sides, steps)])
    x = x[tuple(slice(None, None, step) for step in steps)].permute(order)
    return x.expand([4 if n == 1 else n for n in x.shape]) if expand else x


def kept(x):
    """The strides that matter, and what is asked of them."""
    return [s for s, n in zip(x.stride(), x.shape) if n != 1], x.is_contiguous()


@given(layouts())
def test_what_is_made_like_a_tensor_has_its_order_in_memory(layout):
    def program(T):
        x = made(T, *layout)
        new = [getattr(T, name)(x) for name in LIKE] + [T.full_like(x, 2), T.randint_like(x, 5)]
        return [kept(y) for y in [*new, x.clone(), x.double(), x.long(), x.to(x.dtype, copy=True), x.contiguous()]]

    same(program)


def test_random_numbers_fill_a_tensor_like_another_in_the_order_of_memory():
    def program(T):
        T.manual_seed(1)
        x = T.zeros(5, 4).t()
        return T.rand_like(x), T.randn_like(x), T.randint_like(x, 9), T.bernoulli(T.full_like(x, 0.5))

    same(program)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 4, 2, 2), (2, 3)], ids=str)
def test_memory_formats(name, shape):
    def program(T):
        x, how = T.ones(shape).transpose(0, -1), {"memory_format": getattr(T, name)}
        calls = [
            lambda: x.clone(**how),
            lambda: x.contiguous(**how),
            lambda: x.to(T.float64, **how),
            lambda: x.to(T.float32, **how),
            lambda: x.to(x.dtype, copy=True, **how),
            lambda: x.double(**how),
            lambda: x.long(**how),
            lambda: x.cpu(**how),
            lambda: T.zeros_like(x, **how),
            lambda: T.rand_like(x, **how),
            lambda: T.empty(shape, **how),
        ]
        new = [attempt(call) for call in calls]
        return [(kept(y), attempt(lambda y=y: y.is_contiguous(**how))) if hasattr(y, "stride") else y for y in new]

    same(program)


def test_gradients_pass_through_memory_formats():
    def program(T):
        x = T.arange(120.0).reshape(2, 3, 4, 5).requires_grad_()
        y = (x * x).contiguous(memory_format=T.channels_last).double(memory_format=T.contiguous_format)
        (y * T.arange(120.0).reshape(2, 3, 4, 5)).sum().backward()
        return x.grad

    same(program)


def test_formats_are_constants():
    def program(T):
        names = [*NAMES, "strided"]
        return [repr(getattr(T, name)) for name in names], [type(getattr(T, name)).__name__ for name in names]

    same(program)
    assert pickle.loads(pickle.dumps(minigrad.channels_last)) is minigrad.channels_last
    same(lambda T: attempt(lambda: T.ones(2).clone(memory_format=3)))


def test_empty_tensors_have_strides():
    shapes = [(0, 2), (2, 0, 3), (0,), (3, 0), (4, 0, 0, 2)]
    same(lambda T: [(T.empty(s).stride(), T.zeros(s).clone().stride(), T.ones(s).is_contiguous()) for s in shapes])
    same(lambda T: (T.ones(4, 5)[:0].stride(), T.ones(4, 5)[:0, ::2].stride(), T.ones(4, 5).t()[:0].stride()))


def test_copies_of_views_are_contiguous_and_share_no_memory():
    def program(T):
        x = T.arange(24.0).reshape(2, 3, 4)
        made = [
            T.transpose_copy(x, 0, 1), T.permute_copy(x, (2, 0, 1)), T.expand_copy(x[:, :1], (2, 3, 4)),
            T.t_copy(x[0]), T.alias_copy(x.mT), T.diagonal_copy(x), T.narrow_copy(x.mT, 1, 0, 2),
            T.unfold_copy(x, 1, 2, 1), T.squeeze_copy(x.mT), T.unsqueeze_copy(x.mT, 0), T.view_copy(x, (6, 4)),
            T.as_strided_copy(x, (2, 2), (1, 2)),
            *T.unbind_copy(x.permute(2, 0, 1)), *T.split_with_sizes_copy(x.mT, [1, 3], 1),
        ]  # fmt: skip
        return [(y.stride(), y._is_view(), y) for y in made]

    same(program)


def test_new_tensors_take_layout_and_pin_memory():
    def program(T):
        how = {"layout": T.strided, "pin_memory": False}
        x = T.ones(2, 3)
        T.manual_seed(1)
        return [
            T.zeros(2, **how), T.ones(2, **how), T.full((2,), 3, **how), T.arange(3, **how), T.linspace(0, 1, 3, **how),
            T.eye(2, **how), T.rand(2, **how), T.randn(2, **how), T.randint(5, (2,), **how), T.randperm(4, **how),
            T.normal(0.0, 1.0, (2,), **how), T.empty(2, **how).shape, T.tensor([1.0], pin_memory=False),
            x.new_zeros(2, **how), T.rand_like(x, **how), T.randint_like(x, high=5, **how), T.randint_like(x, 2, 5),
            T.randint_like(x, low=2, high=5), T.zeros_like(x, **how), T.full_like(x, 2, **how), x.layout is T.strided,
        ]  # fmt: skip

    same(program)


def test_memory_read_as_another_dtype():
    def program(T):
        x = T.arange(6.0).reshape(2, 3).requires_grad_()
        y = x * 1
        bits = y.view(T.int32)
        bits[0, 0] = 1065353216  # the bits of 1
        (y * y).sum().backward()
        alike = [bits.requires_grad, bits.is_leaf, bits._is_view(), y._version, bits]
        return alike, y, x.grad, x.view(dtype=T.uint8), T.ones(3, 2).view(T.float64), T.view_copy(x, T.int32)

    same(program)


@pytest.mark.parametrize(
    "layout", [((2, 3), (1, 2)), ((2, 3), (1, -2)), ((2, -3), (1, 2)), ((2, 3), (1, 2, 3)), ((0, 3), (5, 1))], ids=str
)
def test_tensors_of_given_strides_stay_within_their_memory(layout):
    same(lambda T: attempt(lambda: T.empty_strided(*layout).fill_(2.0)))
