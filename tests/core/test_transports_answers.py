"""What a server may send, how long it may take, and what becomes of its connection.

On asyncio, on httpx's transport and on the fast one: what a caller sees is the same on both.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec

import anyio
import anyio.lowlevel
import pytest

from plugmux.errors import (
    ConnectionFailedError,
    DeadlineError,
    MalformedResponseError,
    ProviderError,
    StreamCutError,
)
from plugmux.http import Http
from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.testing import Close, Dribble, FaultServer, Hang, Send, Wait, replies
from plugmux.transport import Transport

Limited = Callable[..., Http]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNK = b"2\r\nhi\r\n0\r\n\r\n"


fast_only = pytest.mark.parametrize(
    "kind",
    [pytest.param("fast", marks=pytest.mark.skipif(not find_spec("httptools"), reason="no plugmux[fast]"))],
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# What a server may send, and what comes of it

SOUND = {
    "a length": OK + b"Content-Length: 2\r\n\r\nhi",
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
    "chunk extensions": OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n",
    "blanks after a chunk's size": OK + b"Transfer-Encoding: chunked\r\n\r\n2  \r\nhi\r\n0\r\n\r\n",
    "trailers": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
    "no length": OK + b"\r\nhi",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nhi",
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi",
    "lines that end in a line feed": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "an interim answer": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
    "goodbye": OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
    "more than promised": OK + b"Content-Length: 2\r\n\r\nhi there",
    "a second answer": (OK + b"Content-Length: 2\r\n\r\nhi") * 2,
    "more behind the last chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\ntrash",
    "an encoding that is none": OK + b"Content-Encoding: Identity\r\nContent-Length: 2\r\n\r\nhi",
    "an empty encoding": OK + b"Content-Encoding: \r\nContent-Length: 2\r\n\r\nhi",
    "a long header": OK + b"X-Long: " + b"x" * 60_000 + b"\r\nContent-Length: 2\r\n\r\nhi",
}


@pytest.mark.parametrize("case", SOUND)
async def test_what_is_sound_is_read(http: Http, case: str) -> None:
    async with FaultServer([Send(SOUND[case]), Close()]) as server:
        answer = await http.request("GET", server.url)
    assert (answer.status, answer.content) == (200, b"hi")
    assert "link" not in answer.headers


@pytest.mark.parametrize("case", [case for case in SOUND if case != "a long header"])
async def test_what_is_sound_is_read_byte_by_byte(http: Http, case: str) -> None:
    async with FaultServer([Dribble(SOUND[case]), Close()]) as server:
        assert (await http.request("GET", server.url)).content == b"hi"


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_ends_with_its_head(http: Http, status: int) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status
    async with FaultServer([Send(head), Hang()]) as server:
        assert (await http.request("GET", server.url)).content == b""


async def test_head_has_no_body_whatever_its_length_says(http: Http) -> None:
    async with FaultServer([Send(OK + b"Content-Length: 5\r\n\r\n"), Hang()]) as server:
        assert (await http.request("HEAD", server.url)).headers["content-length"] == "5"


UNSOUND: dict[str, tuple[bytes, type[ProviderError]]] = {
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", MalformedResponseError),
    "a change of protocol": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        MalformedResponseError,
    ),
    "a bad status": (b"HTTP/1.1 abc OK\r\n\r\n", MalformedResponseError),
    "a header without a name": (OK + b": x\r\n\r\n", MalformedResponseError),
    "a bad length": (OK + b"Content-Length: two\r\n\r\nhi", MalformedResponseError),
    "lengths that differ": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", MalformedResponseError),
    "half a head": (OK + b"Content-Le", ConnectionFailedError),
    "nothing": (b"", ConnectionFailedError),
    "a bad chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n", StreamCutError),
    "a cut chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhi", StreamCutError),
    "no last chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", StreamCutError),
    "too short": (OK + b"Content-Length: 5\r\n\r\nhi", StreamCutError),
    "an unknown encoding": (OK + b"Content-Encoding: x\r\n\r\nhi", MalformedResponseError),
    "a packed transfer": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNK, MalformedResponseError),
    "two codings of a transfer": (
        OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
        MalformedResponseError,
    ),
    "a head without end": (OK + b"X-Long: " + b"x" * 2_000_000, MalformedResponseError),
}


@pytest.mark.parametrize("case", UNSOUND)
async def test_what_is_unsound_is_a_typed_error(http: Http, case: str) -> None:
    sent, error = UNSOUND[case]
    async with FaultServer([Send(sent), Close()]) as server:
        with pytest.raises(error):
            await http.request("GET", server.url)


async def test_what_came_before_a_break_is_given_first(limited: Limited) -> None:
    reply = replies.stream([b"data: 1\n\n", b"data: 2\n\n"], after=[Close()])
    got = []
    async with FaultServer(reply) as server, limited(idle=5).events("GET", server.url) as events:
        await answered(server)
        with pytest.raises(StreamCutError):
            async for event in events:
                got.append(event.data)  # noqa: PERF401 - one by one: it raises in between
    assert got == [b"1", b"2"]


async def answered(server: FaultServer) -> None:
    """Return when the first reply was played to its end and the client has had time to notice."""
    while server.requests[0].answered_at is None:
        await anyio.lowlevel.checkpoint()
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


@fast_only
async def test_interim_answers_without_end_are_malformed(http: Http) -> None:
    async with FaultServer([Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000), Hang()]) as server:
        with pytest.raises(MalformedResponseError):
            await http.request("GET", server.url)


@fast_only
async def test_trailers_without_end_are_a_cut(http: Http) -> None:
    flood = OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Long: " + b"x" * 2_000_000
    async with FaultServer([Send(flood), Hang()]) as server:
        with pytest.raises(StreamCutError):
            await http.request("GET", server.url)


# Connections


async def test_a_connection_serves_one_request_after_the_other(http: Http) -> None:
    async with FaultServer(replies.json({})) as server:
        for _ in range(3):
            await http.request("POST", server.url, json={})
        assert server.connections == 1


@fast_only
@pytest.mark.parametrize("case", ["goodbye", "more than promised", "a second answer"])
async def test_a_connection_that_is_used_up_is_not_used_again(http: Http, case: str) -> None:
    async with FaultServer([Send(SOUND[case])]) as server:
        for _ in range(2):
            assert (await http.request("GET", server.url)).content == b"hi"
        assert server.connections == 2


async def test_what_nobody_asked_for_never_passes_for_the_next_answer(http: Http) -> None:
    late = OK + b"Content-Length: 4\r\n\r\nevil"
    first = [Send(SOUND["a length"]), Wait(0.01), Send(late)]
    async with FaultServer(replies.in_order(first, [Send(SOUND["a length"])])) as server:
        assert (await http.request("GET", server.url)).content == b"hi"
        await answered(server)
        assert (await http.request("GET", server.url)).content == b"hi"


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(http: Http) -> None:
    async with FaultServer([Send(SOUND["a length"]), Close()]) as server:
        for _ in range(3):
            await http.request("POST", server.url, json={})
        assert server.connections == 3


async def test_connections_of_a_crowd_are_used_again(http: Http) -> None:
    crowd = 120
    async with FaultServer(replies.json({})) as server:
        await ask_at_once(http, server.url, crowd)
        await ask_at_once(http, server.url, crowd)
        assert server.connections == crowd


async def ask_at_once(http: Http, url: str, number: int) -> None:
    """All have their answers' heads before the first is read."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(http.events("GET", url)) for _ in range(number)]
        for source in opened:
            await source.read()


