"""nn.functional.pad in its four modes."""

from __future__ import annotations

from reference.case import Case, Sample
from reference.strategies import Draw, Recipe


def around(d: Draw) -> Sample:
    """Any dims, negative numbers included, and a value."""
    shape = d.shape()
    widths: list[int] = []
    for n in shape[::-1][: d.size(0, len(shape))]:
        before = d.size(-n, 3)
        widths += [before, d.size(-n - min(before, 0), 3)]
    return Sample(d.floats(shape), tuple(widths), value=d.one_of(None, 0, 1.5, -2))


def filled(d: Draw) -> Sample:
    """The same by position, with a number for the value."""
    sample = around(d)
    return Sample(*sample.args, sample.kwargs["value"] or 0)


def bordered(mode: str) -> Recipe:
    """The last one, two or three dims."""

    def draw(d: Draw) -> Sample:
        n = d.size(1, 3)
        shape = tuple(d.size(1, 4 if n < 3 else 3) for _ in range(n + d.size(1, 2)))
        widths: list[int] = []
        for size in shape[::-1][:n]:
            most = {"reflect": size - 1, "replicate": 3, "circular": size}[mode]
            before = d.size(1 - size, most) if mode != "circular" else d.size(0, most)
            widths += [before, d.size(1 - size - min(before, 0) if mode != "circular" else 0, most)]
        return Sample(d.floats(shape), tuple(widths), mode=mode)

    return draw


CASES = [
    Case("nn.functional.pad", around, "constant", covers=("pad",)),
    Case("constant_pad_nd", filled),
    Case("nn.functional.pad", bordered("reflect"), "reflect"),
    Case("nn.functional.pad", bordered("replicate"), "replicate"),
    Case(
        "nn.functional.pad",
        bordered("circular"),
        "circular",
        skip={
            "grad_fn": "torch composes it of slices",
            "verdict": "where nothing is left to go round, torch shows garbage",
        },
    ),
]
