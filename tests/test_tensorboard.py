"""SummaryWriter: its files hold what torch's do, message by message, and TensorBoard reads them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorboard")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from tests.lockstep import attempt, same  # noqa: E402


def events(folder):
    """{a file's folder: the events in it, without their times}, and the text of other files."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            continue
        if "tfevents" not in path.name:
            found[name] = path.read_bytes() if path.suffix == ".png" else path.read_text()
            continue
        messages = []
        for raw in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(raw)
            event.wall_time = round(event.wall_time) if event.wall_time < 1e6 else 0
            event.ClearField("source_metadata")  # the name of the writer's package
            if event.summary.value or not event.file_version:
                messages.append(str(event))
        found.setdefault(str(path.parent.relative_to(folder)), []).append(messages)
    return found


def written(tmp_path, program):
    """Hold what `program(T, writer)` writes with minigrad to what it writes with torch."""

    def run(T):
        import importlib
        import shutil

        SummaryWriter = importlib.import_module(f"{T.__name__}.utils.tensorboard").SummaryWriter
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        with SummaryWriter(folder) as writer:
            outcome = program(T, writer)
        return outcome, events(folder)

    return same(run)[1]


def test_numbers(tmp_path):
    def program(T, writer):
        for step in range(3):
            writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_scalar("tensor", T.tensor(2.5, requires_grad=True), T.tensor(7))
        writer.add_scalar("row", T.tensor([[3]]), walltime=12.0)
        writer.add_scalar("array", np.float32(0.1))
        writer.add_scalar("new", 0.1, 1, new_style=True)
        writer.add_scalar("double", 0.1, 1, new_style=True, double_precision=True)
        writer.add_scalars("both/of", {"sin": 0.5, "cos": T.tensor(0.25)}, 3)
        writer.add_scalars("both/of", {"sin": 0.6, "tan": 1}, 4, walltime=5)
        return (
            attempt(lambda: writer.add_scalar("x", T.ones(2))),
            attempt(lambda: writer.add_scalar("x", [1])),
            attempt(lambda: writer.add_scalar("x", None)),
            str(writer.get_logdir()) == str(writer.log_dir),
        )

    found = written(tmp_path, program)
    assert sorted(found) == [".", "both_of_cos", "both_of_sin", "both_of_tan"]
    assert len(found["."][0]) == 8


VALUES = {
    "normal": np.random.default_rng(0).normal(size=300), "zero": [0.0], "large": [1e30, 3.0], "ints": [-2, 0, 0, 5],
    "none": [],
}  # fmt: skip


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_histograms(tmp_path, values):
    def program(T, writer):
        x = np.array(values)
        return [
            attempt(lambda options=options: writer.add_histogram("h", T.from_numpy(x), 1, **options))
            for options in (
                {}, {"bins": "auto"}, {"bins": 7}, {"bins": [0, 1, 2]}, {"max_bins": 10}, {"bins": 12, "max_bins": 5},
                {"bins": "doane", "walltime": 3},
            )
        ]  # fmt: skip

    written(tmp_path, program)


def test_weights_of_a_model_as_histograms(tmp_path):
    def program(T, writer):
        T.manual_seed(0)
        for name, parameter in T.nn.Linear(5, 4).named_parameters():
            writer.add_histogram(name, parameter, 2)

    written(tmp_path, program)


def test_images(tmp_path):
    pytest.importorskip("PIL")
    rng = np.random.default_rng(0)

    def program(T, writer):
        def image(*shape):
            return T.from_numpy(rng.uniform(-0.1, 1.1, shape).astype(np.float32))

        writer.add_image("chw", image(3, 4, 5), 1)
        writer.add_image("one", image(1, 4, 5))
        writer.add_image("hw", image(4, 5), dataformats="HW")
        writer.add_image("hwc", image(4, 5, 3), dataformats="HWC")
        writer.add_image("alpha", image(4, 4, 5))
        writer.add_image("bytes", T.arange(60).reshape(3, 4, 5).to(T.uint8) * 4)
        writer.add_image("array", image(3, 4, 5).numpy())
        writer.add_images("grid", image(11, 3, 4, 5))
        writer.add_images("grey", image(2, 1, 4, 5))
        writer.add_images("nhwc", image(2, 4, 5, 3), dataformats="NHWC")
        return (
            attempt(lambda: writer.add_image("x", image(4, 5))),
            attempt(lambda: writer.add_image("x", image(3, 4, 5), dataformats="CCW")),
            attempt(lambda: writer.add_images("x", image(2, 2, 4, 5))),
        )

    state = rng.bit_generator.state

    def again(T, writer):
        rng.bit_generator.state = state
        return program(T, writer)

    written(tmp_path, again)


def test_figures(tmp_path):
    pytest.importorskip("PIL")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    def program(T, writer):
        figures = [plt.figure(figsize=(2, 1)) for _ in range(3)]
        for figure in figures:
            figure.gca().plot([1, 2, 4])
        writer.add_figure("one", figures[0], 1)
        writer.add_figure("two", figures[1:], close=False)
        left = len(plt.get_fignums())
        plt.close("all")
        return left

    written(tmp_path, program)


def test_texts_and_embeddings(tmp_path):
    pytest.importorskip("PIL")

    def program(T, writer):
        writer.add_text("notes", "**bold** and ü", 3)
        points = T.arange(12.0).reshape(4, 3) / 7
        writer.add_embedding(points)
        writer.add_embedding(points, ["a", "b", "c", 1], T.ones(4, 3, 5, 5) / 3, global_step=5, tag="a/b%c")
        writer.add_embedding(
            points, [["a", 1], ["b", 2], ["c", 3], ["d", 4]], global_step=6, metadata_header=["x", "y"]
        )
        return (
            attempt(lambda: writer.add_embedding(points, ["a"], global_step=7)),
            attempt(lambda: writer.add_embedding(points, None, T.ones(3, 3, 2, 2), global_step=8)),
        )

    found = written(tmp_path, program)
    assert "00005/a%2fb%25c/sprite.png" in found
    assert found["projector_config.pbtxt"].count("tensor_path") == 3


def test_hyper_parameters(tmp_path):
    def program(T, writer):
        values = {"lr": 0.1, "n": 3, "name": "adam", "nesterov": True, "t": T.tensor([0.5]), "none": None}
        writer.add_hparams(
            values, {"hparam/loss": 0.5, "hparam/acc": T.tensor(0.9)}, {"name": ["adam", "sgd"]}, "first", 4
        )
        writer.add_hparams({"lr": 1}, {"m": 1}, {"lr": [1, 2]}, run_name="second")
        return [
            attempt(lambda args=args: writer.add_hparams(*args))
            for args in (
                ([], {}), ({}, []), ({"a": [1]}, {}), ({"a": 1}, {}, {"b": [1]}), ({"a": 1}, {}, {"a": ["x"]}),
                ({"a": 1}, {}, [], "third"), ({"a": 1}, {}, 3),
            )
        ]  # fmt: skip

    found = written(tmp_path, program)
    assert {"first", "second"} <= set(found)


def test_purging_closing_and_going_on(tmp_path):
    def run(T):
        import importlib
        import shutil

        SummaryWriter = importlib.import_module(f"{T.__name__}.utils.tensorboard").SummaryWriter
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        writer = SummaryWriter(str(folder), purge_step=5, filename_suffix=".mine", max_queue=1, flush_secs=1)
        writer.add_scalar("a", 1, 5)
        writer.flush()
        names = [name.endswith(".mine") for name in os.listdir(folder)]
        writer.close()
        writer.close()
        writer.flush()
        writer.add_scalar("a", 2, 6)
        writer.close()
        return names, {key: sorted(map(str, value)) for key, value in events(folder).items()}

    same(run)


def test_the_usual_folder(tmp_path, monkeypatch):
    from minigrad.utils.tensorboard import SummaryWriter

    monkeypatch.chdir(tmp_path)
    SummaryWriter(comment="_lr1").close()
    (name,) = os.listdir("runs")
    assert name.endswith("_lr1")


def test_a_graph_is_refused(tmp_path):
    from minigrad.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer, pytest.raises(NotImplementedError, match="no compiled graph"):
        writer.add_graph(None)


def test_tensorboard_reads_it(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from minigrad.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        for step in range(20):
            writer.add_scalar("loss", step**2, step)
        writer.add_histogram("h", np.arange(5.0))
    read = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in read.Scalars("loss")] == [(step, step**2) for step in range(20)]
    assert read.Histograms("h")[0].histogram_value.num == 5


def test_without_the_package():
    program = (
        "import sys; sys.modules['tensorboard'] = None\n"
        "import minigrad\n"
        "try:\n    import minigrad.utils.tensorboard\n"
        "except ModuleNotFoundError as error: print(str(error).splitlines()[0], error.name)\n"
        "assert 'torch' not in sys.modules\n"
    )
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert done.stdout == "No module named 'tensorboard' tensorboard\n"


def test_torch_is_not_imported(tmp_path):
    program = (
        "import sys, minigrad\nfrom minigrad.utils.tensorboard import SummaryWriter\n"
        f"writer = SummaryWriter({str(tmp_path)!r}); writer.add_scalar('a', minigrad.ones(1)); writer.close()\n"
        "print([name for name in ('torch', 'tensorflow') if name in sys.modules])\n"
    )
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert done.stdout == "[]\n"
