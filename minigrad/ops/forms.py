"""The forms of an operation beside the function: a method of a tensor, the method's in-place twin, and `out=`.

    @forms(in_place=True)
    @Op
    def exp(input): ...

gives `exp(x, out=y)`, `x.exp()` and `x.exp_()`, and the same of its aliases: `tensor_ops` binds what the public names
of `ops` declare. Without `@forms` there is the function alone.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from minigrad import backend
from minigrad.autograd.declaration import MISSING
from minigrad.autograd.mode import mode, no_grad
from minigrad.autograd.node import wants_grad
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable
from minigrad.ops.inplace import OVERLAP, check_memory, check_writable, in_place_view, write
from minigrad.ops.inplace import in_place as in_place_twin

__all__: list[str] = []

F = TypeVar("F", bound=Callable[..., Any])
OUT = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)
NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}  # which torch's compiled functions take as well


class Forms(NamedTuple):
    """What `forms` declared of a function: what to bind as a method, and whether or how to make the in-place twin."""

    method: Callable[..., Any] | None
    in_place: bool | str


def forms(*, method: bool = True, in_place: bool | str = False, out: bool | str = True) -> Callable[[F], F]:
    """Declare in which other forms torch offers a function.

    method    as a method of its first parameter
    in_place  as a method that writes into the tensor, with an underscore; for a view, torch's name for the twin's node
    out       with the parameter `out`, a tensor for the result or a tuple of them; the result is cast to its dtype,
              unless `out` is "exact": then the dtypes must be equal; if "apart", it must share no memory either

    What takes `dim` or `keepdim` takes NumPy's `axis` and `keepdims` for them.
    """

    def declare(function: F) -> F:
        bound: Any = function
        given: Any = function
        signature = inspect.signature(function)
        if {*NUMPY_NAMES.values()} & {*signature.parameters}:
            bound = given = _taking_numpy_names(function, signature, out)
        elif out:
            given = _taking_out(function, out)
        given.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *[OUT] * bool(out)])
        given.forms = Forms(bound if method else None, in_place)
        return given

    return declare


def bind(to: type, name: str, function: Any) -> None:
    """Make of a function, under the public `name`, the methods of the class that its `forms` declare."""
    declared = getattr(function, "forms", None)
    if declared is None or declared.method is None or name in vars(to):
        return
    setattr(to, name, declared.method)
    twin = f"{name}_"
    if declared.in_place is True:
        setattr(to, twin, in_place_twin(declared.method, twin))
    elif declared.in_place:
        setattr(to, twin, in_place_view(declared.method, twin, declared.in_place))


def _taking_numpy_names(function: Any, signature: inspect.Signature, out: bool | str) -> Any:
    """The function, with a look at NumPy's names and at `out`.

    An op's recorder learns it. In front of any other goes one, written out with the function's parameters, so that an
    ordinary call packs nothing. A required parameter may be missing there, as it may come by its other name.
    """
    by_other_names = functools.partial(_by_other_names, signature, declared=out)
    if (declaration := getattr(function, "declaration", None)) is not None:
        declaration.by_other_names = by_other_names
        return function
    text, defaults = _front(function.__name__, signature)
    namespace = {"function": function, "by_other_names": by_other_names, "MISSING": MISSING, **defaults}
    written: dict[str, Any] = {}
    exec(text, namespace | {"__name__": function.__module__}, written)
    return functools.wraps(function)(written[function.__name__])


def _front(name: str, signature: inspect.Signature) -> tuple[str, dict[str, Any]]:
    """The text of a function that calls `function` or `by_other_names`, and the defaults that it names."""
    first, *rest = signature.parameters.values()
    head, arguments, star = [first.name], [first.name], False
    for p in rest:
        if p.kind is p.KEYWORD_ONLY and not star:
            head, star = [*head, "*"], True
        head.append(f"{p.name}=default_{p.name}")
        arguments.append(f"{p.name}={p.name}" if star else p.name)
    missing = ["others", *(f"{p.name} is MISSING" for p in rest if p.default is p.empty)]
    given = ", ".join(f"'{p}': {p}" for p in signature.parameters)
    text = (
        f"def {name}({', '.join(head)}, **others):\n"
        f"    if {' or '.join(missing)}:\n"
        f"        return by_other_names(function, {{{given}}}, others)\n"
        f"    return function({', '.join(arguments)})\n"
    )
    return text, {f"default_{p.name}": MISSING if p.default is p.empty else p.default for p in rest}


def _by_other_names(
    signature: inspect.Signature,
    function: Any,
    given: dict[str, Any],
    others: dict[str, Any],
    *,
    declared: bool | str,
) -> Any:
    """Call `function` with what was `given`, with what `others` name otherwise, and write the result to their `out`."""
    out = others.pop("out", None) if declared else None
    for theirs, name in NUMPY_NAMES.items():
        default = signature.parameters[name].default if name in given else None
        if theirs in others and (given.get(name) is MISSING or given.get(name) is default):
            given[name] = others.pop(theirs)
    given = {name: value for name, value in given.items() if value is not MISSING} | others
    try:
        signature.bind(**given)
    except TypeError as error:
        raise TypeError(f"{function.__name__}() {error}") from None
    return function(**given) if out is None else write_out(out, function, (), given, declared=declared)


def _taking_out(function: Any, declared: bool | str) -> Any:
    """The function with the parameter `out`: an op's recorder learns it, any other is called by one that knows it."""
    if (declaration := getattr(function, "declaration", None)) is not None:
        declaration.write_out = functools.partial(write_out, declared=declared)
        return function

    @functools.wraps(function)
    def with_out(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        return write_out(out, function, args, kwargs, declared=declared)

    return with_out


def write_out(out: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, declared: bool | str) -> Any:
    """Call `function` and write what it returns to `out`, which is returned; nothing is recorded.

    RuntimeError if a gradient is wanted, or a result does not fit its tensor as `forms` declared it.
    """
    name = function.__name__
    several = isinstance(out, (tuple, list))
    outs = [*out] if several else [out]
    inputs = [v for a in (*args, *kwargs.values()) for v in (a if isinstance(a, (tuple, list)) else (a,))]
    inputs = [v for v in inputs if isinstance(v, Variable)]
    for t in outs:
        if not isinstance(t, Variable):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(t).__name__}")
    if mode.grad and any(wants_grad(t) for t in (*inputs, *outs)):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            f"arguments requires grad."
        )
    if declared == "apart" and any(t.counter is v.counter and t.array.size for t in outs for v in inputs):
        raise RuntimeError(OVERLAP)
    with no_grad():
        results = function(*args, **kwargs)
        if several != isinstance(results, tuple):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - out must be "
                f"{'a tuple of tensors, as the results are' if not several else 'a Tensor, as the result is'}"
            )
        for target, result in zip(outs, results if several else (results,), strict=True):
            _write(target, result, name, inputs, exact=declared in ("exact", "apart"))
    if not several:
        return out
    return type(results)(*outs) if hasattr(results, "_fields") else tuple(outs)


def _write(target: Any, result: Any, name: str, inputs: list[Any], *, exact: bool) -> None:
    """Put a result into a tensor, which takes on its shape, with torch's warning if it was not empty."""
    have, need = backend.dtype_of(result.array), backend.dtype_of(target.array)
    if exact and have is not need:
        raise RuntimeError(f"Expected out tensor to have dtype {have.c_name}, but got {need.c_name} instead")
    check_writable(target)
    check_memory(target.array, target, inputs if target.array.shape == result.array.shape else ())
    if target.array.shape != result.array.shape:
        if target.array.size:
            warn(
                f"An output with one or more elements was resized since it had shape {list(target.array.shape)}, which "
                f"does not match the required output shape {list(result.array.shape)}. This behavior is deprecated, "
                f"and in a future PyTorch release outputs will not be resized unless they have zero elements. You can "
                f"explicitly reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0)."
            )
        target.array = backend.module_of(target.array).empty(result.array.shape, target.array.dtype)
    write(target, result, name)
