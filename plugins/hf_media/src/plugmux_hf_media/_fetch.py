"""Getting results from where they are, and attachments to where they go.

Base64 and JSON of more than a few hundred kilobytes are made and read in a worker thread, so that one large
picture holds up nobody else's stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import attrs
from attrs import frozen

from plugmux.attachments import Attachment
from plugmux.errors import (
    ConnectionFailedError,
    DeadlineError,
    InvalidRequestError,
    ProviderError,
    ServerError,
    StreamCutError,
)
from plugmux.events import Event, Notice, Text
from plugmux.http import Http
from plugmux.media import Media, MediaKind
from plugmux.model import Task
from plugmux.requests import Limits
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux_hf_media import _results
from plugmux_hf_media._answers import State
from plugmux_hf_media._large import Long
from plugmux_hf_media._routes import Route

__all__ = ["Fetch", "off_loop", "patient", "pause"]

INLINE = 256 * 1024
"""Bytes that are encoded or decoded on the spot."""
SILENCE = 30.0
"""Seconds without a byte after which a question or a download is given up, and tried again."""
TRIES = 3
PAUSE = 0.25
"""Seconds before a download is tried again; longer each time."""
MAX_INPUT = 64 * 1024 * 1024

Result = TypeVar("Result")


@frozen(kw_only=True)
class Fetch:
    """Fetches for one attempt. `own` is the router's URL, whose origin may be a private one."""

    session: Session
    route: Route
    own: str

    async def outcome(self, state: State) -> Sequence[Event]:
        """What was made: pictures, a film, sound, or the text of a recognition."""
        if self.route.task is Task.AUTOMATIC_SPEECH_RECOGNITION:
            return await self._transcript(state)
        if state.content is not None:
            return [await off_loop(len(state.content), _media_of_bytes, state, self.route)]
        return [await self._one(result, state.prompt) for result in state.results]

    async def attachment(self, given: Attachment) -> Attachment:
        """The caller's picture or sound with its bytes, for a provider that takes no URLs."""
        kind = MediaKind.AUDIO if self.route.reads == "audio" else MediaKind.IMAGE
        try:
            media = await patient(self.session).download(given.url or "", kind=kind, max_bytes=MAX_INPUT)
        except ProviderError as error:
            raise InvalidRequestError(
                f"cannot fetch the {kind.value} to send: {error.message}", param=self.route.reads
            ) from error
        return attrs.evolve(given, data=media.data, mime_type=media.mime_type)

    async def _transcript(self, state: State) -> list[Event]:
        text, url = _results.transcript_of(state.transcript)
        if url is not None:
            text = (await self._download(url, MediaKind.AUDIO)).data.decode("utf-8", "replace")
        said = Text(text=text or "")
        if said.text.strip():
            return [said]
        return [said, Notice(code="no-speech", message="no speech was recognised")]

    async def _one(self, result: str | Long, prompt: str | None) -> Media:
        if isinstance(result, str) and (result.startswith("data:") or "://" in result[:32]):
            media = await self._download(result, _results.kind_of(self.route.task), prompt)
            return _results.checked(media)
        return await off_loop(len(result), _media_of_base64, result, self.route, prompt)

    async def _download(self, url: str, kind: MediaKind, prompt: str | None = None) -> Media:
        """The result from its address: what broke on the way is fetched again, not made again."""
        tries = 0
        while True:
            tries += 1
            try:
                session = patient(self.session)
                return await session.download(url, kind=kind, own=(self.own,), prompt=prompt)
            except (ServerError, ConnectionFailedError, StreamCutError, DeadlineError) as error:
                self.session.watch.check()
                if tries == TRIES:
                    error.retryable = False
                    raise
            await pause(self.session, PAUSE * tries)


def patient(session: Session) -> Session:
    """The same session, for one question or download: `SILENCE` is borne, and never past the attempt's end.

    The attempt itself may be silent for as long as it lasts: a job takes its time, an answer about it none.
    """
    limits = Limits(first_sign=SILENCE, idle=SILENCE, total=session.watch.read_timeout("total"))
    watch = Stopwatch(limits, session.watch.clock)
    http = Http(session.transport, watch, session.credential)
    return attrs.evolve(session, http=http, limits=limits, watch=watch)


async def pause(session: Session, seconds: float) -> None:
    """Wait, but not past the attempt's end. Raises DeadlineError there."""
    watch = session.watch
    await anyio.sleep(min(seconds, watch.read_timeout("total") or seconds))
    watch.check()


async def off_loop(size: int, function: Callable[..., Result], *args: Any) -> Result:
    """`function(*args)`, in a worker thread where `size` bytes are many."""
    if size <= INLINE:
        return function(*args)
    return await anyio.to_thread.run_sync(function, *args)


def _media_of_bytes(state: State, route: Route) -> Media:
    return _results.media_of(state.content or b"", route.task, label=state.label, prompt=state.prompt)


def _media_of_base64(text: str | Long, route: Route, prompt: str | None) -> Media:
    return _results.media_of_base64(text, route.task, prompt=prompt)
