"""Every recorded message stream decodes as the protocol says: the expectations are written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugmux.errors import (
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    Scope,
    ServerError,
    StreamCutError,
)
from plugmux.events import (
    Finish,
    FinishReason,
    Media,
    Progress,
    Reasoning,
    Reset,
    ServedBy,
    Source,
    Sources,
    Text,
    Title,
)
from plugmux_hf_chat._answer import Answer

TAIL = "é猫🎉\na-token-longer-than-sixteen-characters."


def hello(model: str, turn: int) -> str:
    return f"Hello from {model}, turn {turn}: {TAIL}"


FAKE = ServedBy(upstream="fakeprov")
NEW = "Fake title"
STOP, INTERRUPTED = FinishReason.STOP, FinishReason.INTERRUPTED

# name: (text, title, who served)
ANSWERS: dict[str, tuple[str, str | None, list[ServedBy]]] = {
    "hosted-message": (hello("fake/plain", 1), NEW, []),
    "hosted-message-tools-unsupported": (hello("fake/plain", 2), None, []),
    "message-accept-encoding": (hello("fake/plain", 1), None, []),
    "message-accept-json": (hello("fake/plain", 1), NEW, []),
    "message-branch-from-root": (hello("fake/plain", 1), None, []),
    "message-concurrent": (hello("fake/plain", 1), None, []),
    "message-edit-user": (hello("fake/plain", 2), None, []),
    "message-file-hash": ("I see 2 image(s).", None, [FAKE]),
    "message-file-two": ("I see 3 image(s).", None, [FAKE]),
    "message-file-upload": ("I see 1 image(s).", NEW, [FAKE]),
    "message-files-in-json": ("I see 0 image(s).", None, [FAKE]),
    "message-first-turn": (hello("fake/plain", 1), NEW, []),
    "message-length": ("cut off he", NEW, [FAKE]),
    "message-no-finish-reason": ("no finish reason", NEW, [FAKE]),
    "message-older-keys": (hello("fake/plain", 3), None, []),
    "message-omni-fallback": (hello("fake/plain", 1), "hi", [ServedBy(model="fake/plain")]),
    "message-omni-image-no-tools": (
        "I see 1 image(s).",
        "hi",
        [ServedBy(model="fake/vision"), ServedBy(model="fake/vision", upstream="fakeprov")],
    ),
    "message-omni-image": (
        "I see 1 image(s).",
        NEW,
        [ServedBy(model="fake/vision"), ServedBy(model="fake/vision", upstream="fakeprov")],
    ),
    "message-omni-unknown-server": (
        hello("fake/tools", 1),
        "hi",
        [ServedBy(model="fake/tools"), ServedBy(model="fake/tools", upstream="fakeprov")],
    ),
    "message-retry-assistant": (hello("fake/plain", 2), None, []),
    "message-second-turn": (hello("fake/plain", 2), None, []),
    "message-title-late": (hello("fake/slow-title", 1), NEW, [FAKE]),
    "message-title-no-llm": (hello("fake/plain", 1), "one two three four five", []),
    "message-tools-none": (hello("fake/tools", 1), NEW, [FAKE]),
    "message-urlencoded": (hello("fake/plain", 1), NEW, []),
}


def recorded(shared: Path, name: str) -> dict[str, Any]:
    return json.loads((shared / "recordings" / "huggingchat" / f"{name}.json").read_text())


def body_of(exchange: dict[str, Any]) -> str:
    return exchange["response"]["body"]["text"]


def decoded(lines: list[str]) -> list[Any]:
    answer = Answer()
    events = [event for line in lines for event in answer.feed(line.encode())]
    return events + answer.finish()


def of(kind: type, events: list[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in of(Text, events))


def thoughts_of(events: list[Any]) -> str:
    return "".join(event.text for event in of(Reasoning, events))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_gives_its_text_title_and_server(name: str, shared: Path) -> None:
    text, title, served = ANSWERS[name]
    events = decoded(body_of(recorded(shared, name)).split("\n"))
    assert text_of(events) == text
    assert of(Title, events) == ([Title(title=title)] if title else [])
    assert of(ServedBy, events) == served
    assert events[-1] == Finish(reason=STOP)
    assert len(of(Finish, events)) == 1
    assert not of(Reset, events)
    assert not thoughts_of(events)


@pytest.mark.parametrize(
    ("name", "thoughts", "text"),
    [
        ("message-reasoner", "First I think, then I answer.", "The answer is 42."),
        ("message-reasoner-effort", "First I think, then I answer.", "The answer is 42."),
        ("message-thinker", "\nhmm\n", "Done thinking."),
    ],
)
def test_think_tags_inside_tokens_become_reasoning(name: str, thoughts: str, text: str, shared: Path) -> None:
    events = decoded(body_of(recorded(shared, name)).split("\n"))
    assert thoughts_of(events) == thoughts
    assert text_of(events) == text
    assert of(Title, events) == [Title(title=NEW)]
    assert of(ServedBy, events) == [FAKE]
    assert events[-1] == Finish(reason=STOP)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("message-stopped", "t0 t1 t2 t3 t4 t5 t6 t7 "),
        ("message-stopped-no-stop-point", "t0 t1 t2 t3 t4 t5 "),
    ],
)
def test_a_stopped_answer_is_interrupted_and_keeps_what_was_shown(name: str, text: str, shared: Path) -> None:
    events = decoded(body_of(recorded(shared, name)).split("\n"))
    assert text_of(events) == text
    assert events[-1] == Finish(reason=INTERRUPTED)
    assert not of(Reset, events)


FAILURES: dict[str, tuple[type[ProviderError], int | None, str, str]] = {
    # name: (error, status, text of the error, what was said before)
    "message-drop-midstream": (StreamCutError, None, "terminated", "one two three one two three "),
    "message-empty": (ServerError, None, "No output was generated. Something went wrong.", ""),
    "message-file-hash-unknown": (
        InvalidRequestError,
        404,
        "a file of the conversation is no longer there",
        "",
    ),
    "message-file-raw-bytes": (
        InvalidRequestError,
        None,
        "Input buffer contains unsupported image format",
        "",
    ),
    "message-upstream-402": (QuotaExceededError, 402, "402 fake upstream says 402", ""),
    "message-upstream-403": (PermissionDeniedError, 403, "403 fake upstream says 403", ""),
    "message-upstream-404": (ModelNotFoundError, 404, "404 fake upstream says 404", ""),
    "message-upstream-500": (ServerError, 500, "500 fake upstream says 500", ""),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_recorded_error_line_is_raised_as_its_typed_error(name: str, shared: Path) -> None:
    kind, status, message, said = FAILURES[name]
    *before, last = filter(str.strip, body_of(recorded(shared, name)).split("\n"))
    answer = Answer()
    events = [event for line in before for event in answer.feed(line)]
    with pytest.raises(ProviderError) as caught:
        answer.feed(last)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.message == message
    assert caught.value.retryable is False
    assert text_of(events) == said


def test_a_refusal_of_one_model_does_not_rule_out_the_account(shared: Path) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        decoded(body_of(recorded(shared, "message-upstream-403")).split("\n"))
    assert caught.value.scope is Scope.CANDIDATE


def tool_progress(name: str, query: str) -> list[Progress]:
    return [
        Progress(stage=name, message=json.dumps({"query": query})),
        Progress(stage=name, eta=10.0),
        Progress(stage=name, fraction=0.5, message="step 1"),
        Progress(stage=name, fraction=1.0, message="step 2"),
        Progress(stage=name, fraction=1.0),
    ]


@pytest.mark.parametrize(
    ("name", "query", "served"),
    [
        ("message-tools", "search cats", [FAKE]),
        ("message-tools-custom-server", "search birds", [FAKE]),
        (
            "message-omni-tools",
            "search cats",
            [ServedBy(model="fake/tools"), ServedBy(model="fake/tools", upstream="fakeprov")],
        ),
    ],
)
def test_a_web_search_gives_progress_and_sources_and_keeps_both_rounds(
    name: str, query: str, served: list[ServedBy], shared: Path
) -> None:
    events = decoded(body_of(recorded(shared, name)).split("\n"))
    assert text_of(events) == "Let me look. " + hello("fake/tools", 1)
    assert of(Progress, events) == tool_progress("web_search_fake", query)
    source = Source(url="https://example.com/a", title="Example", snippet=f"about {query}")
    assert of(Sources, events) == [Sources(sources=(source,))]
    assert of(ServedBy, events) == served
    assert of(Title, events) == [Title(title=NEW)]
    assert not of(Reset, events)
    assert events[-1] == Finish(reason=STOP)


def test_a_picture_inside_a_tool_result_is_media(shared: Path) -> None:
    events = decoded(body_of(recorded(shared, "message-tools-image")).split("\n"))
    (media,) = of(Media, events)
    assert media.mime_type == "image/png"
    assert media.size == 75
    assert of(Progress, events) == tool_progress("make_image_fake", "image please")
    assert text_of(events) == "Let me look. " + hello("fake/tools", 1)
    assert events[-1] == Finish(reason=STOP)


def test_every_recorded_message_stream_is_expected_by_a_test(shared: Path) -> None:
    tools = {"message-tools", "message-tools-custom-server", "message-omni-tools", "message-tools-image"}
    thinking = {"message-reasoner", "message-reasoner-effort", "message-thinker"}
    stopped = {"message-stopped", "message-stopped-no-stop-point"}
    folder = shared / "recordings" / "huggingchat"
    there = {path.stem for path in folder.glob("*.ndjson")}
    assert there == {*ANSWERS, *FAILURES, *tools, *thinking, *stopped}


@pytest.mark.parametrize("name", ["message-tools", "message-thinker", "message-title-late"])
def test_the_raw_stream_decodes_as_the_recorded_body(name: str, shared: Path) -> None:
    from plugmux.decoding import LineDecoder

    raw = (shared / "recordings" / "huggingchat" / f"{name}.ndjson").read_bytes()
    lines = LineDecoder()
    answer, events = Answer(), []
    for start in range(0, len(raw), 7):
        for line in lines.feed(raw[start : start + 7]):
            events += answer.feed(line)
    for line in lines.flush():
        events += answer.feed(line)
    assert [type(event) for event in events + answer.finish()] == [
        type(event) for event in decoded(body_of(recorded(shared, name)).split("\n"))
    ]
