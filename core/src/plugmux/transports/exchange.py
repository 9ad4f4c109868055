"""An answer that has begun: its head, and the one place that iterates over its bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import anyio

from plugmux.decoding import ContentDecoder
from plugmux.stopwatch import Stopwatch
from plugmux.transports.failures import body_error
from plugmux.transports.lean_httpx import httpx
from plugmux.transports.pools import CLOSE_SECONDS, Pool

__all__ = ["Decoder", "Exchange"]


class Decoder(Protocol):
    """Makes values of chunks; what is empty is nothing. See `plugmux.decoding`."""

    def feed(self, chunk: bytes) -> Any: ...
    def flush(self) -> Any: ...


class Exchange:
    """A response whose headers have come and whose bytes have not."""

    def __init__(
        self,
        *,
        url: str,
        status: int,
        headers: Mapping[str, str],
        response: httpx.Response,
        watch: Stopwatch,
        pool: Pool,
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self._response = response
        self._watch = watch
        self._pool = pool
        self._closed = False

    async def iterate(self, decoder: Decoder | None = None) -> AsyncGenerator[Any, None]:
        """The bytes, content encodings undone, or what `decoder` makes of them, where that is anything.

        The one function that owns byte iteration. On early exit it closes the response and then runs
        httpx's inner generators to their end: left suspended they would be finalised by the garbage
        collector, of which trio warns.
        """
        check = self._watch.check
        feed = decoder.feed if decoder is not None else bytes
        chunks = _stream_of(self._response).__aiter__()
        if self._watch.left() is not None:
            chunks = _InTime(chunks, self._watch)
        try:
            encoding = self.headers.get("content-encoding")
            content = None if encoding is None else ContentDecoder(encoding)
            async for chunk in chunks:
                check()
                for piece in (chunk,) if content is None else content.feed(chunk):
                    if found := feed(piece):
                        yield found
            if content is not None:
                content.end()
            if decoder is not None and (found := decoder.flush()):
                yield found
        except httpx.HTTPError as error:
            raise body_error(error, self._watch) from error
        finally:
            await self.aclose()
            with suppress(httpx.HTTPError, httpx.StreamError):
                async for _ in chunks:
                    pass

    async def aclose(self) -> None:
        """Close the connection, or give it back when the body was read to its end."""
        if self._closed:
            return
        self._closed = True
        self._pool.give_back()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._response.aclose()


class _InTime:
    """Chunks until the limit `total` has passed: transports set the time that a read may take once an answer,
    and it may reach beyond that limit."""

    def __init__(self, chunks: AsyncIterator[bytes], watch: Stopwatch) -> None:
        self._chunks = chunks
        self._watch = watch

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with anyio.move_on_after(self._watch.left()):
            return await self._chunks.__anext__()
        raise self._watch.passed("total")


def _stream_of(response: httpx.Response) -> httpx.AsyncByteStream:
    stream = response.stream
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("the transport gave a stream that is not asynchronous")
    return stream
