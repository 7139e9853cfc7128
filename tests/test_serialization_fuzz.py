"""Hostile files of every kind: pickles made of instructions, old files, mapped files, safetensors. One clear error."""

import json
import pickle
import resource
import struct
import time

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import event, example, given
from hypothesis import strategies as st

import minigrad
from minigrad.safetensors import load as load_safetensors
from minigrad.safetensors import save as save_safetensors
from tests.pt_files import loaded, repacked, saved
from tests.test_serialization_damage import PER_EXAMPLE, RAN, damaged, gl, mischief, uni

FILE = saved({"x": torch.arange(4.0)}, torch.save)
OLD = saved(
    {"x": torch.arange(4.0), "n": [1, 2.5, b"z"]}, lambda o, f: torch.save(o, f, _use_new_zipfile_serialization=False)
)
ERRORS = (pickle.UnpicklingError, RuntimeError)


def outcome(read):
    """What reading led to; it must be a value or one of two errors, soon, and nothing may have been run."""
    begin = time.perf_counter()
    try:
        read()
        what = "loaded"
    except ERRORS as error:
        what = type(error).__name__ if len(str(error)) < 5000 else "an error without end"
    assert what != "an error without end"
    assert time.perf_counter() - begin < 5
    assert not RAN
    return what


@pytest.fixture
def little_memory():
    """1 GiB more than there is in use."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def integer(n):
    return pickle.LONG1 + bytes([9]) + n.to_bytes(9, "little", signed=True)


def storage(kind="FloatStorage", key=None, numel=None, location=None, name="storage"):
    key, numel, location = key or uni("0"), numel or b"K\x04", location or uni("cpu")
    return b"(" + uni(name) + gl("torch", kind) + key + location + numel + b"tQ"


TUPLES = b"N" + b"".join(pickle.TUPLE1 + b"q\x01h\x01h\x01" + pickle.TUPLE2 for _ in range(200))  # 2**200 parts
BOMBS = {
    "a key that takes for ever to hash": b"}" + TUPLES + b"Ns",
    "such keys": b"}(" + TUPLES + b"Nu",
    "a set of it": gl("__builtin__", "set") + b"]" + TUPLES + b"a\x85R",
    "an OrderedDict of it": gl("collections", "OrderedDict") + b"](" + TUPLES + b"Nte\x85R",
    "a storage's key": storage(key=TUPLES),
    "a storage's size": storage(numel=TUPLES),
    "a storage's place": storage(location=TUPLES),
    "a persistent id": TUPLES + b"Q",
    "a device of it": gl("torch", "device") + TUPLES + b"\x85R",
    "a layout of it": gl("torch.serialization", "_get_layout") + TUPLES + b"\x85R",
    "a complex number of it": gl("__builtin__", "complex") + TUPLES + b"\x85R",
    "a tensor's size of it":
        gl("torch._utils", "_rebuild_tensor_v2") + b"(" + storage() + b"K\x00" + TUPLES + b")\x89NtR",
    "a storage of 2**59": storage(numel=integer(2**59)),
    "a storage of 2**70": storage(numel=b"\x8a\x0a" + (2**70).to_bytes(10, "little")),
    "a tensor of a size": gl("torch", "Tensor") + integer(2**40) + b"\x85R",
    "a bytearray of a size": gl("__builtin__", "bytearray") + integer(2**40) + b"\x85R",
    "a text of 4 GiB": pickle.BINUNICODE + b"\xff\xff\xff\xff",
    "a number of 2 GiB": pickle.LONG4 + b"\xff\xff\xff\x7f",
    "a number of less than nothing": pickle.LONG4 + b"\xff\xff\xff\xff",
    "a memo far out": b"Nr\xff\xff\xff\xff",
    "a number of many digits":
        gl("torch", "device") + uni("cpu") + b"\x8b" + struct.pack("<i", 10**5) + b"\x7f" * 10**5 + b"\x86R",
    "deep lists": b"]" * 10**5 + b"a" * (10**5 - 1),
    "deep tuples": b"N" + pickle.TUPLE1 * 10**6,
    "a tensor of a number": gl("torch", "Tensor") + b"K\x05\x85" + pickle.NEWOBJ,
    "attributes of a tensor that hide its own": gl("torch._tensor", "_rebuild_from_type_v2") + b"("
        + gl("torch._utils", "_rebuild_tensor_v2") + gl("torch._utils", "_rebuild_tensor_v2") + b"(tNtR",
}  # fmt: skip


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name, tmp_path):
    text = b"\x80\x02" + BOMBS[name] + b"."
    what = outcome(lambda: loaded(repacked(FILE, lambda _: text)))
    assert what != "loaded" or name.startswith(("deep", "a memo", "a text"))
    begin = [i for i in range(len(OLD)) if OLD.startswith(b"\x80\x02", i)][
        3
    ]  # the magic number, the version, the system
    (tmp_path / "old.pt").write_bytes(OLD[:begin] + text + OLD[-60:])
    outcome(lambda: minigrad.load(tmp_path / "old.pt"))


@pytest.mark.parametrize("name", ["Size", "Tensor", "float32", "FloatStorage"])
def test_instances_are_made_of_admitted_classes_only(name):
    text = b"\x80\x02" + gl("torch", name) + pickle.EMPTY_TUPLE + pickle.NEWOBJ + b"."
    with pytest.raises(pickle.UnpicklingError, match="Can only create new object for classes allowlisted"):
        loaded(repacked(FILE, lambda _: text))


# Instructions, names and values that hostile pickles are made of.
INSTRUCTIONS = b"N\x88]})(t\x85\x86\x87eausRb\x81Q0129o\x8f\x90\x93"
NAMES = [
    (__name__, "mischief"), ("builtins", "eval"), ("os", "system"), ("torch", "Tensor"), ("torch", "Size"),
    ("torch", "device"), ("torch", "float32"), ("torch", "load"), ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"), ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch.storage", "_load_from_bytes"), ("torch.serialization", "_get_layout"), ("collections", "OrderedDict"),
    ("collections", "Counter"), ("_codecs", "encode"), ("__builtin__", "set"), ("__builtin__", "bytearray"),
    ("__builtin__", "complex"),
]  # fmt: skip
PIECES = st.sampled_from([
    *(bytes([code]) for code in INSTRUCTIONS), *(gl(*name) for name in NAMES),
    *map(uni, ("storage", "cpu", "cuda:0", "0", "meta", "__class__", "torch.strided", "latin1")),
    *map(storage, ("FloatStorage", "IntStorage", "BFloat16Storage", "UntypedStorage")),
    *(b"K\x00", b"K\x03", b"q\x00", b"h\x00", b"q\x01", b"h\x01", b"i__main__\nx\n", integer(-1), integer(2**62)),
])  # fmt: skip


@given(st.lists(PIECES, max_size=25))
@example([gl("builtins", "eval"), uni("1/0"), b"\x85", b"R"])
@example([gl(__name__, "mischief"), b")", b"R"])
def test_pickles_made_of_instructions(pieces):
    text = b"\x80\x02" + b"".join(pieces) + b"."
    event(outcome(lambda: loaded(repacked(FILE, lambda _: text))))


class Admitted:
    """A class that a script admits: its instances may be made, and nothing besides."""

    def __call__(self, *args):
        mischief(args)


@given(st.lists(PIECES | st.just(gl(__name__, "Admitted")), max_size=25))
@example([gl(__name__, "Admitted"), b")", b"\x81", b")", b"R"])
@example([gl(__name__, "Admitted"), b")", b"R", b")", b"R"])
def test_what_is_admitted_opens_nothing_else(pieces):
    with minigrad.serialization.safe_globals([Admitted]):
        test_pickles_made_of_instructions.hypothesis.inner_test(pieces)


@given(st.integers(0, 2**32))
def test_fuzzed_old_files(seed):
    rng = np.random.default_rng(seed)
    for _ in range(PER_EXAMPLE // 4):
        data = damaged(OLD, rng)
        event(outcome(lambda data=data: loaded(OLD[:16] + data[16:])))


@given(st.integers(0, 2**32))
def test_fuzzed_mapped_files(tmp_path_factory, seed):
    rng, path = np.random.default_rng(seed), tmp_path_factory.getbasetemp() / "mapped.pt"
    for _ in range(PER_EXAMPLE // 4):
        path.write_bytes(damaged(FILE, rng))
        event(outcome(lambda: minigrad.load(path, mmap=True)["x"]))


@given(st.integers(0, 2**32))
def test_spliced_files(seed):
    """The beginning of one and the end of another."""
    rng = np.random.default_rng(seed)
    others = [FILE, OLD, saved([minigrad.ones(3), {"a": 1}]), saved(torch.nn.Linear(2, 2).state_dict(), torch.save)]
    for _ in range(PER_EXAMPLE // 4):
        first, second = (others[i] for i in rng.integers(len(others), size=2))
        data = first[: rng.integers(len(first))] + second[rng.integers(len(second)) :]
        event(outcome(lambda data=data: loaded(data)))


# -- safetensors -------------------------------------------------------------------------------------------------------

TENSORS = save_safetensors({"a": minigrad.arange(6.0).reshape(2, 3), "b": minigrad.tensor(3)}, {"note": "x"})


def outcome_of_safetensors(data):
    """The same for these files."""
    begin = time.perf_counter()
    try:
        what = type(load_safetensors(data)).__name__
    except (safetensors.SafetensorError, RuntimeError) as error:
        what = type(error).__name__
    assert time.perf_counter() - begin < 5
    event(what)


def test_safetensors_cut_anywhere():
    for n in range(len(TENSORS)):
        with pytest.raises(safetensors.SafetensorError, match="the data is damaged, cut short"):
            load_safetensors(TENSORS[:n])


@given(st.integers(0, 2**32))
def test_fuzzed_safetensors(seed):
    rng = np.random.default_rng(seed)
    for _ in range(PER_EXAMPLE):
        outcome_of_safetensors(damaged(TENSORS, rng))


numbers = st.integers(-(2**63), 2**64) | st.integers(0, 40)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "__metadata__"]),
        st.fixed_dictionaries({
            "dtype": st.sampled_from(["F32", "I64", "BF16", "F8_E4M3", "BOOL", "X"]),
            "shape": st.lists(numbers, max_size=3),
            "data_offsets": st.lists(numbers, min_size=2, max_size=2),
        }) | st.none(),
    ),
    st.binary(max_size=40),
)  # fmt: skip
def test_safetensors_with_any_header(header, body):
    text = json.dumps(header).encode()
    outcome_of_safetensors(struct.pack("<Q", len(text)) + text + body)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=50))
def test_safetensors_with_a_header_of_any_length(length, body):
    outcome_of_safetensors(struct.pack("<Q", length) + body)
    outcome_of_safetensors(body)
