"""safetensors files: those that `safetensors.torch` writes, and the other way round; whole or not at all."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import safetensors as ours
from tests.lockstep import Raised, attempt

theirs = pytest.importorskip("safetensors.torch")

ENGINES = {"ours to torch": (minigrad, ours, torch, theirs), "torch's to us": (torch, theirs, minigrad, ours)}
DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parametrize("way", ENGINES)
@given(st.data())
def test_every_tensor_comes_back_bit_for_bit(way, data):
    _, writer, _, reader = ENGINES[way]
    T = ENGINES[way][0]
    arrays = {}
    for name in data.draw(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=4)):
        shape = data.draw(st.lists(st.integers(0, 4), max_size=3))
        seed, dtype = data.draw(st.integers(0, 99)), data.draw(st.sampled_from(DTYPES))
        arrays[name] = np.random.default_rng(seed).integers(0, 2, shape).astype(dtype)
    if "__metadata__" in arrays:
        return
    back = reader.load(writer.save({name: T.from_numpy(array) for name, array in arrays.items()}))
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name].numpy(), array, strict=True)


@given(st.permutations(range(3)), st.sampled_from([slice(None), slice(None, None, 2), slice(1, None)]), st.booleans())
def test_arrays_that_lie_otherwise_in_memory(order, part, expanded):
    """The library writes memory as it lies: a transposed or sliced array must be copied first."""
    x = minigrad.arange(24.0).reshape(2, 3, 4).permute(order)[:, part]
    x = x[:1].expand(5, *x.shape[1:]) if expanded else x
    for read in (ours.load, theirs.load):
        assert read(ours.save({"x": x}))["x"].tolist() == x.tolist()
    assert ours.save({"x": x}) == ours.save({"x": x.contiguous()})


def test_a_number_stays_one():
    assert theirs.load(ours.save({"x": minigrad.tensor(2.5)}))["x"].shape == ()


def test_equal_files():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    files = [
        library.save({"b": T.from_numpy(x), "a": T.tensor(3)}, {"note": "x"})
        for T, library in ((minigrad, ours), (torch, theirs))
    ]
    assert files[0] == files[1]


def refusals(T, library):
    x = T.ones(4)
    return [
        lambda: library.save({"a": x, "b": x}),
        lambda: library.save({"a": x, "b": x[1:]}),
        lambda: library.save({"a": 1}),
        lambda: library.save([x]),
        lambda: library.load(b""),
        lambda: library.load(b"\xff" * 40),
        lambda: library.load_file("/no/such/file"),
    ]


@pytest.mark.parametrize("i", range(7))
def test_refusals(i):
    got, expected = attempt(refusals(minigrad, ours)[i]), attempt(refusals(torch, theirs)[i])
    assert isinstance(expected, Raised)
    assert got.type is expected.type


def test_parts_of_one_tensor_that_do_not_overlap():
    for T, library in ((minigrad, ours), (torch, theirs)):
        x = T.arange(4)
        assert set(library.load(library.save({"a": x[:2], "b": x[2:]}))) == {"a", "b"}


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e5m2, torch.uint16])
def test_a_dtype_we_have_not(kind, tmp_path):
    theirs.save_file({"good": torch.ones(2), "bad": torch.ones(2).to(kind)}, tmp_path / "x.safetensors")
    for read in (ours.load_file, minigrad.load):
        with pytest.raises(RuntimeError, match=r"x.safetensors: tensor 'bad' is of dtype \w+, which minigrad has not"):
            read(tmp_path / "x.safetensors")


# -- models ------------------------------------------------------------------------------------------------------------


def tied(T):
    first, second = T.nn.Linear(3, 3), T.nn.Linear(3, 3)
    second.weight = first.weight
    return T.nn.Sequential(first, T.nn.BatchNorm1d(3), second)


@pytest.mark.parametrize("way", ENGINES)
def test_models(way, tmp_path):
    T, writer, U, reader = ENGINES[way]
    path = tmp_path / "model.safetensors"
    model, back = tied(T), tied(U)
    writer.save_model(model, str(path), {"epoch": "3"})
    assert [sorted(names) for names in reader.load_model(back, path)] == [[], []]
    assert back[2].weight is back[0].weight
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name].numpy(), value.numpy())
    assert list(minigrad.load(path)) == list(theirs.load_file(path))


@pytest.mark.parametrize("way", ENGINES)
def test_models_that_do_not_fit(way, tmp_path):
    """What is missing and what there is besides, by both engines of a file of either."""
    T, writer, _, _ = ENGINES[way]
    path = str(tmp_path / "model.safetensors")
    writer.save_model(tied(T), path)
    outcomes = []
    for U, reader in ((minigrad, ours), (torch, theirs)):
        larger = U.nn.Sequential(U.nn.Linear(3, 3), U.nn.BatchNorm1d(3), U.nn.Linear(3, 3), U.nn.Linear(3, 3))
        smaller = U.nn.Sequential(U.nn.Linear(3, 3))
        found = [[sorted(names) for names in reader.load_model(m, path, strict=False)] for m in (larger, smaller)]
        texts = [attempt(lambda m=m, reader=reader: reader.load_model(m, path)).text for m in (larger, smaller)]
        outcomes.append((found, texts))
    assert outcomes[0] == outcomes[1]


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.safetensors"
    ours.save_file({"x": minigrad.ones(3)}, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            ours.save_file({"x": minigrad.ones(30_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(OSError, match="No space left"):
        ours.save_file({"x": minigrad.ones(3)}, "/dev/full")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_load_knows_them_by_their_name(tmp_path):
    path = str(tmp_path / "x.safetensors")
    ours.save_file({"x": minigrad.ones(3)}, path)
    for T in (minigrad, torch):
        assert T.load(path, map_location=T.device("cpu"))["x"].tolist() == [1, 1, 1]
        for place in ({}, lambda storage, location: storage):
            with pytest.raises(RuntimeError, match=r"Loading safetensors file with .* map_location is not supported"):
                T.load(path, map_location=place)


def test_without_the_library():
    program = (
        "import sys; sys.modules['safetensors'] = None\n"
        "import minigrad.safetensors\n"
        "try:\n    minigrad.safetensors.save({})\n"
        "except ModuleNotFoundError as error: print(error.name, 'pip install' in str(error))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "safetensors True\n"
