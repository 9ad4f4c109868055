"""The sockets below httpcore: what is read and written, how long a wait may last, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import httpcore
import pytest

from plugmux.transports.network import Network, SocketStream
from plugmux.transports.sockets import HIGH_WATER

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def connected(serve: Serve) -> AsyncIterator[SocketStream]:
    """A stream to a server that plays `serve` and then closes."""
    over = asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            over.set()

    async with await asyncio.start_server(play, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stream = await Network(memoryview(bytearray(65536))).connect_tcp("127.0.0.1", port, timeout=5)
        try:
            yield stream
        finally:
            await stream.aclose()
            await asyncio.wait_for(over.wait(), 5)


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"bye")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()


async def everything(stream: SocketStream, size: int = 65536) -> bytes:
    pieces = []
    while piece := await stream.read(size, timeout=5):
        pieces.append(piece)
    return b"".join(pieces)


async def test_what_came_is_given_before_the_end_and_the_end_again_and_again() -> None:
    async with connected(hang_up) as stream:
        assert await everything(stream) == b"bye"
        assert await stream.read(10, timeout=5) == b""


async def test_no_more_is_given_at_once_than_was_asked_for() -> None:
    async with connected(hang_up) as stream:
        assert [await stream.read(2, timeout=5) for _ in range(3)] == [b"by", b"e", b""]


async def test_a_large_body_goes_out_and_comes_back_whole() -> None:
    body = bytes(range(256)) * 20_000

    async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(body)))

    async with connected(send_back) as stream:
        await stream.write(body, timeout=5)
        assert await everything(stream) == body


async def test_a_reader_who_does_not_come_holds_the_server_up() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=0)
        while sent < 64 * HIGH_WATER:
            writer.write(b"x" * HIGH_WATER)
            await writer.drain()
            sent += HIGH_WATER

    async with connected(flood) as stream:
        first = await stream.read(1, timeout=5)
        before = -1
        while sent != before:  # until the server has been standing still for a while
            before = sent
            for _ in range(100):
                await asyncio.sleep(0)
        assert sent < 64 * HIGH_WATER
        rest = await everything(stream)
    assert len(first + rest) == 64 * HIGH_WATER


async def test_silence_ends_a_wait() -> None:
    async with connected(say_nothing) as stream:
        with pytest.raises(httpcore.ReadTimeout, match=r"0\.01 s"):
            await stream.read(10, timeout=0.01)


async def test_a_short_wait_after_a_long_one_is_short() -> None:
    async def one_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reader.read()

    async with connected(one_byte) as stream:
        assert await stream.read(10, timeout=3600) == b"x"
        with anyio.fail_after(5), pytest.raises(httpcore.ReadTimeout):
            await stream.read(10, timeout=0.01)


async def test_a_long_wait_after_a_short_one_is_long() -> None:
    async def when_told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await told.wait()
        writer.write(b"y")

    told = asyncio.Event()
    async with connected(when_told) as stream:
        assert await stream.read(10, timeout=0.05) == b"x"
        asyncio.get_running_loop().call_later(0.2, told.set)
        assert await stream.read(10, timeout=5) == b"y"


async def test_a_wait_without_a_limit_is_not_ended_by_the_one_before() -> None:
    async def when_told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await told.wait()
        writer.write(b"y")

    told = asyncio.Event()
    async with connected(when_told) as stream:
        assert await stream.read(10, timeout=0.05) == b"x"
        asyncio.get_running_loop().call_later(0.2, told.set)
        assert await stream.read(10) == b"y"


async def test_a_read_that_is_cancelled_loses_nothing() -> None:
    async with connected(echo) as stream:
        with anyio.move_on_after(0.01):
            await stream.read(10)
        await stream.write(b"still there", timeout=5)
        assert await stream.read(20, timeout=5) == b"still there"


async def test_a_server_that_reads_nothing_ends_the_wait_for_room() -> None:
    over = asyncio.Event()

    async def read_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()

    async with connected(read_nothing) as stream:
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(b"x" * (64 << 20), timeout=0.05)
        over.set()


async def test_nothing_can_be_written_to_who_has_gone() -> None:
    async with connected(hang_up) as stream:
        await everything(stream)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"hello?", timeout=5)


async def test_a_reset_is_an_error_after_all_that_came() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"some")
        await writer.drain()
        await reader.read(1)
        linger = struct.pack("ii", 1, 0)  # closing is a reset
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with connected(reset) as stream:
        assert await stream.read(10, timeout=5) == b"some"
        await stream.write(b"x", timeout=5)
        with pytest.raises(httpcore.ReadError):
            await everything(stream)


async def test_closing_ends_the_wait_of_a_reader() -> None:
    async with connected(say_nothing) as stream, asyncio.TaskGroup() as group:
        reading = group.create_task(_error_of(stream.read(10, timeout=3600)))
        await asyncio.sleep(0)
        await stream.aclose()
        assert isinstance(await reading, httpcore.ReadError)


async def _error_of(work: Awaitable[object]) -> BaseException | None:
    try:
        await work
    except httpcore.NetworkError as error:
        return error
    return None


async def test_news_are_bytes_and_the_end_also_before_the_loop_has_seen_them() -> None:
    async def when_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"x")
        await writer.drain()
        said.set()
        await reader.read(1)

    said = asyncio.Event()
    async with connected(when_asked) as stream:
        assert not stream.get_extra_info("is_readable")
        await stream.write(b"?", timeout=5)
        await said.wait()
        assert stream.get_extra_info("is_readable")
        assert await stream.read(10, timeout=5) == b"x"
        assert not stream.get_extra_info("is_readable")
        await stream.aclose()
        assert stream.get_extra_info("is_readable")


async def test_a_silent_handshake_ends_in_time_and_leaves_no_socket() -> None:
    async with connected(say_nothing) as stream:
        with pytest.raises(httpcore.ConnectTimeout):
            await stream.start_tls(ssl.create_default_context(), "service.example", timeout=0.05)


@pytest.mark.parametrize("serve", [hang_up, echo])
async def test_who_speaks_no_tls_is_a_failed_connection(serve: Serve) -> None:
    async with connected(serve) as stream:
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(ssl.create_default_context(), "service.example", timeout=5)


async def test_there_is_no_handshake_with_who_has_gone() -> None:
    async with connected(hang_up) as stream:
        await everything(stream)
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(ssl.create_default_context(), "service.example")


async def test_a_refused_connection_says_so_in_its_cause() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    with pytest.raises(httpcore.ConnectError) as caught:
        await Network(memoryview(bytearray(10))).connect_tcp("127.0.0.1", port, timeout=5)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
