"""`import torch` that gives minigrad: `minigrad run`, `python -m minigrad.run` and `minigrad.as_torch()`."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import minigrad
from minigrad.cli import main
from minigrad.compat.imports import as_torch
from tests.lockstep import attempt, same

torch_before = sys.modules["torch"]


def script(folder: Path, text: str) -> str:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def run(folder: Path, capsys: pytest.CaptureFixture[str], text: str, *arguments: str) -> str:
    """What the program prints under `minigrad run`."""
    assert main(["run", script(folder, text), *arguments]) == 0
    return capsys.readouterr().out


def test_a_script_sees_torch(tmp_path, capsys):
    out = run(
        tmp_path,
        capsys,
        """
        import sys
        import torch
        import torch.nn as nn, torch.nn.functional as F
        from torch.utils.data import DataLoader, TensorDataset
        from torch.optim.lr_scheduler import StepLR
        from torch.nn.modules.linear import Linear
        import torch.backends.cudnn as cudnn

        torch.backends.cudnn.benchmark = True
        print(sys.argv[1:], __name__, cudnn.benchmark, Linear is nn.Linear)
        print(type(torch.ones(2)), type(nn.Parameter(torch.ones(1))), torch.__version__ >= "2.2", torch.version.cuda)
        print(torch.relu(torch.tensor([-1.0, 2.0])), hasattr(torch, "nonsense"))
        cudnn.benchmark = False
        """,
        "a",
        "--b",
    )
    assert out.splitlines() == [
        "['a', '--b'] __main__ True True",
        "<class 'torch.Tensor'> <class 'torch.nn.parameter.Parameter'> True None",
        "tensor([0., 2.]) False",
    ]
    assert sys.modules["torch"] is torch_before


def test_switches_of_libraries_reach_the_kernels(tmp_path, capsys):
    from minigrad.kernels.gpu import settings

    program = """
        import torch
        import torch.backends.cudnn as cudnn
        before = torch.backends.cudnn.allow_tf32, cudnn.conv.fp32_precision
        cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
        print(before, torch.backends.cudnn.allow_tf32, cudnn.deterministic, cudnn.conv.fp32_precision)
        with torch.backends.cudnn.flags(enabled=False):
            print(cudnn.enabled)
        try:
            cudnn.benchmark = 1
        except RuntimeError as error:
            print(error)
    """
    try:
        assert run(tmp_path, capsys, program).splitlines() == [
            "(True, 'tf32') False True none",
            "False",
            "set_benchmark_cudnn expects a bool, but got int",
        ]
        assert (settings.cudnn_tf32, settings.cudnn_deterministic, settings.cudnn_enabled) == (False, True, True)
    finally:
        settings.cudnn_tf32, settings.cudnn_deterministic = True, False


def test_a_missing_name_fails_on_use_and_not_at_import(tmp_path, capsys):
    out = run(
        tmp_path,
        capsys,
        """
        import torch
        import torch.no.such.module as nsm
        from torch.no import thing
        from torch.nn import NoSuchLayer

        for use in (lambda: thing(1), lambda: NoSuchLayer(2), lambda: thing.part, lambda: thing[0], lambda: list(thing),
                    lambda: isinstance(1, thing), lambda: torch.nonsense, lambda: nsm.f(1)):
            try:
                print("used", use())
            except (NotImplementedError, AttributeError) as error:
                print(type(error).__name__, error)
        try:
            class Layer(NoSuchLayer): pass
        except NotImplementedError as error:
            print(error)
        print(thing)
        """,
    )
    lines = out.splitlines()
    assert not any("used" in line for line in lines)
    assert lines[0] == "NotImplementedError minigrad has no torch.no.thing: this script cannot run on it as it is"
    assert lines[6] == "AttributeError minigrad has no torch.nonsense"
    assert lines[8] == "minigrad has no torch.nn.NoSuchLayer: this script cannot run on it as it is"
    assert lines[9] == "<torch.no.thing, which minigrad does not have>"


def test_the_script_s_own_modules_are_found_and_its_errors_are_its_own(tmp_path, capsys):
    (tmp_path / "helper.py").write_text("import torch\nVALUE = torch.ones(2).sum().item()\n")
    assert run(tmp_path, capsys, "import helper; print(helper.VALUE)") == "2.0\n"
    with pytest.raises(ZeroDivisionError):
        main(["run", script(tmp_path, "import torch\n1 / 0\n")])
    with pytest.raises(SystemExit) as stopped:
        main(["run", script(tmp_path, "import sys\nsys.exit(3)\n")])
    assert stopped.value.code == 3
    assert sys.modules["torch"] is torch_before


def test_a_script_that_is_not_there(tmp_path, capsys):
    assert main(["run", str(tmp_path / "nothing.py")]) == 1
    assert "there is no script" in capsys.readouterr().err


def test_as_a_module_in_a_fresh_process(tmp_path):
    path = script(tmp_path, "import torch, sys\nprint(torch.ones(2), sys.argv[1:], 'minigrad' in sys.modules)\n")
    command = [sys.executable, "-m", "minigrad.run", path, "-x"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "tensor([1., 1.]) ['-x'] True\n"
    assert done.stderr == ""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_that_a_script_starts_run_on_minigrad(tmp_path, method):
    path = script(
        tmp_path,
        f"""
        import sys
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Squares(Dataset):
            def __len__(self):
                return 4
            def __getitem__(self, i):
                assert "minigrad" in sys.modules and type(torch.ones(1)).__module__ == "torch"
                return torch.tensor(float(i)) ** 2

        if __name__ == "__main__":
            loader = DataLoader(Squares(), batch_size=2, num_workers=1, multiprocessing_context="{method}")
            print([batch.tolist() for batch in loader])
        """,
    )
    command = [sys.executable, "-m", "minigrad.run", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[[0.0, 1.0], [4.0, 9.0]]\n"
    assert done.stderr == ""


def test_as_torch_ends_where_it_ends():
    home = minigrad.Tensor.__module__
    with as_torch():
        import torch

        assert torch.Tensor is minigrad.Tensor
        assert torch.nn.Linear is minigrad.nn.Linear
        assert minigrad.Tensor.__module__ == "torch"
    assert sys.modules["torch"] is torch_before
    assert minigrad.Tensor.__module__ == home


def test_every_module_that_scripts_import_can_be_imported():
    names = [
        "accelerator", "amp", "autograd", "autograd.function", "autograd.functional", "backends", "backends.cudnn",
        "compiler", "cuda", "cuda.amp", "distributed", "fft", "func", "hub", "jit", "linalg", "multiprocessing", "nn",
        "nn.functional", "nn.init", "nn.modules", "nn.modules.batchnorm", "nn.modules.module", "nn.parallel",
        "nn.parameter", "nn.utils", "nn.utils.rnn", "onnx", "optim", "optim.lr_scheduler", "random", "serialization",
        "special", "testing", "utils", "utils.checkpoint", "utils.data", "utils.data.dataloader",
        "utils.data.dataset", "utils.data.sampler", "version",
    ]  # fmt: skip

    with as_torch():
        for name in names:
            module = importlib.import_module(f"torch.{name}")
            shown: Any = sys.modules["torch"]
            for part in name.split("."):
                shown = getattr(shown, part)
            assert shown is module
        assert importlib.import_module("torch.backends.cudnn").is_available() is False


# -- what scripts ask of torch beside computing ------------------------------------------------------------------------


def test_default_devices():
    def program(T):
        with T.device("cpu"):
            inside = T.ones(2).device, T.get_default_device()
        T.set_default_device("cpu")
        after = T.zeros(2).device, T.get_default_device()
        T.set_default_device(None)
        return [str(d) for d in (*inside, *after)]

    same(program)


def test_the_default_device_is_where_tensors_are_made():
    from reference import strict_cupy

    with strict_cupy.install():
        minigrad.set_default_device("cuda")
        try:
            made = [minigrad.zeros(2), minigrad.tensor([1.0]), minigrad.as_tensor([1]), minigrad.rand(2)]
            made += [minigrad.arange(3), minigrad.randperm(3), minigrad.eye(2), minigrad.full((2,), 1.0)]
            made += minigrad.nn.Linear(1, 1).parameters()
            assert {t.device.type for t in made} == {"cuda"}
            with minigrad.device("cpu"):
                assert minigrad.zeros(2).device.type == "cpu"
            assert minigrad.zeros(2).device.type == "cuda"
            assert minigrad.from_numpy(minigrad.zeros(2, device="cpu").numpy()).device.type == "cpu"
        finally:
            minigrad.set_default_device(None)


def test_switches_are_accepted_and_remembered():
    def program(T):
        T.set_float32_matmul_precision("high")
        T.use_deterministic_algorithms(True)
        seen = T.get_float32_matmul_precision(), T.are_deterministic_algorithms_enabled()
        T.set_float32_matmul_precision("highest")
        T.use_deterministic_algorithms(False)
        return seen, T.pi, T.e, T.inf, T.newaxis, T.get_num_threads() >= 1

    same(program)


def test_the_precision_of_products_has_two_names():
    def program(T):
        matmul, seen = T.backends.cuda.matmul, [T.backends.cuda.matmul.allow_tf32]
        for precision in ("high", "medium", "highest", "low"):
            seen += [attempt(lambda p=precision: T.set_float32_matmul_precision(p)), matmul.allow_tf32]
            seen += [T.get_float32_matmul_precision(), matmul.fp32_precision == "tf32"]
        for allowed in (True, 1, False):
            seen += [attempt(lambda a=allowed: setattr(matmul, "allow_tf32", a)), matmul.allow_tf32]
            seen += [T.get_float32_matmul_precision(), matmul.fp32_precision == "tf32"]
        return [*seen, attempt(lambda: T.set_float32_matmul_precision(1))]

    same(program)


def test_the_newer_name_of_the_precision_of_products():
    matmul = minigrad.backends.cuda.matmul
    try:
        matmul.fp32_precision = "tf32"
        assert matmul.allow_tf32
        with pytest.raises(RuntimeError, match="Unknown precision: half"):
            matmul.fp32_precision = "half"
    finally:
        matmul.fp32_precision = "ieee"
    assert (matmul.fp32_precision, matmul.allow_tf32) == ("ieee", False)


@pytest.mark.parametrize("threads", [0, "two"])
def test_set_num_threads_refuses(threads):
    same(lambda T: T.set_num_threads(threads))


def test_what_compiles_gives_back_what_it_was_given():
    def function(x):
        return x + 1

    assert minigrad.compile(function) is minigrad.jit.script(function) is function
    assert minigrad.compile(mode="max-autotune")(function) is function
    assert minigrad.jit.ignore(function) is minigrad.compiler.disable(function) is function


def test_safetensors_of_tensors(tmp_path, capsys):
    pytest.importorskip("safetensors")
    program = f"""
        import torch
        from safetensors.torch import load_file, save_file
        save_file({{"w": torch.arange(6.0).reshape(2, 3).T}}, {str(tmp_path / "w.safetensors")!r})
        print(load_file({str(tmp_path / "w.safetensors")!r})["w"].tolist())
    """
    assert run(tmp_path, capsys, program) == "[[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]\n"


def test_mixed_precision_under_its_old_name(tmp_path, capsys):
    program = """
        import warnings
        warnings.simplefilter("ignore")
        import torch
        from torch.cuda.amp import autocast, GradScaler
        with autocast():
            print(torch.cuda.amp.GradScaler(enabled=False).is_enabled(), torch.cuda.memory_allocated())
    """
    assert run(tmp_path, capsys, program) == "False 0\n"


def test_mixed_precision_warns_and_computes_as_ever():
    with pytest.warns(UserWarning, match="Disabling autocast"), minigrad.autocast("cpu"):
        assert (minigrad.ones(2) @ minigrad.ones(2)).dtype is minigrad.float32
    with pytest.warns(UserWarning, match="Disabling"):
        scaler = minigrad.amp.GradScaler("cpu")
    x = minigrad.ones(1, requires_grad=True)
    optimizer = minigrad.optim.SGD([x], lr=0.5)
    scaler.scale((x * 2).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert x.item() == 0.0


def test_accelerators_and_processes():
    def program(T):
        accelerator, dist = (importlib.import_module(f"{T.__name__}.{n}") if T.__name__ == "torch" else getattr(T, n)
                             for n in ("accelerator", "distributed"))  # fmt: skip
        refused = []
        for ask in (accelerator.current_device_index, accelerator.synchronize, dist.get_rank, dist.get_world_size):
            try:
                ask()
            except (RuntimeError, ValueError) as error:
                refused.append((type(error).__name__, str(error)))
        return (
            (accelerator.is_available(), accelerator.current_accelerator(), accelerator.device_count()),
            (dist.is_initialized(), T.backends.mps.is_available(), T.backends.cudnn.version(), refused),
        )

    same(program)


def test_versions_compare_by_their_numbers():
    from minigrad.compat.version import Version

    version = Version("2.13.0+minigrad.0.1.0")
    assert version > "2.2"
    assert version >= (2, 13)
    assert version < "2.14"
    assert version <= "2.13.0"
    assert version.startswith("2.13")
