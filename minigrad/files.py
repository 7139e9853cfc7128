"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

__all__ = ["replace_file"]


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the place of `path` only when the block ends without an error.

    The bytes go to a new file in the same folder, are flushed to the disk, and the new file is then renamed over
    `path`: a reader sees the old file or the new one, never a part. After an error `path` is as it was and the new
    file is gone. A replaced file keeps its permissions; a device or a pipe (/dev/null) is written to directly. Raises
    what `open` raises (FileNotFoundError, PermissionError, ...) if the folder cannot be written.
    """
    target = os.path.realpath(path)  # through a symbolic link: the link stays, its file is replaced
    if os.path.isdir(target):
        raise IsADirectoryError(f"{os.fspath(path)!r} is a directory; give the path of a file")
    if os.path.exists(target) and not os.path.isfile(target):  # a device or a pipe must not be replaced by a file
        with open(target, "wb") as file:
            yield file
        return
    temporary = f"{target}.{secrets.token_hex(4)}.tmp"
    try:
        file = open(temporary, "xb")  # noqa: SIM115 - its errors are told apart from those of the block
    except OSError as error:
        error.filename = os.fspath(path)  # the name the caller knows
        raise
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
