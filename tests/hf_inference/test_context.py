"""Messages that fit a model's window: whole turns go, what must stay stays, and numbers are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmux.errors import ContextLengthError
from plugmux.messages import Message
from plugmux_hf_inference._context import fit, prompt_budget, shorten


def say(role: str, text: str, **more: Any) -> Message:
    return Message(role=role, content=text, **more)


def call(id: str) -> Message:
    return say("assistant", "", tool_calls=({"id": id, "function": {"name": "f", "arguments": "{}"}},))


def result(id: str) -> Message:
    return say("tool", "42", tool_call_id=id)


def one_each(text: str) -> int:
    return 1


SYSTEM = say("system", "Be brief.")
TURNS = [say("user", "1"), say("assistant", "1"), say("user", "2"), say("assistant", "2"), say("user", "3")]
TOOLS = [say("user", "1"), call("a"), result("a"), say("assistant", "1"), say("user", "2")]


def texts(messages: tuple[Message, ...]) -> list[str]:
    return [message.tool_call_id or message.text or "call" for message in messages]


@pytest.mark.parametrize(
    ("messages", "budget", "kept", "dropped"),
    [
        # Each message counts 5 tokens: one for its text, 4 around it; one with a tool call 6.
        (TURNS, 25, ["1", "1", "2", "2", "3"], []),
        (TURNS, 24, ["2", "2", "3"], ["1", "1"]),
        (TURNS, 14, ["3"], ["1", "1", "2", "2"]),
        ([SYSTEM, *TURNS], 29, ["Be brief.", "2", "2", "3"], ["1", "1"]),
        ([SYSTEM, *TURNS], 10, ["Be brief.", "3"], ["1", "1", "2", "2"]),
        ([*TURNS[:2], SYSTEM, *TURNS[2:]], 10, ["Be brief.", "3"], ["1", "1", "2", "2"]),
        (TOOLS, 25, ["2"], ["1", "call", "a", "1"]),
        ([say("assistant", "Welcome!"), *TURNS], 29, ["1", "1", "2", "2", "3"], ["Welcome!"]),
        ([say("user", "1"), say("user", "2")], 9, ["2"], ["1"]),
        ([*TURNS, say("assistant", "3, ")], 19, ["3", "3, "], ["1", "1", "2", "2"]),
    ],
)
def test_the_oldest_turns_are_dropped_first_and_whole(
    messages: list[Message], budget: int, kept: list[str], dropped: list[str]
) -> None:
    stayed, gone = shorten(messages, budget, one_each)
    assert (texts(stayed), texts(gone)) == (kept, dropped)


def test_in_the_last_turn_the_oldest_calls_go_with_their_results_and_the_last_stays() -> None:
    messages = [say("user", "1"), call("a"), result("a"), call("b"), result("b"), call("c"), result("c")]
    stayed, gone = shorten(messages, 27, one_each)
    assert texts(stayed) == ["1", "call", "b", "call", "c"]
    assert texts(gone) == ["call", "a"]
    stayed, gone = shorten(messages, 16, one_each)
    assert texts(stayed) == ["1", "call", "c"]


def test_a_result_goes_with_its_call_even_from_another_turn() -> None:
    messages = [say("user", "1"), call("a"), say("user", "2"), result("a"), say("user", "3")]
    stayed, gone = shorten(messages, 10, one_each)
    assert texts(stayed) == ["2", "3"]
    assert texts(gone) == ["1", "call", "a"]


def test_what_must_stay_but_does_not_fit_is_an_error_with_the_numbers() -> None:
    with pytest.raises(ContextLengthError, match="about 10 tokens, 9 of 9") as raised:
        shorten([SYSTEM, *TURNS], 9, one_each)
    assert (raised.value.given, raised.value.limit) == (10, 9)


roles = st.sampled_from(["system", "user", "assistant", "call"])


@given(st.lists(roles, min_size=1, max_size=14), st.integers(min_value=0, max_value=80))
def test_no_result_is_orphaned_and_nothing_needed_is_lost(kinds: list[str], budget: int) -> None:
    messages: list[Message] = []
    for number, kind in enumerate(kinds):
        messages += [call(str(number)), result(str(number))] if kind == "call" else [say(kind, str(number))]
    try:
        stayed, gone = shorten(messages, budget, one_each)
    except ContextLengthError:
        return
    called = {entry["id"] for message in stayed for entry in message.tool_calls}
    answered = {message.tool_call_id for message in stayed if message.role == "tool"}
    users = [message for message in messages if message.role == "user"]
    assert called == answered
    assert all(message in stayed for message in messages if message.role == "system")
    assert all(message in stayed for message in [*users[-1:], messages[-1]])
    assert [message for message in messages if message in stayed] == list(stayed)
    assert len(stayed) + len(gone) == len(messages)
    assert sum(6 if message.tool_calls else 5 for message in stayed) <= budget


@pytest.mark.parametrize(
    ("window", "max_tokens", "extra", "budget"),
    [
        (4096, 512, 0, 3439),
        (4096, None, 0, 3439),
        (1024, None, 0, 812),
        (1024, 900, 0, 40),
        (1000, 900, 200, -184),
    ],
)
def test_the_budget_is_the_window_without_answer_and_margin(
    window: int, max_tokens: int | None, extra: int, budget: int
) -> None:
    assert prompt_budget(window, max_tokens, extra) == budget


def test_what_fits_is_left_as_it_is() -> None:
    fitted = fit(TURNS, window=1024, max_tokens=10, count=one_each)
    assert (fitted.messages, fitted.dropped, fitted.tokens) == (tuple(TURNS), (), 25)


def test_without_being_asked_nothing_is_dropped_and_the_error_has_the_numbers() -> None:
    with pytest.raises(ContextLengthError, match="shorten=True") as raised:
        fit(TURNS, window=100, max_tokens=20, count=one_each)
    error = raised.value
    assert (error.limit, error.given, error.wanted, error.needs_context) == (100, 25, 20, 45)


def test_asked_for_it_drops_what_does_not_fit() -> None:
    fitted = fit(TURNS, window=100, max_tokens=15, count=one_each, may_shorten=True)
    assert texts(fitted.messages) == ["2", "2", "3"]
    assert texts(fitted.dropped) == ["1", "1"]
    assert fitted.tokens == 15


def test_asked_for_it_and_still_too_long_is_the_error() -> None:
    with pytest.raises(ContextLengthError, match="even without the older turns") as raised:
        fit(TURNS, window=100, max_tokens=30, count=one_each, may_shorten=True)
    assert raised.value.given == 5


def test_the_tools_take_their_part_of_the_window() -> None:
    fitted = fit(TURNS, window=100, max_tokens=0, count=one_each, may_shorten=True, extra=20)
    assert texts(fitted.messages) == ["3"]
