"""Large batches come from worker processes in shared memory: as they were, never overwritten, and nothing is left."""

import contextlib
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.utils.data._utils import segments
from tests.loaders import Items, ours, quiet

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="batches come through the pipe here"),
]

N = 50_000  # numbers: well above what is sent through the pipe


def full(i):
    return np.full(N, i, np.float32)


def segments_of(pid="self"):
    """The segments that a process has open, by their numbers in the system."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            if "minigrad batch" in os.readlink(link):
                found.add(link.stat().st_ino)
    return found


def segments_open(pid="self"):
    """How many they are."""
    return len(segments_of(pid))


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    gc.collect()
    assert not ours(), "a worker is still running"
    assert segments_open() == 0


def test_batches_that_are_kept_stay_as_they_were():
    loader = quiet(minigrad, Items(20, full), 1, num_workers=2, persistent_workers=True)
    kept = []
    for _ in range(3):
        for i, batch in enumerate(loader):
            assert batch.array.base is not None, "it did not come in shared memory"
            assert (batch.array == i).all()
            if i % 3 == 0:
                kept.append((i, batch))
            elif i % 3 == 1:
                kept.append((i, batch[:, 7:9]))  # a part keeps all
    assert all((part.array == i).all() for i, part in kept)
    kept.clear()
    list(loader)
    del batch, loader


def test_segments_are_used_again_and_few():
    loader = quiet(minigrad, Items(40, full), 1, num_workers=1, persistent_workers=True)
    seen = set()
    for _ in loader:
        seen |= segments_of() | segments_of(ours()[0].pid)
    assert 0 < len(seen) <= 2 + 2, "two that are prefetched, one in use, and one between"


def test_most_of_what_is_kept_for_long_is_given_back():
    loader = quiet(minigrad, Items(60, full), 1, num_workers=1)
    kept = []
    for i, batch in enumerate(loader):
        kept.append(batch)
        if i == 30:
            assert segments_open() > 30
            kept.clear()
        if i == 40:
            assert max(segments_open(), segments_open(ours()[0].pid)) <= len(kept) + 3 + segments.SPARE


def test_more_batches_in_use_than_there_are_segments(monkeypatch):
    monkeypatch.setattr(segments, "MOST", 3)
    batches = list(quiet(minigrad, Items(12, full), 1, num_workers=1))
    assert [float(batch.array.mean()) for batch in batches] == list(range(12))
    assert segments_open() == 3


def test_batches_of_growing_and_shrinking_size():
    sizes = [20_000 * k for k in (1, 3, 2, 9, 1, 4, 9, 8)] * 3
    loader = quiet(minigrad, Items(len(sizes), lambda i: np.full(sizes[i], i, np.int32)), None, num_workers=2)
    for i, batch in enumerate(loader):
        assert batch.shape == (sizes[i],)
        assert (batch.array == i).all()


@pytest.mark.parametrize("room", ["none", "no memory"])
def test_without_room_for_a_segment_they_come_through_the_pipe(monkeypatch, room):
    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, {"none": "memfd_create", "no memory": "posix_fallocate"}[room], refuse)
    for i, batch in enumerate(quiet(minigrad, Items(4, full), 1, num_workers=1)):
        assert (batch.array == i).all()
        batch += 1
    assert segments_open() == 0


def test_any_layout_comes_as_it_is():
    x = np.arange(2 * 30 * 40 * 50, dtype=np.float32).reshape(2, 30, 40, 50)
    arrays = [x, x.transpose(0, 3, 1, 2), x.T, x[:, ::2], x[::-1], np.broadcast_to(x[0, 0], (30, 40, 50)), x > 7]
    sent = {"a": [arrays[0], arrays[1]], "b": tuple(arrays[2:]), "text": "t" * 100_000, "objects": np.array([1, None])}
    (got,) = quiet(minigrad, Items(1, lambda i: sent), None, num_workers=1, collate_fn=lambda item: item)
    for a, b in zip([*got["a"], *got["b"]], arrays, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
        assert a.flags.writeable
    assert got["a"][1].strides == arrays[1].strides, "channels stay last in memory"
    assert got["text"] == sent["text"]
    assert got["objects"].tolist() == [1, None]


def test_after_a_fork_segments_are_not_written_to_again():
    batches = iter(quiet(minigrad, Items(30, full), 1, num_workers=1))
    held = next(batches)
    read, write = os.pipe()
    answer, reply = os.pipe()
    child = os.fork()
    if child == 0:  # it has the batch too, and looks at it when the parent has long dropped it
        os.read(read, 1)
        os.write(reply, b"y" if (held.array == 0).all() else b"n")
        os._exit(0)
    del held
    for batch in batches:
        assert batch is not None
    os.write(write, b"!")
    assert os.read(answer, 1) == b"y"
    os.waitpid(child, 0)
    for end in (read, write, answer, reply):
        os.close(end)


ENDS = {
    "end": "list(loader)",
    "break": "next(iter(loader))",
    "kept at exit": "kept = list(loader)",
    "unfinished at exit": "it = iter(loader); kept = next(it)",
    "error": "it = iter(loader); next(it); raise SystemExit(0)",
    "worker killed": "import os, signal; it = iter(loader); kept = next(it)\n"
    "import multiprocessing as m; os.kill(m.active_children()[0].pid, 9)\n"
    "try: list(it)\nexcept RuntimeError: pass",
    "spawned": "loader = D.DataLoader(data, 2, num_workers=1, multiprocessing_context='spawn'); kept = list(loader)",
}


@pytest.mark.parametrize("end", ENDS)
def test_programs_end_in_silence_and_leave_nothing(end, tmp_path):
    body = ENDS[end].replace("\n", "\n    ")
    program = tmp_path / "program.py"
    program.write_text(
        "import minigrad\nimport minigrad.utils.data as D\n"
        "if __name__ == '__main__':\n"
        "    data = D.TensorDataset(minigrad.zeros(40, 30_000))\n"
        "    loader = D.DataLoader(data, 2, num_workers=2, persistent_workers=True)\n"
        f"    {body}\n"
    )
    before = set(os.listdir("/dev/shm"))
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)], capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert {name for name in set(os.listdir("/dev/shm")) - before if "minigrad" in name or "psm" in name} == set()
