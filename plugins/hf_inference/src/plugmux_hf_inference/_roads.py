"""Which road a request takes, and the flow on each: chat, raw text generation, text completions, pictures.

Chat if the router lists the model or the Hub's mapping says `conversational`; else one flat prompt.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import anyio.to_thread
import attrs
from attrs import frozen

from plugmux.events import Event, Finish, Notice, ServedBy
from plugmux.huggingface import images
from plugmux.huggingface.failures import error_of
from plugmux.media import MediaKind
from plugmux.model import Task
from plugmux.statuses import request_id_of
from plugmux_hf_inference import _textgen, _wire
from plugmux_hf_inference._answers import ChatDecoder
from plugmux_hf_inference._completions import completion_sending
from plugmux_hf_inference._exchange import Decoder, Exchange
from plugmux_hf_inference._flat import continues, flat_prompt, is_bare
from plugmux_hf_inference._mapped import COMPLETIONS, RAW
from plugmux_hf_inference._places import Place, error_reader, is_own, place_of, speaks_tgi
from plugmux_hf_inference._window import fitting, refitted

if TYPE_CHECKING:
    from plugmux.errors import ProviderError
    from plugmux.http import EventSource
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._prompts import Prompt
    from plugmux_hf_inference._wire import Sending

__all__ = ["road_of"]

Road: TypeAlias = "Callable[[Request, Session], AsyncGenerator[Event, None]]"
Notices: TypeAlias = tuple[Notice, ...]


def road_of(request: Request, session: Session) -> Road:
    """The road for a request: the one its model was found on, else by the task."""
    road = request.model.extra.get("road")
    if road == "image" or request.task is Task.TEXT_TO_IMAGE:
        return picture
    if road in ("text", "completions"):
        return text
    if request.task is Task.TEXT_GENERATION and (is_own(session) or request.model.upstream == RAW):
        return text
    return chat


async def chat(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """OpenAI's chat completions, at the router or at a server of the user's own."""
    place = place_of(session)
    request, notices = await fitting(request, session, place)

    async def encode(request: Request, notices: Notices) -> Sending:
        return _with(_wire.chat_sending(request), place, notices)

    exchange = Exchange(
        http=session.http,
        url=place.chat_url(),
        decoder=lambda source, _: ChatDecoder(source.headers),
        mend=_wire.mend,
        shorten=_shortener(request, encode),
        error=error_reader(session, place),
        credential=session.credential,
    )
    async with aclosing(exchange.run(await encode(request, notices))) as events:
        async for event in events:
            yield event


async def text(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """One flat prompt: TGI's generation where the server speaks it, else OpenAI's text completions."""
    place = place_of(session)
    route = await text_route(request, session, place)
    request, notices = await fitting(request, session, place)

    async def encode(request: Request, notices: Notices) -> Sending:
        prompt = await flat_prompt(request, session, place)
        said = Notice(code="road", message=f"{route.why}; prompt by {_maker(prompt)}")
        asked = _textgen.text_sending if route.is_tgi else completion_sending
        return _with(asked(request, prompt.text), place, (said, *_unheeded(request), *notices))

    def decoder(source: EventSource, sending: Sending) -> Decoder:
        return _textgen.TextDecoder(source.headers, sent=sending.body)

    exchange = Exchange(
        http=session.http,
        url=route.url,
        decoder=decoder,
        mend=_textgen.mend if route.is_tgi else _wire.mend,
        shorten=_shortener(request, encode),
        error=error_reader(session, place),
        credential=session.credential,
    )
    async with aclosing(exchange.run(await encode(request, notices))) as events:
        async for event in events:
            yield event


def _unheeded(request: Request) -> Notices:
    if request.options.action != "continue" or continues(request) or is_bare(request):
        return ()
    said = "there is no assistant message at the end to go on with"
    return (Notice(code="option-ignored", option="action", message=said),)


def _maker(prompt: Prompt) -> str:
    repairs = f" ({', '.join(prompt.repairs)})" if prompt.repairs else ""
    return f"{prompt.source}{repairs}"


def _shortener(
    request: Request, encode: Callable[[Request, Notices], Awaitable[Sending]]
) -> Callable[[ProviderError], Awaitable[Sending | None]]:
    async def shorten(error: ProviderError) -> Sending | None:
        found = await refitted(request, error)
        return None if found is None else await encode(*found)

    return shorten


def _with(sending: Sending, place: Place, notices: Notices) -> Sending:
    headers = {**place.headers, **sending.headers}
    return attrs.evolve(sending, headers=headers, notices=(*notices, *sending.notices))


@frozen(kw_only=True)
class TextRoute:
    """Where a flat prompt goes, and why there. `is_tgi`: in TGI's shape, else in OpenAI's."""

    url: str
    is_tgi: bool
    why: str


async def text_route(request: Request, session: Session, place: Place) -> TextRoute:
    """The route of the text road for this model at this place."""
    model = request.model
    if place.is_own:
        if await speaks_tgi(session, place):
            url = f"{place.root}/generate_stream"
            return TextRoute(url=url, is_tgi=True, why="raw text generation: asked for at a TGI server")
        why = "text completions: asked for text generation at a server that is not TGI"
        return TextRoute(url=f"{place.api}/completions", is_tgi=False, why=why)
    served = f"{model.upstream or RAW} serves {model.id} for text generation, not for chat"
    if model.extra.get("road") == "completions" and model.upstream in COMPLETIONS:
        url = f"{place.root}/{model.upstream}{COMPLETIONS[model.upstream]}"
        return TextRoute(url=url, is_tgi=False, why=f"text completions: {served}")
    url = f"{place.root}/{RAW}/models/{model.remote_id}"
    return TextRoute(url=url, is_tgi=True, why=f"raw text generation: {served}")


async def picture(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """A picture by one of the two image routes whose wire `plugmux.huggingface.images` knows."""
    place = place_of(session)
    model = request.model
    encode = images.hf_inference_request if model.upstream == RAW else images.together_request
    asked = encode(model.remote_id, request.prompt, request.options)
    headers = {**place.headers, **asked.headers, **(request.options.extra_headers or {})}
    body = asked.body | dict(request.options.extra_body or {})
    url = f"{place.endpoints.router}/{asked.path}"
    answer = await session.http.request("POST", url, json=body, headers=headers, error=error_of)
    for name in asked.ignored:
        said = f"{name} cannot be sent to this model"
        yield Notice(code="option-ignored", option=name, message=said)
    yield ServedBy(model=model.id, upstream=model.upstream, request_id=request_id_of(answer.headers))
    read = partial(images.image_of, answer, prompt=request.prompt)
    drawn = await anyio.to_thread.run_sync(read)  # megabytes of base64
    if isinstance(drawn, str):
        drawn = await session.download(drawn, kind=MediaKind.IMAGE, own=[place.endpoints.router])
    yield drawn
    yield Finish()
