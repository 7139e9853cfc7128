"""Comparing what a program prints on minigrad with what it prints on torch.

Text and whole numbers must be equal. A float printed with three or more decimals may differ by one in its last printed
place, since a sum rounded in another order can fall on the other side of a rounding boundary; shorter ones are settings
and percentages and must be equal. Beyond that, only a relative difference that the caller states.
"""

from __future__ import annotations

import re
from decimal import Decimal

FLOAT = re.compile(r"-?\d+\.\d{3,}(?:e[-+]\d+)?")
ADDRESS = re.compile(r"0x[0-9a-f]+")


def last_place(printed: str) -> float:
    """One unit in the last printed place: 0.0001 for "2.3010", 1e-8 for "4.2329e-04"."""
    return float(Decimal(1).scaleb(int(Decimal(printed).as_tuple().exponent)))


def differences(ours: list[str], theirs: list[str], relative: float) -> list[str]:
    """One note for each line that differs by more than the module's docstring allows."""
    found = []
    if len(ours) != len(theirs):
        found.append(f"{len(ours)} lines printed, torch prints {len(theirs)}")
    for number, (our, their) in enumerate(zip(ours, theirs), start=1):
        our, their = ADDRESS.sub("0x", our), ADDRESS.sub("0x", their)
        same_text = FLOAT.sub("#", our) == FLOAT.sub("#", their)
        if not same_text or not all(
            abs(float(a) - float(b)) <= 1.001 * last_place(b) + relative * abs(float(b))  # .001: decimals are inexact
            for a, b in zip(FLOAT.findall(our), FLOAT.findall(their))
        ):
            found.append(f"line {number}\n  minigrad {our}\n  torch    {their}")
    return found
