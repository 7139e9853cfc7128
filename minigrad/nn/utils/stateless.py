"""A module called with other tensors in the place of its parameters and buffers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.nn.parallel import DataParallel

__all__ = ["functional_call"]

MISSING = object()  # what an attribute that is not there is exchanged for


def functional_call(
    module: Any,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The old name of `func.functional_call`, for one dict."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future "
        "version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)


def call(
    module: Any,
    tensors: dict[str, Any],
    args: Any,
    kwargs: dict[str, Any] | None,
    *,
    tie_weights: bool,
    strict: bool,
) -> Any:
    """`module(*args, **kwargs)` computed with `tensors`, by dotted names; see `func.functional_call`."""
    if isinstance(module, DataParallel):
        raise RuntimeError("The stateless API can't be used with nn.DataParallel module")
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _exchanged(module, tensors, tie_weights, strict):
        return module(*args, **(kwargs or {}))


@contextlib.contextmanager
def _exchanged(module: Any, tensors: dict[str, Any], tie_weights: bool, strict: bool) -> Iterator[None]:
    """`module` with `tensors` for its own while this is entered.

    Where the call gives the module a new tensor for one of them, as for a running mean, `tensors` has it afterwards.
    """
    every = _with_tied(module, tensors) if tie_weights else tensors
    if strict:
        _check_names(module, every)
    held: dict[str, Any] = {}
    try:
        for name, t in every.items():
            held[name] = _exchange(module, name, t)
        yield
    finally:
        for name, t in held.items():
            last = _exchange(module, name, t)
            if name in tensors:
                tensors[name] = last


def _exchange(module: Any, name: str, value: Any) -> Any:
    """Put `value` in the place of what `name`, a dotted one, means in `module`, and return that."""
    if value is not MISSING and value is not None and not isinstance(value, Variable):
        raise TypeError(f"{value} is not an instance of torch.Tensor")
    path, _, name = name.rpartition(".")
    module = module.get_submodule(path)
    for registry in (module._parameters, module._buffers):
        if name in registry:  # not by assignment, which would ask for a Parameter
            before, registry[name] = registry[name], value
            return before
    before = getattr(module, name, MISSING)
    if before is not MISSING and before is not None and not isinstance(before, Variable):
        raise TypeError(f"attribute `{name}`: {before} is not an instance of torch.Tensor")
    if value is not MISSING:
        setattr(module, name, value)
    elif before is not MISSING:
        delattr(module, name)
    return before


def _all_tensors(module: Any) -> dict[str, Any]:
    """Parameters and buffers by all their names."""
    return dict([*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)])


def _with_tied(module: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    """`tensors` with an entry more for each other name of a tensor that the module shares between several."""
    names: dict[Any, list[str]] = {}
    for name, t in _all_tensors(module).items():
        names.setdefault(t, []).append(name)
    every = dict(tensors)
    for tied in names.values():
        given = [name for name in tied if name in tensors]
        if len({id(tensors[name]) for name in given}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied)}, which are tied. Consider using "
                f"tie_weights=False"
            )
        if given:
            every.update((name, tensors[given[0]]) for name in tied)
    return every


def _check_names(module: Any, tensors: dict[str, Any]) -> None:
    """RuntimeError unless `tensors` has all names of the module's tensors and no others."""
    own = _all_tensors(module)
    unexpected = [repr(name) for name in tensors if name not in own]
    missing = [repr(name) for name in own if name not in tensors]
    lines = [f"Unexpected key(s): {', '.join(unexpected)}."] if unexpected else []
    lines += [f"Missing key(s): {', '.join(missing)}."] if missing else []
    if lines:
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}:\n\t" + "\n\t".join(lines))
