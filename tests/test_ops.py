"""The properties that every operation of THE TABLE (reference/cases) must have, most of them asked of torch."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

import minigrad
from reference import strict_cupy
from reference.adapters import MINIGRAD, TORCH, Engine, Trial, is_tensor, to_numpy
from reference.case import Case, Fixed, Sample, Tolerance, torch_at_least
from reference.cases import CASES
from reference.strategies import samples, seeds
from tests.gpu import drawn_as_on_the_gpu

EXAMPLES = settings().max_examples // 3  # a dozen properties meet every op in as many forms again
FLOATS = (np.float64, np.float32)
DTYPES = (np.float32, np.float64, np.int64, np.int32, np.bool_, np.uint8, np.int8, np.int16)
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda a: a,
    "transposed": lambda a: np.asfortranarray(a) if a.ndim else a,
    "sliced": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a,
}


def always_the_same(name: str) -> Callable[[Callable], Callable]:
    """Draw the same examples at each run, so that a red run is the change's doing; the deep profile draws new ones."""
    return (lambda test: test) if EXAMPLES > 100 else seed(zlib.crc32(name.encode()))


def over_the_table(name: str, applies: Callable[[Case], bool] = lambda case: True) -> Callable[[Callable], Callable]:
    """Run a property on drawn samples of every case to which it applies and that is not excused from it."""
    cases = [case for case in CASES if name not in case.skip and applies(case)]

    def decorate(prove: Callable[[Case, st.DataObject], None]) -> Callable:
        @pytest.mark.parametrize("case", cases, ids=str)
        @always_the_same(name)
        @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
        @given(data=st.data())
        def test(case: Case, data: st.DataObject) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # torch's advice to its users, and ours; tested elsewhere
                prove(case, data)

        test.__doc__ = prove.__doc__
        return test

    return decorate


# -- comparing ---------------------------------------------------------------------------------------------------------


def assert_close(ours: Any, theirs: Any, tolerance: Tolerance, what: str, coarsest: Any = np.float64) -> None:
    """Equal type, shape and dtype; equal integers; floats within the tolerance of the coarsest dtype involved."""
    assert (ours is None) == (theirs is None), f"{what}: {ours} here, {theirs} in torch"
    if not isinstance(theirs, np.ndarray):
        assert ours == theirs
        return
    assert ours.dtype == theirs.dtype, f"{what}: dtype {ours.dtype} here, {theirs.dtype} in torch"
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape} here, {theirs.shape} in torch"
    rtol, atol = _limits(tolerance, min(theirs.dtype, np.dtype(coarsest), key=lambda d: d.itemsize), theirs)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=what)


def _limits(tolerance: Tolerance, dtype: np.dtype, values: np.ndarray) -> tuple[float, float]:
    if values.dtype.kind != "f":
        return 0, 0
    if dtype == np.float64:
        return tolerance.float64, tolerance.float64
    if dtype == np.float32:
        return tolerance.float32, 1e-5
    return 5e-3, 5e-3  # torch's kernels compute halves in float32 and round once; here every step rounds, to 1e-3


def assert_same(ours: Trial, theirs: Trial, tolerance: Tolerance, coarsest: Any = np.float64) -> None:
    """Equal outputs, and equal wishes for gradients."""
    assert len(ours.outputs) == len(theirs.outputs)
    for i, (a, b) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
        assert_close(to_numpy(a), to_numpy(b), tolerance, f"output {i}", coarsest)
        if is_tensor(b):
            assert a.requires_grad == b.requires_grad, f"output {i}: requires_grad is {a.requires_grad} here"
            assert isinstance(to_numpy(a), np.ndarray)


def assert_same_gradients(ours: Trial, theirs: Trial, tolerance: Tolerance, rng: np.random.Generator) -> None:
    incoming = theirs.incoming(rng)
    assert_same_arrays(*[attempt(t.gradients, incoming) for t in (ours, theirs)], tolerance, "gradient")


def assert_same_arrays(ours: Any, theirs: Any, tolerance: Tolerance, what: str) -> None:
    """Lists of tensors, or the names of the errors that came instead."""
    if isinstance(theirs, str) or isinstance(ours, str):
        assert ours == theirs, f"{what}: {ours} here, {theirs} in torch"
        return
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert_close(to_numpy(a), to_numpy(b), tolerance, f"{what} {i}")


def attempt(compute: Callable[..., Any], *args: Any) -> Any:
    """What a call returns, or the name of its exception's type."""
    try:
        return compute(*args)
    except Exception as error:
        return type(error).__name__


def bits(array: np.ndarray | None) -> Any:
    """Comparable bit for bit, except that there is one nan."""
    return None if array is None else (array.shape, array.dtype, np.where(np.isnan(array), np.nan, array).tobytes())


