"""What is no plain container: saved as pickle saves it, read on request only; and attributes that tensors carry."""

import collections
import enum
import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import minigrad
from minigrad.serialization import load, save
from tests.lockstep import attempt, same
from tests.pt_files import by_torch, loaded, saved


class Net(minigrad.nn.Module):
    """A user's model."""

    def __init__(self):
        super().__init__()
        self.body = minigrad.nn.Sequential(minigrad.nn.Linear(3, 4), minigrad.nn.BatchNorm1d(4), minigrad.nn.Dropout())
        self.tied = minigrad.nn.Linear(3, 4)
        self.tied.weight = self.body[0].weight
        self.register_buffer("calls", minigrad.zeros(()))
        self.plain = {"a": 1}

    def forward(self, x):
        return self.body(x) + self.tied(x)


Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __eq__(self, other):
        return (self.a, self.b) == (other.a, other.b)


class Stateful:
    def __init__(self, n):
        self.n = n

    def __getstate__(self):
        return {"n": self.n}

    def __setstate__(self, state):
        self.n = state["n"] + 1000

    def __eq__(self, other):
        return self.n == other.n


# -- whole modules -----------------------------------------------------------------------------------------------------


def test_a_whole_model_comes_back_on_request():
    minigrad.manual_seed(1)
    net = Net()
    net(minigrad.randn(5, 3))
    data = saved(net)
    for options in ({}, {"weights_only": True}):
        with pytest.raises(
            pickle.UnpicklingError, match=r"(?s)^Weights only load failed\. This file can still be load"
        ):
            loaded(data, **options)
    back = loaded(data, weights_only=False)
    assert type(back) is Net
    assert back.plain == {"a": 1}
    assert back.tied.weight is back.body[0].weight
    assert back.body[1].num_batches_tracked == 1
    back.eval(), net.eval()
    x = minigrad.randn(2, 3)
    assert back(x).tolist() == net(x).tolist()
    back(x).sum().backward()
    assert back.tied.weight.grad is not None


def test_a_checkpoint_with_a_model_in_it():
    checkpoint = {"model": Net(), "epoch": 3, "best": minigrad.ones(2)}
    assert loaded(saved(checkpoint), weights_only=False)["epoch"] == 3
    assert minigrad.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(saved(checkpoint))) == sorted(
        [f"{__name__}.Net"]
        + [f"minigrad.nn.modules.{name}" for name in
           ("batchnorm.BatchNorm1d", "container.Sequential", "dropout.Dropout", "linear.Linear")]
    )  # fmt: skip


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
def test_a_whole_model_of_torchs(old):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.GELU())
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    data = saved(model, lambda o, f: torch.save(o, f, _use_new_zipfile_serialization=not old))
    with pytest.raises(pickle.UnpicklingError, match=r"^Weights only load failed"):
        loaded(data)
    ours = loaded(data, weights_only=False)
    assert type(ours[0]) is minigrad.nn.Linear
    np.testing.assert_allclose(
        ours(minigrad.from_numpy(x)).detach().numpy(), model(torch.from_numpy(x)).detach(), 1e-5, 1e-6
    )


