"""The house rules that a program can check: imports point down, CuPy is known in one place, files stay short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minigrad"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up; a module may import from its own layer and from those below it.
LAYERS = [
    ["version", "files", "formats", "allocator", "size", "printing", "gpu_errors", "gpu_memory"],
    ["backend"],
    ["autograd", "kernels"],
    ["random", "dtypes"],
    ["ops"],
    ["tensor_ops", "tensor_convert", "tensor_rarer", "tensor", "facts", "compiled", "legacy", "cuda", "fft"],
    ["linalg", "masked", "special"],
    ["nn.parameter", "serialization", "safetensors", "optim", "utils"],
    ["nn", "optim.swa_utils", "func", "vision"],
    ["distributions"],
    ["testing"],
    ["compat", "run"],
    ["__init__"],
    ["training", "comparison", "cli", "__main__"],
]


def layer_of(module: str) -> int:
    """The layer of `minigrad.<module>`: that of its longest listed prefix."""
    parts = module.split(".")
    for n in range(len(parts), 0, -1):
        name = ".".join(parts[:n])
        for level, names in enumerate(LAYERS):
            if name in names:
                return level
    raise AssertionError(f"minigrad.{module} has no layer: put it in LAYERS")


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, at any depth in it, `from x import y` counting as x.y where that is a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if is_module(f"{node.module}.{alias.name}")}
    return found


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def type_checking_imports(path: Path) -> set[str]:
    """Imports under `if TYPE_CHECKING:` do not happen when the program runs."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found |= {inner.module or "" for inner in ast.walk(node) if isinstance(inner, ast.ImportFrom)}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    own = layer_of(module)
    for name in imports_of(path) - type_checking_imports(path):
        if name.startswith("minigrad."):
            other = name.removeprefix("minigrad.")
            assert layer_of(other) <= own, f"{module} (layer {own}) imports {other} (layer {layer_of(other)})"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_foreign_imports(path):
    for name in imports_of(path):
        top = name.split(".")[0]
        assert top not in ("torch", "reference", "tests", "benchmarks"), f"{path.name} imports {name}"
        if top in ("cupy", "cupyx"):
            assert path.name == "backend.py", f"{path.name} imports {name}: only backend.py knows CuPy"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 420, "cut the file where its topic changes"


def test_a_wrong_import_would_be_seen(tmp_path):
    path = tmp_path / "low.py"
    path.write_text("from minigrad import tensor\nimport cupy\n")
    assert "minigrad.tensor" in imports_of(path)
    assert layer_of("tensor") > layer_of("backend")
