"""Rows in columns: as wide as they are in a pipe, folded to the window on a screen.

On a screen the first column, which one copies from, is kept whole, and empty columns are left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from plugmux.cli.terminal import Terminal, visible

__all__ = ["aligned", "show_table"]


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

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    filled = [i for i in range(len(header)) if any(row[i] for row in rows)]
    for i in filled:
        table.add_column(header[i], overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(row[i] for i in filled))
    terminal.rich(terminal.out).print(table)
