"""Files fetched from a server in this process: one that is well, and ones that break off, lie, or are not there."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import re
import resource
import tarfile
import threading
import urllib.error
import zipfile
from pathlib import Path

import pytest

from minigrad.vision import datasets
from minigrad.vision.archives import extract_archive
from minigrad.vision.datasets.utils import download_and_extract_archive, download_url
from tests.vision_files import write_cifar, write_mnist

CONTENT = bytes(i * i % 251 for i in range(300_000))
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """Serves `files`; `breaks` counts how many answers are still to break off after `limit` bytes."""

    def __init__(self):
        self.files, self.requests = {"/file.bin": CONTENT}, []
        self.breaks, self.limit, self.ranges = 0, 100_000, True
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answer(self, request):
        wish = request.headers.get("Range")
        self.requests.append((request.path, wish))
        body = self.files.get(request.path)
        if body is None:
            return request.send_error(404)
        start = int(wish[6:-1]) if wish and self.ranges else 0
        if start and start >= len(body):
            return request.send_error(416)
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        part = body[start:]
        if self.breaks:
            self.breaks -= 1
            part = part[: self.limit]
        request.wfile.write(part)

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    server.close()


def left_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_file_arrives_whole_and_is_not_fetched_twice(server, tmp_path):
    for _ in range(2):
        download_url(f"{server.url}/file.bin", tmp_path / "new" / "folder", md5=MD5)
    assert (tmp_path / "new" / "folder" / "file.bin").read_bytes() == CONTENT
    assert left_in(tmp_path / "new" / "folder") == ["file.bin"]
    assert server.requests == [("/file.bin", None)]
    download_url(f"{server.url}/file.bin", tmp_path, "other.name")
    assert left_in(tmp_path) == ["new", "other.name"]


def test_a_damaged_file_in_place_is_fetched_again(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(CONTENT[:-1])
    download_url(f"{server.url}/file.bin", tmp_path, md5=MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("md5", [MD5, None])
def test_broken_transfers_are_taken_up_again(server, tmp_path, md5, ranges):
    server.breaks, server.ranges = 2, ranges
    download_url(f"{server.url}/file.bin", tmp_path, md5=md5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    wishes = [wish for _, wish in server.requests]
    assert wishes == [None, "bytes=100000-", "bytes=200000-" if ranges else "bytes=100000-"]
    assert left_in(tmp_path) == ["file.bin"]


def test_a_later_run_goes_on_where_this_one_stopped(server, tmp_path):
    server.breaks, server.limit = 99, 0
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1234])
    with pytest.raises(urllib.error.URLError, match=r"could not fetch http://\S*/file.bin: the connection was closed"):
        download_url(f"{server.url}/file.bin", tmp_path, md5=MD5)
    assert left_in(tmp_path) == ["file.bin.part"]
    server.breaks = 0
    download_url(f"{server.url}/file.bin", tmp_path, md5=MD5)
    assert server.requests[-1] == ("/file.bin", "bytes=1234-")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"of another version", CONTENT + b"more"])
def test_a_stale_part_is_thrown_away(server, tmp_path, stale):
    (tmp_path / "file.bin.part").write_bytes(stale)
    download_url(f"{server.url}/file.bin", tmp_path, md5=MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert left_in(tmp_path) == ["file.bin"]


def test_without_a_checksum_no_part_is_trusted(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"of another version")
    download_url(f"{server.url}/file.bin", tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    server.breaks, server.limit = 99, 0
    server.files["/second"] = CONTENT
    with pytest.raises(urllib.error.URLError):
        download_url(f"{server.url}/second", tmp_path)
    assert left_in(tmp_path) == ["file.bin"]


def test_a_wrong_file_is_refused_and_nothing_is_left(server, tmp_path):
    server.files["/file.bin"] = b"an error page"
    with pytest.raises(
        RuntimeError, match=rf"File not found or corrupted. http\S* gave 13 bytes with .* expected {MD5}"
    ):
        download_url(f"{server.url}/file.bin", tmp_path, md5=MD5)
    assert left_in(tmp_path) == []


def test_a_file_that_the_server_has_not(server, tmp_path):
    with pytest.raises(urllib.error.HTTPError, match=r"HTTP Error 404: Not Found \(http://\S*/nothing\)"):
        download_url(f"{server.url}/nothing", tmp_path, md5=MD5)
    assert left_in(tmp_path) == []


def test_no_server(server, tmp_path):
    server.close()
    with pytest.raises(urllib.error.URLError, match=r"could not fetch http.*refused.*check the network and try again"):
        download_url(f"{server.url}/file.bin", tmp_path, md5=MD5)
    assert left_in(tmp_path) == []
    server.__init__()  # so that the fixture has something to close


def test_a_full_disk(server, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*file.bin"):
            download_url(f"{server.url}/file.bin", tmp_path, md5=MD5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert left_in(tmp_path) == []


def test_a_root_that_is_no_folder(server, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        download_url(f"{server.url}/file.bin", tmp_path / "file")


def test_several_at_once_fetch_it_once(server, tmp_path):
    threads = [
        threading.Thread(target=download_url, args=(f"{server.url}/file.bin", tmp_path), kwargs={"md5": MD5})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.requests == [("/file.bin", None)]
    assert left_in(tmp_path) == ["file.bin"]


def test_progress_is_one_line_on_a_terminal_only(server, tmp_path, monkeypatch, capsys):
    download_url(f"{server.url}/file.bin", tmp_path / "quiet")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    download_url(f"{server.url}/file.bin", tmp_path / "loud")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.endswith("file.bin: 100 % of 0.3 MB\n")


# -- data sets ---------------------------------------------------------------------------------------------------------


def packed_mnist(server, tmp_path, mirrors):
    """A class whose four files lie on the server under the last of the mirrors."""
    raw = write_mnist(tmp_path / "made")
    resources = []
    for path in sorted(raw.iterdir()):
        data = gzip.compress(path.read_bytes(), mtime=0)
        server.files[f"/good/{path.name}.gz"] = data
        resources.append((f"{path.name}.gz", hashlib.md5(data).hexdigest()))
    members = {"resources": resources, "mirrors": [server.url + mirror for mirror in mirrors]}
    return type("MNIST", (datasets.MNIST,), members)


def test_mnist_is_fetched_from_the_mirror_that_has_it(server, tmp_path):
    kind = packed_mnist(server, tmp_path, ["/missing/", "/good/"])
    fetched, made = kind(tmp_path / "root", download=True), datasets.MNIST(tmp_path / "made")
    assert fetched.data.tolist() == made.data.tolist()
    assert len(left_in(fetched.raw_folder)) == 8  # packed and unpacked, as torchvision leaves them
    count = len(server.requests)
    kind(tmp_path / "root", download=True)
    kind(tmp_path / "root", train=False)
    assert len(server.requests) == count


def test_mnist_that_no_mirror_has(server, tmp_path):
    kind = packed_mnist(server, tmp_path, ["/missing/", "/nowhere/"])
    with pytest.raises(RuntimeError, match=r"Error downloading \S+.gz:\nTried http\S+/missing/, got:\nHTTP Error 404"):
        kind(tmp_path / "root", download=True)
    with pytest.raises(RuntimeError, match=r"Dataset not found. You can use download=True to download it"):
        kind(tmp_path / "root")


def test_an_interrupted_unpacking_leaves_no_half_file(server, tmp_path, monkeypatch):
    kind = packed_mnist(server, tmp_path, ["/good/"])
    monkeypatch.setattr("shutil.copyfileobj", lambda file, out, *size: (out.write(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        kind(tmp_path / "root", download=True)
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    assert all(name.endswith(".gz") for name in left_in(tmp_path / "root" / "MNIST" / "raw"))
    assert len(kind(tmp_path / "root", download=True)) == 12


def test_cifar_and_emnist_are_fetched_and_unpacked(server, tmp_path):
    members = write_cifar(tmp_path / "made", datasets.CIFAR10)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(tmp_path / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    server.files["/cifar.tar.gz"] = buffer.getvalue()
    members |= {"url": f"{server.url}/cifar.tar.gz", "tgz_md5": hashlib.md5(buffer.getvalue()).hexdigest()}
    data = type("CIFAR10", (datasets.CIFAR10,), members)(tmp_path / "root", download=True)
    assert len(data) == 20
    assert left_in(tmp_path / "root") == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]

    raw = write_mnist(tmp_path / "digits")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in raw.iterdir():
            name = path.name.replace("train", "emnist-digits-train").replace("t10k", "emnist-digits-test")
            archive.writestr(f"gzip/{name}.gz", gzip.compress(path.read_bytes()))
    server.files["/gzip.zip"] = buffer.getvalue()
    members = {"url": f"{server.url}/gzip.zip", "md5": hashlib.md5(buffer.getvalue()).hexdigest()}
    data = type("EMNIST", (datasets.EMNIST,), members)(tmp_path / "root", "digits", download=True)
    assert len(data) == 12
    assert "gzip" not in left_in(data.raw_folder)


# -- archives ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_archives_cannot_write_elsewhere(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr(name, "x")
    for kind in ("tar", "zip"):
        with pytest.raises(RuntimeError, match=r"leads out of the folder"):
            extract_archive(folder / f"a.{kind}")
    assert left_in(tmp_path) == ["folder"]
    assert not os.path.exists("/outside")


def test_links_in_archives_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(info)
    extract_archive(str(tmp_path / "a.tar.gz"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unpacking(tmp_path):
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"text"))
    assert extract_archive(str(tmp_path / "text.gz"), remove_finished=True) == str(tmp_path / "text")
    assert left_in(tmp_path) == ["text"]
    with pytest.raises(RuntimeError, match=re.escape("Unknown compression or archive type: '.rar'")):
        extract_archive(tmp_path / "text.rar")
    for name in ("a.gz", "a.tar", "a.tar.gz", "a.tgz", "a.zip", "a.xz"):
        (tmp_path / name).write_bytes(b"no archive at all")
        with pytest.raises(RuntimeError, match=r"damaged archive"):
            extract_archive(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        extract_archive(tmp_path / "missing.zip")


def test_download_and_extract(server, tmp_path):
    server.files["/text.gz"] = gzip.compress(b"text")
    download_and_extract_archive(f"{server.url}/text.gz", str(tmp_path), remove_finished=True)
    assert (tmp_path / "text").read_bytes() == b"text"
