"""Steps of optimizers on the GPU: many tensors in a launch, not a bit other than one after the other on
the CPU, and nobody waits."""

from __future__ import annotations

import copy
import io
import pickle
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.kernels.gpu import optimizers as kernels
from minigrad.optim.checks import check_capture
from reference import strict_cupy, strict_kernels
from tests.gpu import needs_emulation

pytestmark = [
    needs_emulation,
    pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True"),  # torch's, of eager steps
]

MANY = [(3,), (kernels.CHUNK + 5,), (7, 9), (), (2 * kernels.CHUNK,), (0,), *[(5,)] * kernels.MOST]
ON_DEVICE = "a tensor of 0.01"
CAPTURABLE = ["Adam", "AdamW", "Adamax", "Adadelta", "RMSprop", "Rprop", "NAdam", "RAdam", "ASGD"]


@contextmanager
def launches_counted():
    """A list that gets the name of every kernel launched."""
    launched: list[str] = []
    plain = strict_kernels.RawKernel.__call__

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        launched.append(self.name)
        return plain(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_kernels.RawKernel, "__call__", noted)
        yield launched


class Run:
    """An optimizer with parameters of these shapes, and gradients drawn for it, the same on every device."""

    def __init__(self, name: str, device: str, shapes: list[Any], dtypes: Any = ("float32",), seed: int = 0, **options):
        self.rng, self.device = np.random.default_rng(seed), device
        self.params = [self.drawn(shape, dtypes[i % len(dtypes)]).requires_grad_() for i, shape in enumerate(shapes)]
        if options.get("lr") is ON_DEVICE:
            options["lr"] = minigrad.tensor(0.01, device=device)
        self.optimizer = getattr(minigrad.optim, name)(self.params, **options)

    def drawn(self, shape: Any, dtype: str) -> Any:
        return minigrad.from_numpy(np.array(self.rng.normal(size=shape), dtype)).to(self.device)

    def step(self, missing: tuple[int, ...] = ()) -> None:
        for i, p in enumerate(self.params):
            g = self.drawn(tuple(p.shape), str(p.dtype)[6:])
            p.grad = None if i in missing else g
        if self.device == "cuda":
            with strict_cupy.forbid_synchronize():
                self.optimizer.step()
        else:
            self.optimizer.step()

    def values(self) -> list[np.ndarray]:
        states = [self.optimizer.state.get(p, {}) for p in self.params]
        tensors = [*self.params, *(state[name] for state in states for name in sorted(state))]
        return [t.detach().cpu().numpy() for t in tensors]


def assert_same(gpu: Run, cpu: Run, rtol: float = 0) -> None:
    for a, b in zip(gpu.values(), cpu.values(), strict=True):
        assert a.shape == b.shape
        if rtol:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max(initial=0))
        else:
            np.testing.assert_array_equal(a, b)


# -- the updates -------------------------------------------------------------------------------------------------------