def test_a_model_saved_by_a_script_is_loaded_by_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, minigrad as torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = torch.nn.Linear(2, 1)\n"
        "    def forward(self, x): return self.fc(x)\n"
        "if sys.argv[1] == 'save': torch.manual_seed(0); torch.save(Net(), 'model.pt')\n"
        "else: print(torch.load('model.pt', weights_only=False)(torch.ones(2)).item())\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "PATH": ""}

    def run(what):
        return subprocess.run(
            [sys.executable, str(script), what],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    run("save")
    minigrad.manual_seed(0)
    assert float(run("load")) == pytest.approx(minigrad.nn.Linear(2, 1)(minigrad.ones(2)).item())


# -- what is admitted --------------------------------------------------------------------------------------------------

OBJECTS = {
    "a named tuple": (Point(1, [2]), [Point]),
    "an enum": (Colour.RED, [Colour]),
    "slots": (Slotted(1, "b"), [Slotted]),
    "a state": (Stateful(5), [Stateful]),
    "a slice": (slice(1, None, 2), [slice]),
    "a range": (range(3), [range]),
    "a frozenset": (frozenset({1, 2}), [frozenset]),
    "a defaultdict": (collections.defaultdict(list, {"a": [1]}), [collections.defaultdict, list]),
    "a path": (Path("/x/y"), [type(Path("/"))]),
    "a NumPy number": (np.float64(2.5), [np._core.multiarray.scalar, np.dtype, np.dtypes.Float64DType]),
    "a function": (len, [len]),
}


def admitted_by(T, obj, names, by):
    """How loading it goes: alone, in a context that admits it, and for all."""

    def attempt_load(**options):
        file = io.BytesIO()
        by(obj, file)
        file.seek(0)
        outcome = attempt(lambda: T.load(file, **options))
        return outcome == obj if type(outcome) is type(obj) else type(outcome).__name__

    before = attempt_load()
    with T.serialization.safe_globals(names):
        within = attempt_load(), all(name in T.serialization.get_safe_globals() for name in names)
    T.serialization.add_safe_globals(names)
    added = attempt_load()
    T.serialization.clear_safe_globals()
    return before, within, added, attempt_load(), attempt_load(weights_only=False), T.serialization.get_safe_globals()


@pytest.mark.parametrize("name", OBJECTS)
def test_classes_are_admitted_by_name(name):
    obj, names = OBJECTS[name]
    if name == "a defaultdict":  # torch fills no dict but its own three kinds
        assert admitted_by(minigrad, obj, names, save)[4]
        return
    expected = admitted_by(torch, obj, names, torch.save)
    assert expected[0] == "Raised"
    assert admitted_by(minigrad, obj, names, save) == expected
    assert admitted_by(minigrad, obj, names, torch.save) == expected
    assert admitted_by(torch, obj, names, save) == expected


def test_names_given_with_objects():
    def program(T):
        def reload(obj):
            file = io.BytesIO()
            T.save(obj, file)
            file.seek(0)
            return attempt(lambda: T.load(file).n)

        with T.serialization.safe_globals([(Stateful, f"{__name__}.Stateful")]):
            renamed = reload(Stateful(1))
        with T.serialization.safe_globals([(Stateful, "a", "b")]):
            long = reload(Stateful(1))
        with T.serialization.safe_globals([(Stateful, 3)]):
            unnamed = reload(Stateful(1))
        return renamed, long, unnamed, reload(Stateful(1))

    same(program)


def test_a_class_admitted_for_its_instances_admits_no_other():
    with minigrad.serialization.safe_globals([Point]), pytest.raises(pickle.UnpicklingError):
        loaded(saved([Point(1, 2), Slotted(1, 2)]))


@pytest.mark.parametrize("module", ["os", "posix", "sys"])
def test_some_modules_are_never_admitted(module):
    def program(T):
        file = io.BytesIO()
        T.save(1, file)
        again = io.BytesIO()
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(again, "w") as new:
            for name in old.namelist():
                evil = b"\x80\x02c" + module.encode() + b"\nevil\n."
                new.writestr(name, evil if name.endswith("data.pkl") else old.read(name))
        again.seek(0)
        T.serialization.add_safe_globals([(len, f"{module}.evil")])
        try:
            return attempt(lambda: T.load(again)).type
        finally:
            T.serialization.clear_safe_globals()

    assert same(program) is pickle.UnpicklingError


def test_options_that_do_not_fit_together():
    def program(T):
        def reload(obj, **options):
            file = io.BytesIO()
            T.save(obj, file)
            file.seek(0)
            return attempt(lambda: T.load(file, **options))

        return (
            reload(1, weights_only=True, pickle_module=pickle),
            reload(Point(1, 2), pickle_module=pickle),
            reload(1, encoding="latin1"),
            reload(1, mmap=True),
        )

    same(program)


# -- attributes and classes of tensors ---------------------------------------------------------------------------------


def test_attributes_of_tensors():
    def program(T):
        weight, x = T.nn.Parameter(T.ones(2)), T.zeros(2)
        weight.tag, x.note = "w", {"n": [1]}
        file = io.BytesIO()
        T.save({"w": weight, "x": x, "plain": T.ones(1)}, file)
        file.seek(0)
        back = T.load(file)
        return back, back["w"].tag, back["x"].note, type(back["w"]).__name__, vars(back["plain"])

    same(program)


def test_attributes_travel_between_the_engines():
    for T, read, write in ((minigrad, by_torch, save), (torch, loaded, torch.save)):
        weight, x = T.nn.Parameter(T.ones(2)), T.zeros(2)
        weight.tag, x.note = "w", {"n": [1]}
        back = read(saved([weight, x, T.nn.Buffer(T.ones(3))], write))
        assert (back[0].tag, back[1].note, back[2].tolist()) == ("w", {"n": [1]}, [1, 1, 1])


def test_attributes_do_not_hide_methods():
    x = torch.ones(2)
    x.__dict__["tolist"] = x.__dict__["grad_fn"] = "evil"
    assert loaded(saved(x, torch.save)).tolist() == [1, 1]


class Tagged(minigrad.Tensor):
    """A user's class of tensors."""


def test_a_class_of_tensors():
    x = minigrad.tensor([1.0, 2.0])
    own = x.clone()
    own.__class__ = Tagged
    data = saved(own)
    with pytest.raises(pickle.UnpicklingError, match="Tagged"):
        loaded(data)
    with minigrad.serialization.safe_globals([Tagged]):
        back = loaded(data)
    assert type(back) is type(loaded(data, weights_only=False)) is Tagged
    assert back.tolist() == [1, 2]


def test_layouts_and_dtypes_by_name():
    for kind in ("strided", "float32", "int64", "bool", "float16"):
        assert loaded(saved(getattr(torch, kind), torch.save)) is getattr(minigrad, kind)
        assert by_torch(saved(getattr(minigrad, kind))) is getattr(torch, kind)


# -- older files, mapped files -----------------------------------------------------------------------------------------


def old(obj, file):
    torch.save(obj, file, _use_new_zipfile_serialization=False)


def test_files_before_1_6():
    x = torch.arange(12.0).reshape(3, 4)
    obj = {
        "views": [x, x[1:, ::2], x.t()], "p": torch.nn.Parameter(x.double()), "n": [1, 2.5, "text", b"x", None, {3}],
        "kinds": [torch.arange(3).to(kind) for kind in (torch.uint8, torch.int16, torch.bool, torch.float16)],
        "empty": torch.zeros(0, 2), "number": torch.tensor(7), "size": x.shape,
    }  # fmt: skip
    back = loaded(saved(obj, old))

    def tensors(of):
        return [*of["views"], of["p"], *of["kinds"], of["empty"], of["number"]]

    for got, sent in zip(tensors(back), tensors(obj), strict=True):
        np.testing.assert_array_equal(got.detach().numpy(), sent.detach().numpy(), strict=True)
        assert got.stride() == sent.stride()
    back["views"][0][1, 0] = -1
    assert back["views"][1][0, 0] == -1, "memory is shared"
    assert type(back["p"]) is minigrad.nn.Parameter
    assert (back["n"], back["size"]) == (obj["n"], minigrad.Size([3, 4]))
    assert (
        list(loaded(saved(torch.nn.BatchNorm1d(3).state_dict(), old), map_location="cpu"))[-1] == "num_batches_tracked"
    )


def test_a_file_cut_before_1_6(tmp_path):
    data = saved({"x": torch.arange(6.0), "n": 1}, old)
    for n in range(len(data)):
        with pytest.raises(RuntimeError, match="The file is damaged, cut short"):
            loaded(data[:n])
    (tmp_path / "x.pt").write_bytes(data)
    for T in (torch, minigrad):
        with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
            T.load(tmp_path / "x.pt", mmap=True)


@pytest.mark.parametrize("by", [save, torch.save], ids=["ours", "torch's"])
def test_a_mapped_file(by, tmp_path):
    T = minigrad if by is save else torch
    path, x = tmp_path / "x.pt", T.arange(100_000.0)
    by({"a": x, "b": x[5:9], "c": T.arange(3) > 1, "empty": T.zeros(0)}, path)
    for engine in (minigrad, torch):
        back = engine.load(path, mmap=True)
        assert back["a"].data_ptr() % 64 == 0
        assert back["a"][-1] == 99_999
        assert (back["b"].tolist(), back["c"].tolist()) == ([5, 6, 7, 8], [False, False, True])
        back["a"][5] = 77  # in this process only
        assert back["b"][0] == 77
    assert load(path)["b"][0] == 5


def test_storages_lie_where_they_can_be_used(tmp_path):
    minigrad.save({f"{i}": minigrad.ones(i) for i in range(1, 9)}, tmp_path / "x.pt")
    mapped = minigrad.load(tmp_path / "x.pt", mmap=True)
    assert all(x.array.base is not None and x.data_ptr() % 64 == 0 for x in mapped.values())
