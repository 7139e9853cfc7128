"""Fetching a file from the network, whole or not at all.

Bytes go to `<name>.part`, are compared with a checksum and then renamed: whoever reads `<name>` never sees a part of
it. A transfer that breaks off is taken up again where it stopped, at once or by a later run, if the file's MD5 is
known; without one, whether two halves belong together could not be told, and it starts anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows: two processes that fetch the same file at once are on their own
    fcntl = None  # type: ignore[assignment]

__all__ = ["calculate_md5", "check_integrity", "check_md5", "download_url"]

CHUNK = 1 << 18
ATTEMPTS = 5  # in a row without a byte more
TIMEOUT = 30.0  # seconds of silence


def calculate_md5(fpath: str | os.PathLike[str], chunk_size: int = 1024 * 1024) -> str:
    """The MD5 checksum of a file, as hexadecimal digits: against damage, not against malice."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            digest.update(chunk)
    return digest.hexdigest()


def check_md5(fpath: str | os.PathLike[str], md5: str, **kwargs: Any) -> bool:
    """True if the file has that checksum."""
    return md5 == calculate_md5(fpath, **kwargs)


def check_integrity(fpath: str | os.PathLike[str], md5: str | None = None) -> bool:
    """True if there is such a file and, where a checksum is given, it has it."""
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


def download_url(url: str, root: str | os.PathLike[str], filename: str | None = None, md5: str | None = None) -> None:
    """Put the file at `url` into the folder `root`, which is made if need be; nothing to do if it is there and right.

    Errors: RuntimeError if the checksum is another; urllib's URLError (an OSError) if the server cannot be reached,
    has no such file, or stops sending; OSError if the disk is full or the folder cannot be written.
    """
    root = os.path.expanduser(root)
    path = os.path.join(root, filename or os.path.basename(url))
    os.makedirs(root, exist_ok=True)
    if check_integrity(path, md5):
        return
    part = path + ".part"
    with exclusive(path + ".lock"):
        if check_integrity(path, md5):  # fetched by another process while this one waited
            return
        try:
            with open(part, "a+b") as file:
                fetch_verified(url, file, md5)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException as error:
            broken_off = isinstance(error, (urllib.error.URLError, KeyboardInterrupt))
            with contextlib.suppress(FileNotFoundError):
                if md5 is None or not broken_off or os.path.getsize(part) == 0:
                    os.unlink(part)  # of no use to a later run, or in the way on a full disk
            if isinstance(error, OSError) and error.errno is not None and error.filename is None:
                error.filename = path
            raise


@contextlib.contextmanager
def exclusive(path: str) -> Iterator[None]:
    """One process at a time; the others wait. `path` is the name of a file that exists meanwhile."""
    if fcntl is None:
        yield
        return
    while True:
        with open(path, "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                current = os.path.samestat(os.fstat(lock.fileno()), os.stat(path))
            except FileNotFoundError:
                current = False
            if not current:
                continue  # deleted by the process before: another one may have locked a new file
            try:
                yield
            finally:
                os.unlink(path)
            return


def fetch_verified(url: str, file: BinaryIO, md5: str | None) -> None:
    """Fill `file` from `url`, going on where it ends; RuntimeError unless it has the checksum then.

    What an earlier run left may be of another version of the file: then it starts anew, once.
    """
    resumed = file.seek(0, os.SEEK_END) if md5 is not None else file.truncate(0)
    while True:
        fetch(url, file)
        file.flush()
        found = digest(file)
        if md5 is None or found == md5:
            return
        if not resumed:
            size = file.seek(0, os.SEEK_END)
            raise RuntimeError(
                f"File not found or corrupted. {url} gave {size} bytes with the MD5 {found}, expected {md5}; "
                "try again, or fetch the file by other means and put it in place"
            )
        resumed = file.truncate(0)


def digest(file: BinaryIO) -> str:
    """The MD5 of an open file."""
    file.seek(0)
    total = hashlib.md5(usedforsecurity=False)
    while chunk := file.read(CHUNK):
        total.update(chunk)
    return total.hexdigest()


def fetch(url: str, file: BinaryIO) -> None:
    """Append to `file` what `url` has beyond it; broken connections are taken up again while they bring something."""
    failures = 0
    while True:
        before = file.seek(0, os.SEEK_END)
        try:
            if transfer(url, file, before):
                return
            problem: Exception = ConnectionError("the connection was closed too early")
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # no bytes beyond: complete, or longer than the file there
                error.close()
                return
            error.close()
            raise urllib.error.HTTPError(url, error.code, f"{error.reason} ({url})", error.hdrs, None) from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = error
        failures = failures + 1 if file.seek(0, os.SEEK_END) == before else 0
        refused = isinstance(problem, urllib.error.URLError)  # no connection at all: waiting will not help
        if failures == ATTEMPTS or refused:
            reason = getattr(problem, "reason", None) or problem
            raise urllib.error.URLError(
                f"could not fetch {url}: {reason}; check the network and try again, or fetch the file by other means"
            ) from problem


def transfer(url: str, file: BinaryIO, start: int) -> bool:
    """One request for the bytes from `start` on. True if the file is complete then; errors as of urllib and write."""
    headers = {"User-Agent": "minigrad", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as response:
        if start and not begins_at(response, start):  # a server that ignores the wish sends the whole file
            start = file.truncate(0)
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        done = start
        try:
            while chunk := receive(response):
                file.write(chunk)
                done += len(chunk)
                show(url, done, total)
        finally:
            show(url, done, total, last=True)
    return total is None or done >= total


def receive(response: Any) -> bytes:
    """The next bytes; ConnectionError for whatever goes wrong with the connection, as against the disk."""
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def begins_at(response: Any, start: int) -> bool:
    """True if this is the wished part of the file."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def show(url: str, done: int, total: int | None, last: bool = False) -> None:
    """How far it is, on one line of a terminal; nothing where the output goes to a file."""
    if sys.stderr is None or not sys.stderr.isatty():
        return
    share = f"{100 * done / total:3.0f} % of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
    sys.stderr.write(f"\r{os.path.basename(url)}: {share}" + "\n" * last)
    sys.stderr.flush()
