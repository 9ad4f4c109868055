"""httpcore's HTTP/1.1 and its pool under httpx's interface, on sockets of our own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import cast

import httpcore

from plugmux.transports.lean_httpx import httpx
from plugmux.transports.network import Network

__all__ = ["HttpcoreTransport"]


class HttpcoreTransport(httpx.AsyncBaseTransport):
    """What `httpx.AsyncHTTPTransport` is, for asyncio, HTTP/1.1 and no proxy."""

    def __init__(self, *, verify: ssl.SSLContext, limits: httpx.Limits, buffer: memoryview) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=Network(buffer),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        inner = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            answer = await self._pool.handle_async_request(inner)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            request=request,
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        with _translated():
            async for chunk in cast("AsyncIterator[bytes]", self._answer.stream):
                yield chunk

    async def aclose(self) -> None:
        with _translated():
            await self._answer.aclose()


_ERRORS = {
    getattr(httpcore, name): getattr(httpx, name)
    for name in (
        "ConnectError",
        "ConnectTimeout",
        "LocalProtocolError",
        "PoolTimeout",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "UnsupportedProtocol",
        "WriteError",
        "WriteTimeout",
    )
}


@contextmanager
def _translated() -> Iterator[None]:
    """httpcore's errors become httpx's of the same names."""
    try:
        yield
    except tuple(_ERRORS) as error:
        kind = next(theirs for ours, theirs in _ERRORS.items() if isinstance(error, ours))
        raise kind(str(error)) from error
