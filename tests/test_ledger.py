"""The parity ledger: that it sees what is wrong, and that what is committed of it still holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import minigrad
from reference.adapters import MINIGRAD, TORCH
from reference.ledger import report, workers
from reference.ledger.compare import difference, nearer
from reference.ledger.entry import Entry, drawn
from reference.ledger.ledger import LEVELS, Row, Settings, Verdict
from reference.ledger.modules import modules
from reference.ledger.operations import operations
from reference.ledger.optimizers import optimizers
from reference.ledger.transport import Unmeasurable, freeze, over, thaw

ENTRIES = {entry.name: entry for entry in operations() + modules() + optimizers()}
COMMITTED = {row.name: row for row in report.read()[0]}
CORE = [entry for entry in ENTRIES.values() if entry.is_core]
LAYERS = [ENTRIES[f"nn.{name}"] for name in ("Linear", "Conv2d", "BatchNorm1d", "Embedding", "GRU", "MSELoss")]
QUICK = Settings(samples=2, seconds=60)


def holds(entry: Entry, settings: Settings) -> None:
    """Whatever the committed row passes, the row measured now passes too."""
    if entry.name not in COMMITTED:
        pytest.skip("the committed ledger was written with another release of torch, which had no such entry")
    row, before = entry.measure(settings), COMMITTED[entry.name]
    for level in LEVELS:
        if before.passes(level):
            assert row.passes(level) or not row.measured(level), f"{level}: {report.remark(row)}"
    assert row.present or not before.present


@pytest.mark.parametrize("entry", CORE + LAYERS, ids=lambda e: e.name)
def test_core_entries_hold(entry):
    holds(entry, QUICK)


@pytest.mark.deep
@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda e: e.name)
def test_every_entry_holds_with_every_sample(entry):
    holds(entry, Settings(seconds=60))


def test_the_core_is_whole_and_the_page_is_that_of_the_rows():
    assert len(CORE) == 150
    rows, versions = report.read()
    assert report.PAGE.read_text() == report.page(rows, versions)
    assert [row.to_json() for row in rows] == [Row.from_json(row.to_json()).to_json() for row in rows]


# -- it sees what is wrong ---------------------------------------------------------------------------------------------

true_exp = minigrad.exp


class Planted(minigrad.autograd.Function):
    """exp with a rule that is right, but cannot be differentiated again."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x.detach()
        return true_exp(x)

    @staticmethod
    def backward(ctx, g):
        return g * true_exp(ctx.x)


def wrong_in_one_sample(x):
    return true_exp(x) + 1e-3 if x.ndim == 0 else true_exp(x)


def right_with_a_wrong_gradient(x):
    y = true_exp(x)
    return y.detach() + 1.001 * (y - y.detach())


def without_history(x):
    return true_exp(x).detach()


def of_another_dtype(x):
    return true_exp(x).double()


def refusing(x):
    raise RuntimeError("not today")


@pytest.mark.parametrize(
    ("mutant", "failing", "text"),
    [
        (wrong_in_one_sample, "forward", "not float64("),
        (of_another_dtype, "forward", "dtype torch.float64, not torch.float32"),
        (refusing, "forward", "RuntimeError: not today"),
        (right_with_a_wrong_gradient, "gradient", "differ"),
        (without_history, "gradient", "not differentiable"),
        (Planted.apply, "second order", "None, not a tensor"),
    ],
)
def test_a_planted_mistake_turns_the_row_red(mutant, failing, text, monkeypatch):
    entry = ENTRIES["exp"]
    assert entry.measure(Settings()).status() == "pass"
    monkeypatch.setattr(minigrad, "exp", mutant)
    row = entry.measure(Settings(verbose=True))
    assert row.status() == failing
    assert text in report.remark(row)
    assert row.details
    steps = list(report.totals([row]))
    assert [report.totals([row])[step][0] for step in steps] == [int(n < steps.index(failing)) for n in range(4)]


def test_one_wrong_sample_is_one_in_the_count(monkeypatch):
    entry = ENTRIES["exp"]
    whole = entry.measure(Settings()).count("forward", "float64")
    monkeypatch.setattr(minigrad, "exp", wrong_in_one_sample)
    row = entry.measure(Settings())
    count = row.count("forward", "float64")
    assert (whole.passed, count.run, count.passed) == (whole.run, whole.run, whole.run - 1)
    assert not row.passes("forward")


def test_a_missing_operation_is_missing(monkeypatch):
    monkeypatch.delattr(minigrad, "exp")
    row = ENTRIES["exp"].measure(Settings())
    assert (row.status(), report.remark(row)) == ("missing", "no exp")
    assert row.count("forward", "float64").passed == 0 < row.count("forward", "float64").run
    assert report.totals([row])["present"] == (0, 1)