# -- changing samples --------------------------------------------------------------------------------------------------


def cast(sample: Sample, dtype: Any) -> Sample:
    """The sample with its float arrays cast to `dtype`, or each to the next dtype if it is an iterator."""
    choose = dtype if callable(dtype) and not isinstance(dtype, type) else lambda: dtype

    def change(value: Any) -> Any:
        array = value.array if isinstance(value, Fixed) else value
        if array.dtype.kind != "f":
            return value
        array = _as_dtype(array, np.dtype(choose()))
        return Fixed(array) if isinstance(value, Fixed) else array

    return sample.map(change)


def _as_dtype(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind != "f":
        array = np.rint(np.nan_to_num(array, posinf=3, neginf=-3))
    return np.asarray(np.abs(array) if dtype.kind == "u" else array, dtype)


def laid_out(sample: Sample, data: st.DataObject) -> Sample:
    """The sample with its arrays' values at other strides."""
    layout = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)), label="layout")]
    return sample.map(lambda v: Fixed(layout(v.array)) if isinstance(v, Fixed) else layout(v))


def frozen(sample: Sample, data: st.DataObject) -> Sample:
    """The sample with some of its float arrays wanting no gradient."""
    mask = data.draw(st.integers(0, 7), label="frozen inputs")
    count = iter(range(64))

    def change(value: Any) -> Any:
        return Fixed(value) if not isinstance(value, Fixed) and mask >> next(count) & 1 else value

    return sample.map(change)


# -- the properties ----------------------------------------------------------------------------------------------------


@over_the_table("values")
def test_values_and_gradients_equal_torchs(case: Case, data: st.DataObject) -> None:
    """Values, shapes, dtypes, and the gradients of whichever inputs want one."""
    sample = frozen(data.draw(samples(case)), data)
    ours, theirs = MINIGRAD.run(case, sample), TORCH.run(case, sample)
    assert_same(ours, theirs, case.tolerance)
    assert_same_gradients(ours, theirs, case.tolerance, np.random.default_rng(data.draw(seeds)))


@over_the_table("float32")
def test_float32_equals_torch(case: Case, data: st.DataObject) -> None:
    sample = cast(data.draw(samples(case)), np.float32)
    ours, theirs = MINIGRAD.run(case, sample), TORCH.run(case, sample)
    assert_same(ours, theirs, case.tolerance, np.float32)
    assert_same_gradients(ours, theirs, case.tolerance, np.random.default_rng(data.draw(seeds)))


@over_the_table("layouts")
def test_non_contiguous_inputs(case: Case, data: st.DataObject) -> None:
    sample = laid_out(data.draw(samples(case)), data)
    assert_same_verdict(case, sample)
    if isinstance(theirs := attempt(TORCH.run, case, sample), Trial):  # `view` refuses some strides
        rng = np.random.default_rng(data.draw(seeds))
        assert_same_gradients(MINIGRAD.run(case, sample), theirs, case.tolerance, rng)


@over_the_table("second_order")
def test_second_order_equals_torch(case: Case, data: st.DataObject) -> None:
    """The gradient of sum(gradient * v), also with respect to the incoming gradient; None counts as zeros."""
    sample, rng = data.draw(samples(case)), np.random.default_rng(data.draw(seeds))
    ours, theirs = MINIGRAD.run(case, sample), TORCH.run(case, sample)
    incoming = theirs.incoming(rng)
    directions = [rng.uniform(-2, 2, x.shape) for x in theirs.inputs]
    ours_theirs = [attempt(t.second_gradients, incoming, directions) for t in (ours, theirs)]
    if not any(isinstance(seconds, str) for seconds in ours_theirs):
        zeros = [np.zeros(t.shape) for t in theirs.inputs + incoming]
        ours_theirs = [[z if g is None else g for g, z in zip(s, zeros)] for s in ours_theirs]
    assert_same_arrays(*ours_theirs, case.tolerance, "second gradient, of inputs and incoming gradients,")


