"""minigrad on a GPU beside torch on the same one, in float32 and float64 proper (no TF32): every operation and module
of the tables, optimizers, schedules, checkpoints, training. Without a GPU a few of each are tried on the stand-in for
CuPy, with torch on the CPU, so that the tests themselves are known to run."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad
from benchmarks.workloads import allow_tf32
from reference import strict_cupy
from reference.adapters import Engine, to_numpy
from reference.case import Case
from reference.cases import CASES, dropout, random
from reference.cases.optimizers import MUON, OPTIMIZERS, OptimizerCase
from reference.modules import MODULES
from reference.strategies import Draw, samples, seeds
from tests.test_gpu_steps import DRAWS, NETWORKS
from tests.test_nn_layers import run as run_module

GPU, STAND_IN = "gpu", "stand_in"
# Both engines draw with Philox on a GPU; that the numbers are torch's is asked where random numbers are tested.
RANDOM = {id(case) for module in (dropout, random) for case in module.CASES}
DRAWING = ("rrelu", "dropout", "gumbel", "fractional", "RReLU", "Transformer")  # the last in training alone


UNDRAWN = [case for case in MODULES if not any(name in str(case) for name in ("Dropout", "FractionalMaxPool"))]


@contextmanager
def devices(place: str) -> Iterator[tuple[str, str]]:
    """The devices of minigrad's and of torch's tensors."""
    if place == STAND_IN:
        with strict_cupy.install():
            yield "cuda", "cpu"
        return
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer releases of torch have another switch besides
        for T in (minigrad, torch):
            allow_tf32(T, False)
    yield "cuda", "cuda"


def everywhere(values: Iterable[Any], every: int = 1) -> list[Any]:
    """All of them on a GPU, and one in so many on the stand-in."""
    values = list(values)
    return [pytest.param(GPU, value, id=f"{GPU}-{value}", marks=pytest.mark.gpu) for value in values] + [
        pytest.param(STAND_IN, value, id=f"{STAND_IN}-{value}") for value in values[::every]
    ]


def assert_close(ours: Any, theirs: Any, rtol: float, what: str) -> None:
    """Equal in dtype and shape; floats within `rtol` of the largest, which in float32 and below is its own rounding."""
    a, b = to_numpy(ours), to_numpy(theirs)
    if not isinstance(b, np.ndarray):
        assert a == b, what
        return
    assert (a.dtype, a.shape) == (b.dtype, b.shape), what
    if b.dtype.kind != "f":
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    rtol = max(rtol, {2: 5e-3, 4: 1e-5, 8: 1e-11}[b.dtype.itemsize])  # CUDA's functions, and sums of another order
    scale = np.abs(b[np.isfinite(b)]).max(initial=1)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=what)


# -- the tables --------------------------------------------------------------------------------------------------------


def compared() -> list[Case]:
    """Operations whose results torch's must equal, and that take their device from their arguments."""
    return [
        case
        for case in CASES
        if not {"values", "device"} & case.skip.keys()
        and id(case) not in RANDOM
        and not any(name in str(case) for name in DRAWING)
    ]


