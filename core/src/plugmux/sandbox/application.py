"""The sandbox's ASGI side: the mark on every answer, the log, and answers that fail on purpose.

The only module of core that imports starlette; `plugmux.sandbox.server` imports it when a sandbox starts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

import anyio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from plugmux.sandbox.faults import Fault, Timings
from plugmux.sandbox.log import SeenRequest, seen

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from plugmux.sandbox.server import Sandbox

__all__ = ["application", "faulty"]

MARK = (b"x-plugmux-sandbox", b"1")
ENTRY = "plugmux.sandbox.entry"
MAX_LOGGED = 1024 * 1024
CUT_AFTER = 5
"""Chunks of an answer that are sent before it is cut, stalls, or has a malformed one."""


class CutError(Exception):
    """Raised inside a response to make the server break the connection."""


def application(box: Sandbox, routes: Sequence[BaseRoute]) -> ASGIApp:
    """The ASGI application: an index page, the plugins' routes, and the log around them."""

    async def index(request: Request) -> Response:
        return PlainTextResponse(box.describe())

    app = Starlette(routes=[Route("/", index), *routes], exception_handlers={Exception: _route_failed})
    return _Logged(app, box)


def _route_failed(request: Request, error: Exception) -> Response:
    request.scope[ENTRY].error = repr(error)
    return PlainTextResponse(f"plugmux sandbox: the route failed with {error!r}\n", 500)


class _Logged:
    """Marks every answer and records every request, with what its route failed of."""

    def __init__(self, app: ASGIApp, box: Sandbox) -> None:
        self._app = app
        self._box = box

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, replay = await _read_body(receive)
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        entry = seen(scope["method"], scope["path"] + query, scope["headers"], body[:MAX_LOGGED])
        self._box.record(entry)
        exchange = _Recorded(entry, replay, send)
        try:
            await self._app({**scope, ENTRY: entry}, exchange.receive, exchange.send)
        except CutError:
            raise
        except Exception as error:  # starlette has answered 500, unless the answer had begun
            entry.error = repr(error)
            if not exchange.ended:
                raise  # the server breaks off what was begun


class _Recorded:
    """The two ends of one exchange, noting status and an early leave in the log's entry."""

    def __init__(self, entry: SeenRequest, receive: Receive, send: Send) -> None:
        self._entry = entry
        self._receive = receive
        self._send = send
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.ended:
            self._entry.left = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._entry.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), MARK]}
        elif message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)
        await self._send(message)


async def _read_body(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a `receive` that gives it once more."""
    parts, more, first = [], True, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    body = b"".join(parts)

    async def replay() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return body, replay


def faulty(
    fault: Fault | None,
    chunks: AsyncIterable[bytes],
    *,
    media_type: str,
    timings: Timings,
    error: Callable[[Fault], Any],
    is_last: Callable[[bytes], bool],
) -> Response:
    """The answer `chunks`, as the fault has it."""
    if fault is None:
        return StreamingResponse(_paced(chunks, timings.token), media_type=media_type)
    if fault.status is not None:
        return _error_answer(fault, error(fault))
    match fault.name:
        case "silent":
            return _Silent(timings.silent)
        case "empty":
            return Response(b"", media_type=media_type)
        case "html":
            return Response("<html><body>plugmux sandbox: a page</body></html>", media_type="text/html")
        case "half-json":
            return Response('{"plugmux sandbox": "half of', media_type="application/json")
    return StreamingResponse(_spoilt(fault, chunks, timings, is_last), media_type=media_type)


def _error_answer(fault: Fault, body: Any) -> Response:
    headers = dict(fault.headers)
    if isinstance(body, Response):
        body.headers.update(headers)
        return body
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    kind = "application/json" if not isinstance(body, bytes | str) else "text/plain"
    return Response(content, fault.status or 500, headers, kind)


class _Silent(Response):
    """No answer at all until the client goes away, or 504 when `seconds` are over."""

    def __init__(self, seconds: float) -> None:
        super().__init__("plugmux sandbox: silent for long enough\n", 504, media_type="text/plain")
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.move_on_after(self._seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await super().__call__(scope, receive, send)


async def _paced(chunks: AsyncIterable[bytes], seconds: float) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
        if seconds:
            await anyio.sleep(seconds)


async def _spoilt(
    fault: Fault, chunks: AsyncIterable[bytes], timings: Timings, is_last: Callable[[bytes], bool]
) -> AsyncIterator[bytes]:
    number = 0
    if fault.name == "slow-first-token":
        await anyio.sleep(timings.slow_first_token)
    async for chunk in _paced(chunks, timings.token):
        number += 1
        if number > CUT_AFTER and fault.name in ("cut", "stall"):
            await anyio.sleep(timings.stall if fault.name == "stall" else 0)
            raise CutError
        if number == CUT_AFTER and fault.name == "malformed-chunk":
            yield _halved(chunk)
        elif not (fault.name == "no-done" and is_last(chunk)):
            yield chunk


def _halved(chunk: bytes) -> bytes:
    """A malformed chunk: its first half, with the line ends that close it."""
    content = chunk.rstrip(b"\r\n")
    return content[: len(content) // 2] + chunk[len(content) :]
