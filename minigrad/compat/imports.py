"""`import torch` that gives minigrad: an import hook for torch and torchvision, and what they look like from inside.

A module `torch.x.y` shows the names of `minigrad.x.y`, or of `minigrad.compat.x` where minigrad has another use for the
name or none. A name that nobody has can be imported, so that a script that only might use it runs; its use is an error.
"""

from __future__ import annotations

import importlib
import opcode
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NoReturn

from minigrad.compat import version
from minigrad.nn.parameter import Parameter
from minigrad.tensor import Tensor

ROOTS = {"torch": "minigrad", "torchvision": "minigrad.vision"}
VERSIONS = {"torch": version.__version__, "torchvision": version.vision}
ELSEWHERE = {
    "torch.cuda.amp": "minigrad.compat.cuda_amp",
    "torch.autograd.variable": "minigrad.autograd.old_variable",
    "safetensors.torch": "minigrad.safetensors",
}
TORCH_NAMES = {Tensor: "torch", Parameter: "torch.nn.parameter"}  # where torch has these: `print(type(x))` shows it
IMPORT_FROM = opcode.opmap["IMPORT_FROM"]


class Missing:
    """A name of torch's that minigrad does not have: anything done with it is an error."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        name = object.__getattribute__(self, "_name")
        raise NotImplementedError(f"minigrad has no {name}: this script cannot run on it as it is")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # what Python itself asks about
        self._refuse()

    __call__ = __getitem__ = __setattr__ = __iter__ = __enter__ = __mro_entries__ = __instancecheck__ = _refuse

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_name')}, which minigrad does not have>"


class Facade(ModuleType):
    """The module `torch.x`, which shows the public names of `own`, a module or an object with attributes."""

    def __init__(self, name: str, own: Any) -> None:
        super().__init__(name, own.__doc__ if own else f"What torch has under {name} and minigrad does not.")
        self.__path__: list[str] = []  # a package: submodules are looked for by the finder
        self._own = own
        if isinstance(own, ModuleType):
            hidden = ("__name__", "__doc__", "__package__", "__loader__", "__spec__", "__path__", "__file__")
            shown = {key: v for key, v in vars(own).items() if key not in hidden and not isinstance(v, ModuleType)}
            self.__dict__.update(shown)

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        own = self.__dict__.get("_own")
        if _home(full) is not None:
            return importlib.import_module(full)
        if own is not None and hasattr(own, name):
            return getattr(own, name)
        if not name.startswith("__") and _is_importing(sys._getframe(1)):
            return Missing(full)
        raise AttributeError(f"minigrad has no {full}")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__.get("_own")
        if own is None or isinstance(own, ModuleType) or name.startswith("_") or isinstance(value, ModuleType):
            super().__setattr__(name, value)
        else:  # a library's switch
            setattr(own, name, value)


def _is_importing(frame: Any) -> bool:
    """True where `frame` runs `from module import name`, or is importlib's part in that."""
    return frame.f_code.co_name == "_handle_fromlist" or frame.f_code.co_code[frame.f_lasti] == IMPORT_FROM


def _home(name: str) -> str | None:
    """The module of minigrad that has the names of torch's module `name`."""
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    root, _, rest = name.partition(".")
    own = f"{ROOTS[root]}.{rest}" if rest else ROOTS[root]
    if root == "torch" and rest and _exists(f"minigrad.compat.{rest}"):
        return f"minigrad.compat.{rest}"
    return own if _exists(own) else None


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is not there, or is no package
        return False


class Finder(MetaPathFinder, Loader):
    """Finds torch, torchvision and all their submodules in minigrad."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not _is_torchs(fullname):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        home = _home(spec.name)
        parent, _, last = spec.name.rpartition(".")
        above = getattr(sys.modules.get(parent), "_own", None)
        own = getattr(above, last, None) if home is None else importlib.import_module(home)
        module = Facade(spec.name, own)
        if spec.name in VERSIONS:
            module.__version__ = VERSIONS[spec.name]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing left to do."""


class as_torch:
    """A context in which `import torch` and `import torchvision` give minigrad; afterwards what they gave before."""

    def __enter__(self) -> None:
        self.before = {name: sys.modules.pop(name) for name in _imported()}
        self.homes = {cls: cls.__module__ for cls in TORCH_NAMES}
        self.finder = Finder()
        sys.meta_path.insert(0, self.finder)
        for cls, home in TORCH_NAMES.items():
            cls.__module__ = home

    def __exit__(self, *error: object) -> None:
        sys.meta_path.remove(self.finder)
        for name in _imported():
            del sys.modules[name]
        sys.modules.update(self.before)
        for cls, home in self.homes.items():
            cls.__module__ = home


def _imported() -> list[str]:
    """The names under which torch and torchvision, or what stands for them, are imported at present."""
    return [name for name in sys.modules if _is_torchs(name)]


def _is_torchs(name: str) -> bool:
    """True for the name of a module that minigrad stands in for."""
    return name.partition(".")[0] in ROOTS or name in ELSEWHERE
