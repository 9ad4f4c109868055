"""Lines into events: what recorded traffic does not hold, older servers' types, and damage."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugmux.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamCutError,
)
from plugmux.events import (
    Finish,
    FinishReason,
    Notice,
    Progress,
    Reasoning,
    Reset,
    ServedBy,
    Source,
    Sources,
    Text,
    Title,
)
from plugmux_hf_chat._answer import Answer, StoredFile
from plugmux_hf_chat._sources import sources_in
from plugmux_hf_chat._thinking import ThinkSplitter

FINISHED = {"type": "status", "status": "finished"}


def token(text: str) -> dict[str, Any]:
    return {"type": "stream", "token": text}


def final(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "finalAnswer", "text": text, "interrupted": False, **more}


def fed(answer: Answer, *updates: dict[str, Any]) -> list[Any]:
    return [event for update in updates for event in answer.feed(json.dumps(update))]


def decoded(*updates: dict[str, Any]) -> list[Any]:
    answer = Answer()
    return fed(answer, *updates) + answer.finish()


def text_after_resets(events: list[Any]) -> str:
    text = ""
    for event in events:
        text = "" if isinstance(event, Reset) else text
        text += event.text if isinstance(event, Text) else ""
    return text


@pytest.mark.parametrize(
    ("tokens", "ending", "text", "resets"),
    [
        (["a ", "b"], "a b", "a b", 0),
        (["a ", "b "], "a b", "a b ", 0),
        ([" a"], "a", " a", 0),
        (["a "], "a b c", "a b c", 0),
        (["a"], "a b c", "a b c", 0),
        ([], "all at once", "all at once", 0),
        (["one two ", "one two three"], "one two three", "one two three", 1),
        (["one ", "one "], "one", "one", 1),
        (["a b c"], "a b", "a b c", 0),
        (["a b c"], "something else", "a b c", 0),
        (["a b"], "", "a b", 0),
    ],
    ids=[
        "equal",
        "trimmed",
        "trimmed-in-front",
        "longer",
        "longer-and-trimmed",
        "no-tokens",
        "doubled",
        "doubled-whole",
        "beginning-only",
        "unlike",
        "empty",
    ],
)
def test_the_final_answer_and_the_stream_agree(
    tokens: list[str], ending: str, text: str, resets: int
) -> None:
    events = decoded(*map(token, tokens), final(ending), FINISHED)
    assert text_after_resets(events) == text
    assert sum(isinstance(event, Reset) for event in events) == resets


def test_a_doubled_answer_with_thoughts_gives_its_thoughts_once_more() -> None:
    whole = "<think>hm</think>so"
    events = decoded(token("<think>h"), token(whole), final(whole), FINISHED)
    at = next(i for i, event in enumerate(events) if isinstance(event, Reset))
    assert events[at + 1 :] == [Reasoning(text="hm"), Text(text="so"), Finish()]


def test_a_piece_that_was_lost_as_a_malformed_line_is_made_good_by_the_final_answer() -> None:
    answer = Answer()
    events = fed(answer, token("one ")) + answer.feed(b'{"type":"stream","tok')
    events += fed(answer, token("three"), final("one two three"), FINISHED) + answer.finish()
    assert text_after_resets(events) == "one two three"
    assert sum(isinstance(event, Reset) for event in events) == 1


def test_thoughts_that_came_apart_are_given_again_with_an_answer_that_was_doubled() -> None:
    thought = {"type": "reasoning", "subtype": "stream", "token": "Hm."}
    events = decoded(thought, token("one"), token("one"), final("one"), FINISHED)
    again = events[events.index(Reset(why="the server produced the answer twice")) + 1 :]
    assert again[:2] == [Reasoning(text="Hm."), Text(text="one")]


def test_after_a_tool_the_final_answer_is_only_the_last_round() -> None:
    call = {"type": "tool", "subtype": "call", "uuid": "1", "call": {"name": "look", "parameters": {}}}
    events = decoded(token("Let me look. "), call, token("Done."), final("Done."), FINISHED)
    assert [event for event in events if isinstance(event, Reset)] == []
    assert text_after_resets(events) == "Let me look. Done."


def test_an_answer_doubled_after_a_tool_is_given_once_with_all_that_the_tool_found() -> None:
    picture = {"type": "image", "data": "R0lGODlh", "mimeType": "image/gif"}
    outputs = [{"text": "URL: https://a.example/", "content": [picture]}]
    call = {"type": "tool", "subtype": "call", "uuid": "1", "call": {"name": "look", "parameters": {}}}
    result = {
        "type": "tool",
        "subtype": "result",
        "uuid": "1",
        "result": {"status": "success", "outputs": outputs},
    }
    stored = {"type": "file", "name": "b.png", "sha": "ab12", "mime": "image/png"}
    said = [token("<think>hm</think>Let me look. "), call, result, stored, token("The answer ")]
    second_try = [token("The answer "), token("is 42.")]
    found = [{"title": "A", "uri": "https://a.example/"}]
    ending = final("The answer is 42.", webSources=found)
    events = decoded(*said, *second_try, ending, FINISHED)
    at = next(i for i, event in enumerate(events) if isinstance(event, Reset))
    sources, media, file, *rest = events[at + 1 :]
    assert sources == Sources(sources=(Source(url="https://a.example/"),))
    assert (media.mime_type, media.data) == ("image/gif", b"GIF89a")
    assert file == StoredFile(sha="ab12", mime_type="image/png")
    assert rest == [
        Reasoning(text="hm"),
        Text(text="Let me look. "),
        Text(text="The answer is 42."),
        Finish(),
    ]


def test_a_think_tag_after_a_tool_call_opens_a_new_round() -> None:
    call = {"type": "tool", "subtype": "call", "uuid": "1", "call": {"name": "look", "parameters": {}}}
    events = decoded(token("Wait. "), call, token("<think>so</think>Done."), final("x"), FINISHED)
    assert Reasoning(text="so") in events


def test_a_tag_in_the_middle_of_a_text_is_text() -> None:
    events = decoded(token("Write <think> first"), final("Write <think> first"), FINISHED)
    assert text_after_resets(events) == "Write <think> first"


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_tags_cut_anywhere_are_still_found(cuts: list[int]) -> None:
    whole = " <think>first </ thoughts</think>\n\nand an answer"
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    splitter, events = ThinkSplitter(), []
    for start, end in pairwise(places):
        events += splitter.feed(whole[start:end])
    events += splitter.flush()
    assert "".join(e.text for e in events if isinstance(e, Reasoning)) == "first </ thoughts"
    assert "".join(e.text for e in events if isinstance(e, Text)) == "and an answer"


def test_thoughts_that_are_never_closed_stay_thoughts() -> None:
    events = decoded(token("<think>only thoughts"), FINISHED)
    assert "".join(e.text for e in events if isinstance(e, Reasoning)) == "only thoughts"


def test_the_beginning_of_a_tag_that_is_none_comes_out_as_text() -> None:
    assert decoded(token("<thi"), FINISHED) == [Text(text="<thi"), Finish()]


def test_a_title_is_given_once() -> None:
    title = {"type": "title", "title": "New\0"}
    assert decoded(title, token("a"), title, FINISHED) == [Title(title="New"), Text(text="a"), Finish()]


def test_router_metadata_is_merged_and_not_overwritten_with_nothing() -> None:
    first = {"type": "routerMetadata", "route": "default", "model": "m"}
    second = {"type": "routerMetadata", "route": "", "model": "", "provider": "p"}
    events = decoded(first, token("a"), second, second, FINISHED)
    assert [event for event in events if isinstance(event, ServedBy)] == [
        ServedBy(model="m"),
        ServedBy(model="m", upstream="p"),
    ]


@pytest.mark.parametrize(
    ("update", "events"),
    [
        (
            {"type": "webSearch", "subtype": "update", "message": "Reading", "args": ["example.com"]},
            [Progress(stage="web-search", message="Reading example.com")],
        ),
        (
            {
                "type": "webSearch",
                "messageType": "sources",
                "sources": [{"title": "T", "link": "https://a/"}],
            },
            [Sources(sources=(Source(url="https://a/", title="T"),))],
        ),
        (
            {"type": "webSearch", "subtype": "error", "message": "no luck"},
            [Notice(code="web-search-failed", message="no luck", option="web_search")],
        ),
        ({"type": "webSearch", "subtype": "finished"}, []),
        ({"type": "reasoning", "subtype": "stream", "token": "hm\0"}, [Reasoning(text="hm")]),
        ({"type": "reasoning", "subtype": "status", "status": "Thinking"}, [Reasoning(status="Thinking")]),
        (
            {"type": "file", "name": "a.png", "sha": "abc123", "mime": "image/png"},
            [StoredFile(sha="abc123", mime_type="image/png")],
        ),
        ({"type": "agent", "agent": "x"}, []),
        ({"type": "elicitation", "elicitationId": "1", "subtype": "resolved", "resolution": "x"}, []),
        (
            {"type": "elicitation", "subtype": "request", "request": {"message": "Which city?"}},
            [Notice(code="question", message="a tool asks: Which city?; answer it on the site")],
        ),
        (
            {"type": "tool", "subtype": "error", "uuid": "1", "message": "boom"},
            [Notice(code="tool-failed", message="tool failed: boom")],
        ),
    ],
)
def test_a_type_of_its_time_gives_its_events(update: dict[str, Any], events: list[Any]) -> None:
    assert fed(Answer(), update) == events


def test_a_final_answer_of_early_2025_carries_its_sources() -> None:
    events = decoded(token("a"), final("a", webSources=[{"uri": "https://a/", "title": "T"}]), FINISHED)
    assert Sources(sources=(Source(url="https://a/", title="T"),)) in events


def test_a_final_answer_of_2023_carries_its_web_search() -> None:
    events = decoded(token("a"), final("a", webSearch={"sources": [{"link": "https://a/"}]}), FINISHED)
    assert Sources(sources=(Source(url="https://a/"),)) in events


def error_of(**facts: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        Answer().feed(json.dumps({"type": "status", "status": "error", **facts}))
    return caught.value


@pytest.mark.parametrize(
    ("facts", "kind", "status"),
    [
        ({"message": "429 slow down", "statusCode": 429}, RateLimitError, 429),
        ({"message": "402 no credit"}, QuotaExceededError, 402),
        ({"message": "401 bad token", "statusCode": 401}, AuthenticationError, 401),
        (
            {"message": "400 The response was filtered by the content policy", "statusCode": 400},
            ContentFilterError,
            400,
        ),
        ({"message": "503 away", "statusCode": 503}, ServerError, 503),
        ({"message": "fake overloaded mid-stream"}, ServerError, None),
        ({}, ServerError, None),
        (
            {"message": "400 This model's maximum context length is 4096 tokens", "statusCode": 400},
            ContextLengthError,
            400,
        ),
    ],
)
def test_an_error_line_is_never_a_silent_end(facts: dict[str, Any], kind: type, status: int | None) -> None:
    error = error_of(**facts)
    assert type(error) is kind
    assert error.status == status
    assert error.message


def test_a_context_error_carries_its_numbers() -> None:
    text = (
        "400 This model's maximum context length is 4096 tokens. "
        "However, your messages resulted in 5000 tokens"
    )
    error = error_of(message=text, statusCode=400)
    assert isinstance(error, ContextLengthError)
    assert (error.limit, error.given) == (4096, 5000)


def test_an_error_of_2023_is_one_too() -> None:
    with pytest.raises(ServerError, match="overloaded"):
        Answer().feed('{"type":"error","message":"overloaded"}')


@pytest.mark.parametrize(
    "updates",
    [[], [{"type": "status", "status": "started"}], [token("half an")]],
    ids=["nothing", "started", "half"],
)
def test_a_stream_that_ends_without_an_end_is_a_cut(updates: list[dict[str, Any]]) -> None:
    with pytest.raises(StreamCutError):
        decoded(*updates)


@pytest.mark.parametrize("updates", [[FINISHED], [final(""), FINISHED]], ids=["finished", "empty-final"])
def test_an_end_without_an_answer_is_an_error_and_not_an_empty_answer(updates: list[dict[str, Any]]) -> None:
    with pytest.raises(StreamCutError, match="without saying anything"):
        decoded(*updates)


def test_stopped_before_the_first_token_is_interrupted_and_not_an_error() -> None:
    events = decoded({"type": "finalAnswer", "text": "", "interrupted": True}, FINISHED)
    assert events == [Finish(reason=FinishReason.INTERRUPTED)]


def test_the_connection_may_end_in_the_blanks_after_the_final_answer() -> None:
    answer = Answer()
    events = fed(answer, token("a"), final("a")) + answer.feed(b" " * 4000)
    assert [*events, *answer.finish()] == [Text(text="a"), Finish()]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'"text"',
        b"{}",
        b'{"type":"stream"}',
        b'{"type":"stream","token":5}',
        b"\xff\xfe",
        b"<html>",
    ],
)
def test_a_malformed_line_is_skipped_with_a_word_three_times_and_then_a_cut(line: bytes) -> None:
    answer = Answer()
    for _ in range(3):
        (notice,) = answer.feed(line)
        assert isinstance(notice, Notice)
        assert notice.code == "malformed-chunk"
    with pytest.raises(StreamCutError):
        answer.feed(line)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "subtype",
                        "status",
                        "token",
                        "text",
                        "uuid",
                        "call",
                        "result",
                        "outputs",
                        "sources",
                    ]
                ),
                x,
            )
        ),
    )
)
def test_no_line_of_json_raises_anything_untyped(value: Any) -> None:
    answer = Answer()
    for kind in (
        "stream",
        "tool",
        "finalAnswer",
        "webSearch",
        "routerMetadata",
        "title",
        "elicitation",
        "file",
    ):
        line = {**value, "type": kind} if isinstance(value, dict) else {"type": kind, "result": value}
        try:
            answer.feed(json.dumps(line))
        except ProviderError:
            answer = Answer()


def test_a_replay_gives_only_what_is_new() -> None:
    answer = Answer()
    fed(answer, {"type": "title", "title": "T"}, token("Hello"), token(" wor"))
    answer.replay()
    events = fed(
        answer, {"type": "title", "title": "T"}, token("Hello wor"), token("ld"), final("Hello world")
    )
    assert events == [Text(text="ld")]


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (
            "Title: A\nURL: https://a/\nText: about a\n\nTitle: B\nURL: https://b/",
            [Source(url="https://a/", title="A", snippet="about a"), Source(url="https://b/", title="B")],
        ),
        ("see [the page](https://a/x) and more", [Source(url="https://a/x", title="the page")]),
        ("at https://a/x, https://b/y.", [Source(url="https://a/x"), Source(url="https://b/y")]),
        ("Title: A\nURL: file:///etc/passwd", []),
        ("nothing here", []),
    ],
)
def test_links_of_a_tools_text_become_sources(text: str, sources: list[Source]) -> None:
    assert sources_in(text) == sources
