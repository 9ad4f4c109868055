"""Which road a request takes, and the flow on each: chat, raw text generation, text completions, pictures.

Chat if the router lists the model or the Hub's mapping says `conversational`; else one flat prompt.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias

import attrs

from plugmux.events import Event, Finish, Notice, ServedBy
from plugmux.huggingface import images
from plugmux.huggingface.failures import error_of
from plugmux.media import MediaKind
from plugmux.models import Task
from plugmux.statuses import request_id_of
from plugmux_hf_inference import _textgen, _wire
from plugmux_hf_inference._answers import ChatDecoder
from plugmux_hf_inference._completions import completion_sending
from plugmux_hf_inference._exchange import Decoder, Exchange
from plugmux_hf_inference._flat import flat_prompt
from plugmux_hf_inference._mapped import COMPLETIONS, RAW
from plugmux_hf_inference._places import Place, is_own, place_of, speaks_tgi

if TYPE_CHECKING:
    from plugmux.http import EventSource
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._prompts import Prompt
    from plugmux_hf_inference._wire import Sending

__all__ = ["road_of"]

Road: TypeAlias = "Callable[[Request, Session], AsyncGenerator[Event, None]]"


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


def chat(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """OpenAI's chat completions, at the router or at a server of the user's own."""
    place = place_of(session)
    sending = _wire.chat_sending(request)
    exchange = Exchange(
        http=session.http,
        url=place.chat_url(),
        decoder=lambda source, _: ChatDecoder(source.headers),
        mend=_wire.mend,
    )
    return exchange.run(attrs.evolve(sending, headers={**place.headers, **sending.headers}))


async def text(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """One flat prompt: TGI's generation where the server speaks it, else OpenAI's text completions."""
    place = place_of(session)
    prompt = await flat_prompt(request, session, place)
    exchange, sending, why = await _text_exchange(request, session, place, prompt.text)
    yield Notice(code="road", message=f"{why}; {_made_by(prompt)}")
    sending = attrs.evolve(sending, headers={**place.headers, **sending.headers})
    async with aclosing(exchange.run(sending)) as events:
        async for event in events:
            yield event


def _made_by(prompt: Prompt) -> str:
    repairs = f" ({', '.join(prompt.repairs)})" if prompt.repairs else ""
    return f"prompt by {prompt.source}{repairs}"


async def _text_exchange(
    request: Request, session: Session, place: Place, prompt: str
) -> tuple[Exchange, Sending, str]:
    model = request.model
    if place.is_own and not await speaks_tgi(session, place):
        why = "text completions: asked for text generation at a server that is not TGI"
        return _completing(session, f"{place.api}/completions"), completion_sending(request, prompt), why
    if not place.is_own and model.extra.get("road") == "completions":
        upstream = model.upstream or ""
        why = f"text completions: {upstream} serves {model.id} for text generation, not for chat"
        url = f"{place.root}/{upstream}{COMPLETIONS[upstream]}"
        return _completing(session, url), completion_sending(request, prompt), why
    if place.is_own:
        url, why = f"{place.root}/generate_stream", "raw text generation: asked for at a TGI server"
    else:
        url = f"{place.root}/{RAW}/models/{model.remote_id}"
        why = f"raw text generation: {RAW} serves {model.id} for text generation, not for chat"
    return _generating(session, url, prompt), _textgen.text_sending(request, prompt), why


def _completing(session: Session, url: str) -> Exchange:
    return Exchange(
        http=session.http,
        url=url,
        decoder=lambda source, _: ChatDecoder(source.headers),
        mend=_wire.mend,
    )


def _generating(session: Session, url: str, prompt: str) -> Exchange:
    def decoder(source: EventSource, sending: Sending) -> Decoder:
        full_text = "return_full_text" not in sending.body.get("parameters", {})
        return _textgen.TextDecoder(source.headers, prompt=prompt if full_text else "")

    return Exchange(http=session.http, url=url, decoder=decoder, mend=_textgen.mend)


async def picture(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """A picture by one of the two image routes whose wire `plugmux.huggingface.images` knows."""
    place = place_of(session)
    model = request.model
    encode = images.hf_inference_request if model.upstream == RAW else images.together_request
    asked = encode(model.remote_id, request.prompt, request.options)
    for name in asked.ignored:
        said = f"{name} cannot be sent to this model"
        yield Notice(code="option-ignored", option=name, message=said)
    headers = {**place.headers, **asked.headers, **(request.options.extra_headers or {})}
    body = asked.body | dict(request.options.extra_body or {})
    url = f"{place.endpoints.router}/{asked.path}"
    answer = await session.http.request("POST", url, json=body, headers=headers, error=error_of)
    yield ServedBy(model=model.id, upstream=model.upstream, request_id=request_id_of(answer.headers))
    drawn = images.image_of(answer, prompt=request.prompt)
    if isinstance(drawn, str):
        drawn = await session.download(drawn, kind=MediaKind.IMAGE, own=[place.endpoints.router])
    yield drawn
    yield Finish()
