"""`.pt` files in memory: written and read by either library, and taken apart."""

import io
import zipfile

import torch

from minigrad.serialization import load, save


def saved(obj, by=save):
    """The bytes of a file with `obj`."""
    file = io.BytesIO()
    by(obj, file)
    return file.getvalue()


def loaded(data, **options):
    return load(io.BytesIO(data), **options)


def by_torch(data):
    return torch.load(io.BytesIO(data), weights_only=True)


def repacked(data, edit=lambda text: text, **records):
    """The file with its pickle and some records changed and all checksums right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            short = name.split("/", 1)[1]
            content = edit(content) if short == "data.pkl" else records.get(short, content)
            new.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()
