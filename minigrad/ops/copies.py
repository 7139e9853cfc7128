"""torch's `..._copy` and `unsafe_...` operations: what a view shows, in memory of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minigrad.formats import contiguous_format
from minigrad.ops.cast import clone
from minigrad.ops.expand import expand
from minigrad.ops.forms import forms
from minigrad.ops.parts import (
    as_strided,
    chunk,
    narrow,
    select,
    split,
    split_with_sizes,
    unbind,
    unfold,
)  # fmt: skip
from minigrad.ops.shape import alias, diagonal, permute, reshape, squeeze, t, transpose, unsqueeze, view

__all__ = [
    "alias_copy", "as_strided_copy", "diagonal_copy", "expand_copy", "narrow_copy", "permute_copy", "select_copy",
    "split_with_sizes_copy", "squeeze_copy", "t_copy", "transpose_copy", "unbind_copy", "unfold_copy",
    "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "unsqueeze_copy", "view_copy",
]  # fmt: skip


in_row_major = functools.partial(clone, memory_format=contiguous_format)


def copied(show: Callable[..., Any], name: str, method: bool = False, out: bool | str = "exact") -> Callable[..., Any]:
    """`show`, a view or several, as an operation `name` whose result shares no memory; the rest is said to `forms`."""

    @functools.wraps(show, updated=())  # not its forms and declaration
    def copy(input: Any, *args: Any, **kwargs: Any) -> Any:
        shown = show(input, *args, **kwargs)
        return tuple(map(in_row_major, shown)) if isinstance(shown, tuple) else in_row_major(shown)

    copy.__name__ = copy.__qualname__ = name
    copy.__doc__ = f"`{show.__name__}` as a copy."
    return forms(method=method, out=out)(copy)


def _split(input: Any, split_size: Any, dim: int = 0) -> Any:
    return split(input, split_size, dim)


def _shaped(input: Any, size: Any = None, *, dtype: Any = None) -> Any:
    """`view`, of any strides."""
    return reshape(input, size) if isinstance(size, (tuple, list)) else view(input, dtype if size is None else size)


alias_copy = copied(alias, "alias_copy")
as_strided_copy = copied(as_strided, "as_strided_copy")
diagonal_copy = copied(diagonal, "diagonal_copy")
expand_copy = copied(expand, "expand_copy")
narrow_copy = copied(narrow, "narrow_copy", method=True)
permute_copy = copied(permute, "permute_copy")
select_copy = copied(select, "select_copy")
split_with_sizes_copy = copied(split_with_sizes, "split_with_sizes_copy")
squeeze_copy = copied(squeeze, "squeeze_copy")
t_copy = copied(t, "t_copy")
transpose_copy = copied(transpose, "transpose_copy")
unbind_copy = copied(unbind, "unbind_copy")
unfold_copy = copied(unfold, "unfold_copy")
unsafe_chunk = copied(chunk, "unsafe_chunk", method=True, out=False)
unsafe_split = copied(_split, "unsafe_split", method=True, out=False)
unsafe_split_with_sizes = copied(split_with_sizes, "unsafe_split_with_sizes", method=True, out=False)
unsqueeze_copy = copied(unsqueeze, "unsqueeze_copy")
view_copy = copied(_shaped, "view_copy")