@over_the_table("finite_difference")
def test_gradient_equals_a_finite_difference(case: Case, data: st.DataObject) -> None:
    """sum(g * (f(x + h v) - f(x - h v))) / 2h, made exact to fourth order in h, is sum(gradient * v)."""
    sample, rng = data.draw(samples(case, smooth=True)), np.random.default_rng(data.draw(seeds))
    trial, h = MINIGRAD.run(case, sample), 1e-3
    incoming = trial.incoming(rng)
    directions = [rng.uniform(-1, 1, x.shape) for x in trial.inputs]

    def along(step: float) -> float:
        steps = iter(directions)
        moved = sample.map(
            lambda a: a if isinstance(a, Fixed) or a.dtype.kind != "f" else np.asarray(a + step * next(steps))
        )
        outputs = MINIGRAD.run(case, moved).differentiable()
        with np.errstate(invalid="ignore"):  # outputs that are infinite on purpose
            return sum(float(np.sum(g * to_numpy(out))) for g, out in zip(incoming, outputs, strict=True))

    measured = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    assume(np.isfinite(measured))  # the mean of nothing is nan
    terms = [np.zeros(1) if g is None else to_numpy(g) * v for g, v in zip(trial.gradients(incoming), directions)]
    claimed = sum(float(np.sum(t)) for t in terms)
    scale = 1 + sum(float(np.sum(np.abs(t))) for t in terms)
    assert abs(measured - claimed) <= 1e-7 * scale, f"measured {measured}, claimed {claimed}"


@over_the_table("paths")
def test_plain_and_recorded_backward_agree_bit_for_bit(case: Case, data: st.DataObject) -> None:
    """And nothing is written to: neither the arguments nor the incoming gradients."""
    sample, rng = data.draw(samples(case)), np.random.default_rng(data.draw(seeds))
    plain, recorded = MINIGRAD.run(case, sample), MINIGRAD.run(case, sample)
    incoming = plain.incoming(rng)
    gs = [MINIGRAD.tensor(g) for g in incoming]
    ours = plain.gradients(gs), recorded.gradients(gs, create_graph=True)
    for a, b in zip(*ours, strict=True):
        assert bits(to_numpy(a)) == bits(to_numpy(b))
    for before, after in zip(incoming + sample.arrays(), gs + plain.arguments, strict=True):
        assert bits(to_numpy(after)) == bits(before)


@over_the_table("grad_fn")
def test_grad_fn_is_named_as_in_torch(case: Case, data: st.DataObject) -> None:
    sample = frozen(data.draw(samples(case)), data)
    ours, theirs = MINIGRAD.run(case, sample), TORCH.run(case, sample)
    assert [_grad_fn(t) for t in ours.outputs] == [_grad_fn(t) for t in theirs.outputs]


def _grad_fn(value: Any) -> str | None:
    return value.grad_fn.name().rpartition(":")[2] if is_tensor(value) and value.grad_fn is not None else None


@over_the_table("dtypes")
def test_every_dtype_gets_torchs_verdict(case: Case, data: st.DataObject) -> None:
    """Integers, bools and mixtures: the same values and dtype as torch, or the same kind of error."""
    mixed = data.draw(st.booleans(), label="mixed")
    one = data.draw(st.sampled_from(DTYPES), label="dtype")
    used = [np.dtype(one)]

    def choose() -> Any:
        used.append(np.dtype(data.draw(st.sampled_from(DTYPES)) if mixed else one))
        return used[-1]

    if not is_empty(sample := data.draw(samples(case))):
        assert_same_verdict(case, cast(sample, choose), _coarsest(used))


def _coarsest(dtypes: list[np.dtype]) -> np.dtype:
    return min([d for d in dtypes if d.kind == "f"] + [np.dtype(np.float64)], key=lambda d: d.itemsize)


@over_the_table("half")
def test_half_precision_equals_torch(case: Case, data: st.DataObject) -> None:
    """Where torch's CPU kernels take it: some do not."""
    sample = cast(data.draw(samples(case)), np.float16)
    if isinstance(attempt(TORCH.run, case, sample), Trial):
        assert_same_verdict(case, sample, np.float16)


@over_the_table("verdict")
def test_spoilt_arguments_get_torchs_verdict(case: Case, data: st.DataObject) -> None:
    """A wrong shape, dim, option or number: the same kind of error as torch, or the same values (but see nan)."""
    if is_empty(sample := data.draw(samples(case))):
        return
    sample = spoilt(sample, data)
    theirs = attempt(TORCH.run, case, sample)
    if isinstance(theirs, Trial) and any(v != v for v in sample.options()):
        MINIGRAD.run(case, sample)  # where torch takes nan as an option, which elements it reaches is an accident
    else:
        assert_same_verdict(case, sample)


def spoilt(sample: Sample, data: st.DataObject) -> Sample:
    """The sample with one of its arguments replaced by another of its kind, most often an unfit one."""
    places = [*range(len(sample.args)), *sample.kwargs]
    place = data.draw(st.sampled_from(places), label="spoilt argument")
    args, kwargs = list(sample.args), dict(sample.kwargs)
    holder: Any = args if isinstance(place, int) else kwargs
    holder[place] = _spoil(holder[place], data)
    return Sample(*args, **kwargs)


