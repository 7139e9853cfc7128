"""Both engines, and what comparisons of `minigrad.testing` say of planted mistakes."""

from __future__ import annotations

import contextlib
import io
import math

import pytest
import torch

import minigrad

ENGINES = (minigrad, torch)


nan, inf = math.nan, math.inf


def mistake(compare, *args, **kwargs):
    """The text of the AssertionError by which a comparison reports a planted mistake."""
    with pytest.raises(AssertionError) as caught:
        compare(*args, **kwargs)
    return str(caught.value)


def printed(text, ours, theirs):
    """What the program at the end of a message prints."""
    program = text.split("shows it:\n\n")[1]
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec("\n".join(line[4:] for line in program.split("\n")), {"ours": ours, "theirs": theirs})
    finally:
        for T in ENGINES:  # the program prints more digits
            T.set_printoptions(profile="default")
    return out.getvalue()
