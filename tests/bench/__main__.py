"""What plugmux costs, side by side with doing without it: `nox -s bench`, or `nox -s bench -- burst`.

    python tests/bench [--json FILE] [--rounds N] [measurement …]

Each measurement is a module here with `measure() -> Iterator[Row]` and perhaps a TITLE; a new one is a new
module and its name in MEASUREMENTS. Nothing fails here: a table says what was measured and whether it is
inside its budget.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

from rows import Row, table

MEASUREMENTS = (
    "importing",
    "installed",
    "deciding",
    "falling_back",
    "burst",
    "slow",
    "crowd",
    "first_token",
    "throughput",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("measurements", nargs="*", default=MEASUREMENTS, metavar="|".join(MEASUREMENTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, round by round")
    parser.add_argument("--rounds", type=int, metavar="N", help="instead of each measurement's own number")
    arguments = parser.parse_args()
    if arguments.rounds:
        os.environ["PLUGMUX_BENCH_ROUNDS"] = str(arguments.rounds)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody here is to compile at every start
    measured = {name: _measured(name) for name in arguments.measurements}
    if arguments.json:
        arguments.json.write_text(json.dumps(_record(measured), indent=2) + "\n")


def _measured(name: str) -> list[Row]:
    """Measure, and print the table with the seconds it took."""
    start = time.monotonic()
    measurement = import_module(name)
    rows = list(measurement.measure())
    title = getattr(measurement, "TITLE", name)
    print(table(title, rows), f"  ({time.monotonic() - start:.0f} s)", sep="\n", flush=True)
    return rows


def _record(measured: Mapping[str, Iterable[Row]]) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "measurements": {name: [row.as_dict() for row in rows] for name, rows in measured.items()},
    }


if __name__ == "__main__":
    main()
