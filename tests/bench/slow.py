"""CPU per token on 100 streams at once whose tokens trickle in, each written by itself.

2,000 tokens a second come, spread evenly. Asking for the streams is part of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from contest import Turn, contest
from lineup import EVERYBODY, FAST, PLUGMUX
from rows import Row
from standings import microseconds_a_token, rows_beside_first

TITLE = "slow: CPU per token on 100 slow streams; ratio to the plain httpx loop"
ROUNDS = 4
TURN = Turn(tokens=60, pause=50, requests=100, at_once=100)
BUDGETS = {PLUGMUX.name: 1.0, FAST.name: 0.5}


def measure() -> Iterator[Row]:
    results = contest(EVERYBODY, [TURN], ROUNDS)
    return rows_beside_first(results, microseconds_a_token, "µs/token", BUDGETS)