@fast_only
async def test_an_idle_connection_is_closed_after_a_while(kind: str) -> None:
    import httpx

    fast = pytest.importorskip("plugmux.transports.fast")

    def short(*, verify: object, proxy: object, limits: object) -> object:
        buffer = memoryview(bytearray(65536))
        return fast.FastTransport(verify=verify, limits=httpx.Limits(keepalive_expiry=0.05), buffer=buffer)

    transport = Transport(factory=short)
    async with FaultServer(replies.json({})) as server:
        await Http(transport, Stopwatch(Limits(first_sign=5)), None).request("GET", server.url)
        await server.requests[0].wait_left()
    await transport.aclose()


async def test_a_closed_transport_leaves_no_socket(transport: Transport, limited: Limited) -> None:
    async with FaultServer(replies.json({})) as server:
        await limited().request("GET", server.url)
        await transport.aclose()
        await server.requests[0].wait_left()
    gc.collect()


async def test_a_transport_may_be_used_again_after_it_was_closed(
    transport: Transport, limited: Limited
) -> None:
    async with FaultServer(replies.json({"a": 1})) as server:
        for _ in range(2):
            assert (await limited().request("GET", server.url)).json() == {"a": 1}
            await transport.aclose()


# Time


async def test_a_reader_who_takes_his_time_is_no_silence(limited: Limited) -> None:
    reply = replies.stream([b"data: 1\n\n"] * 3, pause=0.02)
    async with FaultServer(reply) as server:
        connected = limited(idle=0.1).events("GET", server.url)
        async with connected as events:
            await anext(events)
            await anyio.sleep(0.3)
            assert len([event async for event in events]) == 2


async def test_a_head_that_comes_slowly_is_no_silence(limited: Limited) -> None:
    slowly = [part for byte in SOUND["a length"] for part in (Wait(0.005), Send(bytes([byte])))]
    async with FaultServer(slowly) as server:
        answer = await limited(first_sign=0.1, idle=0.1).request("GET", server.url)
    assert answer.content == b"hi"


async def test_each_limit_counts_for_its_own_part(limited: Limited) -> None:
    async with FaultServer([Wait(0.15), Send(OK + b"\r\n"), Hang()]) as server:
        with pytest.raises(DeadlineError) as caught:
            await limited(first_sign=5, idle=0.05).request("GET", server.url)
    assert caught.value.limit == "idle"
