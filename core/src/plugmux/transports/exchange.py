"""An answer that has begun: its head, and the one place that iterates over its bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress

import anyio
from attrs import define

from plugmux.decoding import ContentDecoder
from plugmux.stopwatch import Stopwatch
from plugmux.transports.failures import body_error
from plugmux.transports.lean_httpx import httpx
from plugmux.transports.pools import CLOSE_SECONDS, Pool

__all__ = ["Exchange"]


@define(kw_only=True, eq=False)
class Exchange:
    """A response whose headers have come and whose bytes have not."""

    url: str
    status: int
    headers: Mapping[str, str]
    _response: httpx.Response
    _watch: Stopwatch
    _pool: Pool
    _closed: bool = False

    async def iterate(self) -> AsyncGenerator[bytes, None]:
        """The bytes, content encodings undone. The one function that owns byte iteration.

        On early exit it closes the response and then runs httpx's inner generators to their end:
        left suspended they would be finalised by the garbage collector, of which trio warns.
        """
        response, watch, check = self._response, self._watch, self._watch.check
        chunks = _stream_of(response).__aiter__()
        try:
            encoding = self.headers.get("content-encoding", "identity")
            decoder = None if encoding == "identity" else ContentDecoder(encoding)
            async for chunk in chunks:
                check()
                if decoder is None:
                    yield chunk
                    continue
                for piece in decoder.feed(chunk):
                    yield piece
            if decoder is not None:
                decoder.end()
        except httpx.HTTPError as error:
            raise body_error(error, watch) from error
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
        self._pool.busy -= 1
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._response.aclose()


def _stream_of(response: httpx.Response) -> httpx.AsyncByteStream:
    stream = response.stream
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("the transport gave a stream that is not asynchronous")
    return stream
