"""A contest's results as rows beside the yardstick, which is the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

from contest import Outcome, Result
from rows import Row

Value = Callable[[Outcome], float]


def rows_beside_first(
    results: Sequence[Result], value: Value, unit: str, budgets: Mapping[str, float] | None = None
) -> Iterator[Row]:
    """A row for each: the median of `value` over the rounds, and of its ratio to the first's in the same
    round. `budgets` are ratios, by name."""
    yardstick = by_round(results[0], value)
    for result in results:
        if result.left_out is not None:
            yield left_out(result)
            continue
        values = by_round(result, value)
        found = ratios(values, yardstick)
        yield Row(
            what=result.title,
            value=median(values),
            unit=unit,
            ratio=median(found) if found else None,
            ratio_budget=(budgets or {}).get(result.name),
            facts={"rounds": values, "ratios": found, **_clocks(result)},
        )


def by_round(result: Result, value: Value, turn: int = 0) -> list[float]:
    """`value` of one turn, one number a round."""
    return [value(outcomes[turn]) for outcomes in result.rounds]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, as far as both have played."""
    return [one / other for one, other in zip(ours, theirs, strict=False)]


def _clocks(result: Result) -> dict[str, list[float]]:
    """Seconds of CPU and on the wall, one number a round."""
    return {
        "cpu": by_round(result, lambda outcome: outcome.cpu),
        "seconds": by_round(result, lambda outcome: outcome.seconds),
    }


def left_out(result: Result) -> Row:
    """The row of one that could not play, or not to the end."""
    return Row(what=result.title, note=f"left out: {result.left_out}")


def microseconds_a_token(outcome: Outcome) -> float:
    """CPU of all threads."""
    return outcome.cpu / outcome.tokens * 1e6
