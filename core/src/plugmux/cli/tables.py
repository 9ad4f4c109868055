"""Rows in columns: as wide as they are in a pipe, folded to the window on a screen.

On a screen the first column, which one copies from, is kept whole, and empty columns are left out. Where
the window is too narrow for columns that can be read, lines are as in a pipe, and the terminal wraps them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from plugmux.cli.terminal import Terminal, visible

__all__ = ["aligned", "show_table"]

READABLE = 10
"""Characters of a column that are not folded."""


def show_table(terminal: Terminal, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows to standard output under a header."""
    rows = [[visible(cell) for cell in row] for row in rows]
    if terminal.out_is_screen:
        _on_screen(terminal, header, rows)
    else:
        terminal.answer("".join(f"{line}\n" for line in aligned([header, *rows])))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines in which each column begins at the same place. Nothing is cut."""
    if not rows:
        return []
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in cell)


def _on_screen(terminal: Terminal, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table

    console = terminal.rich(terminal.out)
    filled = [i for i in range(len(header)) if any(row[i] for row in rows)]
    lines = [[row[i] for i in filled] for row in (header, *rows)]
    whole, *others = (max(map(_width, column)) for column in zip(*lines, strict=True))
    least = [whole, *(min(width, READABLE) for width in others)]
    if sum(least) + 3 * len(least) > console.width:
        terminal.answer("".join(f"{line}\n" for line in aligned(lines)))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for i, name in enumerate(lines[0]):
        table.add_column(name, overflow="fold", no_wrap=i == 0, min_width=least[i])
    for line in lines[1:]:
        table.add_row(*line)
    console.print(table)
