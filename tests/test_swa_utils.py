"""optim.swa_utils beside torch's: averaged models, the statistics of their batch norms, and the schedule SWALR."""

from __future__ import annotations

import copy
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from reference import strict_cupy
from tests.lockstep import attempt, same
from tests.test_lr_scheduler import BOTH, Run, optimizer, programs

AVERAGES: dict[str, Any] = {
    "default": lambda S: {},
    "ema": lambda S: {"avg_fn": S.get_ema_avg_fn(0.9)},
    "swa": lambda S: {"avg_fn": S.get_swa_avg_fn()},
    "own": lambda S: {"avg_fn": lambda average, new, n: average * 0.5 + new * (n + 1)},
    "ema of lists": lambda S: {"multi_avg_fn": S.get_ema_multi_avg_fn(0.7)},
    "slow ema of lists": lambda S: {"multi_avg_fn": S.get_ema_multi_avg_fn(0.3)},
    "swa of lists": lambda S: {"multi_avg_fn": S.get_swa_multi_avg_fn()},
}


def mixed_model(T: ModuleType, dtype: str = "float32") -> Any:
    """Parameters of two dtypes, one without a gradient, and buffers: integers, floats, one that is not saved."""
    model = T.nn.Sequential(T.nn.Linear(3, 5), T.nn.BatchNorm1d(5), T.nn.Linear(5, 2, dtype=T.float64))
    model[0].to(getattr(T, dtype))
    model[0].bias.requires_grad_(False)
    model.register_buffer("counts", T.arange(3))
    model.register_buffer("passing", T.ones(2), persistent=False)
    return model


def refill(T: ModuleType, model: Any) -> None:
    """New numbers everywhere, as if training had gone on."""
    for value in [*model.parameters(), *model.buffers()]:
        value.detach().copy_(T.randn(value.shape) * 9)


def averaged(average: str, use_buffers: bool, steps: int, dtype: str = "float32", seed: int = 0) -> Any:
    def program(T: ModuleType) -> Any:
        T.manual_seed(seed)
        model, S = mixed_model(T, dtype), T.optim.swa_utils
        average_model = S.AveragedModel(model, use_buffers=use_buffers, **AVERAGES[average](S))
        for _ in range(steps):
            refill(T, model)
            average_model.update_parameters(model)
        return dict(average_model.state_dict()), list(average_model.buffers()), list(average_model.parameters())

    return program


@pytest.mark.parametrize("average", ["default", "ema", "swa", "own"])
@given(use_buffers=st.booleans(), steps=st.integers(0, 5), seed=st.integers(0, 99))
def test_averages_are_torchs_to_the_bit(average: str, use_buffers: bool, steps: int, seed: int) -> None:
    same(averaged(average, use_buffers, steps, seed=seed), rtol=0)


@pytest.mark.parametrize("average", ["ema of lists", "slow ema of lists", "swa of lists"])
@given(use_buffers=st.booleans(), steps=st.integers(0, 5), seed=st.integers(0, 99))
def test_averages_of_lists_are_torchs_to_rounding(average: str, use_buffers: bool, steps: int, seed: int) -> None:
    """torch's lerp rounds once where NumPy's multiplication and addition round twice."""
    same(averaged(average, use_buffers, steps, seed=seed), rtol=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
def test_averages_of_halves(average: str) -> None:
    """Of numbers up to 20, whose last place is worth 2^-6: torch's lerp rounds to halves once, ours three times."""
    same(averaged(average, use_buffers=False, steps=4, dtype="float16"), rtol=2**-6)


def integers_of_lists(T: ModuleType) -> Any:
    """The functions by themselves, with a number instead of a tensor of averages."""
    S = T.optim.swa_utils
    floats, integers = [T.ones(2), T.zeros(1)], [T.tensor([8, 3])]
    S.get_swa_multi_avg_fn()(floats, [T.full((2,), 4.0), T.ones(1)], 2)
    S.get_ema_multi_avg_fn(0.5)(integers, [T.tensor([1, 4])], 2)
    return floats, integers, attempt(lambda: S.get_swa_multi_avg_fn()([T.tensor([8])], [T.tensor([2])], 1))


def functions(T: ModuleType) -> Any:
    """What they return has no history, whatever they are given."""
    S = T.optim.swa_utils
    p = T.ones(2, requires_grad=True)
    return S.get_ema_avg_fn()(p, p * 2, None), S.get_swa_avg_fn()(p, p * 2, 1), S.get_swa_avg_fn()(p, p, T.tensor(3))


def calls_by_dtype(T: ModuleType) -> Any:
    """A function of lists is called once for each dtype, with what is averaged and the count so far."""
    calls: list[Any] = []
    model = mixed_model(T)
    average = T.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=lambda old, new, n: calls.append((len(old), len(new), n.clone(), str(old[0].dtype)))
    )
    for _ in range(3):
        average.update_parameters(model)
    return sorted(calls, key=lambda call: (int(call[2]), call[3]))


