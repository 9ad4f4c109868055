"""Every recorded exchange that is no message stream: refusals, conversations, models, resumed runs."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from plugmux.decoding import EventStreamDecoder
from plugmux.errors import (
    AuthenticationError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    Scope,
    ServerError,
)
from plugmux.events import Finish, FinishReason, Notice, Text
from plugmux.http import Response
from plugmux.model import Auth, Capability, Task
from plugmux_hf_chat._answer import Answer
from plugmux_hf_chat._conversation import State, chat_of, unwrap
from plugmux_hf_chat._errors import error_of
from plugmux_hf_chat._wire import models_of, search_servers, settings_with_effort


def response_of(shared: Path, name: str) -> Response:
    exchange = json.loads((shared / "recordings" / "huggingchat" / f"{name}.json").read_text())
    answer, body = exchange["response"], exchange["response"]["body"]
    headers = {key.lower(): value for key, value in answer["headers"]}
    content = body["text"].encode() if "text" in body else base64.b64decode(body["base64"])
    host = dict(exchange["request"]["headers"])["Host"]
    url = f"http://{host}{exchange['request']['path']}"
    return Response(url=url, status=answer["status"], headers=headers, content=content)


# name: (error, code, part of its text)
REFUSALS: dict[str, tuple[type[Exception], str | None, str]] = {
    "bearer-bad-token": (ServerError, None, "An error occurred"),
    "bearer-conversation-create": (AuthenticationError, None, "not logged in"),
    "bearer-message": (AuthenticationError, None, "You have to be logged in."),
    "conversation-create-bad-json": (ServerError, None, "An error occurred"),
    "conversation-create-no-model": (ModelNotFoundError, None, "Invalid request"),
    "conversation-create-unknown-model": (ModelNotFoundError, None, "Invalid request"),
    "conversation-delete-v2-again": (InvalidRequestError, "conversation-gone", "Conversation not found"),
    "conversation-fetch-bad-id": (InvalidRequestError, None, "Invalid conversation ID format"),
    "conversation-fetch-legacy-unknown": (InvalidRequestError, "conversation-gone", "not found"),
    "conversation-fetch-of-other": (InvalidRequestError, "conversation-gone", "You don't have access"),
    "conversation-model-v2-unknown": (InvalidRequestError, None, "Invalid model ID"),
    "conversation-rename-too-long": (ServerError, None, "An error occurred"),
    "conversation-rename-v2-empty": (InvalidRequestError, None, "between 1 and 100 characters"),
    "conversation-rename-v2-unknown": (InvalidRequestError, "conversation-gone", "not found"),
    "csrf-no-origin": (PermissionDeniedError, None, "refuses the Origin"),
    "csrf-null-origin": (ServerError, None, "An error occurred"),
    "csrf-referer-only": (PermissionDeniedError, None, "refuses the Origin"),
    "csrf-text-plain-no-origin": (PermissionDeniedError, None, "refuses the Origin"),
    "csrf-wrong-origin": (PermissionDeniedError, None, "Invalid referer for POST request"),
    "error-accept-html": (MalformedResponseError, None, "Conversation not found."),
    "hosted-bearer-bad-token": (ServerError, None, "An error occurred"),
    "hosted-bearer-user-never-logged-in": (ServerError, None, "An error occurred"),
    "hosted-conversation-create-anonymous": (AuthenticationError, None, "redirects to its login"),
    "hosted-conversation-create-anonymous-accept-json": (AuthenticationError, None, "redirects to its login"),
    "hosted-conversation-fetch-anonymous": (InvalidRequestError, "conversation-gone", "not found"),
    "hosted-conversation-get-anonymous": (AuthenticationError, None, "redirects to its login"),
    "hosted-delete-anonymous": (AuthenticationError, None, "You have to be logged in."),
    "hosted-message-anonymous": (AuthenticationError, None, "You have to be logged in."),
    "hosted-message-anonymous-accept-json": (AuthenticationError, None, "You have to be logged in."),
    "hosted-message-anonymous-no-origin": (PermissionDeniedError, None, "refuses the Origin"),
    "hosted-settings-page-anonymous": (AuthenticationError, None, "redirects to its login"),
    "hosted-stream-anonymous": (InvalidRequestError, "conversation-gone", "not found"),
    "limit-conversations": (QuotaExceededError, None, "maximum number of conversations"),
    "limit-messages-in-conversation": (InvalidRequestError, "conversation-full", "more than 6 messages"),
    "limit-messages-per-minute": (RateLimitError, None, "too many messages"),
    "login-1-start": (AuthenticationError, None, "redirects to its login"),
    "login-2-callback": (MalformedResponseError, None, "redirects"),
    "logout": (MalformedResponseError, None, "redirects"),
    "message-accept-html": (MalformedResponseError, None, "does not take the request"),
    "message-as-json": (ServerError, None, "An error occurred"),
    "message-bad-conversation-id": (ServerError, None, "An error occurred"),
    "message-bad-json": (ServerError, None, "An error occurred"),
    "message-body-over-limit": (InvalidRequestError, None, "too large"),
    "message-conversation-of-other": (InvalidRequestError, "conversation-gone", "not found"),
    "message-file-no-prefix": (ServerError, None, "An error occurred"),
    "message-file-over-10mb": (InvalidRequestError, None, "should be <10MB"),
    "message-no-data": (InvalidRequestError, None, "Invalid request"),
    "message-no-id": (ServerError, None, "An error occurred"),
    "message-retry-system": (ServerError, None, "Failed to create message"),
    "message-retry-unknown-id": (InvalidRequestError, "message-gone", "Message not found"),
    "message-unknown-conversation": (InvalidRequestError, "conversation-gone", "not found"),
    "message-unknown-id": (ServerError, None, "An error occurred"),
    "model-detail-unknown": (ModelNotFoundError, None, "Model not found"),
    "older-assistants": (MalformedResponseError, None, "nothing at /chat/assistants"),
    "older-tools": (MalformedResponseError, None, "nothing at /chat/tools"),
    "older-vote": (MalformedResponseError, None, "nothing at /chat/conversation/"),
    "share-import-unknown": (InvalidRequestError, "conversation-gone", "not found"),
    "stop-generating-unknown": (InvalidRequestError, "conversation-gone", "not found"),
    "unknown-path": (MalformedResponseError, None, "nothing at /nope/nope"),
    "user-legacy-anonymous": (AuthenticationError, None, "Must be signed in"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_recorded_refusal_is_its_typed_error(name: str, shared: Path) -> None:
    kind, code, text = REFUSALS[name]
    response = response_of(shared, name)
    error = error_of(response)
    assert type(error) is kind
    assert error.code == code
    assert text in error.message
    assert error.status == response.status
    cookies = response.headers.get("set-cookie", "")
    secret = cookies.partition("=")[2].partition(";")[0]
    assert not secret or secret not in f"{error} {error.body}"


def test_a_refusal_for_want_of_a_login_says_how_to_log_in(shared: Path) -> None:
    for name in ("hosted-conversation-create-anonymous", "hosted-message-anonymous"):
        assert "plugmux auth login hf-chat" in error_of(response_of(shared, name)).remedy


def test_too_many_conversations_are_no_matter_of_who_pays(shared: Path) -> None:
    error = error_of(response_of(shared, "limit-conversations"))
    assert (error.scope, error.remedy) == (Scope.CREDENTIAL, "delete some conversations on the site")


# name: (id, root, messages)
CHATS: dict[str, tuple[str, str, int]] = {
    "bearer-conversation-fetch": ("6b0380674bfaef25355cab75", "9a6a2df9", 3),
    "conversation-create": ("6b037fb7eb65358e6ed288df", "78320bc9", 1),
    "conversation-create-from-share": ("6b037fd7eb65358e6ed28aa7", "78320bc9", 14),
    "conversation-create-text-plain": ("6b037fb7eb65358e6ed288e1", "6e89b2ba", 1),
    "conversation-fetch-after-detached": ("6b037fd9eb65358e6ed28ab6", "073eb208", 3),
    "conversation-fetch-concurrent-1": ("6b037fcbeb65358e6ed28a75", "2ebea988", 5),
    "conversation-fetch-concurrent-2": ("6b037fcbeb65358e6ed28a75", "2ebea988", 3),
    "conversation-fetch-error-midstream": ("6b037fbbeb65358e6ed2893f", "f6449b8c", 3),
    "conversation-fetch-file": ("6b037fc8eb65358e6ed28a15", "003b3738", 3),
    "conversation-fetch-legacy": ("6b037fb7eb65358e6ed288df", "78320bc9", 5),
    "conversation-fetch-no-finish-reason": ("6b037fbaeb65358e6ed28930", "dc59895e", 3),
    "conversation-fetch-omni": ("6b037fc4eb65358e6ed2898c", "d10defcd", 3),
    "conversation-fetch-stopped": ("6b037fd7eb65358e6ed28aa8", "c68178ec", 3),
    "conversation-fetch-tools": ("6b037fc5eb65358e6ed289b4", "1c7e802f", 3),
    "conversation-fetch-v2-tree": ("6b037fb7eb65358e6ed288df", "78320bc9", 12),
    "conversation-fetch-while-running": ("6b037fd9eb65358e6ed28ab6", "073eb208", 3),
    "cookie-default-attributes": ("6b03802a0879b504acefd13a", "df0dbe93", 1),
    "hosted-conversation-create": ("6b0380674bfaef25355cab75", "9a6a2df9", 1),
    "hosted-conversation-fetch": ("6b0380674bfaef25355cab75", "9a6a2df9", 3),
    "share-fetch": ("VdOBKTf", "78320bc9", 14),
}


@pytest.mark.parametrize("name", CHATS)
def test_a_recorded_conversation_gives_its_id_root_and_messages(name: str, shared: Path) -> None:
    known, root, count = CHATS[name]
    chat = chat_of(response_of(shared, name).json())
    assert chat.id == known
    assert chat.root is not None
    assert chat.root.startswith(root)
    assert len(chat.nodes) == count


def test_the_next_parent_is_the_answer_of_the_run_that_we_started(shared: Path) -> None:
    chat = chat_of(response_of(shared, "conversation-fetch-v2-tree").json())
    first = State(
        conversation=chat.id,
        parent="78320bc9-2539-423a-bf6e-c8abf7f4fa29",
        generation="27e4c6af-cd8e-4743-b90d-066701dcdae0",
    )
    answer = chat.answer_to(first)
    assert answer is not None
    assert answer.id == "b7c1e4c0-b4d6-4364-ac88-38ce679d0ca8"
    assert chat.question_of(answer) == "2a9101f1-455d-4a0d-aa91-44396b24c01d"


def test_without_names_of_runs_the_newest_answer_below_the_parent_counts(shared: Path) -> None:
    chat = chat_of(response_of(shared, "conversation-fetch-v2-tree").json())
    unnamed = State(conversation=chat.id, parent="b7c1e4c0-b4d6-4364-ac88-38ce679d0ca8", generation="unknown")
    answer = chat.answer_to(unnamed)
    assert answer is not None
    assert answer.ancestors is not None
    assert answer.ancestors[-2] == "b7c1e4c0-b4d6-4364-ac88-38ce679d0ca8"


def test_without_a_tree_the_last_answer_counts(shared: Path) -> None:
    chat = chat_of(response_of(shared, "conversation-fetch-legacy").json())
    answer = chat.answer_to(State(conversation=chat.id, parent="x", generation="y"))
    assert answer is not None
    assert answer.id == "ce9283e3-ec20-4bad-b278-08932e8db77f"
    assert chat.question_of(answer) == "e73e20b6-ee85-43f1-987f-eeaae6b56b6c"


def test_page_data_without_messages_is_no_conversation(shared: Path) -> None:
    with pytest.raises(MalformedResponseError):
        chat_of(response_of(shared, "older-data-json").json())


def models_in(shared: Path, name: str) -> Any:
    response = response_of(shared, name)
    content = response.content
    return json.loads(
        gzip.decompress(content) if response.headers.get("content-encoding") == "gzip" else content
    )


@pytest.mark.parametrize("name", ["models-v2", "models-legacy", "models-v2-gzip", "hosted-models-anonymous"])
def test_a_recorded_list_of_models_gives_all_of_them_with_their_flags(name: str, shared: Path) -> None:
    models = {model.id: model for model in models_of(models_in(shared, name), auth=Auth.NONE)}
    assert len(models) == 23
    assert [model.id for model in models.values() if model.default] == ["omni"]
    assert {m.id for m in models.values() if m.can(Capability.VISION)} == {"omni", "fake/vision"}
    assert {m.id for m in models.values() if m.can(Capability.TOOLS)} == {"omni", "fake/tools"}
    assert models["fake/plain"].can(Capability.TOOLS) is False
    # the server says no of a model that does reason: that is no knowledge
    assert models["fake/reasoner"].can(Capability.REASONING) is None
    assert Task.IMAGE_TEXT_TO_TEXT in models["fake/vision"].tasks
    assert models["fake/plain"].auth is Auth.NONE


def test_the_list_of_old_models_is_empty(shared: Path) -> None:
    assert models_of(response_of(shared, "older-old-models").json(), auth=Auth.NONE) == []


def test_a_single_model_is_wrapped_as_the_list_is(shared: Path) -> None:
    found = unwrap(response_of(shared, "model-detail-v2").json())
    assert (found["id"], found["multimodal"]) == ("fake/vision", True)


def test_the_search_server_is_found_by_its_name(shared: Path) -> None:
    assert search_servers(response_of(shared, "mcp-servers").json()) == ["Web Search (Fake)"]


def count(first: int, last: int) -> str:
    return " ".join(f"t{number}" for number in range(first, last + 1))


# name: (text, reason)
RESUMED: dict[str, tuple[str, FinishReason]] = {
    "stream-resume": (count(0, 59) + " ", FinishReason.STOP),
    "stream-resume-last-event-id": (count(49, 59) + " ", FinishReason.STOP),
    "stream-latest-run": (count(0, 5) + " ", FinishReason.INTERRUPTED),
    "stream-replay-finished": (count(0, 7) + " ", FinishReason.INTERRUPTED),
    "stream-stopped-while-tailing": (count(0, 8) + " ", FinishReason.INTERRUPTED),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_recorded_resumed_run_gives_its_text_and_how_it_ended(name: str, shared: Path) -> None:
    text, reason = RESUMED[name]
    decoder, answer, events = EventStreamDecoder(), Answer(), []
    raw = (shared / "recordings" / "huggingchat" / f"{name}.sse").read_bytes()
    for event in [*decoder.feed(raw), *decoder.flush()]:
        if event.event == "end":
            answer.end(json.loads(event.data)["status"])
        else:
            events += answer.feed(event.data)
    assert "".join(e.text for e in events if isinstance(e, Text)) == text
    assert answer.finish()[-1] == Finish(reason=reason)


def test_a_run_that_is_not_there_says_gone(shared: Path) -> None:
    (event,) = EventStreamDecoder().feed(response_of(shared, "stream-unknown-generation").content)
    assert (event.event, json.loads(event.data)) == ("end", {"status": "gone"})


@pytest.mark.parametrize("name", ["generations-live", "generations-live-idle"])
def test_the_feed_of_running_runs_is_no_answer(name: str, shared: Path) -> None:
    event, *_ = EventStreamDecoder().feed(response_of(shared, name).content)
    answer = Answer()
    (notice,) = answer.feed(event.data)
    assert isinstance(notice, Notice)
    assert notice.code == "malformed-chunk"
    assert answer.running


# name: what stands under `json`, or in the plain body
PLAIN: dict[str, Any] = {
    "bearer-import-share": {"conversationId": "6b0380684bfaef25355cab7f"},
    "bearer-rename": {"success": True},
    "conversation-delete-v2": {"success": True},
    "conversation-model-v2": {"success": True},
    "conversation-rename-v2": {"success": True},
    "conversation-share": {"shareId": "VdOBKTf"},
    "conversations-list-v2-past-end": {"conversations": [], "hasMore": False},
    "coupled-cookie-changed": None,
    "coupled-cookie-missing-get": None,
    "hosted-conversations-anonymous": {"conversations": [], "hasMore": False},
    "hosted-user-anonymous": None,
    "message-delete-v2": {"success": True},
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_recorded_answer_is_read_without_its_wrapping(name: str, shared: Path) -> None:
    assert unwrap(response_of(shared, name).json()) == PLAIN[name]


# name: some of what stands there
PARTS: dict[str, dict[str, Any]] = {
    "bearer-and-cookie": {"username": "fakeuser"},
    "bearer-conversations": {"hasMore": False},
    "conversations-list-v2": {"hasMore": False},
    "feature-flags": {"loginEnabled": False},
    "hosted-feature-flags": {"loginEnabled": True},
    "hosted-user": {"username": "fakeuser"},
    "hosted-user-again": {"username": "fakeuser"},
    "message-prompt": {"model": "fake/plain"},
    "public-config": {"PUBLIC_VERSION": "0.20.0"},
    "trusted-header-user": {"email": "someone@example.com"},
}


@pytest.mark.parametrize("name", PARTS)
def test_a_recorded_answer_tells_what_it_is_asked_for(name: str, shared: Path) -> None:
    found = unwrap(response_of(shared, name).json())
    assert {key: found[key] for key in PARTS[name]} == PARTS[name]


EMPTY = (
    "conversation-delete",
    "conversation-rename",
    "settings-post",
    "stop-generating",
    "stop-generating-nothing",
)


@pytest.mark.parametrize("name", EMPTY)
def test_what_only_has_to_work_answers_200_with_nothing(name: str, shared: Path) -> None:
    response = response_of(shared, name)
    assert (response.status, response.content) == (200, b"")


def test_the_rest_is_bytes_and_words(shared: Path) -> None:
    assert response_of(shared, "healthcheck").text == "OK"
    assert response_of(shared, "file-output").content.startswith(b"\x89PNG")
    first, *_ = response_of(shared, "conversations-list-legacy").json()
    assert first["title"] == "Fake title"
    assert len(response_of(shared, "hosted-share").json()["shareId"]) == 7


def test_the_recorded_setting_of_the_effort_is_what_we_send() -> None:
    sent = settings_with_effort({"json": {"a": 1, "b": None}}, "fake/reasoner", "high")
    assert sent == {
        "a": 1,
        "reasoningEffortOverrides": {"fake/reasoner": "high"},
        "reasoningOverrides": {"fake/reasoner": True},
    }


def test_every_recorded_exchange_is_expected_by_a_test(shared: Path) -> None:
    folder = shared / "recordings" / "huggingchat"
    streams = {path.stem for path in folder.glob("*.ndjson")}
    rest = {path.stem for path in folder.glob("*.json")} - streams
    models = {"models-v2", "models-legacy", "models-v2-gzip", "hosted-models-anonymous", "older-old-models"}
    single = {"model-detail-v2", "mcp-servers", "older-data-json", "stream-unknown-generation"}
    feeds = {"generations-live", "generations-live-idle"}
    words = {"healthcheck", "file-output", "conversations-list-legacy", "hosted-share"}
    known = {*REFUSALS, *CHATS, *RESUMED, *PLAIN, *PARTS, *EMPTY, *models, *single, *feeds, *words}
    assert rest == known