@pytest.mark.parametrize("mistake", ["value", "name", "buffer"])
def test_a_mistake_in_a_module_turns_the_row_red(mistake, monkeypatch):
    class Wrong(minigrad.nn.BatchNorm1d):
        def forward(self, x):
            out = super().forward(x)
            if mistake == "buffer":
                self.running_var += 1e-3
            return out + 1e-3 if mistake == "value" else out

        def state_dict(self):
            found = super().state_dict()
            return {f"_{k}": v for k, v in found.items()} if mistake == "name" else found

    entry = ENTRIES["nn.BatchNorm1d"]
    assert entry.measure(QUICK).status() == "pass"
    monkeypatch.setattr(minigrad.nn, "BatchNorm1d", Wrong)
    assert entry.measure(QUICK).status() == "forward"


class WrongSteps(minigrad.optim.Adam):
    def update(self, p, g, state, **options):
        super().update(p, g, state, **options)
        p += 1e-5 * (state["step"] == 8)


class WrongMean(minigrad.optim.Adam):
    def update(self, p, g, state, **options):
        super().update(p, g, state, **options)
        state["exp_avg_sq"] *= 1 + 1e-4 * (state["step"] == 8)  # after it, so that no parameter shows it


class WrongName(minigrad.optim.Adam):
    def state_dict(self):
        found = super().state_dict()
        found["state"] = {i: {f"_{k}": v for k, v in state.items()} for i, state in found["state"].items()}
        return found


@pytest.mark.parametrize("mistake", [WrongSteps, WrongMean, WrongName])
def test_a_mistake_in_an_optimizer_turns_the_row_red(mistake, monkeypatch):
    entry, settings = ENTRIES["optim.Adam"], Settings(samples=2, levels=("forward",))
    assert entry.measure(settings).status() == "pass"
    monkeypatch.setattr(minigrad.optim, "Adam", mistake)
    assert entry.measure(settings).status() == "forward"


@pytest.mark.parametrize("name", ["LBFGS", "Muon", "RAdam"])
def test_optimizers_pass_with_every_configuration(name):
    row = ENTRIES[f"optim.{name}"].measure(Settings())
    assert row.status() == "pass", report.remark(row)
    assert row.passes("errors")


def test_an_optimizers_configurations_for_a_gpu_or_for_sparse_gradients_are_in_no_count():
    counts = [ENTRIES["optim.Adam"].measure(Settings()).count("forward", dtype) for dtype in ("float64", "float32")]
    assert [(c.passed, c.run) for c in counts] == [(c.run, 5) for c in counts]
    assert all(c.unmeasurable == 5 and "capturable" in c.why for c in counts)
    sparse = ENTRIES["optim.SparseAdam"].measure(Settings())
    assert (sparse.status(), report.remark(sparse)) == ("unmeasurable", "sparse")
    assert report.totals([sparse])["present"] == (0, 0)


def test_an_optimizer_that_takes_what_torch_refuses_is_seen(monkeypatch):
    entry, settings = ENTRIES["optim.Adadelta"], Settings(levels=("errors",))
    assert entry.measure(settings).passes("errors")
    monkeypatch.setattr("minigrad.optim.adadelta.check", lambda *args: None)
    row = entry.measure(settings)
    assert row.count("errors", "").failure.startswith("accepted, not ValueError: Invalid rho value")


def test_optimizers_have_a_column_and_a_table_on_the_page():
    rows = [ENTRIES[name].measure(Settings(samples=1)) for name in ("exp", "optim.SGD")]
    lines = report.page(rows, report.versions()).splitlines()
    assert "| | operations | core operations | optimizers |" in lines
    assert "| forward | 1 of 1 | 1 of 1 | 1 of 1 |" in lines
    assert "| gradient | 1 of 1 | 1 of 1 | - |" in lines
    assert lines.index("## Elementwise") < lines.index("## Optimizers")
    assert "| optim.SGD | pass | 2/2 | - | - | 1/1 |  |" in lines


def test_an_error_of_another_type_is_seen(monkeypatch):
    entry = ENTRIES["unbind"]
    assert entry.measure(Settings()).passes("errors")
    monkeypatch.setattr(minigrad, "unbind", refusing)
    row = entry.measure(Settings(levels=("errors",)))
    assert not row.passes("errors")


def test_what_torch_cannot_answer_is_in_no_count():
    row = ENTRIES["fft.fft"].measure(QUICK)
    assert row.status() == "unmeasurable"
    assert row.count("forward", "float64").run == 0 < row.count("forward", "float64").unmeasurable
    assert report.totals([row])["present"] == (0, 0)
    nothing = Row("x", "x", present=True)
    nothing.count("forward", "float64").add(Verdict("complex", unmeasurable=True))
    assert not nothing.passes("forward")


def test_a_sample_that_hangs_fails_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(minigrad, "exp", lambda x: time.sleep(60) if x.ndim == 0 else true_exp(x))
    count = ENTRIES["exp"].measure(Settings(seconds=0.3, dtypes=("float64",))).count("forward", "float64")
    assert count.failure.startswith("TooLong")
    assert 0 < count.passed < count.run


def test_a_process_that_dies_costs_one_row(monkeypatch):
    monkeypatch.setattr(minigrad, "exp", lambda x: os._exit(3))
    rows = dict(workers.measured([ENTRIES[name] for name in ("exp", "tanh", "sin")], QUICK, jobs=1))
    assert [rows[n].status() for n in range(3)] == ["forward", "pass", "pass"]
    assert "exit status 3" in report.remark(rows[0])