def options_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    own: dict[str, Any] = {
        "lr": st.floats(1e-4, 1),
        "weight_decay": st.sampled_from([0, 0.01, 0.5]),
        "maximize": st.booleans(),
    }
    if name == "SGD":
        momentum = st.sampled_from([(0, 0, False), (0.9, 0, True), (0.9, 0, False), (0.5, 0.1, False), (0.9, 1, False)])
        return st.fixed_dictionaries({**own, "momentum": momentum}).map(
            lambda o: {**o, **dict(zip(("momentum", "dampening", "nesterov"), o["momentum"], strict=True))}
        )
    if name == "RMSprop":
        # eps: centered takes the root of v - mean^2, which may be a rounding error, then even below 0.
        more = {"alpha": st.sampled_from([0.99, 0.3]), "momentum": st.sampled_from([0, 0.9]), "centered": st.booleans()}
        return st.fixed_dictionaries({**own, **more, "eps": st.floats(1e-3, 0.1)})
    betas = st.tuples(st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.sampled_from([0.5, 0.999]))
    return st.fixed_dictionaries({**own, "betas": betas, "eps": st.floats(1e-3, 0.1), "amsgrad": st.booleans()})


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_kernels_are_the_updates_bit_for_bit(name: str, data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.sampled_from(MANY[:7]), min_size=1, max_size=6))
    dtypes = data.draw(st.lists(st.sampled_from(["float32", "float32", "float64", "float16"]), min_size=1, max_size=3))
    options = data.draw(options_of(name))
    gaps = [data.draw(st.sets(st.integers(0, 6))) for _ in range(4)]
    rates = data.draw(st.lists(st.floats(0, 1), min_size=4, max_size=4))
    with strict_cupy.install():
        gpu, cpu = (Run(name, device, shapes, dtypes, **options) for device in ("cuda", "cpu"))
        for missing, rate in zip(gaps, rates, strict=True):
            for run in (gpu, cpu):
                run.step(tuple(missing))
                run.optimizer.param_groups[0]["lr"] = rate
        assert_same(gpu, cpu)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("SGD", {}, ["sgd"] * 2),
        ("SGD", {"momentum": 0.9}, ["sgd"] * 2),
        ("Adam", {}, ["adam"] * 2),
        ("AdamW", {"fused": True, "amsgrad": True}, ["adam_factors", "adam"] * 2),
        ("Adam", {"capturable": True, "lr": ON_DEVICE}, ["adam_factors", "adam"] * 2),
        ("RMSprop", {"momentum": 0.9, "centered": True}, ["rmsprop"] * 2),
        ("RMSprop", {"capturable": True}, ["count_up", "rmsprop"] * 2),
        ("Adam", {"foreach": False}, []),
        ("Adam", {"fused": False}, []),
        ("Adam", {"fused": False, "foreach": True}, ["adam"] * 2),
    ],
)
def test_launches(name: str, options: dict[str, Any], expected: list[str]) -> None:
    """85 tensors are two launches (an empty one needs none), from the first step on."""
    with strict_cupy.install():
        run = Run(name, "cuda", MANY, **options)
        for _ in range(3):
            with launches_counted() as launched:
                run.step()
            assert launched == expected


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_gradients_as_they_come(name: str) -> None:
    """Not row-major as the parameter is, infinite, in several memory layouts, at addresses with any remainder."""
    with strict_cupy.install():
        gpu, cpu = (Run(name, device, [(6, 4), (4, 6), (1030,), (1030,)]) for device in ("cuda", "cpu"))
        wide = np.random.default_rng(1).normal(size=(3, 2062)).astype("float32")
        wide[1, 4:7] = np.inf, -np.inf, np.nan
        for row in wide:
            for run in (gpu, cpu):
                memory = minigrad.tensor(row, device=run.device)
                a, b, c, d = run.params
                a.grad, b.grad = memory[:24].reshape(4, 6).T, memory[:48].reshape(4, 12)[:, ::2]
                c.grad, d.grad = memory[1:1031], memory[3:2063:2]
                run.optimizer.step()
        assert_same(gpu, cpu)


def test_parameters_may_share_memory_with_each_other_and_with_gradients() -> None:
    with strict_cupy.install():
        gpu, cpu = (Run("SGD", device, [(8,), (8,), (4,)], momentum=0.9) for device in ("cuda", "cpu"))
        for change in ("nothing", "parameters", "nothing", "gradient", "nothing"):
            for run in (gpu, cpu):
                a, b, c = run.params
                shared = a.data_ptr() + 8
                if change == "parameters":
                    c.data = a.data[2:6]
                if change == "gradient":
                    c.data = c.data.clone()
                for p in (a, b, c):
                    p.grad = run.drawn(tuple(p.shape), "float32")
                if change == "gradient":
                    b.grad = a.data
                with launches_counted() as launched:
                    run.optimizer.step()
                assert bool(launched) == (change == "nothing" and run is gpu and c.data_ptr() != shared)
            assert_same(gpu, cpu)


def test_what_is_replaced_between_steps_is_seen() -> None:
    def load_a_copy(run: Run) -> None:
        run.optimizer.load_state_dict(copy.deepcopy(run.optimizer.state_dict()))

    def new_memory(run: Run) -> None:
        run.params[1].data = run.params[1].data * 2
        run.optimizer.state[run.params[0]]["exp_avg"] = run.optimizer.state[run.params[0]]["exp_avg"] * 2

    def other_count(run: Run) -> None:
        run.optimizer.state[run.params[2]]["step"].fill_(7)

    def same_count(run: Run) -> None:
        run.optimizer.state[run.params[1]]["step"] = run.optimizer.state[run.params[0]]["step"]

    def new_group(run: Run) -> None:
        run.params.append(run.drawn((4,), "float32").requires_grad_())
        run.optimizer.add_param_group({"params": run.params[-1:], "lr": 0.5})

    def forget(run: Run) -> None:
        run.optimizer.state.pop(run.params[0])

    with strict_cupy.install():
        for options in ({}, {"fused": True}):
            gpu, cpu = (Run("Adam", device, [(8,), (3, 3), (4,)], **options) for device in ("cuda", "cpu"))
            for change in (load_a_copy, new_memory, other_count, same_count, new_group, forget, load_a_copy):
                for run in (gpu, cpu):
                    run.step()
                    change(run)
                    run.step()
                assert_same(gpu, cpu)


