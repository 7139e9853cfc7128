"""IDX files: what is written is read back, and no damaged file is read as something else."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.vision.idx import decode_idx, encode_idx, read_idx, read_idx_folder, write_idx

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
SMALL = np.arange(12, dtype=np.int16).reshape(3, 4)

arrays = hnp.arrays(
    st.sampled_from(DTYPES).flatmap(lambda name: st.sampled_from([np.dtype(name), np.dtype(name).newbyteorder()])),
    hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
)


def header(code: int, *sizes: int) -> bytes:
    return bytes([0, 0, code, len(sizes)]) + np.array(sizes, ">u4").tobytes()


@given(arrays, st.booleans(), st.booleans())
def test_what_is_encoded_is_decoded(array, transposed, zipped):
    array = array.T if transposed else array
    data = gzip.compress(encode_idx(array)) if zipped else encode_idx(array)
    back = decode_idx(data)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.dtype.isnative
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


def test_the_bytes_are_the_formats():
    array = np.array([[1, 2, 3], [4, 5, 258]], np.int16)
    expected = "00000b020000000200000003000100020003000400050102"
    assert encode_idx(array).hex() == expected


@pytest.mark.parametrize("zipped", [False, True])
def test_every_truncation_is_refused(zipped):
    data = encode_idx(SMALL)
    data = gzip.compress(data) if zipped else data
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"^some\.file: .*again$"):
            decode_idx(data[:length], "some.file")


@given(st.binary(min_size=1, max_size=40), st.booleans())
def test_trailing_bytes_are_refused(extra, zipped):
    data = encode_idx(SMALL) + extra
    with pytest.raises(ValueError, match=rf"24 bytes of data, but {24 + len(extra)} follow \({len(extra)} too many\)"):
        decode_idx(gzip.compress(data) if zipped else data)


@given(st.data())
def test_a_gzip_file_with_a_changed_byte_is_refused_or_read_right(data):
    """gzip's checksum covers the content; only fields without meaning (time, system) may change unseen."""
    zipped = bytearray(gzip.compress(encode_idx(SMALL)))
    zipped[data.draw(st.integers(0, len(zipped) - 1), label="where")] ^= data.draw(st.integers(1, 255), label="bits")
    try:
        array = decode_idx(bytes(zipped))
    except ValueError:
        return
    np.testing.assert_array_equal(array, SMALL)


@given(
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda code, sizes, tail: header(code, *sizes) + tail,
            st.sampled_from([8, 9, 11, 12, 13, 14]),
            st.lists(st.sampled_from([0, 1, 2, 3, 2**16, 2**31, 2**32 - 1]), min_size=1, max_size=4),
            st.binary(max_size=40),
        ),
    )
)
def test_any_bytes_are_refused_or_are_exactly_an_array(data):
    try:
        array = decode_idx(data)
    except ValueError as error:
        outcome = str(error)[:6]
    else:
        outcome = encode_idx(array)
    assert outcome in ("data: ", data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "begins with 4 bytes, this one has 0"),
        (b"\x89PNG\r\n", "not an IDX file: it begins with the bytes 89 50 4e 47"),
        (b"\0\0\x0a\1" + b"\0\0\0\0", "not an IDX file: it begins with the bytes 00 00 0a 01"),
        (b"\0\0\x08\0", "not an IDX file"),
        (header(8, 2, 3)[:-1], "2 dimensions need 12 bytes, found 11"),
        (header(8, 2**32 - 1, 2**32 - 1), r"shape \(4294967295, 4294967295\), 18446744065119617025 bytes"),
        (header(8, 0, 2**32 - 1, 2**32 - 1, 2**32 - 1), "which no array can have"),
        (header(13, 2) + bytes(7), r"float32 of shape \(2,\), 8 bytes of data, but 7 follow \(1 missing\)"),
    ],
)
def test_a_refusal_says_what_is_wrong(data, says):
    with pytest.raises(ValueError, match=says):
        decode_idx(data)


@pytest.mark.parametrize(
    "array",
    [np.zeros(2, np.int64), np.zeros(2, bool), np.zeros(2, complex), np.float32(1), np.zeros((0, 2**32), np.uint8)],
)
def test_what_idx_cannot_hold_is_not_written(array, tmp_path):
    with pytest.raises(ValueError, match=r"IDX (has no type code|holds 1 to 64)"):
        write_idx(tmp_path / "array", array)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["array", "array.gz"])
def test_files_repeat_byte_for_byte_and_are_read_back(name, tmp_path):
    path = tmp_path / name
    write_idx(path, SMALL)
    first = path.read_bytes()
    write_idx(str(path), SMALL)
    assert path.read_bytes() == first
    assert (first[:2] == b"\x1f\x8b") == name.endswith(".gz")
    np.testing.assert_array_equal(read_idx(path), SMALL)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "array"
    write_idx(path, SMALL)

    def disk_full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_idx(path, SMALL + 1)
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(read_idx(path), SMALL)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    for path, error in ((tmp_path / "absent" / "array", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error) as caught:
            write_idx(path, SMALL)
        assert repr(str(path)) in str(caught.value)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "array")
    write_idx(tmp_path / "link", SMALL)
    assert (tmp_path / "link").is_symlink()
    np.testing.assert_array_equal(read_idx(tmp_path / "array"), SMALL)


IMAGES, LABELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.array([7, 1], np.uint8)


@pytest.fixture
def folder(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", IMAGES)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    return tmp_path


def test_a_folder_gives_images_and_int64_labels(folder):
    images, labels = read_idx_folder(folder)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.zeros(3, np.uint8), "3 labels for the 2 images"),
        (np.zeros((2, 1), np.uint8), r"expected uint8 of 1 dimension, found uint8 of shape \(2, 1\)"),
        (np.zeros(2, np.int32), "expected uint8 of 1 dimension, found int32"),
    ],
)
def test_a_folder_whose_files_disagree_is_refused(folder, labels, says):
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    with pytest.raises(ValueError, match=f"train-labels-idx1-ubyte: {says}"):
        read_idx_folder(folder)


def test_a_folder_without_the_files_is_refused(folder):
    with pytest.raises(FileNotFoundError, match=r"no t10k-images-idx3-ubyte or t10k-images-idx3-ubyte\.gz in"):
        read_idx_folder(folder, train=False)
