"""The signatures of torch, as far as Python can read them, and in what a signature of minigrad differs.

torch's own Python functions and classes are asked by `inspect`. Its compiled ones carry no signature: theirs are read
from the stubs that ship in the wheel (`torch/_C/*.pyi`), where one function may have several forms, or else from the
first line of their text, with the names that the function itself tells in an error: the text of many differs.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterable, Iterator
from inspect import Parameter, Signature
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

# A form that names one of these is for kinds of values that minigrad has not (named dims, storages; an output dtype is
# for CUDA alone), or an order of arguments that torch has long deprecated: its stubs call an operand of those `self`.
FOREIGN = re.compile(r"EllipsisType|Storage|DispatchKey|Dimname|\bself: |\bout_dtype\b|\bnames\b")
COMPILED = (type(torch.add), type(torch.Tensor.add))
BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Unreadable:
    """A default that is no literal, and is not compared."""


def forms_of(function: Any) -> list[Signature]:
    """The forms in which torch's `function` can be called; [] if they cannot be read."""
    if not isinstance(function, COMPILED):
        try:
            return [inspect.signature(_chosen(function))]
        except (TypeError, ValueError):
            return []
    method = isinstance(function, type(torch.Tensor.add))
    return (
        _from_refusal(function)
        or stubs()["TensorBase" if method else ""].get(function.__name__)
        or _from_text(function, method)
    )


def _chosen(function: Any) -> Any:
    """What stands behind a function that chooses between two by a flag (`boolean_dispatch`): that of both outputs."""
    code = getattr(function, "__code__", None)
    if code is None or "if_true" not in code.co_freevars:
        return function
    return _chosen(function.__closure__[code.co_freevars.index("if_true")].cell_contents)


@functools.cache
def stubs() -> dict[str, dict[str, list[Signature]]]:
    """The forms of every function (under "") and of every method (under "TensorBase"), by name."""
    found: dict[str, dict[str, list[Signature]]] = {"": {}, "TensorBase": {}}
    for file in ("_VariableFunctions.pyi", "_nn.pyi", "__init__.pyi"):
        for node in ast.parse((Path(torch.__file__).parent / "_C" / file).read_text()).body:
            if isinstance(node, ast.FunctionDef):
                _add(found[""], node)
            elif isinstance(node, ast.ClassDef) and node.name in found:
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef):
                        _add(found[node.name], inner)
    return found


def _add(table: dict[str, list[Signature]], node: ast.FunctionDef) -> None:
    if not FOREIGN.search(ast.unparse(node.args)):
        table.setdefault(node.name, []).append(_signature(node.args))


def _from_refusal(function: Any) -> list[Signature]:
    """The forms that a compiled function of several lists when it refuses a call: `* (Tensor input, *, int n = 1)`.

    A literal default is kept; the words for others are not Python.
    """
    forms = []
    for text in re.findall(r"^ \* \((.*)\)$", _refusal(function), re.MULTILINE):
        arguments = [re.sub(r"^[\w. ]+ (\w+( = .*)?)$", r"\1", part) for part in re.split(r", (?![^(\[]*[)\]])", text)]
        if FOREIGN.search(text) or re.search(r"\bself\b", text):
            continue
        try:
            node = ast.parse(f"lambda {', '.join(arguments)}: 0", mode="eval").body
        except SyntaxError:
            return []
        forms.append(_signature(node.args))  # type: ignore[attr-defined]
    return forms


def _refusal(function: Any) -> str:
    try:
        function(**{"no such parameter": 0})
    except TypeError as error:
        return str(error)
    return ""


def _from_text(function: Any, method: bool) -> list[Signature]:
    """The form in the first line of a compiled function's text: `linalg.norm(input, ord=None, *, out=None) -> ...`."""
    match = re.match(r"\s*[\w.]+\((.*)\) *->", function.__doc__ or "")
    if match is None:
        return []
    try:
        node = ast.parse(f"lambda {'self, ' * method}{match[1]}: 0", mode="eval").body
    except SyntaxError:
        return []
    form = _signature(node.args)  # type: ignore[attr-defined]
    told = re.match(r"\w+\(\) missing \d+ required positional arguments?: (.*)", _refusal(function))
    if told is None:
        return [form]
    names, parameters = re.findall(r'"(\w+)"', told[1]), [*form.parameters.values()]
    renamed = [p.replace(name=name) for p, name in zip(parameters, names, strict=False)]
    return [form.replace(parameters=renamed + parameters[len(names) :])]


def _signature(a: ast.arguments) -> Signature:
    def parameter(arg: ast.arg, kind: Any, default: ast.expr | None) -> Parameter:
        return Parameter(arg.arg, kind, default=Parameter.empty if default is None else _value(default))

    positional = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(positional) - len(a.defaults)) + [*a.defaults]
    parameters = [
        parameter(arg, BY_PLACE[arg not in a.posonlyargs], default)
        for arg, default in zip(positional, defaults, strict=True)
    ]
    if a.vararg:
        parameters.append(Parameter(a.vararg.arg, Parameter.VAR_POSITIONAL))
    parameters += [
        parameter(arg, Parameter.KEYWORD_ONLY, default)
        for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True)
    ]
    return Signature(parameters)


