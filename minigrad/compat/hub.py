"""`torch.hub`: models of other people's, which are programs for torch; they are not fetched."""

from __future__ import annotations

import os
from typing import Any, NoReturn

__all__ = ["get_dir", "load", "load_state_dict_from_url", "set_dir"]

_folder = os.path.join(os.path.expanduser("~"), ".cache", "torch", "hub")


def get_dir() -> str:
    """Where torch would keep what it fetches."""
    return _folder


def set_dir(d: str) -> None:
    """Have it kept elsewhere."""
    global _folder
    _folder = os.path.expanduser(d)


def load(repo_or_dir: str, model: str, *args: Any, **kwargs: Any) -> NoReturn:
    """NotImplementedError."""
    raise NotImplementedError(f"minigrad has no torch.hub.load: {repo_or_dir} is a program for torch")


def load_state_dict_from_url(url: str, *args: Any, **kwargs: Any) -> NoReturn:
    """NotImplementedError: fetch the file and give it to `torch.load`."""
    raise NotImplementedError(f"minigrad has no torch.hub: download {url} and give the file to torch.load")
