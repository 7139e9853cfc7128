"""Where the tutorials' text and torch disagree, torch is followed. A test for each place, on both engines.

`reference/tutorials/README.md` tells readers of the tutorials the same.
"""

from __future__ import annotations

import importlib
import math
from types import ModuleType
from typing import Any

import pytest

from reference import schedules

torch = pytest.importorskip("torch")

CONSTRUCTIONS = {
    "SGD": lambda optim, params: optim.SGD(params, lr=0.03),
    "Adadelta": lambda optim, params: optim.Adadelta(params),
    "Adagrad": lambda optim, params: optim.Adagrad(params, lr=0.01),
    "RMSprop": lambda optim, params: optim.RMSprop(params, lr=0.01),
    "Adam": lambda optim, params: optim.Adam(params, lr=0.01, betas=(0.9, 0.999)),
    "AdamW": lambda optim, params: optim.AdamW(params),
}


@pytest.fixture(params=["torch", "minigrad"])
def engine(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def rates(optimizer: Any, scheduler: Any, steps: int, losses: list[float] | None = None) -> list[float]:
    """The learning rate that each of `steps` steps uses; a scheduler given losses watches them."""
    used = []
    for t in range(steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if losses is None:
            scheduler.step()
        else:
            scheduler.step(losses[t])
    return used


def sgd(engine: ModuleType, lr: float) -> Any:
    return engine.optim.SGD([engine.nn.Parameter(engine.zeros(1))], lr=lr)


# -------------------------------------------------------------------------------------------------------- 1: momentum


def test_momentum_keeps_the_rate_out_of_the_velocity(engine: ModuleType) -> None:
    """The text: dw = -eta g + alpha dw_before, with past rates inside dw. torch: v = mu v + g; w -= eta v.

    The same while eta is constant. With unit gradients, alpha = mu = 0.9, two steps at eta = 0.1 and two at 0.01, the
    text arrives at -0.6439: the large early steps go on. torch arrives at -0.3515: the new rate scales all of v.
    """
    etas = [0.1, 0.1, 0.01, 0.01]
    w = engine.nn.Parameter(engine.zeros(1, dtype=engine.float64))
    optimizer = engine.optim.SGD([w], lr=0.1, momentum=0.9)
    text_w = text_dw = 0.0
    for step, eta in enumerate(etas):
        optimizer.param_groups[0]["lr"] = eta
        w.grad = engine.ones(1, dtype=engine.float64)
        optimizer.step()
        text_dw = -eta + 0.9 * text_dw
        text_w += text_dw
        if step == 1:  # eta has not changed yet
            assert w.item() == pytest.approx(text_w, rel=1e-15)
    assert f"{w.item():.4f}" == "-0.3515"
    assert f"{text_w:.4f}" == "-0.6439"


# ----------------------------------------------------------------------------------------------- 2: mean square error


def test_mse_loss_is_twice_the_text_s_half_mean_square(engine: ModuleType) -> None:
    """The text of 003: l = 1/(2n) sum (y - y_hat)^2, with gradient (y_hat - y)/n. nn.MSELoss: 1/n, so twice both."""
    y = engine.tensor([1.0, 2.0, 3.0, 5.0], dtype=engine.float64)
    y_hat = engine.tensor([1.5, 2.0, 1.0, 4.0], dtype=engine.float64, requires_grad=True)
    half = ((y - y_hat) ** 2).sum() / (2 * y.numel())
    half.backward()
    half_grad = y_hat.grad.tolist()
    y_hat.grad = None
    loss = engine.nn.MSELoss()(y_hat, y)
    loss.backward()
    assert half.item() == 0.65625  # (0.25 + 0 + 4 + 1) / 8
    assert loss.item() == 2 * half.item()
    assert half_grad == [0.125, 0.0, -0.5, -0.25]
    assert y_hat.grad.tolist() == [2 * g for g in half_grad]


# ------------------------------------------------------------------------------------------- 3, 4, 5: what is printed


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_an_optimizer_prints_the_settings_of_the_installed_torch(name: str) -> None:
    """The text of 004 shows five settings of SGD; torch has added some since, and prints all."""
    printed = {}
    for module in (torch, importlib.import_module("minigrad")):
        layer = module.nn.Linear(2, 1)
        groups = [{"params": [layer.weight]}, {"params": [layer.bias], "lr": 0.5}]
        printed[module.__name__] = [
            repr(CONSTRUCTIONS[name](module.optim, layer.parameters())),
            repr(CONSTRUCTIONS[name](module.optim, groups)),
        ]
    assert printed["minigrad"] == printed["torch"]


def test_sgd_prints_more_than_the_text_s_five_settings(engine: ModuleType) -> None:
    lines = repr(sgd(engine, 0.03)).splitlines()
    keys = [line.split(":")[0].strip() for line in lines[2:-1]]
    assert keys == sorted(keys)
    assert {"dampening", "lr", "momentum", "nesterov", "weight_decay"} < set(keys)


def test_the_loss_names_its_node_with_a_number(engine: ModuleType) -> None:
    """The text of 001 and 003: grad_fn=<NllLossBackward>. torch has since numbered the overloads: NllLossBackward0."""
    logps = engine.tensor([[-0.5, -1.0]], requires_grad=True)
    loss = engine.nn.NLLLoss()(logps, engine.tensor([1]))
    assert repr(loss) == "tensor(1., grad_fn=<NllLossBackward0>)"


def test_a_parameter_prints_as_a_parameter(engine: ModuleType) -> None:
    """The text of 004 shows `dense.weight` as a bare tensor; that is what `dense.weight.data` prints."""
    dense = engine.nn.Linear(2, 1)
    dense.weight.data = engine.tensor([[1.9999, -3.4005]])
    assert repr(dense.weight.data) == "tensor([[ 1.9999, -3.4005]])"
    assert repr(dense.weight) == "Parameter containing:\ntensor([[ 1.9999, -3.4005]], requires_grad=True)"


# ---------------------------------------------------------------------------------------------------- 6, 7: schedules


def test_piecewise_constant(engine: ModuleType) -> None:
    optimizer = sgd(engine, 1.0)
    scheduler = schedules.piecewise_constant(engine.optim.lr_scheduler, optimizer, [2, 5], [1.0, 0.5, 0.125])
    assert rates(optimizer, scheduler, 7) == [1.0, 1.0, 0.5, 0.5, 0.5, 0.125, 0.125]
    with pytest.raises(ValueError, match="2 milestones part 3 stretches, got 2 factors"):
        schedules.piecewise_constant(engine.optim.lr_scheduler, optimizer, [2, 5], [1.0, 0.5])


def test_exponential_decays_by_e_over_one_training_set(engine: ModuleType) -> None:
    """The text: eta(t) = eta(0) exp(-t / r), r the size of the training set; so t counts steps, and gamma is nearly 1.

    `ExponentialLR(gamma=0.9)` once an epoch is a schedule of the same form with another r.
    """
    r = 500
    optimizer = sgd(engine, 0.1)
    used = rates(optimizer, schedules.exponential(engine.optim.lr_scheduler, optimizer, r), r + 1)
    # ExponentialLR multiplies the rate again at each step, so r roundings add up to at most r eps.
    assert used == pytest.approx([0.1 * math.exp(-t / r) for t in range(r + 1)], rel=r * 2.3e-16)
    assert used[-1] / used[0] == pytest.approx(1 / math.e, rel=r * 2.3e-16)

    optimizer = sgd(engine, 0.1)
    closed_form = engine.optim.lr_scheduler.LambdaLR(optimizer, lambda t: math.exp(-t / r))
    assert rates(optimizer, closed_form, r + 1) == [0.1 * math.exp(-t / r) for t in range(r + 1)]


def test_reciprocal(engine: ModuleType) -> None:
    """eta(0) (1 + t / r)^-c has no class of its own in torch: LambdaLR with the formula."""
    optimizer = sgd(engine, 0.1)
    scheduler = schedules.reciprocal(engine.optim.lr_scheduler, optimizer, r=10, c=0.75)
    assert rates(optimizer, scheduler, 30) == [0.1 * (1 + t / 10) ** -0.75 for t in range(30)]


def test_a_rate_set_by_hand_lasts_under_exponential_and_not_under_reciprocal(engine: ModuleType) -> None:
    """ExponentialLR multiplies the present rate, LambdaLR writes the closed form over it."""

    def rate_after_a_step_from_5(recipe: Any, **constants: float) -> float:
        optimizer = sgd(engine, 0.1)
        scheduler = recipe(engine.optim.lr_scheduler, optimizer, **constants)
        optimizer.param_groups[0]["lr"] = 5.0
        return rates(optimizer, scheduler, 2)[1]

    assert rate_after_a_step_from_5(schedules.exponential, r=10) == 5.0 * math.exp(-1 / 10)
    assert rate_after_a_step_from_5(schedules.reciprocal, r=10, c=1.0) == 0.1 * (1 + 1 / 10) ** -1.0


def test_halving_needs_its_own_factor_and_patience(engine: ModuleType) -> None:
    """The text halves once the validation loss stops improving; torch's defaults cut to a tenth, after ten epochs."""
    losses = [1.0, 0.8, 0.8, 0.7, 0.75, 0.74, 0.6, 0.5]
    optimizer = sgd(engine, 1.0)
    scheduler = schedules.halving(engine.optim.lr_scheduler, optimizer)
    assert rates(optimizer, scheduler, 8, losses) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.125, 0.125]

    optimizer = sgd(engine, 1.0)
    scheduler = engine.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    used = rates(optimizer, scheduler, 14, [1.0] * 14)
    assert used == [1.0] * 12 + [1.0 * 0.1] * 2  # the first loss is the best; the 11th after it is one too many


# ----------------------------------------------------------------------------------------------- 9: a second backward


def test_a_second_backward_is_refused_only_where_values_were_saved_and_freed(engine: ModuleType) -> None:
    """The text: a graph can be walked once. torch refuses only when it comes to a node whose saved values are gone."""
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    saved_nothing = (x + 1).sum()
    saved_nothing.backward()
    saved_nothing.backward()
    assert x.grad.tolist() == [2.0, 2.0]

    x.grad = None
    saved_x = (x**2).sum()
    saved_x.backward(retain_graph=True)
    saved_x.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        saved_x.backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_two_losses_of_one_graph_need_retain_graph_or_a_sum(engine: ModuleType) -> None:
    """The text's two ways, one backward after the other with retain_graph=True or one of the sum, give one gradient."""
    x = engine.tensor([0.5, -1.0], dtype=engine.float64, requires_grad=True)

    def two_losses() -> tuple[Any, Any]:
        hidden = x * x * x
        return hidden.sum(), (hidden * hidden).sum()

    loss1, loss2 = two_losses()
    loss1.backward(retain_graph=True)
    loss2.backward()
    one_by_one = x.grad.tolist()
    x.grad = None
    loss1, loss2 = two_losses()
    (loss1 + loss2).backward()
    assert one_by_one == pytest.approx(x.grad.tolist(), rel=1e-15)
    assert one_by_one == pytest.approx([3 * v**2 + 6 * v**5 for v in (0.5, -1.0)], rel=1e-15)

    loss1, loss2 = two_losses()
    loss1.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        loss2.backward()


# --------------------------------------------------------------------------------------------------- 10: DataParallel


def test_data_parallel_on_one_device_passes_everything_through(engine: ModuleType) -> None:
    """001 wraps a network to spread it over GPUs; with one device the wrapper only adds `module.` to the names."""
    if engine.cuda.device_count() > 1:
        pytest.skip("there are several GPUs here, and DataParallel splits the batch over them")
    device = "cuda" if engine.cuda.is_available() else "cpu"
    model = engine.nn.Linear(3, 2).to(device)
    parallel = engine.nn.DataParallel(model)
    x = engine.ones((4, 3), device=device)
    assert parallel(x).tolist() == model(x).tolist()
    assert parallel.module is model
    assert list(parallel.state_dict()) == ["module.weight", "module.bias"]
    assert repr(parallel) == "DataParallel(\n  (module): Linear(in_features=3, out_features=2, bias=True)\n)"
