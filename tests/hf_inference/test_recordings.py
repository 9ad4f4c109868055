"""Every recorded chat and text-generation answer becomes what `recordings.toml` says of it.

The answers go through a session, as they would from a server: status, content type and bytes as recorded.
"""

from __future__ import annotations

import base64
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field

from plugmux import errors
from plugmux.events import Event, Finish, Notice, Progress, Reasoning, Sources, Text, ToolCall, Usage
from plugmux.model import Model, Task
from plugmux_hf_inference import plugin

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name("recordings.toml").read_text())
DECODED = {name: entry for name, entry in EXPECTED.items() if "left_out" not in entry}
TASKS = ("chat-completion", "text-generation")


@define
class Outcome:
    """What came of an answer: its events, and the error that ended it."""

    events: list[Event] = field(factory=list)
    error: errors.ProviderError | None = None

    def joined(self, kind: type[Text] | type[Reasoning]) -> str:
        return "".join(event.text for event in self.events if isinstance(event, kind))

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def outcome_of(shared, new_session, new_request):
    """Play a recording's answer to a request of its kind."""

    async def play(name: str) -> Outcome:
        recorded = _recording(shared, name)
        session = new_session(_answer_of(recorded["response"]))
        request = new_request("Hello", model=_model_of(name, recorded))
        outcome = Outcome()
        try:
            async for event in plugin.create_stream(request, session):
                outcome.events.append(event)
        except errors.ProviderError as error:
            outcome.error = error
        return outcome

    return play


def _recording(shared: Path, name: str) -> dict[str, Any]:
    return json.loads((shared / "recordings" / "inference" / f"{name}.json").read_text())


def _model_of(name: str, recorded: dict[str, Any]) -> Model:
    """A model on the road that the recording was made on, told by its address."""
    path = recorded["request"]["url"]
    if "/chat/completions" in path or "chat-completion" in name:
        return Model(id="org/model")
    road = "completions" if path.endswith("/v1/completions") else "text"
    upstream = "together" if road == "completions" else "hf-inference"
    return Model(id="org/model", upstream=upstream, tasks=(Task.TEXT_GENERATION,), extra={"road": road})


def _answer_of(response: dict[str, Any]):
    """The recorded answer to the first request, and nothing of use to any further one."""
    body = response.get("body")
    if body is None:
        content = base64.b64decode(response.get("bodyBase64") or "")
    else:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = {name.lower(): value for name, value in response["headers"].items()}
    kept = {
        name: headers[name] for name in ("content-type", "x-request-id", "retry-after") if name in headers
    }

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        return httpx.Response(response["status"], headers=kept, content=content)

    return answer


@pytest.mark.parametrize("name", DECODED)
async def test_a_recording_becomes_what_was_read_in_it(outcome_of, name):
    expected, outcome = EXPECTED[name], await outcome_of(name)
    _check_words(expected, outcome)
    _check_facts(expected, outcome)
    _check_error(expected, outcome.error)
    assert len(outcome.of(Finish)) == (outcome.error is None)
    assert outcome.error or isinstance(outcome.events[-1], Finish)


def _check_words(expected: dict[str, Any], outcome: Outcome) -> None:
    for kind, key in ((Text, "text"), (Reasoning, "reasoning")):
        begin, end, size = expected.get(key, ["", "", 0])
        said = outcome.joined(kind)
        assert (said[: len(begin)], len(said)) == (begin, size)
        assert said.endswith(end)


def _check_facts(expected: dict[str, Any], outcome: Outcome) -> None:
    assert _finish(outcome) == expected.get("finish")
    assert _usage(outcome) == expected.get("usage")
    assert _tools(outcome) == expected.get("tools", [])
    assert len(outcome.of(Progress)) == expected.get("progress", 0)
    assert sum(len(event.sources) for event in outcome.of(Sources)) == expected.get("sources", 0)
    notices = [event.code for event in outcome.of(Notice) if event.code not in OURS]
    assert notices == expected.get("notices", [])


OURS = ("road", "option-ignored", "option-changed")
"""Notices about the request, which is not the recording's."""


def _check_error(expected: dict[str, Any], error: errors.ProviderError | None) -> None:
    assert (type(error).__name__ if error else None) == expected.get("error")
    if error is None:
        return
    assert expected["said"] in error.message
    for fact in ("status", "code", "param", "limit", "given", "wanted"):
        if fact in expected:
            assert getattr(error, fact) == expected[fact], fact
    assert expected.get("remedy", "") in error.remedy


def test_every_recording_has_its_expectation(shared, capsys):
    index = json.loads((shared / "recordings" / "inference" / "index.json").read_text())
    wanted = {
        entry["file"].removesuffix(".json")
        for entry in index
        if entry["task"].startswith(TASKS) and entry["kind"] != "tgi-snapshot"
    }
    assert wanted == set(EXPECTED)
    left_out = Counter(entry["left_out"] for entry in EXPECTED.values() if "left_out" in entry)
    with capsys.disabled():
        print(f"\nrecordings: {len(DECODED)} of {len(wanted)} decoded, left out: {dict(left_out)}")


def test_what_is_left_out_is_left_out_by_name():
    left_out = {name: entry["left_out"] for name, entry in EXPECTED.items() if "left_out" in entry}
    assert {name.split("/")[0] for name in left_out} == {"cohere", "replicate"}
    assert set(left_out.values()) == {"Cohere's native chat", "Replicate's predictions"}


@pytest.mark.parametrize(
    "name", [name for name in DECODED if "stream" in name and "error" not in EXPECTED[name]]
)
async def test_a_recorded_stream_says_the_same_however_its_bytes_are_cut(
    shared, new_session, new_request, outcome_of, name
):
    expected = await outcome_of(name)
    recorded = _recording(shared, name)
    content = recorded["response"]["body"].encode()
    headers = {"content-type": "text/event-stream"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        return httpx.Response(200, headers=headers, content=_slices(content, 61))

    request = new_request("Hello", model=_model_of(name, recorded))
    outcome = Outcome([event async for event in plugin.create_stream(request, new_session(answer))])
    assert outcome.joined(Text) == expected.joined(Text)
    assert outcome.joined(Reasoning) == expected.joined(Reasoning)
    assert outcome.events[-1] == expected.events[-1]


async def _slices(content: bytes, size: int):
    for start in range(0, len(content), size):
        yield content[start : start + size]


def _finish(outcome: Outcome) -> str | None:
    return next((event.reason.value for event in outcome.of(Finish)), None)


def _usage(outcome: Outcome) -> list[int] | None:
    for usage in outcome.of(Usage):
        counts = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        return [-1 if count is None else count for count in counts]
    return None


def _tools(outcome: Outcome) -> list[list[Any]]:
    return [[call.index, call.id, call.name, call.arguments] for call in _joined_calls(outcome)]


def _joined_calls(outcome: Outcome) -> Iterator[ToolCall]:
    calls: dict[int, ToolCall] = {}
    for piece in outcome.of(ToolCall):
        known = calls.get(piece.index)
        calls[piece.index] = (
            piece
            if known is None
            else ToolCall(
                index=known.index, id=known.id, name=known.name, arguments=known.arguments + piece.arguments
            )
        )
    yield from calls.values()
