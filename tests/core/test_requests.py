"""Options, policy and limits: checked at the door, and None is not given."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from plugmux.errors import InvalidInputError
from plugmux.messages import Conversation, Message, ProviderState
from plugmux.model import Model, Task
from plugmux.requests import Limits, Options, Policy, Request, limits_from, options_from, policy_from


def test_only_what_was_given_is_given() -> None:
    assert options_from({"max_tokens": 5, "seed": None, "temperature": 0}).given() == {
        "max_tokens": 5,
        "temperature": 0,
    }


def test_one_stop_is_a_list_of_one() -> None:
    assert options_from({"stop": "END"}).stop == ("END",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", "5"),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("temperature", -1),
        ("temperature", "hot"),
        ("temperature", float("nan")),
        ("top_p", 1.5),
        ("seed", "x"),
        ("stop", 7),
        ("stop", [7]),
        ("tools", "f"),
        ("tools", [7]),
        ("response_format", "json"),
        ("web_search", "yes"),
        ("action", "stop"),
        ("width", 0),
        ("fps", 2.5),
        ("extra_headers", "X: 1"),
        ("extra_headers", {"X": 1}),
        ("extra_headers", {"X": b"1"}),
        ("extra_headers", {"X": "1\r\nY: 2"}),
        ("extra_headers", {"X": "caf\xe9"}),
        ("extra_headers", {"X ": "1"}),
        ("extra_headers", {"": "1"}),
        ("extra_headers", {"X:Y": "1"}),
        ("extra_headers", {7: "1"}),
        ("extra_body", []),
    ],
)
def test_a_wrong_option_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        options_from({name: value})
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("temperature", "hot", "'temperature' must be a number, not 'hot'"),
        ("stop", 7, "'stop' must be a list, not 7"),
        ("tools", [7], "'tools' must be a mapping, not 7"),
        ("web_search", "yes", "'web_search' must be true or false, not 'yes'"),
        ("voice", 1, "'voice' must be text, not 1"),
        ("extra_headers", {"x-secret": 1}, "the header 'x-secret' is no text that can be sent"),
    ],
)
def test_what_is_wrong_with_an_option_is_said_in_words(name: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^{name}: {said}$"):
        options_from({name: value})


def test_an_unknown_option_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(InvalidInputError, match="did you mean max_tokens") as caught:
        options_from({"max_token": 5})
    assert caught.value.field == "max_token"


def test_a_strange_option_is_told_where_to_go() -> None:
    with pytest.raises(InvalidInputError, match="extra_body"):
        options_from({"zzzzzz": 1})


def test_a_wrong_header_is_named_without_its_value() -> None:
    value = "hidden\nword"
    with pytest.raises(InvalidInputError, match="'X-Key'") as caught:
        options_from({"extra_headers": {"X-Key": value}})
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_extra_headers_show_in_no_repr() -> None:
    assert "hidden" not in repr(Options(extra_headers={"X": "hidden"}))


def test_a_policy_is_taken_as_a_mapping() -> None:
    policy = policy_from({"order": "a", "only": ["a", "b"], "sort": "price"})
    assert (policy.order, policy.only, policy.sort) == (("a",), ("a", "b"), "price")


def test_no_policy_is_the_default_one() -> None:
    assert policy_from(None) == Policy()


@pytest.mark.parametrize(
    "given",
    [
        "x",
        ["a"],
        {"orders": "a"},
        {"sort": "beauty"},
        {"order": 7},
        {"order": [7]},
        {"allow_fallbacks": "no"},
        {"max_price": "low"},
        {"on_break": "cry"},
        {"max_wait": -1},
        {"max_wait": "long"},
        {"max_tries": 0},
        {"max_tries": 1.5},
        {"max_tries": "x"},
        {7: "x", "orders": "a"},
    ],
)
def test_a_wrong_policy_is_refused_at_the_door(given: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        policy_from(given)
    assert caught.value.field.startswith("policy")


def test_the_wrong_key_of_a_policy_is_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        policy_from({"sort": "price", "order": 7})
    assert caught.value.field == "policy.order"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (5, "limits"),
        ({"whole": 5}, "limits.whole"),
        ({"total": "x"}, "limits.total"),
        ({"idle": -1}, "limits.idle"),
        ({"first_sign": float("nan")}, "limits.first_sign"),
    ],
)
def test_wrong_limits_are_refused_at_the_door(given: Any, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        limits_from(given)
    assert caught.value.field == field


def test_limits_are_taken_as_a_mapping() -> None:
    assert limits_from({"total": 5}) == Limits(total=5)


def test_limits_are_shorter_where_another_candidate_stands_ready() -> None:
    alone = Limits.for_task(Task.CONVERSATIONAL, fallback=False)
    ready = Limits.for_task(Task.CONVERSATIONAL, fallback=True)
    assert (ready.first_sign, ready.first_content, ready.idle) == (10, 12, 10)
    assert (alone.first_sign, alone.first_content) == (60, 120)


def test_media_has_a_first_sign_as_long_as_its_total() -> None:
    limits = Limits.for_task(Task.TEXT_TO_IMAGE, fallback=True, total=90)
    assert (limits.first_sign, limits.total, limits.idle, limits.first_content) == (90, 90, None, None)


def test_a_plugin_with_limits_of_its_own_may_work_as_long_as_these_say_where_nobody_else_is_ready() -> None:
    talk, picture = Task.CONVERSATIONAL, Task.TEXT_TO_IMAGE
    alone = Limits.for_task(talk, fallback=False, own_limits=True)
    assert (alone.first_sign, alone.first_content, alone.idle, alone.total) == (60, None, 60, None)
    drawing = Limits.for_task(picture, fallback=False, own_limits=True)
    assert (drawing.first_sign, drawing.idle, drawing.total) == (600, 600, None)
    assert Limits.for_task(picture, fallback=False, own_limits=True, total=90).total == 90
    for task in (talk, picture):
        ready = Limits.for_task(task, fallback=True, own_limits=True)
        assert ready == Limits.for_task(task, fallback=True)


MODEL = Model(id="m", provider="p")


def request(*texts: str, covers: int | None = None) -> Request:
    messages = tuple(Message(role=role, content=text) for role, text in zip("uaua", texts, strict=False))
    names = {"u": "user", "a": "assistant"}
    messages = tuple(Message(role=names[m.role], content=m.content) for m in messages)
    states = (
        () if covers is None else (ProviderState(provider="p", model="m", covers=covers, state={"id": 1}),)
    )
    conversation = Conversation(messages=messages, states=states)
    return Request(
        id="1", model=MODEL, task=Task.CONVERSATIONAL, messages=messages, conversation=conversation
    )


def test_the_prompt_is_the_text_of_the_last_user_message() -> None:
    assert request("one", "two", "three", "four").prompt == "three"


def test_new_messages_are_those_the_state_does_not_cover() -> None:
    going_on = request("one", "two", "three", covers=2)
    assert going_on.state == {"id": 1}
    assert [message.text for message in going_on.new_messages] == ["three"]


def test_without_a_state_all_messages_are_new() -> None:
    assert request("one", "two").state is None
    assert len(request("one", "two").new_messages) == 2
