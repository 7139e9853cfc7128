"""Small parameters updated together, beside the loop: not a bit differs, whatever users do between two steps."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.optim
from minigrad.optim import flat
from reference import strict_cupy
from reference.cases.optimizers import OPTIMIZERS, OptimizerCase
from reference.strategies import Draw

over_the_optimizers = pytest.mark.parametrize("case", OPTIMIZERS, ids=str)
over_the_elementwise = pytest.mark.parametrize("case", [c for c in OPTIMIZERS if c.name != "Adafactor"], ids=str)

SHAPES = [(3,), (2, 3), (1,), (2, 1, 4), (), (3,), (6,), (0,), (2, 0)]


def lay_out(array: np.ndarray, how: str) -> np.ndarray:
    """The same numbers, row-major, column-major, or in every other place of a larger array."""
    if how == "gaps" and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return np.asfortranarray(array) if how == "columns" and array.ndim else array.copy()


# -- what users do between steps ---------------------------------------------------------------------------------------

Edit = Callable[[Any, Any, float], None]  # of an optimizer and one of its parameters; a number is drawn for it


def edit(change: Callable[[dict[str, Any], str, float], None]) -> Edit:
    """An edit of the first tensor of a parameter's state, if it has one, that is no number."""

    def do(optimizer: Any, p: Any, x: float) -> None:
        state = optimizer.state.get(p, {})
        for name in [n for n, v in state.items() if n not in optimizer.numbers][:1]:
            change(state, name, x)

    return do


def set_number(optimizer: Any, p: Any, x: float) -> None:
    for name in optimizer.numbers:
        if name in optimizer.state.get(p, ()):
            optimizer.state[p][name].fill_(int(x) % 7 + 1)


def set_number_but_count(optimizer: Any, p: Any, x: float) -> None:
    for name in optimizer.numbers:
        if name != "step" and name in optimizer.state.get(p, ()):
            optimizer.state[p][name].fill_(0.25)


def count_in_double(optimizer: Any, p: Any, x: float) -> None:
    """To where single precision cannot count any more."""
    for state in optimizer.state.values():
        if "step" in state:
            state["step"].fill_(2**24)
    if "step" in optimizer.state.get(p, ()):
        optimizer.state[p]["step"] = optimizer.state[p]["step"].double()


def forget(optimizer: Any, p: Any, x: float) -> None:
    optimizer.state.pop(p, None)


def new_group(optimizer: Any, p: Any, x: float) -> None:
    own = [minigrad.full(shape, x, requires_grad=True) for shape in ((2,), (3,), ())]
    optimizer.add_param_group({"params": own})


def share_memory(optimizer: Any, p: Any, x: float) -> None:
    q = optimizer.param_groups[0]["params"][0]
    if q.shape == p.shape and q.dtype == p.dtype:
        p.data = q.data


def share_part(optimizer: Any, p: Any, x: float) -> None:
    q = optimizer.param_groups[0]["params"][0]
    if q.dtype == p.dtype and 0 < p.numel() <= q.numel() and q.is_contiguous():
        p.data = q.data.view(-1)[: p.numel()].view(p.shape)


def share_step(optimizer: Any, p: Any, x: float) -> None:
    q = optimizer.param_groups[0]["params"][0]
    if "step" in optimizer.state.get(p, ()) and "step" in optimizer.state.get(q, ()):
        optimizer.state[p]["step"] = optimizer.state[q]["step"]


def share_foreign_memory(optimizer: Any, p: Any, x: float) -> None:
    q = optimizer.param_groups[0]["params"][0]
    if q.shape == p.shape and q.dtype == p.dtype and q.is_contiguous() and q.dim() and q.numel():
        p.data = minigrad.from_numpy(np.asarray(memoryview(q.detach().numpy())))


def gradient_of_one_element(optimizer: Any, p: Any, x: float) -> None:
    if p.grad is not None and p.dim() == 1:
        p.grad.data = minigrad.full((1,), x, dtype=p.dtype)


