"""`vmap`: a function of single samples made into one of batches, as an honest loop over them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.func.tree import form, leaves, rebuild, spread
from minigrad.ops.join import stack
from minigrad.random import rng_states, set_rng_states

__all__ = ["vmap"]

RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
    "randomness flags on vmap or perform the randomness operation out of vmap"
)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that calls `func` once for each slice of its arguments and stacks the results.

    `in_dims` is the dim along which to slice, or a tree of dims that begins like the arguments, with None for what
    every call gets whole, as it gets keyword arguments; `out_dims` likewise where to stack, with None for what is the
    same in all calls.

    A loop: correct and differentiable, and as slow as calling `func` that often; `chunk_size` changes nothing.
    `randomness`: "error" refuses random draws, "same" draws the same for every slice, "different" draws on, which gives
    torch's numbers if `func` draws once. Errors: ValueError for dims that do not fit.

    >>> vmap(lambda x, y: x @ y, in_dims=(0, None))(tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = _name(func)

    @functools.wraps(func)
    def batched(*args: Any, **kwargs: Any) -> Any:
        _check_out_dims(name, out_dims)
        flat, dims = _arguments(name, in_dims, args)
        count = _batch_size(flat, dims)
        slices = [t.unbind(d) if d is not None else (t,) * count for t, d in zip(flat, dims, strict=True)]
        samples = zip(*slices, strict=True) if count else [_sample_of_none(flat, dims)]
        results = []
        for sample in _drawing(samples, randomness):
            results.append(func(*rebuild(args, sample), **kwargs))
        return _joined(name, results, out_dims, count)

    return batched


def _drawing(samples: Any, randomness: str) -> Iterator[Any]:
    """The samples, while the default generators are watched, or set back for each, between them."""
    start = rng_states()
    for i, sample in enumerate(samples):
        if i and randomness == "same":
            set_rng_states(start)
        yield sample
        if randomness == "error" and rng_states() != start:
            raise RuntimeError(RANDOM)


def _arguments(name: str, in_dims: Any, args: tuple[Any, ...]) -> tuple[list[Any], list[int | None]]:
    """The leaves of the arguments, and along which dim to slice each."""
    start = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{start}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
            f"function with no inputs. The latter is unsupported."
        )
    flat, dims = leaves(args), spread(in_dims, args)
    if dims is None:
        raise ValueError(
            f"{start}: in_dims is not compatible with the structure of `inputs`. in_dims has structure {form(in_dims)} "
            f"but inputs has structure {form(args)}."
        )
    for t, d in zip(flat, dims, strict=True):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(
                f"{start}: Got in_dim={d} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(t, Variable):
            raise ValueError(
                f"{start}: Got in_dim={d} for an input but the input is of type {type(t)}. We cannot vmap over "
                f"non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -t.array.ndim <= d < t.array.ndim:
            raise ValueError(
                f"{start}: Got in_dim={d} for some input, but that input is a Tensor of dimensionality {t.array.ndim} "
                f"so expected in_dim to satisfy -{t.array.ndim} <= in_dim < {t.array.ndim}."
            )
    return flat, dims


def _batch_size(flat: list[Any], dims: list[int | None]) -> int:
    """How many slices there are."""
    sizes = [t.array.shape[d] for t, d in zip(flat, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
            f"mapped dimension"
        )
    return sizes[0]


def _sample_of_none(flat: list[Any], dims: list[int | None]) -> list[Any]:
    """Zeros in the place of a slice where there is none, to see what the function returns."""
    return [t if d is None else t.new_zeros(t.shape).sum(d) for t, d in zip(flat, dims, strict=True)]


def _joined(name: str, results: list[Any], out_dims: Any, count: int) -> Any:
    """The results of all calls as one, stacked along `out_dims`."""
    first = results[0]
    if isinstance(first, Variable) and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    dims = spread(out_dims, first)
    if dims is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of "
            f"`outputs`. out_dims has structure {form(out_dims)} but outputs has structure {form(first)}."
        )
    joined = []
    for parts, d in zip(zip(*map(leaves, results), strict=True), dims, strict=True):
        if d is None:
            if isinstance(parts[0], Variable) and any(_differ(parts[0].array, p.array) for p in parts[1:]):
                raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
            joined.append(parts[0])
            continue
        for part in parts:
            if not isinstance(part, Variable):
                raise ValueError(
                    f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(part)}. Did you mean to set "
                    f"out_dims= to None for output?"
                )
        whole = stack(parts, d)
        joined.append(whole if count else whole.narrow(d, 0, 0))
    return rebuild(first, joined)


def _differ(a: Any, b: Any) -> bool:
    return a.shape != b.shape or bool(((a != b) & ((a == a) | (b == b))).any())


def _check_out_dims(name: str, out_dims: Any) -> None:
    for d in leaves(out_dims):
        if d is not None and not isinstance(d, int):
            raise ValueError(
                f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of "
                f"ints representing where in the outputs the vmapped dimension should appear."
            )


def _name(func: Any) -> str:
    if isinstance(func, functools.partial):
        return f"functools.partial({_name(func.func)}, ...)"
    return getattr(func, "__name__", None) or repr(func)
