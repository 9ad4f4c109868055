"""Bytes and events over real sockets, and who closes them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from plugmux.decoding import ServerSentEvent
from plugmux.errors import DeadlineError, MalformedResponseError, ServerError, StreamCutError
from plugmux.http import Http
from plugmux.testing import Close, FaultServer, Hang, Reset, Send, Wait, chat, replies

Connect = Callable[..., AbstractAsyncContextManager[Http]]
THREE = [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
AT_ONCE = 0.1


async def data_of(http: Http, url: str, **options: object) -> list[bytes]:
    async with http.events("POST", url, json={}, **options) as events:  # type: ignore[arg-type]
        return [event.data async for event in events]


ROADS = {
    "one write an event": replies.stream(THREE),
    "byte by byte": replies.dribbled(replies.stream(THREE)),
    "all in one packet": replies.in_one_packet(replies.stream(THREE)),
    "HTTP/1.0": replies.old_style(b"".join(THREE)),
    "a length": replies.answer(b"".join(THREE), content_type="text/event-stream"),
    "cut inside events": replies.stream([b"data", b": 1\n", b"\ndata: 2\n\nda", b"ta: 3\n\n"]),
}


@pytest.mark.parametrize("road", ROADS)
async def test_events_are_the_same_however_they_travel(connect: Connect, road: str) -> None:
    async with FaultServer(ROADS[road]) as server, connect() as http:
        assert await data_of(http, server.url) == [b"1", b"2", b"3"]


async def test_an_event_is_there_before_the_next_one_is_sent(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE[:1], after=[Hang()])) as server, connect() as http:
        with anyio.fail_after(5):
            async with http.events("POST", server.url) as events:
                assert await anext(events) == ServerSentEvent(b"1")


@pytest.mark.parametrize("label", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
async def test_json_lines_are_known_by_their_label(connect: Connect, label: str) -> None:
    reply = replies.stream([b'{"a":1}\n\n{"a"', b":2}\n"], content_type=label)
    async with FaultServer(reply) as server, connect() as http:
        assert await data_of(http, server.url) == [b'{"a":1}', b'{"a":2}']


async def test_json_lines_can_be_asked_for_whatever_the_label(connect: Connect) -> None:
    reply = replies.stream([b'{"a":1}\n'], content_type="text/plain")
    async with FaultServer(reply) as server, connect() as http:
        assert await data_of(http, server.url, lines=True) == [b'{"a":1}']


async def test_an_answer_that_is_no_stream_says_so_and_can_be_read_whole(connect: Connect) -> None:
    async with FaultServer(replies.json(chat.body())) as server, connect() as http:
        opened = http.events("POST", server.url)
        async with opened as events:
            assert not events.is_stream
            assert (await events.read()).json() == chat.body()


async def test_a_finished_stream_gives_its_connection_back(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE)) as server, connect() as http:
        await data_of(http, server.url)
        await data_of(http, server.url)
        assert [seen.connection for seen in server.requests] == [1, 1]


async def fail_at_first_event(http: Http, url: str) -> None:
    async with http.events("POST", url) as events:
        async for _ in events:
            raise KeyError


async def test_break_closes_the_socket_at_once(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE, after=[Hang()])) as server, connect() as http:
        async with http.events("POST", server.url) as events:
            async for _ in events:
                break
        left = time.monotonic()
        assert await server.requests[0].wait_left() - left < AT_ONCE


async def test_break_while_the_server_pours_closes_the_socket_at_once(connect: Connect) -> None:
    flood = replies.stream([b"data: " + b"x" * 60_000 + b"\n\n"] * 10_000)
    async with FaultServer(flood) as server, connect() as http:
        async with http.events("POST", server.url) as events:
            async for _ in events:
                break
        left = time.monotonic()
        assert await server.requests[0].wait_left() - left < AT_ONCE


async def test_an_error_in_the_callers_loop_closes_the_socket_at_once(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE, after=[Hang()])) as server, connect() as http:
        with pytest.raises(KeyError):
            await fail_at_first_event(http, server.url)
        left = time.monotonic()
        assert await server.requests[0].wait_left() - left < AT_ONCE


@pytest.mark.parametrize("reply", [replies.stream(THREE, after=[Hang()]), replies.no_answer()])
async def test_cancel_closes_the_socket_at_once(connect: Connect, reply: replies.Reply) -> None:
    async with FaultServer(reply) as server, connect() as http:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(data_of, http, server.url)
            await server.wait_for(1)
            await anyio.wait_all_tasks_blocked()
            left = time.monotonic()
            tasks.cancel_scope.cancel()
        assert await server.requests[0].wait_left() - left < AT_ONCE


async def test_a_stream_that_nobody_reads_is_closed(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE, after=[Hang()])) as server, connect() as http:
        async with http.events("POST", server.url):
            pass
        left = time.monotonic()
        assert await server.requests[0].wait_left() - left < AT_ONCE


async def test_lingering_ends_without_an_error_and_closes_the_socket(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE, after=[Hang()])) as server, connect() as http:
        started = time.monotonic()
        async with http.events("POST", server.url) as events:
            events.linger(0.05)
            assert [event.data async for event in events] == [b"1", b"2", b"3"]
        assert time.monotonic() - started < 1
        await server.requests[0].wait_left()


async def test_lingering_takes_what_still_comes_in_time(connect: Connect) -> None:
    reply = replies.stream(THREE[:1], after=[Wait(0.02), replies.Send(replies.chunk(THREE[1])), Hang()])
    async with FaultServer(reply) as server, connect() as http, http.events("POST", server.url) as events:
        first = await anext(events)
        events.linger(0.5)
        assert [first, await anext(events)] == [ServerSentEvent(b"1"), ServerSentEvent(b"2")]


async def collect(http: Http, url: str, got: list[bytes]) -> None:
    async with http.events("POST", url) as events:
        async for event in events:
            got.append(event.data)  # noqa: PERF401 - one by one: it raises in between


@pytest.mark.parametrize("end", [Close(), Reset()])
async def test_a_broken_connection_is_a_cut_after_what_came(connect: Connect, end: replies.Action) -> None:
    got: list[bytes] = []
    async with FaultServer(replies.stream(THREE, after=[Wait(0.02), end])) as server, connect() as http:
        with pytest.raises(StreamCutError):
            await collect(http, server.url, got)
    assert got == [b"1", b"2", b"3"]


async def test_silence_in_the_middle_is_the_idle_limit(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE, after=[Hang()])) as server, connect(idle=0.05) as http:
        with pytest.raises(DeadlineError) as caught:
            await data_of(http, server.url)
        assert (caught.value.limit, caught.value.seconds) == ("idle", 0.05)


async def test_comments_keep_a_stream_alive_past_the_idle_limit(connect: Connect) -> None:
    beats = [b": still here\n\n"] * 8
    reply = replies.stream([*beats, *THREE], pause=0.03)
    async with FaultServer(reply) as server, connect(idle=0.15) as http:
        assert await data_of(http, server.url) == [b"1", b"2", b"3"]


async def test_comments_are_no_content(connect: Connect) -> None:
    reply = replies.stream([b": still here\n\n"] * 100, pause=0.02)
    async with FaultServer(reply) as server, connect(first_content=0.1, idle=5) as http:
        with pytest.raises(DeadlineError) as caught:
            await data_of(http, server.url)
        assert caught.value.limit == "first_content"


async def test_the_total_limit_ends_a_stream_that_never_ends(connect: Connect) -> None:
    async with FaultServer(replies.stream(THREE * 100, pause=0.02)) as server, connect(total=0.2) as http:
        with pytest.raises(DeadlineError) as caught:
            await data_of(http, server.url)
        assert caught.value.limit == "total"


async def test_headers_and_then_nothing_is_the_idle_limit(connect: Connect) -> None:
    async with FaultServer(replies.only_headers()) as server, connect(first_sign=5, idle=0.05) as http:
        with pytest.raises(DeadlineError) as caught:
            await data_of(http, server.url)
        assert caught.value.limit == "idle"


async def test_an_errors_words_are_not_waited_for_forever(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugmux.http.ERROR_BODY_SECONDS", 0.05)
    stalled = [Send(replies.head(503, {"Content-Length": "9", "Retry-After": "7"}) + b"over"), Hang()]
    async with FaultServer(stalled) as server, connect(idle=600) as http:
        with pytest.raises(ServerError) as caught:
            await data_of(http, server.url)
    assert (caught.value.status, caught.value.retry_after) == (503, 7)


async def test_an_endless_line_is_refused_at_the_limit(connect: Connect) -> None:
    async with FaultServer(replies.endless_line(1_000_000)) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="longer than 1,000 bytes"):
            await data_of(http, server.url, max_line=1000)
        await server.requests[0].wait_left()


async def test_a_gzipped_stream_is_unpacked(connect: Connect) -> None:
    import gzip

    packed = gzip.compress(b"".join(THREE))
    reply = replies.stream([packed[:9], packed[9:]], headers={"Content-Encoding": "gzip"})
    async with FaultServer(reply) as server, connect() as http:
        assert await data_of(http, server.url) == [b"1", b"2", b"3"]


async def test_broken_gzip_in_a_stream_is_malformed(connect: Connect) -> None:
    reply = replies.stream(THREE, headers={"Content-Encoding": "gzip"})
    async with FaultServer(reply) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="encoding"):
            await data_of(http, server.url)


async def test_an_error_status_raises_before_any_event(connect: Connect) -> None:
    reply = replies.json(chat.error("no such model"), status=404)
    async with FaultServer(reply) as server, connect() as http:
        with pytest.raises(LookupError):
            async with http.events("POST", server.url, error=_lookup_error):  # type: ignore[arg-type]
                pass


def _lookup_error(response: object) -> Exception:
    failure = LookupError("no such model")
    failure.message, failure.body = "no such model", None  # type: ignore[attr-defined]
    return failure


async def test_the_body_is_sent_as_json_in_the_order_given(connect: Connect) -> None:
    async with FaultServer(replies.json({})) as server, connect() as http:
        await http.request("POST", server.url, json={"model": "m", "b": "é", "a": None})
    assert server.requests[0].headers["content-type"] == "application/json"
    assert list(json.loads(server.requests[0].body)) == ["model", "b", "a"]