def gradient_is_a_parameter(optimizer: Any, p: Any, x: float) -> None:
    q = optimizer.param_groups[0]["params"][0]
    if q.shape == p.shape and q.dtype == p.dtype and p.grad is not None:
        p.grad = q.data


def set_option(name: str) -> Edit:
    def do(optimizer: Any, p: Any, x: float) -> None:
        for group in optimizer.param_groups:
            if name in group:
                group[name] = abs(x) / 4 if name != "maximize" else x > 0

    return do


def load_a_copy(optimizer: Any, p: Any, x: float) -> None:
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def save_and_load(optimizer: Any, p: Any, x: float) -> None:
    file = io.BytesIO()
    minigrad.save(optimizer.state_dict(), file)
    file.seek(0)
    optimizer.load_state_dict(minigrad.load(file))


def value_is_none(state: dict[str, Any], name: str, x: float) -> None:
    if name == "momentum_buffer" and len(state) == 1:  # SGD's, as older checkpoints have it
        state[name] = None


EDITS: dict[str, Edit] = {
    "nothing": lambda optimizer, p, x: None,
    "write to the state": edit(lambda state, name, x: state[name].fill_(abs(x))),
    "replace a tensor of the state": edit(lambda state, name, x: state.update({name: state[name] * 2})),
    "give a tensor of the state other memory": edit(
        lambda state, name, x: setattr(state[name], "data", state[name] + 1)
    ),
    "lay a tensor of the state out anew": edit(
        lambda state, name, x: state.update({name: minigrad.from_numpy(lay_out(state[name].numpy(), "gaps"))})
    ),
    "add a tensor to the state": edit(lambda state, name, x: state.update(extra=minigrad.tensor([x]))),
    "add a word to the state": edit(lambda state, name, x: state.update(note="x")),
    "None in the state": edit(value_is_none),
    "set the numbers of the state": set_number,
    "set the numbers of the state but the count": set_number_but_count,
    "count in double precision": count_in_double,
    "forget the state of one": forget,
    "forget all state": lambda optimizer, p, x: optimizer.state.clear(),
    "write to a parameter": lambda optimizer, p, x: p.data.fill_(x),
    "give a parameter other memory": lambda optimizer, p, x: setattr(p, "data", p.data * 2),
    "add a group": new_group,
    "drop a parameter": lambda optimizer, p, x: optimizer.state.pop(optimizer.param_groups[0]["params"].pop(), None),
    "turn the order": lambda optimizer, p, x: optimizer.param_groups[0]["params"].reverse(),
    "share memory": share_memory,
    "share part of the memory": share_part,
    "share foreign memory": share_foreign_memory,
    "share the count": share_step,
    "a gradient of one element": gradient_of_one_element,
    "a gradient that is a parameter": gradient_is_a_parameter,
    "load a copy": load_a_copy,
    "save and load": save_and_load,
    **{f"another {name}": set_option(name) for name in ("lr", "momentum", "weight_decay", "maximize")},
}


# -- beside the loop ---------------------------------------------------------------------------------------------------