def as_a_module(T: ModuleType) -> Any:
    """It prints, computes, moves, is saved and copied like other modules; the model that it copied is left alone."""
    T.manual_seed(0)
    model = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Tanh())
    average = T.optim.swa_utils.AveragedModel(model, device="cpu", use_buffers=True)
    refill(T, model)
    average.update_parameters(model)
    with T.no_grad():
        model[0].weight.zero_()
    twin = copy.deepcopy(average)
    twin.update_parameters(model)
    fresh = T.optim.swa_utils.AveragedModel(T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Tanh()))
    fresh.load_state_dict(average.state_dict())
    fresh.update_parameters(model)
    seen = [repr(average), average(T.ones(1, 2)), average.use_buffers, average.avg_fn, average.multi_avg_fn]
    return seen, [dict(m.state_dict()) for m in (average, twin, fresh, average.double())]


def trained_average(T: ModuleType) -> Any:
    """Gradients may go through the average too, and it is a leaf all along."""
    T.manual_seed(0)
    model = T.nn.Linear(2, 1)
    average = T.optim.swa_utils.AveragedModel(model)
    for _ in range(3):
        average.update_parameters(model)
        average(T.ones(1, 2)).sum().backward()
    return [(p.grad, p.is_leaf) for p in average.parameters()]


def of_other_dtype(T: ModuleType) -> Any:
    """The average keeps its dtype where the model changes its own."""
    T.manual_seed(0)
    model = T.nn.Linear(3, 2)
    average = T.optim.swa_utils.AveragedModel(model)
    average.update_parameters(model)
    refill(T, model.double())
    average.update_parameters(model)
    return list(average.parameters())


def unlike_model(T: ModuleType) -> Any:
    average = T.optim.swa_utils.AveragedModel(T.nn.Linear(2, 2))
    attempts = [T.nn.Linear(3, 2), T.nn.Sequential(T.nn.Linear(2, 2), T.nn.BatchNorm1d(2))]
    return [attempt(lambda m=m: average.update_parameters(m)) for m in attempts], average.n_averaged


