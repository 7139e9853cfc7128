"""Trees of arguments: taken apart and spread as torch does."""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigrad.func import tree
from tests.points import Pair


@pytest.fixture(scope="module", autouse=True)
def forward_mode_loaded():
    """torch's forward mode warns when it is first used, of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jacfwd(torch.sin)(torch.ones(2))


trees = st.recursive(
    st.integers(),
    lambda t: (
        st.lists(t, max_size=3)
        | st.lists(t, max_size=3).map(tuple)
        | st.tuples(t, t).map(lambda p: Pair(*p))
        | st.dictionaries(st.text(max_size=2), t, max_size=3)
        | st.dictionaries(st.text(max_size=2), t, max_size=3).map(OrderedDict)
        | st.dictionaries(st.text(max_size=2), t, max_size=3).map(lambda d: defaultdict(list, d))
    ),
    max_leaves=8,
)


@given(trees)
def test_trees_are_taken_apart_and_put_together_as_torch_does(t):
    flat, _spec = torch.utils._pytree.tree_flatten(t)
    assert tree.leaves(t) == flat
    assert tree.rebuild(t, flat) == t
    assert type(tree.rebuild(t, flat)) is type(t)
    assert tree.same_form(t, tree.map_leaves(str, t))
    assert tree.spread(0, t) == [0] * len(flat)
    assert tree.spread(tree.map_leaves(str, t), t) == [str(n) for n in flat]


@given(trees, trees)
def test_forms_differ_where_torchs_do(a, b):
    specs = [torch.utils._pytree.tree_flatten(t)[1] for t in (a, b)]
    assert tree.same_form(a, b) == (specs[0] == specs[1])
    theirs = torch.utils._pytree._broadcast_to_and_flatten(a, specs[1])
    assert tree.spread(a, b) == theirs
