"""One measured number with its budget, and the table of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, field, frozen

WIDTH = 100


@frozen(kw_only=True)
class Row:
    """`value` in `unit`, or a `note` why there is none; `facts` go to the JSON only.

    `ratio` compares with what the table's title names. `budget` is the most that `value` may be, in the same
    unit, `ratio_budget` the most that `ratio` may be.
    """

    what: str
    value: float | None = None
    unit: str = ""
    budget: float | None = None
    ratio: float | None = None
    ratio_budget: float | None = None
    note: str = ""
    facts: Mapping[str, Any] = field(factory=dict)

    @property
    def verdict(self) -> str:
        bounds = [(self.value, self.budget), (self.ratio, self.ratio_budget)]
        held = [number <= most for number, most in bounds if number is not None and most is not None]
        return ("ok" if all(held) else "OVER") if held else ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}

    def cells(self) -> tuple[str, str, str, str, str]:
        """The row in columns: what, measured, ratio, budget, verdict."""
        budget = _number(self.budget, self.unit) or _number(self.ratio_budget, "×")
        measured = _number(self.value, self.unit)
        return self.what, measured, _number(self.ratio, "×"), budget and f"≤ {budget}", self.verdict


def table(title: str, rows: Sequence[Row]) -> str:
    """The rows as aligned plain text below a title, at most WIDTH wide."""
    cells = [("", "measured", "ratio", "budget", ""), *(row.cells() for row in rows if not row.note)]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = [_line(line, widths) for line in cells]
    lines += [f"  {row.what}: {row.note}" for row in rows if row.note]
    return "\n".join(line[:WIDTH] for line in ["", title, *lines])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    what, *numbers, verdict = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(["", what, *numbers, verdict.strip()]).rstrip()


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if value == round(value) and abs(value) >= 10 else 2 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f} {unit}".rstrip()