@pytest.mark.parametrize(("place", "case"), everywhere(compared(), every=40))
@settings(
    max_examples=5,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
@given(data=st.data())
def test_operations(place: str, case: Case, data: st.DataObject) -> None:
    sample, rng = data.draw(samples(case)), np.random.default_rng(data.draw(seeds))
    with devices(place) as (here, there), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ours, theirs = (Engine(T, device).run(case, sample) for T, device in ((minigrad, here), (torch, there)))
        for i, (a, b) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
            assert_close(a, b, case.tolerance.float64, f"output {i}")
        incoming = theirs.incoming(rng)
        for i, (a, b) in enumerate(zip(ours.gradients(incoming), theirs.gradients(incoming), strict=True)):
            assert (a is None) == (b is None)
            if a is not None:
                assert_close(a, b, case.tolerance.float64, f"gradient {i}")


@pytest.mark.parametrize(("place", "case"), everywhere(UNDRAWN, every=30))
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch's advice on its own kernels
def test_modules(place: str, case: Any, train: bool) -> None:
    train = train and not any(name in str(case) for name in DRAWING)
    with devices(place) as (here, there):
        ours, theirs = run_module(minigrad, case, train, here), run_module(torch, case, train, there)
        for what, a, b in zip(("outputs", "inputs", "parameters", "buffers"), ours, theirs, strict=True):
            pairs = zip(*(list(part.values()) if isinstance(part, dict) else part for part in (a, b)), strict=True)
            for i, (x, y) in enumerate(pairs):
                assert (x is None) == (y is None)
                if x is not None:
                    assert_close(x, y, case.rtol, f"{what} {i}")


# -- optimizers and schedules ------------------------------------------------------------------------------------------


def stepped(T: Any, device: str, case: OptimizerCase, options: dict[str, Any], arrays: Any, schedule: Any) -> Any:
    """Parameters after some steps with given gradients, the state beside them, and the rates."""
    first, gradients = arrays
    params = [T.from_numpy(a.copy()).to(device).requires_grad_() for a in first]
    optimizer, rates = case.make(T, params, **options), []
    scheduler = schedule(T.optim.lr_scheduler, optimizer) if schedule else None
    for step in gradients:
        for p, g in zip(params, step, strict=True):
            p.grad = T.from_numpy(g.copy()).to(device)
        optimizer.step()
        if scheduler:
            scheduler.step()
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return params, optimizer.state_dict()["state"], rates


def drawn_arrays(seed: int, dtype: Any) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Two matrices, and their gradients in four steps."""
    rng = np.random.default_rng(seed)
    shapes = [(3, 5), (40, 30)]
    first, *steps = [[rng.normal(size=shape).astype(dtype) for shape in shapes] for _ in range(5)]
    return first, steps


def assert_same_steps(ours: Any, theirs: Any, rtol: float) -> None:
    for a, b in zip(ours[0], theirs[0], strict=True):
        assert_close(a, b, rtol, "a parameter")
    assert ours[1].keys() == theirs[1].keys()
    for i, state in theirs[1].items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                assert_close(ours[1][i][name], value, rtol, name)
    assert ours[2] == pytest.approx(theirs[2], rel=1e-6)


@pytest.mark.parametrize(("place", "case"), everywhere([*OPTIMIZERS, MUON], every=3))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(
    max_examples=6,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
@given(data=st.data())
def test_optimizers(place: str, case: OptimizerCase, dtype: str, data: st.DataObject) -> None:
    options, arrays = case.draw(Draw(data.draw, smooth=True)), drawn_arrays(data.draw(seeds), dtype)
    with devices(place) as (here, there):
        ours, theirs = (stepped(T, d, case, options, arrays, None) for T, d in ((minigrad, here), (torch, there)))
        # Sums of squares decide by their signs and ratios what Muon and the trust in a step do.
        assert_same_steps(ours, theirs, 2e-2 if case is MUON else 1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adadelta", "ASGD", "Rprop"])
def test_optimizers_that_count_on_the_gpu(name: str) -> None:
    """`capturable=True`, which torch takes on a GPU alone."""
    case = next(c for c in OPTIMIZERS if c.name == name)
    with devices(GPU) as (here, there), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that nothing is captured
        ours, theirs = (
            stepped(T, d, case, {"lr": 0.01, "capturable": True}, drawn_arrays(0, "float32"), None)
            for T, d in ((minigrad, here), (torch, there))
        )
        assert_same_steps(ours, theirs, 1e-5)


SCHEDULES = {
    "StepLR": lambda s, o: s.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [1, 3], 0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda t: 1 / (1 + t)),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 4),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=8),
}


@pytest.mark.parametrize(("place", "name"), everywhere(SCHEDULES))
def test_schedules(place: str, name: str) -> None:
    case = next(c for c in OPTIMIZERS if c.name == "SGD")
    options, arrays = {"lr": 0.1, "momentum": 0.9}, drawn_arrays(0, "float64")
    with devices(place) as (here, there):
        ours, theirs = (
            stepped(T, d, case, options, arrays, SCHEDULES[name]) for T, d in ((minigrad, here), (torch, there))
        )
        assert len(set(theirs[2])) > 1
        assert_same_steps(ours, theirs, 1e-12)


# -- checkpoints and training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "target"), everywhere(["cpu", "cuda"]))
def test_checkpoints_go_both_ways(place: str, target: str) -> None:
    """Saved from the GPU by either, loaded by the other to where `map_location` says."""
    values = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    with devices(place) as (here, there):
        for (T, device), (other, wanted) in (
            ((minigrad, here), (torch, target if there == "cuda" else "cpu")),
            ((torch, there), (minigrad, target)),
        ):
            file = io.BytesIO()
            T.save({"model": {"weight": T.from_numpy(values).to(device)}, "epoch": 3}, file)
            file.seek(0)
            loaded = other.load(file, map_location=wanted)
            assert loaded["epoch"] == 3
            weight = loaded["model"]["weight"]
            assert weight.device.type == wanted
            np.testing.assert_array_equal(to_numpy(weight), values)


def test_a_tensor_saved_on_a_gpu_goes_back_to_it() -> None:
    with strict_cupy.install():
        file = io.BytesIO()
        minigrad.save(minigrad.ones(2, device="cuda"), file)
        file.seek(0)
        assert minigrad.load(file).device.type == "cuda"


@pytest.mark.parametrize(("place", "name"), everywhere([name for name in NETWORKS if name not in DRAWS], every=2))
def test_training(place: str, name: str) -> None:
    """The tutorials' networks from one seed, in float64, where rounding does not grow: the losses of three steps."""
    with devices(place) as (here, there):
        losses = []
        for T, device in ((minigrad, here), (torch, there)):
            T.manual_seed(0)
            training = NETWORKS[name](T, device)
            training.model.double()
            training.x, training.y = (t.double() if t.is_floating_point() else t for t in (training.x, training.y))
            losses.append([float(training().item()) for _ in range(3)])
        assert len(set(losses[1])) == 3
        # ResNet-18's batch norms over two pixels enlarge even this rounding.
        assert losses[0] == pytest.approx(losses[1], rel=1e-6 if name == "ResNet" else 1e-9)


@pytest.mark.parametrize(("place", "mistake"), everywhere(["value", "dtype", "shape"]))
def test_the_comparison_can_fail(place: str, mistake: str) -> None:
    with devices(place) as (here, there):
        ours, theirs = (T.ones(2, dtype=T.float64, device=d) for T, d in ((minigrad, here), (torch, there)))
        assert_close(ours, theirs, 1e-12, "equal")
        wrong = {"value": ours * (1 + 1e-9), "dtype": ours.float(), "shape": ours[None]}[mistake]
        with pytest.raises(AssertionError):
            assert_close(wrong, theirs, 1e-12, mistake)
