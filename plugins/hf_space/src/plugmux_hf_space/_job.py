"""One job at an app: join the queue, follow its messages, and take it back if nobody waits any more."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
from attrs import define, field

from plugmux.errors import DeadlineError, MalformedResponseError, ProviderError, StreamCutError
from plugmux_hf_space import _wire
from plugmux_hf_space._app import App, Endpoint
from plugmux_hf_space._wire import Broken, Completed, Message, Other, Starts

if TYPE_CHECKING:
    from plugmux.decoding import ServerSentEvent
    from plugmux.session import Session

__all__ = ["Job", "new_session"]

MAX_MALFORMED = 3
LINGER_SECONDS = 0.5
CANCEL_SECONDS = 2.0


def new_session() -> str:
    """A session of the app: any text that nobody guesses. Chats keep their history under it."""
    return secrets.token_hex(8)


@define(kw_only=True)
class Job:
    """A call of one endpoint. `messages` runs it, up to and with its `Completed`.

    `queue_limit` and `run_limit` are seconds: until it starts, and from then on. `malformed` counts the
    messages that were skipped because they are no JSON.
    """

    app: App
    endpoint: Endpoint
    data: Sequence[Any]
    session: Session
    headers: Mapping[str, str] = field(factory=dict)
    session_hash: str = field(factory=new_session)
    queue_limit: float = 300.0
    run_limit: float = 600.0
    malformed: int = 0
    _asked: bool = False
    _event_id: str = ""
    _over: bool = False
    _limit: str = "queue"
    _until: float = 0.0

    async def messages(self) -> AsyncGenerator[Message, None]:
        """The job's messages. Raises a ProviderError.

        Leaving early, by break, error or cancellation, tells the app to stop: a job that is joined runs
        even if nobody reads it (recorded). A generator stops then; a plain function that is running
        cannot be stopped by anybody, and ends by itself.
        """
        try:
            await self._join()
            async with aclosing(self._followed()) as followed:
                async for message in followed:
                    yield message
        finally:
            if not self._over:
                async with self.session.cleanup(seconds=CANCEL_SECONDS):
                    await self._cancel()

    async def _join(self) -> None:
        body = _wire.join_body(self.data, self.endpoint.id, self.session_hash)
        self._asked = True
        try:
            answer = await self.session.http.request(
                "POST", self.app.at("/queue/join"), json=body, headers=self._headers, error=_wire.error_of
            )
        except ProviderError as error:
            self._over = error.status is not None  # refused: there is nothing to take back
            raise
        body = answer.json()
        event_id = body.get("event_id") if isinstance(body, Mapping) else None
        if not isinstance(event_id, str):
            raise MalformedResponseError(f"the queue gave no event id: {answer.text[:200]}")
        self._event_id = event_id

    async def _followed(self) -> AsyncGenerator[Message, None]:
        self._allow("queue", self.queue_limit)
        async with self.session.http.events(
            "GET", self._stream_url, headers=self._headers, error=_wire.error_of, lines=False
        ) as events:
            if events.content_type != "text/event-stream":
                raise MalformedResponseError(f"the queue gave {events.content_type or 'nothing'}, no events")
            arriving = aiter(events)
            while (message := await self._next(arriving)) is not None:
                if self._over or message.event_id not in (None, self._event_id):
                    continue
                if isinstance(message, Starts):
                    self._allow("run", self.run_limit)
                if isinstance(message, Completed):
                    self._over = True
                    events.linger(LINGER_SECONDS)
                yield message
                if isinstance(message, Broken):
                    return
        if not self._over:
            raise StreamCutError("the app ended the stream before the job was over")

    def _allow(self, limit: str, seconds: float) -> None:
        self._limit, self._until = limit, anyio.current_time() + seconds

    async def _next(self, events: AsyncIterator[ServerSentEvent]) -> Message | None:
        """The next message; None at the end. Malformed ones are skipped, up to three."""
        while True:
            content = await self._content(events)
            if content is None:
                return None
            try:
                message = _wire.message_of(content)
            except MalformedResponseError as error:
                self.malformed += 1
                if self.malformed > MAX_MALFORMED:
                    raise StreamCutError(f"{self.malformed} malformed messages: {error.message}") from error
                continue
            if isinstance(message, Other) and message.name == "close_stream" and self._over:
                return None
            return message

    async def _content(self, events: AsyncIterator[ServerSentEvent]) -> bytes | None:
        """The next event within the limit that counts now; its silence may be broken by heartbeats only."""
        if self._over:
            event = await anext(events, None)
            return None if event is None else event.data
        left = self._until - anyio.current_time()
        with anyio.move_on_after(max(0.0, left)):
            event = await anext(events, None)
            return None if event is None else event.data
        raise self._passed()

    def _passed(self) -> DeadlineError:
        if self._limit == "queue":
            seconds, text = self.queue_limit, "still in the app's queue after {:g} s"
        else:
            seconds, text = self.run_limit, "the app has worked for {:g} s without an end"
        return DeadlineError(
            text.format(seconds),
            limit=self._limit,
            seconds=seconds,
            remedy=f"the setting {self._limit}_limit allows more",
        )

    async def _cancel(self) -> None:
        """Take the job back. One whose number was not heard yet goes when its session's stream is left."""
        http = self.session.http.within(CANCEL_SECONDS)
        if self._event_id:
            body = _wire.cancel_body(self.session_hash, self.endpoint.id, self._event_id)
            await http.request("POST", self.app.at("/cancel"), json=body, headers=self._headers)
        elif self._asked:
            async with http.events("GET", self._stream_url, headers=self._headers):
                return

    @property
    def _stream_url(self) -> str:
        return self.app.at(f"/queue/data?session_hash={self.session_hash}")

    @property
    def _headers(self) -> dict[str, str]:
        return {**_wire.HEADERS, **self.headers}