class Problem:
    """Parameters of a group, hyper-parameters, and for each step the gradients and an edit before it."""

    def __init__(self, case: OptimizerCase, d: Draw) -> None:
        self.case = case
        self.rng = d.rng()
        shapes = SHAPES[:3] if case.name == "Adafactor" else SHAPES
        main = d.one_of(np.float32, np.float64)
        self.params = [
            (d.one_of(*shapes), d.one_of(main, main, main, np.float16, np.float64), d.one_of("rows", "rows", "columns"))
            for _ in range(d.size(2, 6))
        ]
        self.options = case.draw(d) | {"maximize": d.flag(), **({"eps": 0.1} if "eps" in case.draw(d) else {})}
        if case.name == "Adafactor":
            self.options["eps"] = (None, 0.1)
        self.seed = d.size(0, 1000)
        self.steps = [
            (
                d.one_of(*EDITS),
                d.size(0, 5),
                d.number(-3, 3),
                d.size(0, 3) < 3,
                d.one_of("rows", "rows", "columns", "gaps"),
            )
            for _ in range(d.size(3, 7))
        ]

    def run(self, device: str = "cpu", **options: Any) -> list[Any]:
        """Everything there is to see after each step."""
        rng = np.random.default_rng(self.seed)
        params = []
        for shape, dtype, how in self.params:
            array = lay_out(rng.uniform(-3, 3, shape).astype(dtype), how)
            params.append(minigrad.from_numpy(array).to(device).requires_grad_())
        optimizer = self.case.make(minigrad, params, **self.options, **options)
        seen = []
        for name, which, x, everywhere, how in self.steps:
            own = optimizer.param_groups[0]["params"]
            for group in optimizer.param_groups:
                for p in group["params"]:
                    g = lay_out(rng.uniform(-3, 3, tuple(p.shape)).astype(str(p.dtype)[6:]), how)
                    p.grad = minigrad.from_numpy(g).to(device) if everywhere or rng.random() < 0.8 else None
            EDITS[name](optimizer, own[which % len(own)], x) if len(own) > 1 else None
            try:
                optimizer.step()
            except KeyError as error:  # RMSprop begins with momentum or never has it, as in torch
                return [*seen, str(error)]
            seen.append(self.look(optimizer))
        return seen

    @staticmethod
    def look(optimizer: Any) -> list[Any]:
        everything = []
        for group in optimizer.param_groups:
            for p in group["params"]:
                state = optimizer.state.get(p, {})
                everything += [as_bytes(p), p._version, list(state), [as_bytes(v) for v in state.values()]]
        return everything


def as_bytes(value: Any) -> Any:
    if not isinstance(value, minigrad.Tensor):
        return value
    array = np.where(np.isnan(value.detach().cpu().numpy()), np.nan, value.detach().cpu().numpy())  # one kind of nan
    return str(value.dtype), tuple(value.shape), value.stride(), array.tobytes()


def problems(case: OptimizerCase) -> st.SearchStrategy[Problem]:
    @st.composite
    def drawn(draw: Callable[[Any], Any]) -> Problem:
        return Problem(case, Draw(draw, smooth=False))

    return drawn()


@over_the_optimizers
@given(data=st.data())
def test_together_as_one_by_one(case: OptimizerCase, data: st.DataObject) -> None:
    problem = data.draw(problems(case))
    assert problem.run(foreach=True) == problem.run(foreach=False)


@pytest.mark.parametrize("case", [c for c in OPTIMIZERS if c.name in ("SGD", "AdamW", "RMSprop", "NAdam")], ids=str)
@pytest.mark.parametrize("name", EDITS)
def test_every_edit_between_steps_is_seen(case: OptimizerCase, name: str) -> None:
    class Drawn(Draw):
        """No drawing: five parameters alike, and the edit after three steps."""

        def __init__(self) -> None:
            self.smooth = False

        def one_of(self, *values: Any) -> Any:
            return values[0]

        def flag(self) -> bool:
            return False

        def size(self, low: int = 0, high: int = 4) -> int:
            return low

        def number(self, low: float, high: float) -> float:
            return high / 4

        def rng(self) -> Any:
            return np.random.default_rng(0)

    problem = Problem(case, Drawn())
    problem.params = [((2, 3), np.float32, "rows")] * 5 + [((3,), np.float32, "rows")]
    for which in (3, 5):
        plain = ("nothing", 0, 1.0, True, "rows")
        for how in ("rows", "columns"):
            problem.steps = [plain] * 3 + [(name, which, 1.5, True, how)] + [plain] * 3
            assert problem.run(foreach=True) == problem.run(foreach=False)


@over_the_elementwise
@given(data=st.data())
def test_on_the_gpu_stand_in_nothing_waits(case: OptimizerCase, data: st.DataObject) -> None:
    problem = data.draw(problems(case))
    problem.steps = [("nothing", *rest) for _, *rest in problem.steps]
    with strict_cupy.install():
        if case.name == "Adagrad":
            return  # its state is made beside the parameters, on the host
        ours = problem.run("cuda", foreach=True)
    assert ours == problem.run(foreach=False)