def test_a_class_with_an_update_of_its_own_keeps_it() -> None:
    class Own(minigrad.optim.SGD):
        def update(self, p: Any, g: Any, state: Any, *, lr: float) -> None:
            lr *= 2
            p -= lr * g

    with strict_cupy.install():
        p = minigrad.ones(3, device="cuda", requires_grad=True)
        lr = minigrad.tensor(0.25, device="cuda")
        optimizer = Own([p], lr=lr)
        for _ in range(2):
            p.grad = minigrad.ones(3, device="cuda")
            optimizer.step()
        assert (p.tolist(), lr.item()) == ([0.0] * 3, 0.25)


# -- counted on the device ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CAPTURABLE)
def test_capturable_changes_nothing_and_never_waits(name: str, dtype: str) -> None:
    """The count, the rate and all that is computed from them stay on the GPU."""
    options = {"t0": 1.5} if name == "ASGD" else {}  # so that the mean is one
    with strict_cupy.install():
        gpu, cpu = Run(name, "cuda", MANY[:5], [dtype], capturable=True, **options), Run(name, "cpu", MANY[:5], [dtype])
        cpu.optimizer.param_groups[0].update(options)
        for _ in range(8):
            gpu.step()
            cpu.step()
        steps = [state["step"] for state in gpu.optimizer.state.values()]
        assert {(str(s.dtype), s.device.type, s.item()) for s in steps} == {("torch.float32", "cuda", 8.0)}
        # What torch keeps as a float32 number, such as NAdam's product, is multiplied up in float32.
        assert_same(gpu, cpu, rtol=1e-12 if dtype == "float64" and name not in ("NAdam", "ASGD") else 2e-5)


@pytest.mark.parametrize("name", ["SGD", *CAPTURABLE])
def test_the_rate_may_change_on_the_device(name: str) -> None:
    """By `fill_`, and by a schedule, which fills it too: the same tensor all along, and nobody waits for it."""
    capturable = {} if name == "SGD" else {"capturable": True}
    with strict_cupy.install():
        lr = minigrad.tensor(0.01, device="cuda")
        gpu = Run(name, "cuda", MANY[:3], lr=0.01, **capturable)
        gpu.optimizer.param_groups[0]["lr"] = lr
        cpu = Run(name, "cpu", MANY[:3], lr=lr.item())
        schedules = [minigrad.optim.lr_scheduler.ExponentialLR(run.optimizer, 0.5) for run in (gpu, cpu)]
        gpu.step()
        cpu.step()
        for rate in (0.02, 0.005, None):
            if rate is None:
                with strict_cupy.forbid_synchronize():
                    schedules[0].step()
                schedules[1].step()
            else:
                lr.fill_(rate)
                cpu.optimizer.param_groups[0]["lr"] = rate
            gpu.step()
            cpu.step()
        assert gpu.optimizer.param_groups[0]["lr"] is lr
        assert lr.item() == pytest.approx(0.0025)
        assert_same(gpu, cpu, rtol=2e-5)


@pytest.mark.parametrize("name", CAPTURABLE)
def test_differentiable_steps_with_counts_on_the_device(name: str) -> None:
    def after(device: str, **options: Any) -> list[Any]:
        start = minigrad.linspace(-1, 1, 5).to(device).requires_grad_()
        p = start.clone()
        optimizer = getattr(minigrad.optim, name)([p], differentiable=True, **options)
        for i in range(7):
            p.grad = (i + 1) * minigrad.linspace(1, 2, 5).to(device)
            optimizer.step()
        p.sum().backward()
        return [p.tolist(), start.grad.tolist()]

    with strict_cupy.install():
        np.testing.assert_allclose(after("cuda", capturable=True), after("cpu"), rtol=1e-5)