def _spoil(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, Fixed):
        return Fixed(_spoil(value.array, data))
    if isinstance(value, np.ndarray):
        shape = value.shape
        others = [(2, *shape), (*shape, 2), shape[1:], shape[:-1], tuple(n + 1 for n in shape), ()]
        return np.resize(value, data.draw(st.sampled_from(others), label="other shape"))
    if isinstance(value, (list, tuple)) and value:
        at = data.draw(st.integers(0, len(value) - 1), label="spoilt item")
        return type(value)(_spoil(v, data) if i == at else v for i, v in enumerate(value))
    others = {bool: [not value], int: [-7, 7, 0, -1], float: [-1.0, 0.0, 2.0, float("nan")], str: ["nonsense"]}
    return data.draw(st.sampled_from(others.get(type(value), [value])), label="other value")


def is_empty(sample: Sample) -> bool:
    """Which of two faults of an empty sample torch reports is an accident: there is nothing to look at."""
    return not all(array.size for array in sample.arrays())


def assert_same_verdict(case: Case, sample: Sample, coarsest: Any = np.float64) -> None:
    theirs = attempt(TORCH.run, case, sample)
    if isinstance(theirs, str):
        ours = attempt(MINIGRAD.run, case, sample)
        assert ours == theirs, f"torch raises {theirs} for {sample}; here: {ours}"
    else:
        assert_same(MINIGRAD.run(case, sample), theirs, case.tolerance, coarsest)


# -- methods -----------------------------------------------------------------------------------------------------------


def has_method(suffix: str) -> Callable[[Case], bool]:
    """Whether torch has the case's operation as a method too."""
    return lambda case: case.call is None and hasattr(torch.Tensor, case.op + suffix)


@over_the_table("method", has_method(""))
def test_method_equals_torchs(case: Case, data: st.DataObject) -> None:
    method = replace(case, call=lambda T, x, *args, **kwargs: getattr(x, case.op)(*args, **kwargs))
    assert_same_verdict(method, data.draw(samples(case)))


@over_the_table("in_place", has_method("_"))
def test_in_place_twin_equals_torchs(case: Case, data: st.DataObject) -> None:
    def call(T: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x.clone(), case.op + "_")(*args, **kwargs)

    twin, sample = replace(case, call=call), data.draw(samples(case))
    assert_same_verdict(twin, sample)
    if isinstance(theirs := attempt(TORCH.run, twin, sample), Trial):
        rng = np.random.default_rng(data.draw(seeds))
        assert_same_gradients(MINIGRAD.run(twin, sample), theirs, case.tolerance, rng)


# -- the GPU -----------------------------------------------------------------------------------------------------------


def assert_gpu_equals_cpu(case: Case, data: st.DataObject, gpu: AbstractContextManager) -> None:
    sample, rng = data.draw(samples(case)), np.random.default_rng(data.draw(seeds))
    with drawn_as_on_the_gpu():
        cpu = MINIGRAD.run(case, sample)
    incoming = cpu.incoming(rng)
    with gpu:
        device = Engine(minigrad, "cuda").run(case, sample)
        assert all(t.device.type == "cuda" for t in device.outputs if is_tensor(t))
        values, grads = device.values(), device.gradients(incoming)
        assert all(g is None or g.device.type == "cuda" for g in grads)
        grads = [to_numpy(g) for g in grads]
    for a, b in zip(values + grads, cpu.values() + [to_numpy(g) for g in cpu.gradients(incoming)], strict=True):
        assert_close(a, b, case.tolerance, "GPU against CPU")


@over_the_table("device")
def test_gpu_stand_in_equals_cpu(case: Case, data: st.DataObject) -> None:
    """On the strict stand-in for CuPy: whatever real CuPy would refuse is an error here."""
    assert_gpu_equals_cpu(case, data, strict_cupy.install())


@pytest.mark.gpu
@over_the_table("device")
def test_gpu_equals_cpu(case: Case, data: st.DataObject) -> None:
    assert_gpu_equals_cpu(case, data, nullcontext())


# -- the table itself --------------------------------------------------------------------------------------------------

# Public names that are no operation of their own.
NOT_OPS: dict[str, str] = {}


@pytest.mark.parametrize("module", ["ops", "nn.functional"])
def test_every_public_operation_has_a_case(module: str) -> None:
    tested = {c.op for c in CASES} | {name for c in CASES for name in c.covers} | NOT_OPS.keys()
    if not torch_at_least("2.13"):
        tested |= {"linear_cross_entropy"}  # which has no counterpart before
    assert sorted(set(attrgetter(module)(minigrad).__all__) - tested) == []


def test_cases_are_told_apart() -> None:
    assert len({str(c) for c in CASES}) == len(CASES)
