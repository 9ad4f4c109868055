"""CPU per streamed token while the server sends as fast as it can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from contest import Result, Turn, contest
from lineup import EVERYBODY_AND_SYNC, FAST, PLUGMUX, SYNC
from rows import Row
from standings import by_round, microseconds_a_token, ratios, rows_beside_first

TITLE = "burst: CPU per token as fast as the server sends; ratio to the plain httpx loop"
ROUNDS = 9
TURN = Turn(tokens=4000)
BUDGETS = {PLUGMUX.name: 0.9, FAST.name: 0.6}


def measure() -> Iterator[Row]:
    results = contest(EVERYBODY_AND_SYNC, [TURN], ROUNDS)
    yield from rows_beside_first(results, microseconds_a_token, "µs/token", BUDGETS)
    yield from _sync_row(results)


def _sync_row(results: Sequence[Result]) -> Iterator[Row]:
    costs = {result.name: by_round(result, microseconds_a_token) for result in results}
    found = ratios(costs[SYNC.name], costs[PLUGMUX.name])
    if found:
        what = "plugmux sync, ratio to async"
        yield Row(what=what, ratio=median(found), ratio_budget=1.5, facts={"ratios": found})
