"""Sockets on asyncio in httpcore's terms: what anyio does there, at half of its price for every read.

anyio watches a socket anew for each read and stops watching after it, which are two system calls, and makes a
timer and throws it away; asyncio's own buffer for what comes is 256 KiB, made for every token. Here a socket
is watched until too much has come that nobody reads, a timer looks now and then at the moment the present
wait has to end, and all sockets of a loop share one buffer.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import httpcore

from plugmux.transports.dialling import dial

__all__ = ["Network", "SocketStream"]

HIGH_WATER = 256 * 1024
"""Bytes kept for a reader who does not come; then the socket is left alone."""
WRITE_PIECE = 64 * 1024


class Network(httpcore.AsyncNetworkBackend):
    """Opens sockets of one event loop, which put what comes into `buffer` first."""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> SocketStream:
        """Raises ConnectTimeout, ConnectError."""
        local = {} if local_address is None else {"local_addr": (local_address, 0)}
        with _connecting(timeout):
            async with asyncio.timeout(timeout):
                stream = await dial(host, port, partial(SocketStream, self._buffer), **local)
        for option in socket_options or ():
            stream.get_extra_info("socket").setsockopt(*option)
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SocketStream(asyncio.BufferedProtocol, httpcore.AsyncNetworkStream):
    """The bytes of one connection; read and written by one task at a time."""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._error: Exception | None = None
        self._read_paused = False
        self._write_paused = False
        self._waiter: asyncio.Future[bool] | None = None
        self._timeout: float | None = None
        self._wait_ends = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # What httpcore asks for

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, or else what comes next; b"" is the end. Raises ReadTimeout, ReadError."""
        while not self._pieces:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            if self._ended:
                return b""
            await self._wait(timeout, httpcore.ReadTimeout)
        piece = self._pieces.popleft()
        if len(piece) > max_bytes:
            self._pieces.appendleft(piece[max_bytes:])
            piece = piece[:max_bytes]
        self._size -= len(piece)
        if self._read_paused and self._size <= HIGH_WATER:
            self._resume_reading()
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send it all. Raises WriteTimeout, WriteError."""
        for start in range(0, len(buffer), WRITE_PIECE):
            while self._write_paused and not self._ended:
                await self._wait(timeout, httpcore.WriteTimeout)
            if self._ended or self._transport is None:
                raise httpcore.WriteError(str(self._error or "the connection has ended"))
            self._transport.write(buffer[start : start + WRITE_PIECE])

    async def aclose(self) -> None:
        """Close the socket, at the loop's next turn."""
        self.abort()
        await asyncio.sleep(0)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> SocketStream:
        """The same stream, encrypted. Raises ConnectTimeout, ConnectError."""
        if self._ended:
            raise httpcore.ConnectError("the connection ended before the handshake")
        plain = cast("asyncio.Transport", self._transport)
        try:
            with _connecting(timeout):
                async with asyncio.timeout(timeout):
                    encrypted = await self._loop.start_tls(
                        plain, self, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            self.abort()
            raise
        if encrypted is None:
            raise httpcore.ConnectError("the connection ended during the handshake")
        self._transport = encrypted
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._has_news()
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return None if self._transport is None else self._transport.get_extra_info(names.get(info, info))

    def abort(self) -> None:
        self._ended = True
        self._error = self._error or ConnectionAbortedError("the connection was closed")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    # What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._pieces.append(bytes(self._buffer[:nbytes]))
        self._size += nbytes
        if self._size > HIGH_WATER and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = self._error or exc
        self._wake()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._wake()

    # The rest

    def _resume_reading(self) -> None:
        self._read_paused = False
        if self._transport is not None and not self._ended:
            self._transport.resume_reading()

    def _has_news(self) -> bool:
        """Whether there is something to read, the end of the connection too."""
        if self._pieces or self._ended or self._transport is None:
            return True
        descriptor = self._transport.get_extra_info("socket").fileno()
        if not hasattr(select, "poll"):  # Windows, where select knows no largest descriptor
            return bool(select.select([descriptor], [], [], 0)[0])
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

    async def _wait(self, timeout: float | None, timed_out: type[httpcore.TimeoutException]) -> None:
        """Until something happens, for at most `timeout` seconds. Raises `timed_out`."""
        self._timeout = timeout
        waiter = self._waiter = self._loop.create_future()
        if timeout is not None:
            self._wait_ends = self._loop.time() + timeout
            if self._timer is None or self._timer.when() > self._wait_ends:
                self._set_timer()
        try:
            woken = await waiter
        finally:
            self._waiter = None
        if not woken:
            raise timed_out(f"nothing for {timeout:g} s")

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._wait_ends, self._look)

    def _look(self) -> None:
        """A wait may have come to its end since the timer was set; it may be another one too."""
        self._timer = None
        if self._waiter is None or self._timeout is None:
            return
        if self._loop.time() < self._wait_ends:
            self._set_timer()
        elif not self._waiter.done():
            self._waiter.set_result(False)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)


@contextmanager
def _connecting(seconds: float | None) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        within = "" if seconds is None else f" within {seconds:g} s"  # the system has a limit of its own
        raise httpcore.ConnectTimeout(f"no connection{within}") from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
