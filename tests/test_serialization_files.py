"""Where `save` writes and `load` reads: paths, open files, failing disks, devices."""

import io
import os
import pickle
import resource
import stat
import threading
import zipfile

import numpy as np
import pytest
import torch

import minigrad
from minigrad.files import replace_file
from minigrad.serialization import load, save
from reference import strict_cupy
from tests.pt_files import by_torch, loaded, repacked, saved

# -- paths and files ---------------------------------------------------------------------------------------------------


def test_a_path_in_every_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "a.pt", str(tmp_path / "b.pt"), "c.pt"):
        save({"x": minigrad.ones(2)}, path)
        assert load(path)["x"].tolist() == [1, 1]
        assert torch.load(path)["x"].tolist() == [1, 1]
    assert sorted(os.listdir()) == ["a.pt", "b.pt", "c.pt"]


def test_an_open_file(tmp_path):
    with open(tmp_path / "x.pt", "wb+") as file:
        save(minigrad.ones(2), file)
        file.seek(0)
        assert load(file).tolist() == [1, 1]
    assert torch.load(tmp_path / "x.pt").tolist() == [1, 1]


def test_a_pipe():
    read, write = os.pipe()
    with open(read, "rb") as source, open(write, "wb") as sink:
        save(minigrad.ones(2), sink)
        sink.close()
        assert by_torch(source.read()).tolist() == [1, 1]


@pytest.mark.parametrize("T", [minigrad, torch], ids=["minigrad", "torch"])
def test_what_is_no_file(T, tmp_path):
    write, read = (save, load) if T is minigrad else (torch.save, torch.load)
    with pytest.raises(AttributeError, match="expected 'f' to be string, path, or a file-like object"):
        write(1, 123)
    with pytest.raises(AttributeError, match="'int' object has no attribute 'seek'"):
        read(123)
    with pytest.raises(FileNotFoundError, match=r"\[Errno 2\] No such file or directory: '/no/such.pt'"):
        read("/no/such.pt")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    with pytest.raises(RuntimeError, match=r"Parent directory /no does not exist\."):
        write(1, "/no/such.pt")
    with pytest.raises(RuntimeError, match="irectory"):
        write(1, str(tmp_path))
    with pytest.raises(RuntimeError):
        write(1, "/proc/x.pt")


@pytest.fixture
def checkpoint(tmp_path):
    """A file that must survive."""
    path = tmp_path / "model.pt"
    save({"x": minigrad.ones(3)}, path)
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.pt"], "nothing else is left behind"


@pytest.mark.parametrize("room", [0, 1, 100, 5_000, 100_000])
def test_a_disk_that_fills_up_leaves_the_old_file(checkpoint, room):
    # The system itself fails the write, at byte `room`.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(RuntimeError, match=r"cannot write .*model.pt, which is as it was: File too large"):
            save({"x": minigrad.zeros(30_000)}, checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_the_end_leaves_the_old_file(checkpoint, step, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(RuntimeError, match="No space left on device"):
        save({"x": minigrad.zeros(3)}, checkpoint)


def test_an_interrupt_leaves_the_old_file(checkpoint, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "writestr", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save({"x": minigrad.zeros(3)}, checkpoint)


UNFIT = {"a lambda": lambda: 1, "a file": io.BytesIO().getbuffer(), "a lock": threading.Lock()}


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_be_pickled_leaves_the_old_file(name, checkpoint):
    for obj in (UNFIT[name], {"a": [minigrad.ones(2), UNFIT[name]]}):
        with pytest.raises((TypeError, pickle.PicklingError, AttributeError), match="pickle"):
            save(obj, checkpoint)


def test_replacing_keeps_permissions_and_links(tmp_path):
    path, link = tmp_path / "x.pt", tmp_path / "link.pt"
    save(1, path)
    path.chmod(0o640)
    link.symlink_to(path)
    save(2, link)
    assert link.is_symlink()
    assert load(path) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    with replace_file(fifo) as file:
        file.write(b"abc")
    reader.join()
    assert received == [b"abc"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    with pytest.raises(RuntimeError, match="No space left on device"):
        save(minigrad.ones(3), "/dev/full")


# -- devices -----------------------------------------------------------------------------------------------------------


def on_gpu(data):
    """As if torch had saved from a GPU."""
    return repacked(data, lambda text: text.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"))


def test_a_gpu_file_without_a_gpu():
    data = on_gpu(saved({"x": torch.ones(2)}, torch.save))
    for read in (loaded, by_torch):
        with pytest.raises(RuntimeError, match=r"^Attempting to deserialize object on a CUDA device but torch"):
            read(data)
    where = ["cpu", minigrad.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage]
    for map_location in where:
        assert loaded(data, map_location=map_location)["x"].device == minigrad.device("cpu")


def test_map_location_sees_storage_and_place():
    seen = []
    loaded(
        on_gpu(saved(torch.ones(2), torch.save)), map_location=lambda t, place: seen.append((t.tolist(), place)) or t
    )
    assert seen == [([1, 1], "cuda:0")]


def test_gpu_tensors_go_to_the_device_they_were_on():
    with strict_cupy.install():
        x = minigrad.ones(4, device="cuda")
        part = minigrad.from_numpy(np.zeros(1))
        part.data = x
        part.array = x.array[1:]
        back = loaded(saved([x, part]))
        assert str(back[0].device) == "cuda:0"
        back[0].array[1] = 9
        assert back[1].tolist() == [9, 1, 1]
        assert loaded(saved([x]), map_location="cpu")[0].device.type == "cpu"
        assert str(loaded(saved([minigrad.ones(1)]), map_location="cuda")[0].device) == "cuda:0"
        data = saved([x])
    assert torch.load(io.BytesIO(data), map_location="cpu")[0].tolist() == [1, 1, 1, 1]


def test_a_big_endian_file():
    data = saved(torch.arange(3.0), torch.save)
    big = np.arange(3, dtype=">f4").tobytes()
    data = repacked(data, **{"byteorder": b"big", "data/0": big})
    assert loaded(data).tolist() == by_torch(data).tolist() == [0, 1, 2]