@pytest.mark.parametrize("limit", [24, 40])
@given(data=st.data())
def test_bundles_are_cut_where_they_are_full(limit: int, data: st.DataObject) -> None:
    case = next(c for c in OPTIMIZERS if c.name == "Adam")
    problem = data.draw(problems(case))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat, "BUNDLE", limit)
        ours = problem.run(foreach=True)
    assert ours == problem.run(foreach=False)


# -- what goes together ------------------------------------------------------------------------------------------------


class Watched(minigrad.optim.Adam):
    """Notes the sizes that come to its update."""

    elementwise = True
    sizes: list[int]

    def update(
        self, p: Any, g: Any, state: Any, *, lr: Any, betas: Any, eps: Any, weight_decay: Any, amsgrad: Any,
        decoupled_weight_decay: Any, xp: Any,
    ) -> None:  # fmt: skip
        self.sizes.append(p.size)
        p -= lr * g


def sizes_of_a_step(shapes: list[tuple[int, ...]], change: Any = None, steps: int = 3, **options: Any) -> list[int]:
    params = [minigrad.ones(shape, requires_grad=True) for shape in shapes]
    optimizer = Watched(params, **options)
    for i in range(steps):
        optimizer.sizes = []
        for p in params:
            p.grad = minigrad.ones(p.shape)
        if change is not None and i == steps - 1:
            change(optimizer, params)
        optimizer.step()
    return optimizer.sizes


def test_many_small_parameters_are_one_update() -> None:
    assert sizes_of_a_step([(5,)] * 10) == [50]
    assert sizes_of_a_step([(5,)] * 10, foreach=False) == [5] * 10


def test_few_parameters_are_one_update_only_if_asked() -> None:
    assert sizes_of_a_step([(5,), (2, 2)]) == [5, 4]
    assert sizes_of_a_step([(5,), (2, 2)], foreach=True) == [9]


def test_large_parameters_go_one_by_one() -> None:
    large = flat.SMALL // 4 + 1
    assert sizes_of_a_step([(large,), *[(5,)] * 10, (large,)]) == [50, large, large]


def test_the_first_steps_go_one_by_one() -> None:
    assert sizes_of_a_step([(5,)] * 10, steps=1) == [5] * 10
    assert sizes_of_a_step([(5,)] * 10, steps=2) == [50]


def test_what_counts_otherwise_or_shares_memory_goes_one_by_one() -> None:
    def other_count(optimizer: Any, params: list[Any]) -> None:
        optimizer.state[params[0]]["step"] += 1

    def same_memory(optimizer: Any, params: list[Any]) -> None:
        params[0].data = params[1].data

    for change in (other_count, same_memory):
        assert sizes_of_a_step([(5,)] * 10, change) == [5] * 10


def test_a_class_that_is_not_elementwise_goes_one_by_one() -> None:
    class Whole(Watched):
        elementwise = False

    params = [minigrad.ones(2, requires_grad=True) for _ in range(10)]
    optimizer = Whole(params, foreach=True)
    for _ in range(3):
        optimizer.sizes = []
        for p in params:
            p.grad = minigrad.ones(2)
        optimizer.step()
    assert optimizer.sizes == [2] * 10


def test_state_is_saved_without_the_buffers() -> None:
    params = [minigrad.ones(5, requires_grad=True) for _ in range(100)]
    optimizer = minigrad.optim.Adam(params)
    for _ in range(3):
        for p in params:
            p.grad = minigrad.ones(5)
        optimizer.step()
    for saved in (pickle.dumps(optimizer), pickle.dumps(copy.deepcopy(optimizer))):
        again = pickle.loads(saved)
        assert all(v.array.base is None for state in again.state.values() for v in state.values())
        assert len(saved) < 200_000
    assert all(v.array.base is None for state in optimizer.state.values() for v in state.values())