def test_a_process_that_hangs_beyond_its_samples_limits_costs_one_row(monkeypatch):
    def deaf(x):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(60)

    monkeypatch.setattr(minigrad, "exp", deaf)
    monkeypatch.setattr(workers, "PATIENCE", 1.0)
    rows = dict(workers.measured([ENTRIES["exp"], ENTRIES["sin"]], QUICK, jobs=1))
    assert [rows[n].status() for n in range(2)] == ["forward", "pass"]
    assert "no answer in 1 s" in report.remark(rows[0])


# -- its parts ---------------------------------------------------------------------------------------------------------


def test_samples_are_the_same_each_time():
    first, second = ([s.input for s in drawn("mul", ENTRIES["mul"].samples("float64"), QUICK)] for _ in range(2))
    assert len(first) == 2
    assert all(torch.equal(a, b) for a, b in zip(first, second))


@pytest.mark.parametrize("engine", [TORCH, MINIGRAD], ids=["torch", "minigrad"])
def test_tensors_travel_with_strides_and_identity(engine):
    x = torch.arange(24.0).reshape(4, 6)[1:, ::2].t().requires_grad_()
    wide = torch.ones(1, 3).expand(2, 3)
    (a, [b, c], options), inputs = thaw(freeze((x, [wide, x], {"dtype": torch.float64, "at": slice(1, None)})), engine)
    assert (a.stride(), b.stride(), a.dtype, b.requires_grad) == ((2, 6), (0, 1), engine.module.float32, False)
    assert a is c
    assert [a is given for given in inputs] == [True]
    assert a.tolist() == x.tolist()
    assert options == {"dtype": engine.module.float64, "at": slice(1, None)}


def test_what_is_no_array_does_not_travel():
    for value in (torch.ones(2).to_sparse(), torch.ones(2, device="meta"), torch.ones(2) * 1j):
        with pytest.raises(Unmeasurable):
            freeze([value])


def test_functions_over_torch_run_on_minigrad():
    def inner(x):
        return torch.exp(x)

    found = over(lambda x: [inner(x) * torch.ones(2), torch.nn.functional.relu(x)], minigrad)(minigrad.zeros(2))
    assert [t.tolist() for t in found] == [[1, 1], [0, 0]]
    assert all(type(t) is minigrad.Tensor for t in found)


def test_compiled_functions_of_torch_travel():
    given = freeze([torch.nn.functional.gelu, torch.sin, len])
    found, _ = thaw(given, MINIGRAD)
    assert found == [minigrad.nn.functional.gelu, minigrad.sin, len]


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        ([1.0, 2.0], [1.0, 2.0], ""),
        ([1.0, 2.0], [1.0, 2.0 + 1e-11], ""),
        ([1.0, 2.0], [1.0, 2.0 + 1e-8], "float64(2.0), not float64(2.00000001) at (1,); 1 of 2 differ"),
        ([float("nan")], [float("nan")], ""),
        ([0.0], [float("nan")], "float64(0.0), not float64(nan) at (0,); 1 of 1 differ"),
        ([float("inf")], [-float("inf")], "float64(inf), not float64(-inf) at (0,); 1 of 1 differ"),
        ([float("nan")], [0.0], "float64(nan), not float64(0.0) at (0,); 1 of 1 differ"),
        ([[1.0]], [1.0], "shape (1, 1), not (1,)"),
        ([1], [1.0], "dtype torch.int64, not torch.float64"),
        ([1, 2], [1, 3], "int64(2), not int64(3) at (1,); 1 of 2 differ"),
    ],
)
def test_differences(ours, theirs, text):
    ours, theirs = minigrad.from_numpy(np.array(ours)), torch.from_numpy(np.array(theirs))
    assert difference((ours, None, 2), (theirs, None, 2)) == (f"[0] {text}" if text else "")
    assert difference(ours, None) == "a tensor, not None"


def test_float32_is_excused_only_where_torch_is_no_nearer_to_float64():
    exact, torchs = torch.zeros(1, dtype=torch.float64), torch.tensor([2e-5])
    assert nearer(minigrad.tensor([0.0]), torchs, exact)
    assert nearer(minigrad.tensor([-2e-5]), torchs, exact)
    assert not nearer(minigrad.tensor([-4e-5]), torchs, exact)
    assert not nearer(minigrad.tensor([0.0]), torchs + 1, exact)  # torch's float32 says nothing here
    assert not nearer(minigrad.tensor([[0.0]]), torchs, exact)


def test_the_databases_leave_torchs_flags_settable():
    torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark


def test_pytorchs_databases_leave_hypothesis_as_it_was():
    program = (
        "import torch; from hypothesis import settings; settings.register_profile('dev', max_examples=7); "
        "settings.load_profile('dev'); import reference.ledger.databases; "
        "print(settings.get_current_profile_name(), settings().max_examples)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "dev 7\n"
