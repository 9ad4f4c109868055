"""A server on a raw socket that answers what it is told to, and writes down what it sees.

    async with FaultServer(replies.stream(chat.chunks("Hello"))) as server:
        …                                # server.url
        server.requests[0].left_at       # when the client closed the socket

Times are `time.monotonic()`, so that they can be compared from any thread.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from anyio.from_thread import start_blocking_portal
from attrs import define, field

from plugmux.testing.replies import Close, Dribble, Hang, Replies, Reset, Send, Wait, chosen

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from anyio.abc import TaskGroup

    from plugmux.testing.replies import Reply

__all__ = ["FaultServer", "SeenRequest"]


@define(kw_only=True, eq=False)
class SeenRequest:
    """A request as it came in.

    `headers` are in lower case. `connection` counts the server's connections from 1. `arrived_at` is
    when the request was whole, `answered_at` when its reply had been played to the end, `left_at` when
    the client closed the socket.
    """

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    connection: int
    arrived_at: float = field(factory=time.monotonic)
    answered_at: float | None = None
    left_at: float | None = None
    _left: anyio.Event = field(factory=anyio.Event, repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def leave(self) -> None:
        """The client has closed the socket."""
        if self.left_at is None:
            self.left_at = time.monotonic()
            self._left.set()

    async def wait_left(self, *, seconds: float = 5.0) -> float:
        """When the client closed the socket. Raises TimeoutError after `seconds`."""
        with anyio.fail_after(seconds):
            await self._left.wait()
        return self.left_at or 0.0


class FaultServer:
    """Plays `replies`: one reply for every request, or a function from the request to its reply.

    Use it as an async context manager in the loop of the client, or as `with FaultServer(…).in_thread()`
    beside blocking code. It works on plain sockets, since only they can be reset. A connection is closed
    when it is `longest` seconds old, for clients that would wait for ever.
    """

    def __init__(self, replies: Replies, *, longest: float = math.inf) -> None:
        self.replies = replies
        self._longest = longest
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.url = ""
        self._tasks: TaskGroup | None = None
        self._news = anyio.Event()

    async def __aenter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        listener.setblocking(False)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._accept, listener, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)  # the caller's own error stays as it is

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serve from a thread with an event loop of its own."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(self):
            yield self

    async def wait_for(self, count: int, *, seconds: float = 5.0) -> SeenRequest:
        """The request number `count` (from 1), as soon as it is there. Raises TimeoutError."""
        with anyio.fail_after(seconds):
            while len(self.requests) < count:
                await self._news.wait()
        return self.requests[count - 1]

    async def _accept(self, listener: socket.socket, tasks: TaskGroup) -> None:
        with listener:
            while True:
                await anyio.wait_readable(listener)
                try:
                    client, _ = listener.accept()
                except BlockingIOError:
                    continue
                tasks.start_soon(self._connected, client)

    async def _connected(self, client: socket.socket) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        connection = _Connection(client, self.connections)
        with client, anyio.move_on_after(self._longest):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connection.listen, tasks.cancel_scope)
                await self._serve(connection)
                tasks.cancel_scope.cancel()

    async def _serve(self, connection: _Connection) -> None:
        while (request := await connection.next_request()) is not None:
            self.requests.append(request)
            self._news.set()
            self._news = anyio.Event()
            open_still = await connection.play(chosen(self.replies, request))
            request.answered_at = time.monotonic()
            if not open_still:
                return


class _Connection:
    """One socket: a listener that notices the client leaving, and the player of replies."""

    def __init__(self, client: socket.socket, number: int) -> None:
        self._socket = client
        self._number = number
        self._buffer = bytearray()
        self._arrived = anyio.Event()
        self._request: SeenRequest | None = None
        self._has_left = False

    async def listen(self, scope: anyio.CancelScope) -> None:
        """Read all the time; when the client leaves, note it and end what is being played."""
        while data := await self._receive():
            self._buffer += data
            self._arrived.set()
            self._arrived = anyio.Event()
        self._has_left = True
        if self._request is not None:
            self._request.leave()
        scope.cancel()

    async def _receive(self) -> bytes:
        """The next bytes; none when the client has left, in whatever way."""
        while True:
            try:
                return self._socket.recv(65536)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError:
                return b""

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError:
                await anyio.sleep_forever()  # the client has left: the listener notices and ends this

    async def next_request(self) -> SeenRequest | None:
        head = await self._take_until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("expect", "").lower() == "100-continue":
            await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._body(headers)
        self._request = SeenRequest(
            method=method,
            path=rest.rpartition(" ")[0],
            headers=headers,
            body=body,
            connection=self._number,
        )
        if self._has_left:  # right behind its request
            self._request.leave()
        return self._request

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._take(int(headers.get("content-length", "0")))
        parts = []
        while size := int((await self._take_until(b"\r\n")).partition(b";")[0], 16):
            parts.append(await self._take(size))
            await self._take(2)
        await self._take(2)
        return b"".join(parts)

    async def _take_until(self, end: bytes) -> bytes:
        while (place := self._buffer.find(end)) < 0:
            await self._arrived.wait()
        taken = bytes(self._buffer[:place])
        del self._buffer[: place + len(end)]
        return taken

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._arrived.wait()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def play(self, reply: Reply) -> bool:
        """Play a reply. False when the connection is over."""
        for action in reply:
            match action:
                case Send(data):
                    await self._send(data)
                case Dribble(data):
                    await self._dribble(data)
                case Wait(seconds):
                    await anyio.sleep(seconds)
                case Hang():
                    await anyio.sleep_forever()
                case Reset():
                    linger = struct.pack("ii", 1, 0)  # on, for no time: closing sends RST
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return False
                case Close():
                    return False
        return True

    async def _dribble(self, data: bytes) -> None:
        for place in range(len(data)):
            await self._send(data[place : place + 1])
            await anyio.lowlevel.checkpoint()
