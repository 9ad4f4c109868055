"""Sockets: who closes them and when, what is buffered, what is sent along, and where redirects lead."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import pytest

from plugmux.credentials import Credential
from plugmux.errors import (
    AuthenticationError,
    ConnectionFailedError,
    DeadlineError,
    MalformedResponseError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    StreamCutError,
)
from plugmux.events import Finish, Notice, Text
from plugmux.requests import Limits, Request
from plugmux.session import Session
from plugmux.testing import FaultServer, Hang, Reset, replies
from plugmux_hf_chat import plugin
from plugmux_hf_chat._courier import Courier
from plugmux_hf_chat._curl import HIGH_WATER, Order

ID = "0123456789abcdef01234567"
ROOT = "00000000-0000-4000-8000-000000000001"
NewSession = Callable[..., Session]
NewRequest = Callable[..., Request]


def created(request: Any = None) -> Any:
    inner = {"json": {"id": ID, "rootMessageId": ROOT, "messages": []}}
    return replies.json({"conversationId": ID, "conversation": json.dumps(inner)})


def line(**update: Any) -> bytes:
    return (json.dumps(update) + "\n").encode()


STARTED = line(type="status", status="started")
HELLO = line(type="stream", token="Hello\0\0\0")
FINAL = line(type="finalAnswer", text="Hello", interrupted=False)
DONE = line(type="status", status="finished")


def answered(*lines: bytes, **more: Any) -> Any:
    return replies.stream(lines, content_type="application/jsonl", **more)


@asynccontextmanager
async def chat_ui(message: Any, **paths: Any) -> AsyncIterator[FaultServer]:
    """A server that makes conversations and answers every message with `message`."""
    known = {
        "/conversation": created,
        f"/conversation/{ID}": message,
        f"/conversation/{ID}/stop-generating": replies.answer(),
        **{path.replace("_", "/"): reply for path, reply in paths.items()},
    }
    async with FaultServer(replies.by_path(known)) as server:
        yield server


def message_of(server: FaultServer) -> Any:
    return next(seen for seen in server.requests if seen.path == f"/conversation/{ID}")


async def events_of(request: Request, session: Session) -> list[Any]:
    async with aclosing(plugin.create_stream(request, session)) as stream:
        return [event async for event in stream]


SILENT = [STARTED, HELLO]


async def test_a_break_closes_the_socket_within_100_ms_while_the_server_is_silent(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(answered(*SILENT, after=[Hang()])) as server:
        async with aclosing(plugin.create_stream(new_request("hi"), new_session(server.url))) as stream:
            async for event in stream:
                if isinstance(event, Text):
                    break
            broken = time.monotonic()
        back = time.monotonic()
        left = await message_of(server).wait_left()
        assert left - broken < 0.1
        assert back - broken < 0.5
        assert server.requests[-1].path.endswith("/stop-generating")


async def test_a_cancel_closes_the_socket_within_100_ms_while_the_server_is_silent(
    new_session: NewSession, new_request: NewRequest
) -> None:
    cancelled = 0.0
    async with chat_ui(answered(*SILENT, after=[Hang()])) as server:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cut_off() -> None:
                    nonlocal cancelled
                    await server.wait_for(2)
                    await anyio.sleep(0.2)  # well into the silence
                    cancelled = time.monotonic()
                    scope.cancel()

                group.start_soon(cut_off)
                await events_of(new_request("hi"), new_session(server.url))
        left = await message_of(server).wait_left()
        assert left - cancelled < 0.1
        assert server.requests[-1].path.endswith("/stop-generating")


async def test_a_cancel_before_any_answer_closes_the_socket_too(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(replies.no_answer()) as server:
        with anyio.move_on_after(0.3):
            await events_of(new_request("hi"), new_session(server.url))
        await message_of(server).wait_left(seconds=1)


async def test_silence_passes_the_idle_limit_as_a_deadline(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(answered(*SILENT, after=[Hang()])) as server:
        session = new_session(server.url, limits=Limits(first_sign=5, idle=0.3))
        with pytest.raises(DeadlineError) as caught:
            await events_of(new_request("hi"), session)
        assert caught.value.limit == "idle"
        await message_of(server).wait_left(seconds=1)


async def test_no_sign_of_an_answer_passes_the_first_limit(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(replies.no_answer()) as server:
        with pytest.raises(DeadlineError) as caught:
            await events_of(new_request("hi"), new_session(server.url, limits=Limits(first_sign=0.3)))
        assert caught.value.limit == "first_sign"


async def test_what_nobody_reads_is_not_taken_from_the_server(anyio_backend: str) -> None:
    flood = [b"x" * 65536] * 512  # 32 MB, more than the system's own buffers hold
    async with FaultServer(replies.stream(flood)) as server:
        courier = await Courier.start()
        transfer = await courier.open(Order(method="GET", url=server.url, headers={}))
        await courier.run(transfer.head)
        with anyio.fail_after(5):
            while not transfer._paused:  # noqa: ASYNC110 - what libcurl does has no event of ours
                await anyio.sleep(0.01)
        assert transfer._size <= HIGH_WATER + 65536
        assert server.requests[0].answered_at is None
        size = 0
        while chunk := await courier.run(transfer.chunk):
            size += len(chunk)
        assert size == 32 * 1024 * 1024
        await courier.close(transfer)
        await courier.aclose()


async def test_a_redirect_is_not_followed(new_session: NewSession, new_request: NewRequest) -> None:
    async with FaultServer(replies.json({})) as elsewhere:
        script = replies.by_path({"/conversation": replies.redirect(f"{elsewhere.url}/oauth/authorize")})
        async with FaultServer(script) as server:
            with pytest.raises(AuthenticationError, match="login"):
                await events_of(new_request("hi"), new_session(server.url))
        assert elsewhere.requests == []


async def test_a_redirect_to_another_address_of_the_same_server_names_the_setting(
    new_session: NewSession, new_request: NewRequest
) -> None:
    script = replies.by_path(
        {"/conversation": replies.redirect("https://127.0.0.1/conversation", status=308)}
    )
    async with FaultServer(script) as server:
        with pytest.raises(MalformedResponseError, match="base_url"):
            await events_of(new_request("hi"), new_session(server.url))


async def test_the_message_looks_like_the_web_clients(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(answered(STARTED, HELLO, FINAL, DONE)) as server:
        request = new_request("hi", extra_headers={"X-Mine": "1"}, extra_body={"timezone": "Europe/Paris"})
        await events_of(request, new_session(server.url))
        sent = message_of(server)
    assert sent.headers["origin"] == server.url
    assert "text/html" not in sent.headers["accept"]
    assert "Chrome" in sent.headers["user-agent"]
    assert sent.headers["x-mine"] == "1"
    assert "upgrade" not in sent.headers
    assert b'"timezone": "Europe/Paris"' in sent.body


async def test_cookies_go_to_their_server_only_and_stay_out_of_errors(
    new_session: NewSession, new_request: NewRequest
) -> None:
    cookie = "hf-chat=secret-session; token=secret-hub-cookie"

    def quoting(request: Any) -> Any:
        return replies.json({"message": f"bad {request.headers.get('cookie')}"}, status=403)

    async with FaultServer(quoting) as server:
        credential = Credential(headers={"Cookie": cookie}, origins=[server.url])
        with pytest.raises(PermissionDeniedError) as caught:
            await events_of(new_request("hi"), new_session(server.url, credential=credential))
        assert server.requests[0].headers["cookie"] == cookie
        shown = f"{caught.value} {caught.value.body} {caught.value!r}"
        assert "secret-session" not in shown
        assert "secret-hub-cookie" not in shown
        elsewhere = Credential(headers={"Cookie": cookie}, origins=["https://huggingface.co"])
        with pytest.raises(ProviderError):
            await events_of(new_request("hi"), new_session(server.url, credential=elsewhere))
        assert "cookie" not in server.requests[-1].headers


async def test_the_session_that_a_refusal_sets_is_not_kept(
    new_session: NewSession, new_request: NewRequest
) -> None:
    headers = {"Set-Cookie": "hf-chat=of-a-refusal; Path=/"}
    refusal = replies.answer("no", status=401, headers=headers)
    async with FaultServer(refusal) as server:
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                await events_of(new_request("hi"), new_session(server.url))
        assert "cookie" not in server.requests[-1].headers


async def test_the_session_of_somebody_without_a_login_is_kept_from_an_accepted_request(
    new_session: NewSession, new_request: NewRequest
) -> None:
    inner = created()
    accepted = replies.json(
        json.loads(inner[0].data.partition(b"\r\n\r\n")[2]),
        headers={"Set-Cookie": "hf-chat=mine; Secure; Path=/"},
    )
    script = {"/conversation": accepted, f"/conversation/{ID}": answered(STARTED, HELLO, FINAL, DONE)}
    async with FaultServer(replies.by_path(script)) as server:
        await events_of(new_request("hi"), new_session(server.url))
        assert message_of(server).headers["cookie"] == "hf-chat=mine"
        await events_of(new_request("hi"), new_session(server.url))
        assert server.requests[2].headers["cookie"] == "hf-chat=mine"


async def test_an_html_page_in_place_of_a_stream_is_a_typed_error(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(replies.html()) as server:
        with pytest.raises(MalformedResponseError, match="HTML page"):
            await events_of(new_request("hi"), new_session(server.url))


async def test_a_page_in_place_of_json_is_a_typed_error(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with FaultServer(replies.html()) as server:
        with pytest.raises(MalformedResponseError, match="expected JSON"):
            await events_of(new_request("hi"), new_session(server.url))


async def test_a_refused_connection_is_a_typed_error(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with FaultServer(replies.no_answer()) as server:
        url = server.url
    with pytest.raises(ConnectionFailedError) as caught:
        await events_of(new_request("hi"), new_session(url))
    assert caught.value.kind == "connect"


async def test_a_reset_before_any_answer_is_worth_a_retry(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with FaultServer(replies.reset()) as server:
        with pytest.raises(ConnectionFailedError) as caught:
            await events_of(new_request("hi"), new_session(server.url))
    assert (caught.value.kind, caught.value.retryable) == ("reset", True)


async def test_an_unknown_host_is_a_typed_error(new_session: NewSession, new_request: NewRequest) -> None:
    with pytest.raises(ConnectionFailedError) as caught:
        await events_of(new_request("hi"), new_session("http://nowhere.invalid"))
    assert caught.value.kind == "dns"


async def test_a_cut_without_a_run_to_take_up_is_a_cut(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(answered(STARTED, HELLO, after=[Reset()])) as server:
        with pytest.raises(StreamCutError):
            await events_of(new_request("hi"), new_session(server.url))
        assert server.requests[-1].path.endswith("/stop-generating")


def update(number: int, **event: Any) -> bytes:
    return f"id: {number}\nevent: update\ndata: {json.dumps(event)}\n\n".encode()


async def test_after_a_cut_the_run_is_taken_up_where_it_broke(
    new_session: NewSession, new_request: NewRequest
) -> None:
    replay = replies.stream(
        [
            update(1, type="status", status="started"),
            update(2, type="stream", token="Hello wor"),
            update(3, type="stream", token="ld"),
            update(4, type="finalAnswer", text="Hello world", interrupted=False),
            b'event: end\ndata: {"status":"completed"}\n\n',
        ]
    )
    known = {
        "/conversation": created,
        f"/conversation/{ID}": answered(STARTED, HELLO, after=[Reset()]),
        f"/conversation/{ID}/stream": replay,
    }
    async with FaultServer(replies.by_path(known)) as server:
        events = await events_of(new_request("hi"), new_session(server.url))
    assert [event.text for event in events if isinstance(event, Text)] == ["Hello", " wor", "ld"]
    assert isinstance(events[-1], Finish)


async def test_a_resumed_run_that_is_closed_without_an_end_is_asked_for_again(
    new_session: NewSession, new_request: NewRequest
) -> None:
    parts = replies.in_order(
        replies.stream([update(1, type="stream", token="Hello"), update(2, type="stream", token=" wor")]),
        replies.stream(
            [update(3, type="stream", token="ld"), b'event: end\ndata: {"status":"completed"}\n\n'],
        ),
    )
    known = {
        "/conversation": created,
        f"/conversation/{ID}": answered(STARTED, HELLO, after=[Reset()]),
        f"/conversation/{ID}/stream": parts,
    }
    async with FaultServer(replies.by_path(known)) as server:
        events = await events_of(new_request("hi"), new_session(server.url))
        assert server.requests[-1].headers["last-event-id"] == "2"
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Hello world"


async def test_a_rate_limit_is_not_answered_with_a_stop(
    new_session: NewSession, new_request: NewRequest
) -> None:
    limit = replies.json({"message": "You are sending too many messages. Try again later."}, status=429)
    async with chat_ui(limit) as server:
        with pytest.raises(RateLimitError):
            await events_of(new_request("hi"), new_session(server.url))
        assert not server.requests[-1].path.endswith("/stop-generating")


async def test_a_full_conversation_is_started_anew(new_session: NewSession, new_request: NewRequest) -> None:
    from plugmux.messages import Conversation, Message, ProviderState

    full = replies.json(
        {"message": "This conversation has more than 6 messages. Start a new one"}, status=429
    )
    nodes = [
        {"id": ROOT, "from": "system", "ancestors": []},
        {"id": "u", "from": "user", "ancestors": [ROOT]},
        {"id": "a", "from": "assistant", "ancestors": [ROOT, "u"], "generationId": "g"},
    ]
    known = {
        f"/api/v2/conversations/{ID}": replies.json({"json": {"id": ID, "messages": nodes}}),
        "/conversation": created,
        f"/conversation/{ID}": replies.in_order(full, answered(STARTED, HELLO, FINAL, DONE)),
    }
    state = {"version": 1, "conversation": ID, "parent": ROOT, "generation": "g"}
    slot = ProviderState(provider="hf-chat", model="sandbox/plain", covers=2, state=state)
    talk = Conversation(
        messages=(Message(role="user", content="one"), Message(role="assistant", content="first")),
        states=(slot,),
    )
    async with FaultServer(replies.by_path(known)) as server:
        events = await events_of(new_request("two", conversation=talk), new_session(server.url))
        assert b"Assistant: first" in server.requests[-1].body
    assert [event.code for event in events if isinstance(event, Notice)] == ["conversation-restarted"]


async def test_a_late_title_is_waited_for_two_seconds_at_most(
    new_session: NewSession, new_request: NewRequest
) -> None:
    async with chat_ui(answered(STARTED, HELLO, FINAL, after=[Hang()])) as server:
        started = time.monotonic()
        events = await events_of(new_request("hi"), new_session(server.url))
        assert 1.5 < time.monotonic() - started < 4
    assert isinstance(events[-1], Finish)


async def test_page_data_that_goes_on_in_further_lines_is_read_by_its_first(
    new_session: NewSession, new_request: NewRequest
) -> None:
    flat = [{"messages": 1}, [2], {"id": 3, "from": 4}, ROOT, "system"]
    page = json.dumps({"type": "data", "nodes": [{"type": "data", "data": flat}]})
    known = {
        "/conversation": replies.json({"conversationId": ID}),
        f"/conversation/{ID}/__data.json": replies.answer(
            page + '\n{"type":"chunk","id":1}\n', content_type="application/json"
        ),
        f"/conversation/{ID}": answered(STARTED, HELLO, FINAL, DONE),
    }
    missing = replies.html(status=404)

    def script(request: Any) -> Any:
        return known.get(request.path, missing)

    async with FaultServer(script) as server:
        await events_of(new_request("hi"), new_session(server.url))
        assert f'"id": "{ROOT}"'.encode() in message_of(server).body


async def test_offline_hugging_face_is_not_asked(new_session: NewSession, new_request: NewRequest) -> None:
    session = new_session("https://huggingface.co/chat")
    session.environ = {"HF_HUB_OFFLINE": "1"}
    with pytest.raises(ConnectionFailedError, match="HF_HUB_OFFLINE"):
        await events_of(new_request("hi"), session)
