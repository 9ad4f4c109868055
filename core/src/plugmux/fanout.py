"""Several answers to one request, made side by side and handed over as one completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio
import attrs

from plugmux.completion import Completion
from plugmux.errors import PlugmuxError
from plugmux.events import Notice, Usage

if TYPE_CHECKING:
    from plugmux.client import AsyncStream

__all__ = ["several"]

AT_ONCE = 4


async def several(make: Callable[[int], AsyncStream], count: int) -> Completion:
    """`count` answers, which `make` begins by number, as one completion: media, notices, total usage and
    cost of all, the rest of the first, and each as a choice.

    Those that succeed are kept when others fail, with a Notice for each failure; when all fail, the
    first failure is raised.
    """
    done: dict[int, Completion] = {}
    failures: dict[int, PlugmuxError] = {}
    gate = anyio.Semaphore(AT_ONCE)

    async def one(index: int) -> None:
        async with gate:
            try:
                done[index] = await make(index).until_done()
            except PlugmuxError as error:
                failures[index] = error

    async with anyio.create_task_group() as group:
        for index in range(count):
            group.start_soon(one, index)
    if not done:
        raise failures[min(failures)]
    answers = [done[index] for index in sorted(done)]
    notices = [notice for answer in answers for notice in answer.notices]
    notices += [Notice(code="answer-failed", message=str(error)) for error in failures.values()]
    return attrs.evolve(
        answers[0],
        media=tuple(media for answer in answers for media in answer.media),
        notices=tuple(dict.fromkeys(notices)),
        usage_total=_usage(answers),
        cost=_cost(answers),
        choices=tuple(answers),
    )


def _usage(answers: Sequence[Completion]) -> Usage | None:
    known = [answer.usage_total for answer in answers if answer.usage_total is not None]
    return sum(known[1:], known[0]) if known else None


def _cost(answers: Sequence[Completion]) -> float | None:
    known = [answer.cost for answer in answers if answer.cost is not None]
    return sum(known) if len(known) == len(answers) else None
