"""A malicious or damaged `.pt` file: refused with one of two errors, and nothing of it is run."""

import io
import pickle
import shutil
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import event, example, given
from hypothesis import strategies as st

import minigrad
from minigrad.serialization import load
from tests.pt_files import by_torch, loaded, repacked, saved

# -- malice ------------------------------------------------------------------------------------------------------------

RAN = []


def mischief(*args):
    RAN.append(args)


def gl(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def short(text):
    return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode()


def uni(text):
    return pickle.BINUNICODE + struct.pack("<I", len(text)) + text.encode()


CPU = uni("cpu")
FOUR_FLOATS, FOUR_INTS = (
    b"(" + uni("storage") + gl("torch", f"{name}Storage") + uni("0") + CPU + b"K\x04tQ" for name in ("Float", "Int")
)
EMPTY, REDUCE, BUILD, STOP = pickle.EMPTY_TUPLE, pickle.REDUCE, pickle.BUILD, pickle.STOP
HERE = (__name__, "mischief")
MALICE = {
    "calls a function": gl(*HERE) + EMPTY + REDUCE,
    "calls eval": gl("builtins", "eval") + uni("1/0") + pickle.TUPLE1 + REDUCE,
    "calls system": gl("os", "system") + uni("exit 1") + pickle.TUPLE1 + REDUCE,
    "with Python 2's name": gl("__builtin__", "eval") + uni("1/0") + pickle.TUPLE1 + REDUCE,
    "through INST": pickle.MARK + pickle.INST + f"{HERE[0]}\n{HERE[1]}\n".encode(),
    "through OBJ": pickle.MARK + gl(*HERE) + pickle.OBJ,
    "through NEWOBJ": gl("builtins", "set") + EMPTY + pickle.NEWOBJ,
    "through STACK_GLOBAL": short(HERE[0]) + short(HERE[1]) + pickle.STACK_GLOBAL + EMPTY + REDUCE,
    "through a dotted name": gl("torch", "Size.__init__.__globals__") + EMPTY + REDUCE,
    "through an extension": pickle.EXT1 + b"\x01",
    "reads an attribute": gl("builtins", "getattr") + EMPTY + REDUCE,
    "names a class only": gl("subprocess", "Popen"),
    "calls what is no function": gl("torch", "float32") + EMPTY + REDUCE,
    "calls a tensor": pickle.NONE + EMPTY + REDUCE,
    "changes a dtype": gl("torch", "float32") + pickle.NONE + b"}" + uni("name") + uni("evil") + b"s\x86" + BUILD,
    "changes a class": gl("torch", "Size") + pickle.NONE + b"}" + uni("numel") + uni("evil") + b"s\x86" + BUILD,
    "changes a function": gl("torch._utils", "_rebuild_tensor_v2") + b"}" + uni("evil") + uni("evil") + b"s" + BUILD,
    "changes an instance": gl("torch", "device") + CPU + b"\x85R}" + uni("type") + uni("gpu") + b"s" + BUILD,
    "another persistent id": uni("storage") + pickle.BINPERSID,
    "a storage of no dtype": b"(" + uni("storage") + gl("builtins", "set") + uni("0") + CPU + b"K\x01t" + b"Q",
    "a storage that is not there": b"(" + uni("storage") + gl("torch", "FloatStorage") + uni("7") + CPU + b"K\x01tQ",
    "a storage outside": b"(" + uni("storage") + gl("torch", "ByteStorage") + uni("../version") + CPU + b"K\x02tQ",
    "one storage as two dtypes": FOUR_FLOATS + FOUR_INTS + b"\x86",
    "unhashable keys": b"}]Ns",
    "nothing on the stack": pickle.REDUCE,
}  # fmt: skip


@pytest.mark.parametrize("name", MALICE)
@pytest.mark.parametrize("after", [b"", b"(]q\x00X\x01\0\0\0aK\x01"], ids=["alone", "after plain values"])
def test_malice_is_refused_and_runs_nothing(name, after):
    data = repacked(saved(torch.arange(4.0), torch.save), lambda _: b"\x80\x02" + after + MALICE[name] + STOP)
    with pytest.raises((pickle.UnpicklingError, RuntimeError)) as raised:
        loaded(data)
    assert raised.match("Weights only load failed|PytorchStreamReader failed reading zip archive")
    assert not RAN
    assert minigrad.float32.name == "float32"
    assert minigrad.Size([2, 3]).numel() == 6


class Evil:
    def __reduce__(self):
        return mischief, ("ran",)


class EvilTensorState(OrderedDict):
    def __setstate__(self, state):
        mischief(state)


@pytest.mark.parametrize(
    "obj", [Evil(), {"model": torch.ones(2), "x": [Evil()]}, EvilTensorState(a=1), torch.nn.ReLU()]
)
def test_objects_that_torch_saves_are_refused(obj):
    data = saved(obj, torch.save)
    for options in ({}, {"weights_only": True}):
        with pytest.raises(pickle.UnpicklingError, match=r"^Weights only load failed\. This file .* Nothing of it was"):
            loaded(data, **options)
    with pytest.raises(pickle.UnpicklingError, match=r"^Weights only load failed"):
        by_torch(data)
    assert not RAN


def tensor_of(offset=0, size=(2,), stride=(1,), grad="F"):
    """A pickle of a tensor over storage 0, four float32, with these numbers."""

    def integer(n):
        return pickle.BININT + struct.pack("<i", n) if abs(n) < 2**31 else b"\x8a\x08" + struct.pack("<q", n)

    def integers(ns):
        return b"(" + b"".join(map(integer, ns)) + b"t"

    flag = b"\x88" if grad == "T" else b"\x89"
    hooks = gl("collections", "OrderedDict") + b")R"
    body = FOUR_FLOATS + integer(offset) + integers(size) + integers(stride) + flag + hooks
    return b"\x80\x02" + gl("torch._utils", "_rebuild_tensor_v2") + b"(" + body + b"tR."


def with_tensor(**numbers):
    return repacked(saved(torch.arange(4.0), torch.save), lambda _: tensor_of(**numbers))


big = st.integers(-(2**63), 2**63 - 1) | st.integers(-6, 6)


@given(big, st.lists(big | st.integers(0, 5), max_size=3), st.lists(big | st.integers(0, 5), max_size=3))
@example(0, [5], [1])
@example(3, [2], [1])
@example(-1, [2], [1])
@example(2, [2], [-1])
@example(0, [2, 2], [3, 1])
@example(0, [2], [1, 1])
@example(2**62, [0], [1])
@example(0, [2**62, 2**62], [0, 0])
def test_a_tensor_never_reaches_outside_its_storage(offset, size, stride):
    data = with_tensor(offset=offset, size=size, stride=stride)
    if outcome(data) != "loaded":
        event("refused")
        with pytest.raises(RuntimeError, match="damaged"):
            loaded(data)
        return
    back = loaded(data)
    event("loaded")
    assert back.shape == tuple(size)
    if 0 < back.numel() < 1000:
        reached = np.arange(4.0)[
            sum(np.ogrid[tuple(slice(n) for n in size)][i] * s for i, s in enumerate(stride)) + offset
        ]
        np.testing.assert_array_equal(back.array, reached)


# -- damage ------------------------------------------------------------------------------------------------------------

SAMPLES = {
    "ours": saved({"x": minigrad.from_numpy(np.arange(6.0).reshape(2, 3)), "n": [1, 2.5, "text", None]}),
    "torch's": saved({"x": torch.arange(6.0).reshape(2, 3), "n": [1, 2.5, "text", None]}, torch.save),
}


@pytest.mark.parametrize("whose", SAMPLES)
def test_a_file_cut_anywhere_gives_one_clear_error(whose):
    data = SAMPLES[whose]
    for n in range(len(data)):
        with pytest.raises(
            RuntimeError, match=r"^PytorchStreamReader failed reading zip archive: .*\nthe file: The file is d"
        ):
            loaded(data[:n])


def test_the_error_names_the_file(tmp_path):
    path = tmp_path / "half.pt"
    path.write_bytes(SAMPLES["ours"][:300])
    with pytest.raises(
        RuntimeError, match=r"half.pt: The file is damaged, cut short, or not one that save\(\) or torch.save"
    ):
        load(path)
    with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading zip archive"):
        torch.load(path)
    shutil.copy(__file__, path)
    with pytest.raises(RuntimeError, match="not one that save"):
        load(path)


OUTCOMES = {"loaded", "UnpicklingError", "RuntimeError"}


def outcome(data):
    """What a damaged file led to: the name of the error, if any."""
    try:
        loaded(data)
    except Exception as error:
        return type(error).__name__
    return "loaded"


def check(data):
    """It may load as something else, or raise one of the two errors."""
    what = outcome(data)
    event(what)
    assert what in OUTCOMES


PER_EXAMPLE = (
    40  # damaged files in each of Hypothesis' examples: 1000 a test in the profiles dev and ci, 40,000 in deep
)


def damaged(data, rng):
    """Some bytes changed, put in, or taken out."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(data)))
        match rng.integers(4):
            case 0:
                data[at] = rng.integers(256)
            case 1:
                data[at] ^= 1 << int(rng.integers(8))
            case 2:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 3:
                del data[at : at + int(rng.integers(1, 9))]
    return bytes(data)


@pytest.mark.parametrize("whose", SAMPLES)
@given(st.integers(0, 2**32))
def test_fuzzed_files(whose, seed):
    rng = np.random.default_rng(seed)
    for _ in range(PER_EXAMPLE):
        check(damaged(SAMPLES[whose], rng))


@pytest.mark.parametrize("whose", SAMPLES)
@given(st.integers(0, 2**32))
def test_fuzzed_pickles_with_right_checksums(whose, seed):
    rng = np.random.default_rng(seed)
    for _ in range(PER_EXAMPLE):
        check(repacked(SAMPLES[whose], lambda text: damaged(text, rng)))


@given(st.binary(max_size=200))
def test_any_pickle(text):
    check(repacked(SAMPLES["ours"], lambda _: text))


@pytest.mark.parametrize("record", ["data.pkl", "data/0"])
def test_a_missing_or_packed_record(record):
    out, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(SAMPLES["ours"])) as old:
        with zipfile.ZipFile(out, "w") as without, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as small:
            for name in old.namelist():
                small.writestr(name, old.read(name))
                if not name.endswith(record):
                    without.writestr(name, old.read(name))
    for data in (out.getvalue(), packed.getvalue()):
        with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading zip archive"):
            loaded(data)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.complex64])
def test_a_tensor_of_a_dtype_we_have_not(kind):
    with pytest.raises(RuntimeError, match=f"the file holds a tensor of {kind}, which minigrad has not"):
        loaded(saved(torch.ones(2, dtype=kind), torch.save))


@pytest.mark.parametrize("size", [0, 15, 17, 20])
def test_a_storage_of_the_wrong_size(size):
    data = repacked(saved(torch.ones(4), torch.save), **{"data/0": bytes(size)})
    with pytest.raises(RuntimeError, match=f"record data/0 has {size} bytes in format 0, 16 are due"):
        loaded(data)
