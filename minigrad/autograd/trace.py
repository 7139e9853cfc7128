"""Where in the user's program something happened: the innermost line outside this package."""

from __future__ import annotations

import linecache
import sys
import traceback
import warnings
from types import FrameType
from typing import Any

OWN = __name__.partition(".")[0]

Place = tuple[str, int, str]  # file, line, function


def _users_frame() -> tuple[FrameType | None, int]:
    """The innermost frame outside this package, and its stacklevel as `warnings` counts for the caller of this."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == OWN:
        frame, level = frame.f_back, level + 1
    return frame, level


def caller() -> Place | None:
    """The line of the user's program that is running now: a fraction of a microsecond, so it may always be taken."""
    frame, _ = _users_frame()
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def place_of(counter: list[Any]) -> Place | None:
    """Where the last write was made that a version counter counted; None if it was not noted."""
    return counter[1] if len(counter) > 1 else None


def told(place: Place | None) -> str:
    """A place as people read it, with the line itself where its file can be read."""
    if place is None:
        return "an unknown place"
    file, line, function = place
    text = linecache.getline(file, line).strip()
    return f'File "{file}", line {line}, in {function}' + (f": `{text}`" if text else "")


def stack() -> list[str]:
    """The calls that led here, outermost first, as a traceback shows them; those inside this package are left out."""
    frames = [f for f, _ in traceback.walk_stack(sys._getframe(1))]
    own = [f.f_globals.get("__name__", "").partition(".")[0] == OWN for f in frames]
    inner = next((i for i, ours in enumerate(own) if not ours), 0)
    calls = reversed([(f, f.f_lineno) for f in frames[inner:]])
    return traceback.StackSummary.extract(calls).format()


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line, however many calls inside this package led here."""
    _, level = _users_frame()
    warnings.warn(message, category, stacklevel=level)
