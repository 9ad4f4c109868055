"""Requests a second, 100 at once, each answered with eight tokens at once."""

from __future__ import annotations

from collections.abc import Iterator

from contest import Outcome, Turn, contest
from lineup import EVERYBODY
from rows import Row
from standings import rows_beside_first

TITLE = "throughput: short streamed answers, 100 at once; ratio to the plain httpx loop, more is better"
ROUNDS = 5
TURN = Turn(tokens=8, requests=200, at_once=100)


def measure() -> Iterator[Row]:
    return rows_beside_first(contest(EVERYBODY, [TURN], ROUNDS), _rate, "requests/s")


def _rate(outcome: Outcome) -> float:
    return TURN.requests / outcome.seconds
