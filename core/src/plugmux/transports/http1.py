"""One HTTP/1.1 connection on asyncio: llhttp (by httptools) reads, a plain asyncio protocol carries.

    idle ── send ──> waiting for the head ── read_head ──> body ── read, until b"" ──> idle, or closed

Errors are httpx's, so that whoever translates those need not know which transport is below.
"""

from __future__ import annotations

import asyncio
import time
from typing import cast

import httptools

from plugmux.transports.lean_httpx import httpx
from plugmux.transports.sockets import WRITE_PIECE, Socket

__all__ = ["Connection"]

MAX_HEAD = 100 * 1024
"""Bytes that may come without any of a body among them: headers, trailers, chunk extensions."""


class Connection(Socket):
    """Carries one request after the other. What comes is read at once, whoever waits for it."""

    def __init__(self, buffer: memoryview) -> None:
        super().__init__(buffer)
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.idle_since = 0.0
        self._parser: httptools.HttpResponseParser | None = None
        self._bodiless = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._unseen = 0
        self._headed = False
        self._complete = True
        self._keep_alive = True
        self._error: httpx.TransportError | None = None

    # What the transport does with a connection

    @property
    def reusable(self) -> bool:
        """Whether the answer has come whole and the next request may follow."""
        return self._complete and self._keep_alive and not self.closed

    async def send(self, head: bytes, body: bytes, *, bodiless: bool, timeout: float | None) -> None:
        """Send a request. `bodiless` says that the answer has no body whatever its headers promise.

        A server that answers before it has read everything is not sent the rest.
        Raises WriteTimeout, ReadError, RemoteProtocolError.
        """
        self._begin(bodiless)
        transport = cast("asyncio.Transport", self._transport)
        transport.write(head + body[:WRITE_PIECE])
        for start in range(WRITE_PIECE, len(body), WRITE_PIECE):
            while self._write_paused and not self._headed and self._error is None:
                if not await self._wait(timeout):
                    raise httpx.WriteTimeout(f"no room for {timeout:g} s")
            if self._headed or self._error is not None or transport.is_closing():
                self._keep_alive = False
                return
            transport.write(body[start : start + WRITE_PIECE])

    async def read_head(self, timeout: float | None) -> None:
        """Wait for `status` and `headers`. Raises ReadTimeout, ReadError, RemoteProtocolError."""
        while not self._headed:
            if self._error is not None:
                raise self._error
            if not await self._wait(timeout):
                raise httpx.ReadTimeout(f"nothing for {timeout:g} s")

    async def read(self, timeout: float | None) -> bytes:
        """What has come of the body, or else what comes next; b"" is its end.

        Raises ReadTimeout, ReadError, RemoteProtocolError, each after all that came before.
        """
        while not self._pieces:
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            if not await self._wait(timeout):
                raise httpx.ReadTimeout(f"nothing for {timeout:g} s")
        pieces = self._pieces
        self._pieces, self._size = [], 0
        if self._read_paused:
            self._mind(0)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def rest(self) -> None:
        """Forget the last answer, until the next request."""
        self._forget()
        self.idle_since = time.monotonic()

    def abort(self) -> None:
        """Close the socket at the loop's next turn."""
        super().abort()
        self._forget()
        if not self._complete:
            self._fail(httpx.ReadError("the connection was closed"))

    # What asyncio says

    def buffer_updated(self, nbytes: int) -> None:
        parser = self._parser
        if parser is None:  # nobody asked: what it says must not pass for the next answer
            self.abort()
            return
        self._unseen += nbytes
        try:
            parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserUpgrade:
            pass  # said at the headers
        except httptools.HttpParserError as error:
            self._malformed(error)
        if self._unseen > MAX_HEAD and not self._complete:
            self._fail(httpx.RemoteProtocolError("the headers are too long"))
        if self._waiter is not None and not self._waiter.done():
            self._renew_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._complete:
            return
        if not self._headed and exc is None:
            self._fail(httpx.RemoteProtocolError("Server disconnected without sending a response."))
        elif exc is None and self._ends_with_connection():
            self._end()
        else:
            failure = httpx.ReadError(str(exc or "the connection ended too early"))
            failure.__cause__ = exc
            self._fail(failure)

    # What llhttp says

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep_alive = False  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self._headed or parser is None:
            return
        self.status = parser.get_status_code()
        if self.status == 101:
            self._fail(httpx.RemoteProtocolError("the server changed to another protocol"))
            return
        if self.status < 200:
            return
        if any(_is_encoded(name, value) for name, value in self.headers):
            self._fail(httpx.RemoteProtocolError("a transfer encoding other than chunked"))
            return
        self._headed = True
        self._keep_alive = parser.should_keep_alive() and not self._bodiless
        if self._bodiless:
            self._end()
        self._wake()

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        self._unseen = 0
        self._pieces.append(body)
        self._size += len(body)
        self._mind(self._size)
        self._wake()

    def on_message_complete(self) -> None:
        if self._headed:
            self._end()
        else:
            self.headers = []  # an interim answer: the real one follows

    # The rest

    def _begin(self, bodiless: bool) -> None:
        self.status, self.headers = 0, []
        self._headed = self._complete = False
        self._bodiless = bodiless
        self._unseen = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    def _end(self) -> None:
        self._complete = True
        self._wake()

    def _forget(self) -> None:
        self._parser = None
        self._pieces, self._size = [], 0
        self._stop_timer()
        self._mind(0)

    def _malformed(self, error: httptools.HttpParserError) -> None:
        self._keep_alive = False
        if not self._complete:
            self._fail(httpx.RemoteProtocolError(str(error) or "malformed"))

    def _ends_with_connection(self) -> bool:
        """Whether the answer has no other end than the connection's (RFC 9112 section 6.3)."""
        framing = {b"content-length", b"transfer-encoding"}
        return not any(name.lower() in framing for name, _ in self.headers)

    def _fail(self, error: httpx.TransportError) -> None:
        self._keep_alive = False
        if self._error is None:
            self._error = error
        self._wake()


def _is_encoded(name: bytes, value: bytes) -> bool:
    """Whether this header says that the body is compressed on its way, which llhttp does not undo."""
    return len(name) == 17 and name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked"
