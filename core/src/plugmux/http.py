"""What plugins use for HTTP: `session.http.request` and `session.http.events`.

Nothing here knows httpx, and plugins never touch a byte iterator: they get whole answers, or events.
"""

from __future__ import annotations

import json as _json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from attrs import field, frozen

from plugmux.decoding import MAX_LINE, EventStreamDecoder, LineDecoder, ServerSentEvent
from plugmux.errors import MalformedResponseError, ProviderError
from plugmux.requests import Limits
from plugmux.statuses import error_of_status
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Outgoing, Transport
from plugmux.value import Value

if TYPE_CHECKING:
    from plugmux.credentials import Credential
    from plugmux.transports.exchange import Exchange

__all__ = ["ErrorReader", "EventSource", "Http", "Response", "conceal"]

MAX_BODY = 64 * 1024 * 1024
MAX_ERROR_BODY = 64 * 1024
ERROR_BODY_SECONDS = 5.0


@frozen(kw_only=True, eq=False, repr=False)
class Response(Value):
    """A whole answer. Header names are case-insensitive."""

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return _content_type(self.headers)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises MalformedResponseError that quotes its beginning."""
        try:
            return _json.loads(self.content)
        except (ValueError, RecursionError) as error:
            shown = self.text[:200].strip() or "nothing"
            raise MalformedResponseError(
                f"expected JSON, got {self.content_type or 'untyped content'}: {shown}",
                status=self.status,
            ) from error


ErrorReader = Callable[[Response], ProviderError]


class EventSource:
    """The events of one answer: server-sent events, or lines for `application/x-ndjson` and its like.

    Iterate it, or its `batches()`, or `read()` it whole where `is_stream` says that no stream came.
    `linger(seconds)` bounds what is still waited for: iteration then ends without an error.
    """

    def __init__(self, exchange: Exchange, *, lines: bool | None, max_line: int) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self.url = exchange.url
        kind = self.content_type
        self.is_stream = lines is not None or kind == "text/event-stream" or kind in _LINES
        as_lines = lines or (lines is None and kind in _LINES)
        self._decoder = _Lines(max_line) if as_lines else EventStreamDecoder(max_line=max_line)
        self._exchange = exchange
        self._batches: AsyncGenerator[list[ServerSentEvent], None] | None = None
        self._events = self._one_by_one()
        self._linger_until: float | None = None

    @property
    def content_type(self) -> str:
        return _content_type(self.headers)

    def linger(self, seconds: float) -> None:
        """Wait for at most `seconds` more in all."""
        if self._linger_until is None:
            self._linger_until = anyio.current_time() + seconds

    async def read(self, *, max_bytes: int = MAX_BODY) -> Response:
        """The whole body, for an answer that is not a stream."""
        async with aclosing(self._exchange.iterate()) as chunks:
            content = await _read(chunks, max_bytes)
        return Response(url=self.url, status=self.status, headers=self.headers, content=content)

    def batches(self) -> AsyncGenerator[list[ServerSentEvent], None]:
        """The events in lists: those that came together, which costs less than one by one."""
        if self._batches is None:
            self._batches = self._exchange.iterate(self._decoder)
        return self._batches

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return self._events

    async def __anext__(self) -> ServerSentEvent:
        return await anext(self._events)

    async def _one_by_one(self) -> AsyncGenerator[ServerSentEvent, None]:
        while batch := await self._next_batch():
            for event in batch:
                yield event

    async def _next_batch(self) -> list[ServerSentEvent]:
        """Empty at the end, and when the time to linger is over."""
        if self._linger_until is None:
            return await anext(self.batches(), [])
        with anyio.move_on_after(self._linger_until - anyio.current_time()):
            return await anext(self.batches(), [])
        return []

    async def aclose(self) -> None:
        await self._events.aclose()
        if self._batches is not None:
            await self._batches.aclose()


class _Lines:
    """JSON lines as events."""

    def __init__(self, max_line: int) -> None:
        self._lines = LineDecoder(max_line=max_line)

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        return _line_events(self._lines.feed(chunk))

    def flush(self) -> list[ServerSentEvent]:
        return _line_events(self._lines.flush())


def _line_events(lines: Iterable[bytes]) -> list[ServerSentEvent]:
    return [ServerSentEvent(line) for line in lines if line.strip()]


_LINES = frozenset(
    {"application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/json-lines"}
)


class Http:
    """HTTP for one attempt: with its credential, its limits and its stopwatch.

    `url` is absolute. `json`, `content`, `data` and `files` are the body, as httpx takes them. `error`
    turns an answer of status 400 and more into the ProviderError to raise; the default knows the usual
    statuses. The credential goes only to its own origins, at every hop; `credential=None` sends none.
    """

    def __init__(self, transport: Transport, watch: Stopwatch, credential: Credential | None) -> None:
        self._transport = transport
        self._watch = watch
        self._credential = credential
        self.headers: Mapping[str, str] = {}
        """Those of the last good answer to `request` or `events`."""

    def within(self, seconds: float) -> Http:
        """The same with a limit of its own: for what a server must be told when the attempt's time is up."""
        watch = Stopwatch(Limits(first_sign=seconds, idle=seconds, total=seconds), self._watch.clock)
        return Http(self._transport, watch, self._credential)

    def is_proxied(self, url: str) -> bool:
        """Whether a request to `url` goes through a proxy, which then resolves its host."""
        return self._transport.is_proxied(url)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        error: ErrorReader | None = None,
        anonymous: bool = False,
        follow_redirects: bool = True,
        max_bytes: int = MAX_BODY,
        **body: Any,
    ) -> Response:
        """Send and read the whole answer. Raises a ProviderError."""
        outgoing = self._outgoing(method, url, headers, anonymous, follow_redirects, body)
        exchange = await self._transport.send(outgoing, self._watch)
        if exchange.status >= 400:
            raise await self._failure(exchange, error)
        self.headers = exchange.headers
        async with aclosing(exchange.iterate()) as chunks:
            content = await _read(chunks, max_bytes)
        return Response(url=exchange.url, status=exchange.status, headers=exchange.headers, content=content)

    @asynccontextmanager
    async def events(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        error: ErrorReader | None = None,
        anonymous: bool = False,
        lines: bool | None = None,
        max_line: int = MAX_LINE,
        **body: Any,
    ) -> AsyncGenerator[EventSource, None]:
        """Send and give the answer's events. `lines=True` reads JSON lines whatever the label says,
        `lines=False` server-sent events; None goes by the content type. Raises a ProviderError."""
        outgoing = self._outgoing(method, url, headers, anonymous, True, body)
        exchange = await self._transport.send(outgoing, self._watch)
        if exchange.status >= 400:
            raise await self._failure(exchange, error)
        self.headers = exchange.headers
        source = EventSource(exchange, lines=lines, max_line=max_line)
        try:
            yield source
        finally:
            await source.aclose()
            await exchange.aclose()  # a source that nobody read has nothing to close it by

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, address: str | None = None, error: ErrorReader | None = None
    ) -> AsyncGenerator[tuple[Response, AsyncGenerator[bytes, None]], None]:
        """An answer's head and its bytes, connecting to `address` if given; redirects are not followed.

        For `session.download`, which plugins use instead.
        """
        outgoing = attrs.evolve(self._outgoing(method, url, None, False, False, {}), address=address)
        exchange = await self._transport.send(outgoing, self._watch)
        if exchange.status >= 400:
            raise await self._failure(exchange, error)
        head = Response(url=url, status=exchange.status, headers=exchange.headers, content=b"")
        try:
            async with aclosing(exchange.iterate()) as chunks:
                yield head, chunks
        finally:
            await exchange.aclose()

    def _outgoing(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        anonymous: bool,
        follow_redirects: bool,
        body: dict[str, Any],
    ) -> Outgoing:
        return Outgoing(
            method=method,
            url=url,
            headers=dict(headers or {}),
            body={name: value for name, value in body.items() if value is not None},
            credential=None if anonymous else self._credential,
            follow_redirects=follow_redirects,
        )

    async def _failure(self, exchange: Exchange, reader: ErrorReader | None) -> ProviderError:
        content = b""
        async with aclosing(exchange.iterate()) as chunks:
            # where it breaks, or takes its time, the status alone has to do
            with anyio.move_on_after(ERROR_BODY_SECONDS), suppress(ProviderError):
                content = await _read(chunks, MAX_ERROR_BODY, cut=True)
        answer = Response(url=exchange.url, status=exchange.status, headers=exchange.headers, content=content)
        failure = (reader or error_of_status)(answer)
        if self._credential is not None:
            conceal(failure, self._credential)
        return failure


def conceal(failure: ProviderError, credential: Credential) -> None:
    """Blot out the credential where a service's answer quotes it."""
    failure.message = credential.conceal(failure.message)
    failure.args = (failure.message,)
    for fact in ("body", "code", "request_id"):
        if quoted := getattr(failure, fact):
            setattr(failure, fact, credential.conceal(quoted))


async def _read(chunks: AsyncIterator[bytes], max_bytes: int, *, cut: bool = False) -> bytes:
    pieces, size = [], 0
    async for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            if cut:
                break
            raise MalformedResponseError(f"the answer is larger than {max_bytes:,} bytes")
    return b"".join(pieces)[:max_bytes]


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
