"""httpcore's network on asyncio, by sockets that cost half of what anyio's do."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import httpcore

from plugmux.transports.dialling import dial
from plugmux.transports.sockets import WRITE_PIECE, Socket

__all__ = ["Network", "SocketStream"]


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


class SocketStream(Socket, httpcore.AsyncNetworkStream):
    """The bytes of one connection."""

    def __init__(self, buffer: memoryview) -> None:
        super().__init__(buffer)
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._error: Exception | None = None

    # What httpcore asks for

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, or else what comes next; b"" is the end. Raises ReadTimeout, ReadError."""
        while not self._pieces:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            if self.closed:
                return b""
            if not await self._wait(timeout):
                raise httpcore.ReadTimeout(f"nothing for {timeout:g} s")
        piece = self._pieces.popleft()
        if len(piece) > max_bytes:
            self._pieces.appendleft(piece[max_bytes:])
            piece = piece[:max_bytes]
        self._size -= len(piece)
        if self._read_paused:
            self._mind(self._size)
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send it all. Raises WriteTimeout, WriteError."""
        for start in range(0, len(buffer), WRITE_PIECE):
            while self._write_paused and not self.closed:
                if not await self._wait(timeout):
                    raise httpcore.WriteTimeout(f"no room for {timeout:g} s")
            if self.closed or self._transport is None or self._transport.is_closing():
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
        if self.closed:
            raise httpcore.ConnectError("the connection ended before the handshake")
        plain = cast("asyncio.Transport", self._transport)
        try:
            with _connecting(timeout):
                async with asyncio.timeout(timeout):
                    encrypted = await self.loop.start_tls(
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
            return bool(self._pieces) or self.has_news()
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return None if self._transport is None else self._transport.get_extra_info(names.get(info, info))

    def abort(self) -> None:
        """Close it at the loop's next turn; who waits for something is told."""
        self._error = self._error or ConnectionAbortedError("the connection was closed")
        super().abort()
        self._wake()

    # What asyncio says

    def buffer_updated(self, nbytes: int) -> None:
        self._pieces.append(bytes(self._buffer[:nbytes]))
        self._size += nbytes
        self._mind(self._size)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._error = self._error or exc
        self._wake()


@contextmanager
def _connecting(seconds: float | None) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        within = "" if seconds is None else f" within {seconds:g} s"  # the system has a limit of its own
        raise httpcore.ConnectTimeout(f"no connection{within}") from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
