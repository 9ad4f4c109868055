"""The fault server does to a plain socket what its script says, and sees what the client does."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketStream

from plugmux.testing import Close, FaultServer, Hang, Reset, Wait, chat, replies

ASK = b"GET /path?x=1 HTTP/1.1\r\nHost: test\r\nX-Word: hello\r\n\r\n"


@asynccontextmanager
async def connected(server: FaultServer) -> AsyncIterator[SocketStream]:
    parts = urlsplit(server.url)
    async with await anyio.connect_tcp(parts.hostname or "", parts.port or 0) as stream:
        yield stream


async def everything(server: FaultServer, ask: bytes = ASK) -> bytes:
    """All that comes back until the server ends the connection."""
    got = b""
    async with connected(server) as stream:
        await stream.send(ask)
        try:
            while True:
                got += await stream.receive()
        except anyio.EndOfStream:
            return got


def get(server: FaultServer) -> Any:
    return urllib.request.urlopen(server.url)


async def test_it_plays_replies_in_order_and_the_last_for_ever() -> None:
    script = replies.in_order([*replies.answer("one"), Close()], [*replies.answer("two"), Close()])
    async with FaultServer(script) as server:
        got = [(await everything(server))[-3:] for _ in range(3)]
    assert got == [b"one", b"two", b"two"]


async def test_by_turns_goes_round_and_round() -> None:
    script = replies.by_turns([*replies.answer("a"), Close()], [*replies.answer("b"), Close()])
    async with FaultServer(script) as server:
        assert [(await everything(server))[-1:] for _ in range(3)] == [b"a", b"b", b"a"]


async def test_by_path_answers_each_path_its_own_and_404_elsewhere() -> None:
    script = replies.by_path({"/path": lambda request: [*replies.answer(request.headers["x-word"]), Close()]})
    async with FaultServer(script) as server:
        assert (await everything(server)).endswith(b"hello")
        async with connected(server) as stream:
            await stream.send(ASK.replace(b"/path", b"/else"))
            assert (await stream.receive()).startswith(b"HTTP/1.1 404")


async def test_it_records_method_path_headers_and_body() -> None:
    ask = b"POST /x HTTP/1.1\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'
    async with FaultServer([*replies.answer(), Close()]) as server:
        started = time.monotonic()
        await everything(server, ask)
    seen = server.requests[0]
    assert (seen.method, seen.path, seen.json(), seen.connection) == ("POST", "/x", {"a": 1}, 1)
    assert started <= seen.arrived_at <= (seen.answered_at or 0) <= time.monotonic()


async def test_it_reads_a_chunked_body_cut_anywhere() -> None:
    ask = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    async with FaultServer([*replies.answer("ok"), Close()]) as server, connected(server) as stream:
        for place in range(len(ask)):
            await stream.send(ask[place : place + 1])
        assert (await stream.receive()).endswith(b"ok")
    assert server.requests[0].body == b"abcde"


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with FaultServer(replies.answer("ok")) as server, connected(server) as stream:
        for _ in range(2):
            await stream.send(ASK)
            assert (await stream.receive()).endswith(b"ok")
    assert [seen.connection for seen in server.requests] == [1, 1]


async def test_it_sees_within_100_ms_that_the_client_has_left() -> None:
    async with FaultServer(replies.stream([b"x"], after=[Hang()])) as server:
        async with connected(server) as stream:
            await stream.send(ASK)
            await stream.receive()
        closed = time.monotonic()
        assert await server.requests[0].wait_left() - closed < 0.1
    assert server.requests[0].answered_at is None


async def test_it_sees_the_client_leave_while_it_is_sending() -> None:
    async with FaultServer(replies.stream([b"x" * 65536] * 1000)) as server:
        async with connected(server) as stream:
            await stream.send(ASK)
            await stream.receive()
        closed = time.monotonic()
        assert await server.requests[0].wait_left() - closed < 0.1


async def test_reset_tears_the_connection_down_without_a_byte() -> None:
    async with FaultServer(replies.reset()) as server, connected(server) as stream:
        await stream.send(ASK)
        with pytest.raises(anyio.BrokenResourceError):  # an orderly end would be EndOfStream
            await stream.receive()


async def test_a_stream_cut_after_k_of_n_has_its_k_chunks_and_no_end() -> None:
    chunks = chat.chunks(chat.tokens(60))
    async with FaultServer(replies.stream(chunks[:40], after=[Close()])) as server:
        got = await everything(server)
    assert got.count(b"data:") == 40
    assert not got.endswith(b"0\r\n\r\n")


async def test_no_answer_is_silence() -> None:
    async with FaultServer(replies.no_answer()) as server, connected(server) as stream:
        await stream.send(ASK)
        await server.wait_for(1)
        with anyio.move_on_after(0.05) as scope:
            await stream.receive()
    assert scope.cancelled_caught


async def test_a_connection_is_closed_when_it_is_old_enough() -> None:
    async with FaultServer([Hang()], longest=0.05) as server:
        with anyio.fail_after(5):
            assert await everything(server) == b""


async def test_dribbled_bytes_come_one_by_one() -> None:
    async with FaultServer([*replies.dribbled(replies.answer("abc")), Close()]) as server:
        sizes = []
        async with connected(server) as stream:
            await stream.send(ASK)
            try:
                while True:
                    sizes.append(len(await stream.receive()))
            except anyio.EndOfStream:
                pass
    assert len(sizes) > 20


def test_two_events_in_one_packet_are_one_write() -> None:
    reply = replies.in_one_packet(replies.stream([b"a", b"b"], after=[Wait(1), Hang()]))
    assert [type(action).__name__ for action in reply] == ["Send", "Wait", "Hang"]


def test_an_endless_line_has_the_size_asked_for_and_no_line_end() -> None:
    sent = [action.data for action in replies.endless_line(100_000) if isinstance(action, replies.Send)]
    body = b"".join(data.split(b"\r\n", 1)[1][:-2] for data in sent[1:])
    assert len(body) == len(b"data: ") + 100_000
    assert b"\n" not in body


def test_a_cut_gzip_is_framed_whole_and_unpacks_in_part_only() -> None:
    with FaultServer([*replies.gzip_cut(b"x" * 100), Close()]).in_thread() as server, get(server) as response:
        packed = response.read()
    with pytest.raises(EOFError):
        gzip.decompress(packed)


def test_a_wrong_length_leaves_the_client_waiting_for_more() -> None:
    with (
        FaultServer(replies.wrong_length(b"{}", claimed=10)).in_thread() as server,
        get(server) as response,
        pytest.raises(http.client.IncompleteRead),
    ):
        response.read()


def test_old_style_ends_with_the_connection() -> None:
    with FaultServer(replies.old_style(b"data: x\n\n")).in_thread() as server, get(server) as response:
        assert (response.version, response.read()) == (10, b"data: x\n\n")


def test_it_serves_blocking_code_from_a_thread_and_ends_with_it() -> None:
    with FaultServer(replies.json({"a": 1})).in_thread() as server, get(server) as response:
        assert json.load(response) == {"a": 1}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))


def test_chat_chunks_join_to_the_text_and_end_as_the_protocol_does() -> None:
    events = chat.chunks("Hello there friend")
    whole = [json.loads(event[6:]) for event in events[:-1]]
    assert "".join(w["choices"][0]["delta"].get("content", "") for w in whole[:-1]) == "Hello there friend"
    assert whole[-2]["choices"][0]["finish_reason"] == "stop"
    assert (whole[-1]["choices"], whole[-1]["usage"]["completion_tokens"]) == ([], 3)
    assert events[-1] == chat.DONE


@pytest.mark.parametrize("action", [Reset(), Close()])
async def test_the_server_ends_cleanly_with_a_client_still_there(action: replies.Action) -> None:
    async with FaultServer([action]) as server, connected(server) as stream:
        await stream.send(ASK)
        await server.wait_for(1)
