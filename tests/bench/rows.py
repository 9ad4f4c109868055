"""One measured number with its budget, and the table of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, field, frozen


@frozen(kw_only=True)
class Row:
    """`value` in `unit`; `budget` is the most it may be, in the same unit; `facts` go to the JSON only."""

    what: str
    value: float
    unit: str
    budget: float | None = None
    facts: Mapping[str, Any] = field(factory=dict)

    @property
    def verdict(self) -> str:
        if self.budget is None:
            return ""
        return "ok" if self.value <= self.budget else "OVER"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def table(title: str, rows: Sequence[Row]) -> str:
    """The rows as aligned plain text below a title."""
    cells = [("", "measured", "budget", "")]
    cells += [
        (row.what, _number(row.value, row.unit), _number(row.budget, row.unit), row.verdict) for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = [
        f"  {what:<{widths[0]}}  {value:>{widths[1]}}  {budget:>{widths[2]}}  {verdict}".rstrip()
        for what, value, budget, verdict in cells
    ]
    return "\n".join(["", title, *lines])


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.2f} {unit}"