@pytest.mark.parametrize("name", ["SGD", *CAPTURABLE])
def test_replays_of_a_captured_step_count_and_read_the_rate(name: str) -> None:
    """Clipping and step in a graph, eight times, the rate another one at every replay."""
    capturable = {} if name == "SGD" else {"capturable": True}

    def clip_and_step(run: Run) -> None:
        minigrad.nn.utils.clip_grad_norm_(run.params, 1.0)
        run.optimizer.step()

    def load(run: Run) -> None:
        for p in run.params:
            g = run.drawn(tuple(p.shape), "float32")
            p.grad = g if p.grad is None else p.grad.copy_(g)

    with strict_cupy.install():
        lr = minigrad.tensor(0.01, device="cuda")
        gpu, cpu = Run(name, "cuda", MANY[:3], lr=lr, **capturable), Run(name, "cpu", MANY[:3], lr=lr.item())
        graph = minigrad.cuda.CUDAGraph()
        for i in range(8):
            load(gpu)
            load(cpu)
            if i == 3:
                with minigrad.cuda.graph(graph):
                    clip_and_step(gpu)
            if i >= 3:
                lr.fill_(0.01 * i)
                cpu.optimizer.param_groups[0]["lr"] = 0.01 * i
                graph.replay()
            else:
                clip_and_step(gpu)
            clip_and_step(cpu)
        assert_same(gpu, cpu, rtol=2e-5)


def test_counts_are_where_torch_has_them() -> None:
    with strict_cupy.install():
        for name, options, where in [
            ("Adam", {}, "cpu"),
            ("Adam", {"fused": True}, "cuda"),
            ("Adam", {"capturable": True}, "cuda"),
            ("NAdam", {"capturable": True}, "cuda"),
        ]:
            run = Run(name, "cuda", [(3,)], **options)
            run.step()
            state = run.optimizer.state[run.params[0]]
            assert {v.device.type for key, v in state.items() if key in run.optimizer.numbers} == {where}
        older = run.optimizer.state_dict()
        older["state"][0]["step"] = 3  # as before torch 1.12
        run.optimizer.load_state_dict(older)
        assert run.optimizer.state[run.params[0]]["step"].device.type == "cuda"
        run.optimizer.state[run.params[0]]["step"] = minigrad.tensor(3.0)
        with pytest.raises(AssertionError, match="If capturable=True, params, mu_products and state_steps must be on"):
            run.step()


def test_saved_copied_and_pickled_with_its_counts() -> None:
    with strict_cupy.install():
        run = Run("AdamW", "cuda", MANY[:3], capturable=True)
        run.step()
        file = io.BytesIO()
        minigrad.save(run.optimizer.state_dict(), file)
        file.seek(0)
        again = Run("AdamW", "cuda", MANY[:3], capturable=True)
        again.optimizer.load_state_dict(minigrad.load(file))
        for p, q in zip(again.params, run.params, strict=True):
            p.data = q.data.clone()
        copies = [copy.deepcopy(run.optimizer), pickle.loads(pickle.dumps(run.optimizer)), again.optimizer]
        gradients = [run.drawn(tuple(p.shape), "float32") for p in run.params]
        for optimizer in [run.optimizer, *copies]:
            for p, g in zip(optimizer.param_groups[0]["params"], gradients, strict=True):
                p.grad = g
            optimizer.step()
        for optimizer in copies:
            for p, q in zip(optimizer.param_groups[0]["params"], run.params, strict=True):
                assert p.tolist() == q.tolist()
                assert optimizer.state[p]["step"].device.type == "cuda"
                assert optimizer.state[p]["step"].item() == 2


def test_what_torch_says_of_capturing() -> None:
    p = minigrad.ones(3, requires_grad=True)
    host, device = minigrad.optim.NAdam([p]), minigrad.optim.NAdam([p], capturable=True)
    with pytest.raises(RuntimeError, match=r"of step\(\) for an instance of NAdam but param_groups' capturable is Fal"):
        check_capture(host, capturing=True)
    check_capture(host, capturing=False)
    check_capture(device, capturing=True)
    with pytest.warns(UserWarning, match="capturable=True can impair performance"):
        check_capture(device, capturing=False)
    check_capture(device, capturing=False)  # said once
