"""Messages that fit a model's window: counted in tokens, shortened by whole turns, only if asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from attrs import frozen

from plugmux.errors import ContextLengthError
from plugmux.messages import Message
from plugmux.value import Value
from plugmux_hf_inference._tokens import (
    Count,
    cached_tokenizer,
    count_messages,
    counter_of,
    estimate_tokens,
)

__all__ = [
    "Fitted",
    "cached_tokenizer",
    "counter_of",
    "estimate_tokens",
    "fit",
    "prompt_budget",
    "shorten",
]

MARGIN = 64  # tokens, and two of a hundred: counts are estimates, and templates add their own
UNSAID_ANSWER = 512  # tokens left for an answer whose length the caller did not say


@frozen(kw_only=True, eq=False, repr=False)
class Fitted(Value):
    """`dropped` are the messages left out, `tokens` what the rest is counted as."""

    messages: tuple[Message, ...]
    dropped: tuple[Message, ...] = ()
    tokens: int


def prompt_budget(window: int, max_tokens: int | None = None, extra: int = 0) -> int:
    """The tokens left for messages in a window of so many, of prompt and answer together.

    `extra` is what else the prompt holds (tools). Without `max_tokens`, an eighth of the window, at most 512,
    is kept free for the answer. May be negative.
    """
    answer = min(UNSAID_ANSWER, window // 8) if max_tokens is None else max_tokens
    return window - answer - MARGIN - window // 50 - extra


def fit(
    messages: Sequence[Message],
    *,
    window: int,
    max_tokens: int | None = None,
    count: Count = estimate_tokens,
    may_shorten: bool = False,
    extra: int = 0,
) -> Fitted:
    """The messages as they are if they fit; shortened if they do not and that was asked for.

    Raises ContextLengthError with the numbers where neither helps.
    """
    budget = prompt_budget(window, max_tokens, extra)
    costs = count_messages(messages, count)
    if sum(costs) <= budget:
        return Fitted(messages=tuple(messages), tokens=sum(costs))
    places = _shortened(messages, costs, budget) if may_shorten else range(len(messages))
    kept = sum(costs[place] for place in places)
    if kept > budget:
        raise _too_long(kept + extra, budget + extra, limit=window, wanted=max_tokens, shortened=may_shorten)
    return Fitted(
        messages=tuple(messages[place] for place in places),
        dropped=tuple(message for place, message in enumerate(messages) if place not in set(places)),
        tokens=kept,
    )


def shorten(
    messages: Sequence[Message], budget: int, count: Count = estimate_tokens
) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """The messages that fit `budget` tokens, and those dropped for it.

    Whole turns are dropped, the oldest first; if that is not enough, the oldest tool calls of the last turn,
    each with its results. System messages, the last user message and what is yet to be answered stay. Raises
    ContextLengthError if that alone is too long.
    """
    costs = count_messages(messages, count)
    places = _shortened(messages, costs, budget)
    kept = sum(costs[place] for place in places)
    if kept > budget:
        raise _too_long(kept, budget, limit=budget, wanted=None, shortened=True)
    stay = set(places)
    return (
        tuple(messages[place] for place in places),
        tuple(message for place, message in enumerate(messages) if place not in stay),
    )


def _shortened(messages: Sequence[Message], costs: Sequence[int], budget: int) -> list[int]:
    """Places of the messages that stay: as many as fit, or the fewest there may be."""
    staying = set(range(len(messages)))
    total = sum(costs)
    for group in _droppable(messages):
        if total <= budget:
            break
        for place in _with_results(messages, group) & staying:
            staying.remove(place)
            total -= costs[place]
    return sorted(staying)


def _droppable(messages: Sequence[Message]) -> list[list[int]]:
    """What may be dropped, in this order: the turns before the last, then the steps within the last."""
    said = [place for place, message in enumerate(messages) if message.role not in ("system", "developer")]
    turns = _split(said, lambda place: messages[place].role == "user")
    if not turns:
        return []
    steps = _split(turns[-1], lambda place: messages[place].role in ("user", "assistant"))
    return turns[:-1] + [step for step in steps[:-1] if messages[step[0]].role != "user"]


def _split(places: Sequence[int], begins: Callable[[int], bool]) -> list[list[int]]:
    """Groups, each of which begins where `begins` says so."""
    number = 0

    def group(place: int) -> int:
        nonlocal number
        number += begins(place)
        return number

    return [list(members) for _, members in groupby(places, group)]


def _with_results(messages: Sequence[Message], group: Sequence[int]) -> set[int]:
    """The group, and the results of its tool calls wherever they stand."""
    calls = {call.get("id") for place in group for call in messages[place].tool_calls} - {None}
    return set(group) | {place for place, message in enumerate(messages) if message.tool_call_id in calls}


def _too_long(
    given: int, budget: int, *, limit: int, wanted: int | None, shortened: bool
) -> ContextLengthError:
    what = "even without the older turns the prompt has" if shortened else "the prompt has"
    facts: dict[str, Any] = {"limit": limit, "given": given, "wanted": wanted}
    remedy = "shorten the last message" if shortened else "pass shorten=True to leave out the oldest turns"
    message = f"{what} about {given:,} tokens, {max(budget, 0):,} of {limit:,} are left for it"
    return ContextLengthError(message, param="messages", remedy=remedy, **facts)
