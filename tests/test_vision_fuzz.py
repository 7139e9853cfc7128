"""Damaged files by the thousand: each reader gives one clear error or the right data, and runs nothing."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.vision.datasets.cifar import read_batch
from minigrad.vision.datasets.folder import pil_loader
from minigrad.vision.datasets.pickles import inspect, load_plain
from minigrad.vision.idx import decode_idx, encode_idx
from tests.vision_files import batch_of
from tests.vision_oracle import Image, pixels

MANY = settings(max_examples=300, deadline=None)


@st.composite
def damaged(draw, *originals):
    """One of the originals with bytes changed, cut out, put in, or cut off."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["change", "cut", "insert", "end"]))
        if how == "change" and place < len(data):
            data[place] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[place : place + draw(st.integers(1, 9))]
        elif how == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=9))
        elif how == "end":
            del data[place:]
    return bytes(data)


ARRAY = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
IDX = encode_idx(ARRAY)


@MANY
@given(damaged(IDX, gzip.compress(IDX, mtime=0), encode_idx(np.linspace(0, 1, 7))))
def test_idx(data):
    try:
        array = decode_idx(data, "some/file")
    except ValueError as error:
        assert str(error).startswith("some/file: ")  # noqa: PT017
    else:
        assert isinstance(array, np.ndarray)


def python_2_pickle(size):
    """A batch as Python 2 wrote it: text where bytes belong, names of an old NumPy."""
    batch = batch_of(size, 0)
    raw = batch["data"].tobytes()
    out = io.BytesIO()
    out.write(b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05(")
    out.write(b"".join(b"K" + bytes([label]) for label in batch["labels"]) + b"eU\x04dataq\x06")
    out.write(b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09")
    out.write(b"(K\x01K" + bytes([size]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b")
    out.write(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
    out.write(b"T" + len(raw).to_bytes(4, "little") + raw + b"tbu.")
    return batch, out.getvalue()


def test_a_pickle_of_python_2(tmp_path):
    batch, data = python_2_pickle(3)
    (tmp_path / "data_batch_1").write_bytes(data)
    images, labels = read_batch(str(tmp_path / "data_batch_1"))
    assert (images.reshape(3, -1) == batch["data"]).all()
    assert labels == batch["labels"]
    assert load_plain(b"(dp1\nS'num_cases_per_batch'\np2\nI10000\nsS'label_names'\np3\n(lp4\nS'airplane'\np5\nas.") == {
        "num_cases_per_batch": 10000,
        "label_names": ["airplane"],
    }


SMALL = {"data": np.arange(12, dtype=np.uint8).reshape(2, 6), "labels": [1, 2], "names": ["a", b"b"], "x": (1.5, None)}
PICKLES = [pickle.dumps(SMALL, protocol) for protocol in range(6)]


@MANY
@given(damaged(*PICKLES, python_2_pickle(1)[1]))
def test_pickles(data):
    try:
        load_plain(data, "some/file")
    except ValueError as error:
        assert str(error).startswith("some/file: damaged, or not a pickle of plain data (")  # noqa: PT017


class Runs:
    """Pickled as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch /tmp/executed",)), (eval, ("1",)), (np.fromfile, ("/etc/passwd",)), (getattr, ({}, "pop")),
        (np.zeros, ((10**12,),)), (bytearray, (10**12,)), (np.dtype, ("O",)), (np.dtype, ([("a", "O")],)),
        (open, ("/etc/passwd",)), (pickle.loads, (b"I1\n.",)), (np.ndarray, ((10**12,),)),
    ],
)  # fmt: skip
def test_calls_are_refused(call, protocol):
    data = pickle.dumps({"data": Runs(*call)}, protocol)
    with pytest.raises(ValueError, match=r"not a pickle of plain data"):
        load_plain(data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"r\xff\xff\xff\xff.", b"Nr\xff\xff\xff\x7f.", b"Np4000000000\n.", b")" + b"\x85" * 100_000 + b".",
        b"X\xff\xff\xff\xff.", b"\x80\xff.", b"\x95" + b"\xff" * 8 + b".", b"\x82\x01.", b"Pid\n.",
        b"cos\nsystem\n(S'true'\ntR.", b"ios\nsystem\n.", b"(S'true'\nios\nsystem\n.",
        b"cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.", b"c_codecs\nencode\nN}U\x0c__defaults__Ns\x86b.",
        b"c_codecs\nencode\n(Vtext\nVutf8\ntR.", b"cnumpy\ndtype\n(VO8\ntR.", b"cnumpy.core.multiarray\nscalar\n.",
    ],
)  # fmt: skip
def test_pickles_made_to_harm(data):
    with pytest.raises(ValueError, match=r"not a pickle of plain data"):
        load_plain(data)


def encoded(kind):
    """An image of that format."""
    buffer = io.BytesIO()
    Image.fromarray(pixels()).save(buffer, format=kind)
    return buffer.getvalue()


def test_sets_are_not_among_what_cifar_holds():
    for protocol in range(6):
        with pytest.raises(ValueError, match=r"not a pickle of plain data"):
            load_plain(pickle.dumps({"data": {1, 2}}, protocol))


def test_memory_is_not_asked_for():
    with pytest.raises(pickle.UnpicklingError, match="the instruction LONG_BINPUT at byte 1 has the number 2147483647"):
        inspect(b"Nr\xff\xff\xff\x7f.")


FILES = [encoded(kind) for kind in ("PNG", "JPEG", "PPM", "BMP", "TIFF", "GIF")]


@MANY
@given(data=damaged(*FILES))
def test_images(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what it mended
        try:
            assert pil_loader(path).mode == "RGB"
        except OSError as error:
            assert "damaged.png" in str(error)  # noqa: PT017
