"""What is written down: a Row for an entry of a database, with a Count for each level and dtype."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

LEVELS = ("forward", "gradient", "second order", "errors")
DTYPES = ("float64", "float32")


@dataclass
class Count:
    """Samples compared at one level in one dtype."""

    run: int = 0
    passed: int = 0
    by_allowance: int = 0  # of those passed: not equal, but allowed (`Verdict.allowance`)
    unmeasurable: int = 0  # torch has no answer itself: not among those run
    failure: str = ""  # the first one's
    why: str = ""  # the first unmeasurable one's
    allowance: str = ""  # the first one's

    def add(self, verdict: Verdict) -> None:
        if verdict.unmeasurable:
            self.unmeasurable += 1
            self.why = self.why or verdict.text
            return
        self.run += 1
        self.passed += not verdict.text
        self.by_allowance += bool(verdict.allowance)
        self.allowance = self.allowance or verdict.allowance
        self.failure = self.failure or verdict.text


@dataclass
class Verdict:
    """One sample at one level: an empty text is a pass."""

    text: str = ""
    unmeasurable: bool = False
    detail: str = ""  # what --verbose adds to the text
    allowance: str = ""  # why it passes although it is not equal


@dataclass
class Row:
    """One entry: its name, torch's name of what it calls, and what was counted."""

    name: str
    function: str
    database: str = ""
    family: str = ""
    core: bool = False
    present: bool = False
    excluded: str = ""  # why the entry cannot be measured at all
    counts: dict[str, dict[str, Count]] = field(default_factory=dict)  # by level, then dtype
    details: list[str] = field(default_factory=list)

    def count(self, level: str, dtype: str) -> Count:
        return self.counts.setdefault(level, {}).setdefault(dtype, Count())

    def measured(self, level: str) -> bool:
        """True if a sample was compared at this level."""
        return any(c.run for c in self.counts.get(level, {}).values())

    def passes(self, level: str) -> bool:
        """True if samples were compared at this level and all of them, in every dtype, were equal."""
        counts = self.counts.get(level, {}).values()
        return self.present and self.measured(level) and all(c.passed == c.run for c in counts if c.run)

    def status(self) -> str:
        """The first level that fails, "missing", "unmeasurable" or "pass"."""
        if not self.measured("forward"):
            return "unmeasurable"
        if not self.present:
            return "missing"
        failing = [level for level in LEVELS[:3] if self.measured(level) and not self.passes(level)]
        return failing[0] if failing else "pass"

    def to_json(self) -> dict[str, Any]:
        """The row as JSON has it: no empty fields."""
        counts = {
            level: {
                dtype: {k: v for k, v in asdict(c).items() if v or k in ("run", "passed")} for dtype, c in by.items()
            }
            for level, by in self.counts.items()
        }
        fields = {k: v for k, v in asdict(self).items() if k not in ("counts", "details") and v not in ("",)}
        return {**fields, "status": self.status(), **counts}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        counts = {level: {d: Count(**c) for d, c in data[level].items()} for level in LEVELS if level in data}
        return cls(counts=counts, **{k: v for k, v in data.items() if k not in (*LEVELS, "status")})


@dataclass(frozen=True)
class Settings:
    """How much of each entry is measured."""

    dtypes: tuple[str, ...] = DTYPES
    levels: tuple[str, ...] = LEVELS
    samples: int | None = None  # of each entry and dtype; None: all
    seconds: float = 20.0  # a sample's limit
    verbose: bool = False