def _value(default: ast.expr) -> Any:
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return Unreadable
    return Unreadable if value is ... else value


# -- the comparison ----------------------------------------------------------------------------------------------------


def differences(ours: Signature, forms: list[Signature], method: bool = False) -> list[str]:
    """What torch's forms allow and ours does not, or the other way round, a phrase each, no phrase twice.

    Every form must be callable with all arguments in their places, with all by name, and with the required ones alone,
    and each argument must arrive under torch's name. `method`: the first parameter is the tensor, whatever its name.
    """
    if method:  # which binds without `out`, though an op, which is its own method, would take it
        ours, forms = _bound(ours), [_bound(form) for form in forms]
    places = [[p.name for p in form.parameters.values() if p.kind in BY_PLACE] for form in forms]
    ambiguous = {name for names in zip_longest(*places) if len({*names}) > 1 for name in names}
    found: dict[str, None] = {}
    for form in forms:
        parameters = [*form.parameters.values()]
        required = [p for p in parameters if p.default is Parameter.empty]
        for way, chosen in (("in place", parameters), ("by name", parameters), ("required", required)):
            if way == "by name" and any(p.kind not in BY_NAME for p in chosen):
                continue
            found |= dict.fromkeys(_refused(ours, chosen, by_name=way == "by name", ambiguous=ambiguous))
    found |= dict.fromkeys(_defaults(ours, forms))
    found |= dict.fromkeys(_additions(ours, forms))
    return list(found)


def _bound(signature: Signature) -> Signature:
    first, *rest = signature.parameters.values()
    rest = [p for p in rest if p.name != "out"]
    return signature.replace(parameters=[first, *rest] if first.kind is Parameter.VAR_POSITIONAL else rest)


def _refused(ours: Signature, parameters: list[Parameter], by_name: bool, ambiguous: set[str]) -> Iterator[str]:
    """Call `ours` with each parameter's name as its value, and see where the values arrive.

    What the forms call by several names in one place, ours may take under one, if it takes the other by name as well.
    """
    places = [] if by_name else [p for p in parameters if p.kind not in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)]
    named = {p.name: p.name for p in parameters if p not in places and p.kind in BY_NAME}
    call = ", ".join([p.name for p in places] + [f"{name}=" for name in named])
    try:
        bound = ours.bind(*[p.name for p in places], **named).arguments
    except TypeError as error:
        yield f"refuses ({call}): {error}"
        return
    for name, value in bound.items():
        if isinstance(value, str) and value != name and not (value in ambiguous and value in ours.parameters):
            yield f"calls `{name}` what torch calls `{value}`"


def _defaults(ours: Signature, forms: list[Signature]) -> Iterator[str]:
    spread = any(p.kind is Parameter.VAR_POSITIONAL for p in ours.parameters.values())  # f(*size) besides f(size=)
    for name, p in ours.parameters.items():
        theirs = [form.parameters[name].default for form in forms if name in form.parameters]
        if p.kind not in BY_NAME or not theirs or len(theirs) < len(forms) or Unreadable in theirs or spread:
            continue  # a parameter that some forms lack has a default that says that it was not given
        if not any(_equal(p.default, default) for default in theirs):
            yield f"has the default {_text(p)}; torch has {' or '.join(_text(p.replace(default=d)) for d in theirs)}"


def _text(p: Parameter) -> str:
    return p.name if p.default is Parameter.empty else f"{p.name}={p.default}"


def _equal(ours: Any, theirs: Any) -> bool:
    """Values as they are; functions and classes, which are different objects on the two engines, by name."""
    names = [getattr(value, "__name__", value) for value in (ours, theirs)]
    if Parameter.empty in (ours, theirs):
        return ours is theirs
    if all(type(name) in (int, float) for name in names):
        return names[0] == names[1]
    return (type(names[0]) is type(names[1]) and names[0] == names[1]) or str(ours) == str(theirs)


def _additions(ours: Signature, forms: list[Signature]) -> Iterator[str]:
    """What ours takes and torch does not."""
    known = {name: p for form in forms for name, p in form.parameters.items()}
    if any(p.kind is Parameter.VAR_KEYWORD for p in known.values()):
        return
    for name, p in ours.parameters.items():
        if p.kind not in BY_NAME:
            continue
        if name not in known:
            yield f"has a parameter of its own, `{name}`"
        elif p.kind in BY_PLACE and all(
            form.parameters[name].kind is Parameter.KEYWORD_ONLY for form in forms if name in form.parameters
        ):
            yield f"takes `{name}` in place; torch by name only"


def public(module: Any) -> Iterable[str]:
    """The names that a module or class shows."""
    return sorted(name for name in getattr(module, "__all__", dir(module)) if not name.startswith("_"))
