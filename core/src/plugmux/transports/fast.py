"""A faster transport for asyncio under httpx's interface (`plugmux[fast]`): connections and their pool.

Why not one that exists: on httpx-aiohttp 0.2 the tests of silence hang, and refused, unknown and untrusted
hosts all come out as timeouts. aiohttp 3.14 itself loses an answer that a byte too many follows, and bytes
that came before a break; it repeats a failed GET; its import takes 80 ms of every first request. httptools is
llhttp, the parser inside aiohttp and Node.js, and nothing else. What goes through a proxy is still httpx's.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from functools import partial
from itertools import chain
from typing import NamedTuple

from plugmux.transports.dialling import dial
from plugmux.transports.http1 import Connection
from plugmux.transports.lean_httpx import httpx

__all__ = ["FastTransport"]

MOST_IDLE = 1000
"""More than httpx may keep: to find one costs the same however many there are, and none stays for long."""
_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
_TARGET = re.compile(rb"[\x21-\x7e]+")


class Place(NamedTuple):
    """Where a connection goes. `certified` is the name that its certificate must carry; None is plain TCP."""

    host: str
    port: int
    certified: str | None


class FastTransport(httpx.AsyncBaseTransport):
    """Takes httpx's requests, their bodies read, and gives httpx's responses and errors. HTTP/1.1 only.

    Bound to one event loop. No cookie is kept, no redirect followed, no encoding undone, and nothing asked
    twice. A body that was read to its end gives its connection back; any other end closes it.
    """

    room = float("inf")
    """Requests at once that one of it may carry."""

    def __init__(self, *, verify: ssl.SSLContext, limits: httpx.Limits, buffer: memoryview) -> None:
        self._verify = verify
        self._verify.set_alpn_protocols(["http/1.1"])
        self._idle_seconds = limits.keepalive_expiry or 5.0
        self._buffer = buffer
        self._idle: dict[Place, list[Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._busy: set[Connection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        head = _head_of(request)
        timeouts = request.extensions["timeout"]
        place = _place_of(request)
        connection = self._take_idle(place) or await self._connect(place, timeouts["connect"])
        self._busy.add(connection)
        try:
            bodiless = request.method == "HEAD"
            await connection.send(head, request.content, bodiless=bodiless, timeout=timeouts["write"])
            await connection.read_head(timeouts["read"])
        except BaseException:
            self._drop(connection)
            raise
        body = _Body(connection, timeouts, partial(self._give_back, connection, place))
        return httpx.Response(connection.status, headers=connection.headers, stream=body, request=request)

    async def aclose(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for connection in [*chain(*self._idle.values()), *self._busy]:
            connection.abort()
        self._idle.clear()
        self._busy.clear()
        await asyncio.sleep(0)  # the sockets are closed at the loop's next turn

    def _take_idle(self, place: Place) -> Connection | None:
        """The connection that was used last of those to `place`; what has gone stale is closed."""
        kept = self._idle.get(place, [])
        while kept:
            connection = kept.pop()
            if not connection.has_news():
                return connection
            connection.abort()
        return None

    async def _connect(self, place: Place, seconds: float | None) -> Connection:
        try:
            async with asyncio.timeout(seconds):
                make = partial(Connection, self._buffer)
                if place.certified is None:
                    return await dial(place.host, place.port, make)
                tls = {"ssl": self._verify, "server_hostname": place.certified}
                return await dial(place.host, place.port, make, **tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection within {seconds:g} s") from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error

    def _give_back(self, connection: Connection, place: Place) -> None:
        too_many = sum(map(len, self._idle.values())) >= MOST_IDLE
        if too_many or not connection.reusable or connection not in self._busy:
            self._drop(connection)
            return
        self._busy.discard(connection)
        connection.rest()
        self._idle.setdefault(place, []).append(connection)
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(self._idle_seconds, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long, and come again while anything is."""
        oldest = time.monotonic() - self._idle_seconds
        for place, kept in list(self._idle.items()):
            for connection in kept:
                if connection.idle_since <= oldest:
                    connection.abort()
            self._idle[place] = [connection for connection in kept if not connection.closed]
            if not self._idle[place]:
                del self._idle[place]
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(self._idle_seconds, self._sweep) if self._idle else None

    def _drop(self, connection: Connection) -> None:
        self._busy.discard(connection)
        connection.abort()


class _Body(httpx.AsyncByteStream):
    """The bytes of an answer as they come. `timeouts["read"]` is read anew for each."""

    def __init__(self, connection: Connection, timeouts: dict[str, float | None], give_back: partial[None]):
        self._connection: Connection | None = connection
        self._timeouts = timeouts
        self._give_back = give_back

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        if self._connection is not None:
            if chunk := await self._connection.read(self._timeouts["read"]):
                return chunk
            self._let_go()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self._connection is not None and not self._let_go():
            await asyncio.sleep(0)  # the socket is closed at the loop's next turn

    def _let_go(self) -> bool:
        """Give the connection back, or close it; whether it lives on."""
        connection, self._connection = self._connection, None
        self._give_back()
        return connection is not None and not connection.closed


def _place_of(request: httpx.Request) -> Place:
    url = request.url
    host = url.raw_host.decode("ascii")
    secure = url.scheme == "https"
    name = request.extensions.get("sni_hostname") or host
    return Place(host, url.port or (443 if secure else 80), name if secure else None)


def _head_of(request: httpx.Request) -> bytes:
    """The request up to its body. Raises LocalProtocolError for what would not be one header a line."""
    method, target = request.method.encode("ascii"), request.url.raw_path
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError("illegal method or path")
    lines = [method + b" " + target + b" HTTP/1.1"]
    for name, value in request.headers.raw:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise httpx.LocalProtocolError(f"illegal header {name.decode('latin-1')!r}")
        if name.lower() == b"transfer-encoding":  # the body is there in one piece
            name, value = b"Content-Length", b"%d" % len(request.content)
        lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
