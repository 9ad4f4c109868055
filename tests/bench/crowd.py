"""1,000 streams at once beside 100: what each costs, and what stays behind when they are over.

Tokens come at the same pace in both, 3,333 a second over all streams, because a loop that wakes up for
several at once does less for each. What is held after the last round is compared with the most that was held
in the first half of the rounds: the allocator settles at the highest peak, and idle connections are closed
now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from contest import Outcome, Result, Turn, contest
from lineup import FAST, PLUGMUX
from rows import Row
from standings import by_round, left_out, ratios

TITLE = "crowd: CPU per stream of 1,000 at once, ratio to 100 at once; what is held, ratio to the most before"
ROUNDS = 10
FEW = Turn(tokens=6, pause=30, requests=200, at_once=100)
MANY = Turn(tokens=6, pause=300, requests=1000, at_once=1000)


def measure() -> Iterator[Row]:
    for result in contest([PLUGMUX, FAST], [FEW, MANY], ROUNDS):
        if result.left_out is not None:
            yield left_out(result)
        else:
            yield _cost_row(result)
            yield from _held_rows(result)


def _cost_row(result: Result) -> Row:
    few = by_round(result, lambda outcome: outcome.cpu / FEW.requests * 1e6, turn=0)
    many = by_round(result, lambda outcome: outcome.cpu / MANY.requests * 1e6, turn=1)
    found = ratios(many, few)
    return Row(
        what=result.title,
        value=median(many),
        unit="µs/stream",
        ratio=median(found),
        ratio_budget=1.3,
        facts={"few": few, "many": many, "ratios": found},
    )


def _held_rows(result: Result) -> Iterator[Row]:
    """After the 1,000 streams of the last round, beside the first half of the rounds."""
    ends = [outcomes[1] for outcomes in result.rounds]
    if len(ends) > 1:
        yield from _memory_row(ends)
        files = [outcome.files for outcome in ends]
        what = f"… file descriptors, round {len(ends)}"
        ratio = files[-1] / _most_before(files)
        yield Row(
            what=what, value=files[-1], unit="open", ratio=ratio, ratio_budget=1.0, facts={"rounds": files}
        )


def _memory_row(ends: list[Outcome]) -> Iterator[Row]:
    held = [outcome.memory / 1e6 for outcome in ends if outcome.memory is not None]
    if held:
        what = f"… memory, round {len(ends)}"
        ratio = held[-1] / _most_before(held)
        yield Row(
            what=what, value=held[-1], unit="MB", ratio=ratio, ratio_budget=1.05, facts={"rounds": held}
        )


def _most_before(numbers: Sequence[float]) -> float:
    return max(numbers[: (len(numbers) + 1) // 2])
