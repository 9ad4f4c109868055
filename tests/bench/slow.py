"""CPU per token on 100 streams at once whose tokens trickle in, each written by itself.

2,000 tokens a second come, spread evenly. Asking for the streams counts in; rows that say `once open` count
from when all of them have given their first token.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve
from contest import Outcome, Turn, contest
from lineup import EVERYBODY, FAST, PLAIN, PLUGMUX
from rows import Row
from standings import microseconds_a_token, rows_beside_first

TITLE = "slow: CPU per token on 100 slow streams; ratio to the plain httpx loop"
ROUNDS = 3
TURN = Turn(tokens=60, pause=50, requests=100, at_once=100, first=True)
BUDGETS = {PLUGMUX.name: 1.0, FAST.name: 0.5}
STEADY = (PLAIN.name, PLUGMUX.name, FAST.name)


def measure() -> Iterator[Row]:
    results = contest(EVERYBODY, [TURN], ROUNDS)
    yield from rows_beside_first(results, microseconds_a_token, "µs/token", BUDGETS)
    steady = [result for result in results if result.name in STEADY and result.left_out is None]
    for row in rows_beside_first(steady, _microseconds_once_open, "µs/token"):
        yield evolve(row, what=f"… once open: {row.what}")


def _microseconds_once_open(outcome: Outcome) -> float:
    return outcome.steady_cpu / outcome.steady_tokens * 1e6
