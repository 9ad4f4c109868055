"""Milliseconds from the call to the first text, one request at a time, on a client that is warm."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from contest import Outcome, Turn, contest
from lineup import EVERYBODY_AND_SYNC
from rows import Row
from standings import rows_beside_first

TITLE = "first_token: from the call to the first text, warm; ratio to the plain httpx loop"
ROUNDS = 5
TURN = Turn(tokens=8, requests=50, first=True)


def measure() -> Iterator[Row]:
    return rows_beside_first(contest(EVERYBODY_AND_SYNC, [TURN], ROUNDS), _milliseconds, "ms")


def _milliseconds(outcome: Outcome) -> float:
    """The median of a round's requests."""
    return median(outcome.first) * 1000
