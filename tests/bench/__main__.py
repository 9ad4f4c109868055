"""What plugmux costs, side by side with doing without it: `nox -s bench`, or `nox -s bench -- burst`.

    python tests/bench [--json FILE] [measurement …]

Each measurement is a module here with `measure() -> Iterator[Row]`; a new one is a new module and its name in
MEASUREMENTS. Nothing fails here: a table says what was measured and whether it is inside its budget.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from rows import Row, table

MEASUREMENTS = ("importing", "burst", "deciding", "falling_back", "installed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("measurements", nargs="*", default=MEASUREMENTS, metavar="|".join(MEASUREMENTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.measurements:
        measured = list(import_module(name).measure())
        print(table(name, measured), flush=True)
        rows += measured
    if arguments.json:
        arguments.json.write_text(json.dumps(_record(rows), indent=2) + "\n")


def _record(rows: Iterable[Row]) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rows": [row.as_dict() for row in rows],
    }


if __name__ == "__main__":
    main()
