"""Unpacking gzip, xz and bzip2 files, tar and zip archives; each file comes out whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from minigrad.files import replace_file
from minigrad.vision.download import download_url

__all__ = ["download_and_extract_archive", "extract_archive"]

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
TARS = (".tar", ".tgz", ".tbz", ".tbz2")
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile)


def extract_archive(from_path: Any, to_path: Any = None, remove_finished: bool = False) -> Any:
    """Unpack a file, as its suffix says, into the folder `to_path`, its own unless given; returns where it went.

    RuntimeError for another suffix, for a damaged archive, and for one with names that lead out of the folder.
    """
    source = Path(from_path)
    folder = source.parent if to_path is None else Path(to_path)
    suffix = source.suffix
    result = folder
    try:
        if suffix in TARS or (suffix in OPENERS and source.with_suffix("").suffix == ".tar"):
            with tarfile.open(source) as tar:
                write_all(folder, tar_files(tar))
        elif suffix == ".zip":
            with zipfile.ZipFile(source) as archive:
                write_all(folder, zip_files(archive))
        elif suffix in OPENERS:
            result = folder / source.stem
            with OPENERS[suffix](source, "rb") as file:
                write_all(folder, [(source.stem, file)])
        else:
            raise RuntimeError(
                f"Unknown compression or archive type: '{suffix}'.\n"
                f"Known suffixes are: '{sorted([*TARS, '.zip', *OPENERS])}'."
            )
    except DAMAGE as error:
        raise RuntimeError(f"{source}: damaged archive ({error}); delete it and fetch it again") from error
    if remove_finished:
        source.unlink()
    return os.fspath(result) if isinstance(from_path, str) else result


def tar_files(tar: tarfile.TarFile) -> Iterator[tuple[str, Any]]:
    """The regular files; links, devices and owners of an archive are not taken over."""
    for member in tar:
        if member.isreg():
            yield member.name, tar.extractfile(member)


def zip_files(archive: zipfile.ZipFile) -> Iterator[tuple[str, Any]]:
    """The files, each opened when its turn comes."""
    for info in archive.infolist():
        if not info.is_dir():
            yield info.filename, archive.open(info)


def write_all(folder: Path, files: Any) -> None:
    """Write (name, open file) pairs below `folder`."""
    for name, file in files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise RuntimeError(f"the archive holds the name {name!r}, which leads out of the folder")
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with file, replace_file(target) as out:
            shutil.copyfileobj(file, out, 1 << 20)


def download_and_extract_archive(
    url: str,
    download_root: Any,
    extract_root: Any = None,
    filename: str | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """`download_url`, then `extract_archive`."""
    root = os.path.expanduser(download_root)
    filename = filename or os.path.basename(url)
    download_url(url, root, filename, md5)
    extract_archive(os.path.join(root, filename), root if extract_root is None else extract_root, remove_finished)
