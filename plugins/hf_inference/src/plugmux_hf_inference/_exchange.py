"""One request and its answer: sent, mended if the server names what it refuses, decoded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio
from attrs import evolve, frozen

from plugmux.credentials import Credential
from plugmux.decoding import EventStreamDecoder, ServerSentEvent
from plugmux.errors import MalformedResponseError, ProviderError
from plugmux.events import Event, Notice
from plugmux.http import ErrorReader, EventSource, Http, Response, conceal
from plugmux.statuses import request_id_of
from plugmux.value import Value
from plugmux_hf_inference._decoder import Decoder
from plugmux_hf_inference._wire import Sending

__all__ = ["Exchange", "answer"]

STRAGGLERS = 2.0
"""Seconds that the rest of a stream may take after the finish reason."""
AFTER_DONE = 0.05
"""Seconds for the end of the body after the service has said `[DONE]`."""
MENDS = 2


@frozen(kw_only=True, eq=False, repr=False)
class Exchange(Value):
    """A POST whose answer is events.

    `mend` gives the request without what an error refuses, `shorten` one with fewer messages; None if
    that is no way. `error` reads an error answer, `correct` sets an error inside a good one right.
    """

    http: Http
    url: str
    sending: Sending
    decoder: Callable[[EventSource, Sending], Decoder]
    mend: Callable[[Sending, ProviderError], Sending | None]
    shorten: Callable[[ProviderError], Awaitable[Sending | None]]
    error: ErrorReader
    correct: Callable[[ProviderError], None]
    credential: Credential | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[tuple[EventSource, Decoder], None]:
        """Send it; where the answer comes from, and what decodes it. Raises a ProviderError."""
        sending = self.sending
        async with self.http.events(
            "POST", self.url, json=sending.body, headers=sending.headers, error=self.error
        ) as source:
            with self._said_by(source):
                yield source, self.decoder(source, sending)

    @contextmanager
    def _said_by(self, source: EventSource) -> Iterator[None]:
        """Give an error inside the answer the answer's status and request id, where it has none of its own,
        and blot out the credential if the answer quotes it."""
        try:
            yield
        except ProviderError as error:
            error.status = error.status or source.status
            error.request_id = error.request_id or request_id_of(source.headers)
            self.correct(error)
            if self.credential is not None:
                conceal(error, self.credential)
            raise

    async def mended(self, error: ProviderError) -> Exchange | None:
        """The exchange without what `error` refuses, if there is a way. What was to be said is still said."""
        sending = self.mend(self.sending, error) or await self.shorten(error)
        if sending is None:
            return None
        notices = (*self.sending.notices, *sending.notices)
        return evolve(self, sending=evolve(sending, notices=notices))


async def answer(begin: Callable[[], Awaitable[Exchange]]) -> AsyncGenerator[Event, None]:
    """The events of an answer, after what must be said about the request.

    A refused request is mended while nothing was answered yet. All in one generator: every further one
    would cost each token a step.
    """
    exchange: Exchange | None = await begin()
    said: set[Notice] = set()
    mends_left, answered = MENDS, False
    while exchange is not None:
        try:
            async with exchange.opened() as (source, decoder):
                for notice in _unsaid(exchange.sending.notices, said):
                    yield notice
                if not source.is_stream:
                    for event in _events_of_body(await source.read(), decoder):
                        yield event
                    return
                with _kept_if_complete(decoder):
                    async for batch in source.batches():
                        for event in _decoded(batch, decoder):
                            answered = True
                            yield event
                        if decoder.done or decoder.finish_reason is not None:
                            break
                for event in (*await _stragglers(source, decoder), *decoder.end()):
                    yield event
                return
        except ProviderError as error:
            exchange = None if answered or not mends_left else await exchange.mended(error)
            if exchange is None:
                raise
            mends_left -= 1


def _unsaid(notices: Iterable[Notice], said: set[Notice]) -> list[Notice]:
    new = [notice for notice in dict.fromkeys(notices) if notice not in said]
    said.update(new)
    return new


def _decoded(batch: Sequence[ServerSentEvent], decoder: Decoder) -> Iterable[Event]:
    """The events of a batch; nothing counts after the service's word that it is done."""
    if len(batch) == 1 and not decoder.done:  # nearly every batch, and a generator costs
        return decoder.feed(batch[0].data)
    return _one_by_one(batch, decoder)


def _one_by_one(batch: Iterable[ServerSentEvent], decoder: Decoder) -> Iterator[Event]:
    for sent in batch:
        if decoder.done:
            return
        yield from decoder.feed(sent.data)


async def _stragglers(source: EventSource, decoder: Decoder) -> list[Event]:
    """What comes after the finish reason: usage, `[DONE]`. After that the end of the body is waited for only
    as long as it takes if it is there already, so that the connection can be used again."""
    events: list[Event] = []
    wait = AFTER_DONE if decoder.done else STRAGGLERS
    with anyio.move_on_after(wait) as scope, _kept_if_complete(decoder):
        async for batch in source.batches():
            events += _decoded(batch, decoder)
            if decoder.done:
                scope.deadline = min(scope.deadline, anyio.current_time() + AFTER_DONE)
    return events


@contextmanager
def _kept_if_complete(decoder: Decoder) -> Iterator[None]:
    """Keep a complete answer when something goes wrong after its end: a lost connection, an error event. To
    ask once more would cost the caller the same answer again."""
    try:
        yield
    except ProviderError:
        if not decoder.complete:
            raise


def _events_of_body(body: Response, decoder: Decoder) -> Sequence[Event]:
    """Events of a whole body: one JSON object, or an event stream under another label."""
    start = body.content[:16].lstrip()
    if start.startswith((b"data:", b"event:", b":")):
        stream = EventStreamDecoder()
        sent = [*stream.feed(body.content), *stream.flush()]
        events: list[Event] = []
        with _kept_if_complete(decoder):
            events += _one_by_one(sent, decoder)
        return [*events, *decoder.end()]
    if start.startswith(b"<"):
        raise MalformedResponseError(
            f"an HTML page instead of an answer: {body.text[:200].strip()}", status=body.status
        )
    return decoder.whole(body.content)
