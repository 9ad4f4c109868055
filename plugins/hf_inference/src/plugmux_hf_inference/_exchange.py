"""One request and its answer: sent, mended if the server names what it refuses, decoded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Protocol

import anyio
from attrs import frozen

from plugmux.credentials import Credential
from plugmux.decoding import EventStreamDecoder
from plugmux.errors import MalformedResponseError, ProviderError
from plugmux.events import Event, FinishReason
from plugmux.http import ErrorReader, EventSource, Http, Response, conceal
from plugmux.huggingface.failures import error_of
from plugmux.statuses import request_id_of
from plugmux_hf_inference._wire import Sending

__all__ = ["Decoder", "Exchange"]

STRAGGLERS = 2.0
"""Seconds that the rest of a stream may take after the finish reason."""
MENDS = 2


class Decoder(Protocol):
    """What an exchange needs of a decoder: see `ChatDecoder`."""

    finish_reason: FinishReason | None
    done: bool

    def feed(self, data: bytes) -> Sequence[Event]: ...
    def end(self) -> Sequence[Event]: ...
    def whole(self, body: bytes) -> Sequence[Event]: ...


@frozen(kw_only=True)
class Exchange:
    """A POST whose answer is events.

    `mend` gives the request without what an error refuses, `shorten` one with fewer messages; None if
    that is no way.
    """

    http: Http
    url: str
    decoder: Callable[[EventSource, Sending], Decoder]
    mend: Callable[[Sending, ProviderError], Sending | None]
    shorten: Callable[[ProviderError], Awaitable[Sending | None]]
    error: ErrorReader = error_of
    credential: Credential | None = None

    async def run(self, sending: Sending) -> AsyncGenerator[Event, None]:
        """The events of the answer, what must be said about the request before the first of them.

        A refused request is mended while nothing was answered yet.
        """
        notices = dict.fromkeys(sending.notices)
        for tries_left in range(MENDS, -1, -1):
            answered = False
            try:
                async with aclosing(self._once(sending)) as events:
                    async for event in events:
                        if not answered:
                            answered = True
                            for notice in notices:
                                yield notice
                        yield event
                return
            except ProviderError as error:
                mended = await self._mended(sending, error) if tries_left and not answered else None
                if mended is None:
                    raise
            sending = mended
            notices |= dict.fromkeys(sending.notices)

    async def _mended(self, sending: Sending, error: ProviderError) -> Sending | None:
        return self.mend(sending, error) or await self.shorten(error)

    async def _once(self, sending: Sending) -> AsyncGenerator[Event, None]:
        async with self.http.events(
            "POST", self.url, json=sending.body, headers=sending.headers, error=self.error
        ) as source:
            decoder = self.decoder(source, sending)
            with _said_by(source, self.credential):
                if not source.is_stream:
                    for event in _events_of_body(await source.read(), decoder):
                        yield event
                    return
                async for sent in source:
                    for event in decoder.feed(sent.data):
                        yield event
                    if decoder.finish_reason is not None:
                        source.linger(STRAGGLERS)
                    if decoder.done:
                        await _drain(source)
                        break
                for event in decoder.end():
                    yield event


@contextmanager
def _said_by(source: EventSource, credential: Credential | None) -> Iterator[None]:
    """Give an error inside the answer the answer's status and request id, where it has none of its own, and
    blot out the credential if the answer quotes it."""
    try:
        yield
    except ProviderError as error:
        error.status = error.status or source.status
        error.request_id = error.request_id or request_id_of(source.headers)
        if credential is not None:
            conceal(error, credential)
        raise


async def _drain(source: EventSource) -> None:
    """Read to the end of the body if it is there already, so that the connection can be used again."""
    with anyio.move_on_after(0.05):
        async for _ in source:
            pass


def _events_of_body(answer: Response, decoder: Decoder) -> Sequence[Event]:
    """Events of a whole body: one JSON object, or an event stream under another label."""
    start = answer.content[:16].lstrip()
    if start.startswith((b"data:", b"event:", b":")):
        stream = EventStreamDecoder()
        sent = [*stream.feed(answer.content), *stream.flush()]
        return [*(event for one in sent for event in decoder.feed(one.data)), *decoder.end()]
    if start.startswith(b"<"):
        raise MalformedResponseError(
            f"an HTML page instead of an answer: {answer.text[:200].strip()}", status=answer.status
        )
    return decoder.whole(answer.content)
