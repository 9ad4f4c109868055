"""One run: the message sent, the answer streamed, taken up again after a cut, stopped when broken off."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from functools import partial

from attrs import frozen

from plugmux.attachments import Attachment
from plugmux.errors import ConnectionFailedError, ProviderError, StreamCutError
from plugmux.events import ConversationState, Event, Media, MediaKind
from plugmux.requests import Request
from plugmux_hf_chat import _wire
from plugmux_hf_chat._answer import Answer, StoredFile
from plugmux_hf_chat._conversation import State
from plugmux_hf_chat._errors import not_a_stream
from plugmux_hf_chat._http import Site
from plugmux_hf_chat._resume import resumed
from plugmux_hf_chat._work import Work

__all__ = ["Place", "resume", "run"]

LINGER_SECONDS = 2.0
"""How long a title or a provider's name is waited for after the final answer."""
STOP_SECONDS = 1.0


@frozen(kw_only=True)
class Place:
    """Where a message goes: `retry` asks for a sibling of what is at `parent`; `inputs` None sends none.
    `files` have their bytes."""

    state: State
    parent: str
    inputs: str | None
    files: tuple[Attachment, ...] = ()
    retry: bool = False


async def run(
    request: Request, site: Site, work: Work, place: Place, servers: list[str]
) -> AsyncGenerator[Event, None]:
    data = _wire.message_data(
        parent=place.parent,
        generation=place.state.generation,
        inputs=place.inputs,
        retry=place.retry,
        servers=servers,
        web_search=request.options.web_search,
        tools=work.tools,
        extra=work.extra,
    )
    kind, body = _wire.multipart(data, place.files, boundary=f"----plugmux{secrets.token_hex(12)}")
    answer = Answer()
    state = ConversationState(state=place.state.to_dict())
    try:
        with site.courier.parting(partial(_stop_early, site, place.state, answer)):
            async with aclosing(_sent(site, place.state, kind, body, answer, state)) as events:
                async for event in events:
                    yield event
        for event in answer.finish():
            yield event
    except BaseException as error:
        if answer.running and _may_run(error):
            async with site.session.cleanup(STOP_SECONDS):
                await _stop(site, place.state)
        raise


def _may_run(error: BaseException) -> bool:
    """Whether the server may be at work: not if it answered with an error, or was not reached."""
    if isinstance(error, ConnectionFailedError):
        return False
    return not (isinstance(error, ProviderError) and error.status is not None)


async def _stop_early(site: Site, state: State, answer: Answer) -> None:
    """Stop a run whose client is closed under it, while there are connections to do it by."""
    if answer.running:
        with suppress(ProviderError):
            await _stop(site, state)


async def _stop(site: Site, state: State) -> None:
    path = f"/conversation/{state.conversation}/stop-generating"
    await site.tell(path, json={"generationId": state.generation}, seconds=STOP_SECONDS)


async def _sent(
    site: Site, state: State, kind: str, body: bytes, answer: Answer, told: ConversationState
) -> AsyncGenerator[Event, None]:
    """The events of the answer. The state comes first, so that a run that is cut can be resumed, and
    last, because a `Reset` forgets it."""
    try:
        path = f"/conversation/{state.conversation}"
        async with site.events(
            "POST", path, headers={"Content-Type": kind}, content=body, lines=True
        ) as source:
            yield told
            if source.content_type == "text/html":
                raise not_a_stream(await source.read())
            async for line in source:
                for event in await _whole(site, state, answer.feed(line.data)):
                    yield event
                if answer.final:
                    source.linger(LINGER_SECONDS)
        cut = StreamCutError("the stream ended before the answer did") if answer.running else None
    except StreamCutError as error:
        if not answer.running:
            raise
        cut = error
    if cut is not None:
        async with aclosing(_picked_up(site, state, answer, cut)) as events:
            async for event in events:
                yield event
    yield told


async def _picked_up(
    site: Site, state: State, answer: Answer, cut: StreamCutError
) -> AsyncGenerator[Event, None]:
    """Go on with a run whose connection broke: it goes on in the server (since July 2026)."""
    answer.replay()
    try:
        async with aclosing(resumed(site, state, answer)) as events:
            async for event in events:
                for whole in await _whole(site, state, [event]):
                    yield whole
    except ProviderError as error:
        if answer.failed:
            raise
        raise cut from error


async def resume(site: Site, state: State) -> AsyncGenerator[Event, None]:
    answer = Answer()
    told = ConversationState(state=state.to_dict())
    yield told
    try:
        with site.courier.parting(partial(_stop_early, site, state, answer)):
            async with aclosing(resumed(site, state, answer)) as events:
                async for event in events:
                    for whole in await _whole(site, state, [event]):
                        yield whole
        yield told
        for event in answer.finish():
            yield event
    except BaseException as error:
        if answer.running and not isinstance(error, ProviderError):
            async with site.session.cleanup(STOP_SECONDS):
                await _stop(site, state)
        raise


# Files


async def _whole(site: Site, state: State, events: Sequence[Event | StoredFile]) -> list[Event]:
    """The events, with files that the server keeps fetched."""
    return [await _media(site, state, event) if isinstance(event, StoredFile) else event for event in events]


async def _media(site: Site, state: State, file: StoredFile) -> Media:
    path = f"/conversation/{state.conversation}/output/{file.sha}"
    answer = await site.request("GET", path)
    group = file.mime_type.partition("/")[0]
    kind = MediaKind(group) if group in ("video", "audio") else MediaKind.IMAGE
    return Media.from_bytes(
        answer.content, kind=kind, mime_type=file.mime_type or None, url=f"{site.base_url}{path}"
    )