PROGRAMS = [
    integers_of_lists,
    functions,
    calls_by_dtype,
    as_a_module,
    trained_average,
    of_other_dtype,
    unlike_model,
    lambda T: T.optim.swa_utils.get_ema_avg_fn(1.5),
    lambda T: T.optim.swa_utils.get_ema_multi_avg_fn(-0.1),
    lambda T: T.optim.swa_utils.AveragedModel(T.nn.Tanh(), avg_fn=max, multi_avg_fn=max),
    lambda T: repr(T.optim.swa_utils.AveragedModel(5)),  # not asked about until it is used
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_programs(program: Any) -> None:
    same(program)


# -- the statistics of batch norms -------------------------------------------------------------------------------------


def batches(T: ModuleType) -> list[Any]:
    return [T.randn(n, 3) for n in (4, 6, 2)]


def updated(load: Any, **options: Any) -> Any:
    """The statistics and modes that `update_bn` leaves, and those after a step of training."""

    def program(T: ModuleType) -> Any:
        T.manual_seed(0)
        norms = [T.nn.BatchNorm1d(3, momentum=0.3), T.nn.BatchNorm1d(3, momentum=None)]
        model = T.nn.Sequential(*norms, T.nn.BatchNorm1d(3, track_running_stats=False), T.nn.Dropout(0.5))
        model[1].eval()
        model(T.ones(2, 3))
        result = attempt(lambda: T.optim.swa_utils.update_bn(load(T), model, **options))
        after = [(m.training, getattr(m, "momentum", 0)) for m in model.modules()], dict(model.state_dict())
        model(T.randn(5, 3))
        return result, after, dict(model.state_dict())

    return program


LOADERS: dict[str, Any] = {
    "tensors": batches,
    "tuples": lambda T: [(x, 0) for x in batches(T)],
    "lists, moved": lambda T: [[x] for x in batches(T)],
    "nothing": lambda T: [],
    "an iterator": lambda T: iter(batches(T)),
    "a loader": lambda T: T.utils.data.DataLoader(T.utils.data.TensorDataset(T.randn(7, 3)), batch_size=3),
    "dicts": lambda T: [{"x": x} for x in batches(T)],
}


@pytest.mark.parametrize("name", LOADERS)
def test_update_bn(name: str) -> None:
    same(updated(LOADERS[name], **({"device": "cpu"} if "moved" in name else {})))


def without_norms(T: ModuleType) -> Any:
    """Without batch norm the data are not even looked at. Instance norm is none."""
    model = T.nn.Sequential(T.nn.InstanceNorm1d(3, track_running_stats=True), T.nn.Linear(2, 2)).eval()
    T.optim.swa_utils.update_bn((1 // 0 for _ in range(3)), model)
    return model.training, dict(model[0].state_dict())


def of_an_average(T: ModuleType) -> Any:
    """In evaluation mode, by itself and as a part of an averaged model; nothing is recorded."""
    T.manual_seed(0)
    average = T.optim.swa_utils.AveragedModel(T.nn.Sequential(T.nn.Conv2d(1, 2, 2), T.nn.BatchNorm2d(2))).eval()
    seen: list[Any] = []
    average.module.register_forward_hook(lambda module, args, out: seen.append((module.training, out.requires_grad)))
    T.optim.swa_utils.update_bn([T.randn(2, 1, 4, 4) for _ in range(3)], average)
    return seen, average.training, dict(average.state_dict())


@pytest.mark.parametrize("program", [without_norms, of_an_average])
def test_update_bn_of(program: Any) -> None:
    same(program)


def test_on_the_gpu_stand_in() -> None:
    """An average on the GPU of a model on the CPU, and its statistics from batches that are moved there."""

    def computed(device: str) -> Any:
        minigrad.manual_seed(0)
        S, nn = minigrad.optim.swa_utils, minigrad.nn
        model, results = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), []
        for average in AVERAGES:
            copied = S.AveragedModel(model, device, **AVERAGES[average](S))
            for _ in range(3):
                refill(minigrad, model)
                copied.update_parameters(model)
            S.update_bn([minigrad.randn(5, 3) for _ in range(2)], copied, device)
            assert {t.device.type for t in (*copied.parameters(), *copied.buffers())} == {device}
            results += [t.cpu().tolist() for t in copied.state_dict().values()]
        return results

    with strict_cupy.install():
        on_gpu, on_cpu = computed("cuda"), computed("cpu")
    for a, b in zip(on_gpu, on_cpu, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# -- the schedule ------------------------------------------------------------------------------------------------------


@st.composite
def options_of_swalr(draw: Any) -> dict[str, Any]:
    rate = st.sampled_from([0.05, 0.5, 0.0, 1.0])
    return {
        "swa_lr": draw(st.one_of(rate, st.lists(rate, min_size=2, max_size=2))),
        "anneal_epochs": draw(st.integers(0, 6)),
        "anneal_strategy": draw(st.sampled_from(["cos", "linear"])),
    }


def swa_module(lr_scheduler: ModuleType) -> Any:
    return (minigrad if lr_scheduler.__name__.startswith("minigrad") else torch).optim.swa_utils


@given(options=options_of_swalr(), program=programs)
def test_programs_set_torchs_rates_to_the_bit(options: dict[str, Any], program: Any) -> None:
    ours, theirs = (Run(T, lambda S, o: swa_module(S).SWALR(o, **options)) for T in BOTH)
    assert ours.seen() == theirs.seen()
    for action, number in program:
        assert ours.act(action, number) == theirs.act(action, number), action


@given(options=options_of_swalr(), steps=st.integers(1, 8))
def test_rates_in_tensors(options: dict[str, Any], steps: int) -> None:
    ours, theirs = (Run(T, lambda S, o: swa_module(S).SWALR(o, **options), tensor_lr=True) for T in BOTH)
    for _ in range(steps):
        for run in (ours, theirs):
            run.step_optimizer(None)
            run.step_scheduler(0.5)
        mine, his = (run.optimizer.param_groups[0]["lr"].item() for run in (ours, theirs))
        assert math.isclose(mine, his, rel_tol=1e-14, abs_tol=1e-15)


def loaded(T: ModuleType) -> Any:
    """A state says which way of annealing to go on with."""
    S = T.optim.swa_utils
    seen = []
    first, o = S.SWALR(optimizer(T), 0.1, 4, "linear"), optimizer(T)
    second = S.SWALR(o, [0.1, 0.2], 7)
    second.load_state_dict(first.state_dict())
    for _ in range(5):
        o.step()
        second.step()
        seen.append((second.get_last_lr(), second.anneal_func(0.25), [g["swa_lr"] for g in o.param_groups]))
    return seen, second.state_dict()


def after_another(T: ModuleType) -> Any:
    """As in torch's documentation: one schedule first, then this one from where the other has come."""
    o, seen = optimizer(T), []
    first, second = T.optim.lr_scheduler.ExponentialLR(o, 0.9), T.optim.swa_utils.SWALR(o, 0.05, anneal_epochs=3)
    for epoch in range(8):
        o.step()
        (first if epoch < 3 else second).step()
        seen.append([g["lr"] for g in o.param_groups])
    return seen, attempt(second.get_lr)


def resumed(T: ModuleType) -> Any:
    o = optimizer(T)
    failed = attempt(lambda: T.optim.swa_utils.SWALR(o, 0.1, last_epoch=2))
    for group in o.param_groups:
        group["initial_lr"] = 1.0
    scheduler = T.optim.swa_utils.SWALR(o, T.tensor(0.1), last_epoch=2)
    return failed, scheduler.get_last_lr(), scheduler.last_epoch


SCHEDULES = [
    loaded,
    after_another,
    resumed,
    lambda T: T.optim.swa_utils.SWALR(optimizer(T), [0.1]),
    lambda T: T.optim.swa_utils.SWALR(optimizer(T), 0.1, anneal_strategy="log"),
    lambda T: T.optim.swa_utils.SWALR(optimizer(T), 0.1, anneal_epochs=-1),
    lambda T: T.optim.swa_utils.SWALR(optimizer(T), 0.1, anneal_epochs=2.5),
    lambda T: T.optim.swa_utils.SWALR("sgd", 0.1),
    lambda T: T.optim.swa_utils.SWALR(optimizer(T), 0.1).step(3),
]


@pytest.mark.parametrize("program", SCHEDULES, ids=lambda p: p.__name__)
def test_schedules(program: Any) -> None:
    same(program, rtol=1e-15)
