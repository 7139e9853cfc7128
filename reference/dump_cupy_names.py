"""Record what the installed CuPy offers: `python reference/dump_cupy_names.py > reference/cupy_names.json`.

Needs CuPy and no GPU. Run it once per CuPy release; `strict_cupy` then needs no CuPy. Each public name maps to how it
is made: "(parameters)" for a function or method, "ufunc" (followed by its scatter operation where `ufunc.at` exists),
"numpy" for NumPy's own object, and "attribute", "class", "module" or "value" for the rest.
"""

import inspect
import json
import re
from types import ModuleType
from typing import Any

import cupy
import cupyx
import numpy
from cupy.lib import stride_tricks


def parameters(function: Any) -> str | None:
    """`function`'s parameters as source text, defaults written `None`; None where CuPy does not tell them."""
    try:
        parts = inspect.signature(function).parameters.values()
        bare = [p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else None) for p in parts]
        return str(inspect.Signature(bare))
    except ValueError:  # compiled: the first line of the docstring holds the signature, with C types
        found = re.match(r"[\w.]*\((.*)\)", function.__doc__ or "")
        names = [re.sub(r"^[\w.]+ (?=\w)", "", part.strip()) for part in found[1].split(",")] if found else []
        return f"({', '.join(re.sub('=.*', '=None', name) for name in names)})" if found else None


def kind(name: str, value: Any) -> str:
    """How the public name `name` of a CuPy namespace is made (see the top of this file)."""
    if value is vars(numpy).get(name, object()):
        return "numpy"
    if isinstance(value, cupy.ufunc):
        return f"ufunc {value._scatter_op or ''}".strip()
    if isinstance(value, ModuleType):
        return "module"
    if isinstance(value, type):
        return "class"
    if inspect.isdatadescriptor(value):
        return "attribute"
    return (parameters(value) or "(*args, **kwargs)") if callable(value) else "value"


def names(owner: Any, keep: Any = lambda name: not name.startswith("_")) -> dict[str, str]:
    """Every public name of `owner` and its kind."""
    return {name: kind(name, getattr(owner, name)) for name in dir(owner) if keep(name) and name != "annotations"}


def is_operator(name: str) -> bool:
    """True for a public name, and for a dunder that `object` does not have."""
    return not name.startswith("_") or (name.startswith("__") and not hasattr(object, name))


if __name__ == "__main__":
    print(json.dumps({
        "versions": {"cupy": cupy.__version__, "numpy": numpy.__version__},
        "cupy": names(cupy),
        "cupy.ndarray": names(cupy.ndarray, keep=is_operator),
        "cupy.linalg": names(cupy.linalg),
        "cupy.fft": names(cupy.fft),
        "cupy.random": names(cupy.random),
        "cupy.random.Generator": names(cupy.random.Generator),
        "cupy.lib": names(cupy.lib),
        "cupy.lib.stride_tricks": names(stride_tricks),
        "cupy.cuda": names(cupy.cuda),
        "cupy.cuda.Device": names(cupy.cuda.Device),
        "cupy.cuda.Event": names(cupy.cuda.Event),
        "cupy.cuda.Graph": names(cupy.cuda.Graph),
        "cupy.cuda.MemoryPool": names(cupy.cuda.MemoryPool),
        "cupy.cuda.PinnedMemoryPool": names(cupy.cuda.PinnedMemoryPool),
        "cupy.cuda.Stream": names(cupy.cuda.Stream),
        "cupy.cuda.memory": names(cupy.cuda.memory),
        "cupy.cuda.pinned_memory": names(cupy.cuda.pinned_memory),
        "cupy.cuda.runtime": names(cupy.cuda.runtime),
        "cupyx": names(cupyx),
    }, indent=0))  # fmt: skip
