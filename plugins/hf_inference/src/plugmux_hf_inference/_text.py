"""The text road: one flat prompt, by TGI's generation where the server speaks it, else by OpenAI's text
completions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from plugmux.events import Notice
from plugmux.value import Value
from plugmux_hf_inference import _textgen, _wire
from plugmux_hf_inference._completions import completion_sending
from plugmux_hf_inference._decoder import Decoder
from plugmux_hf_inference._exchange import Exchange
from plugmux_hf_inference._fitting import fitted, shortener
from plugmux_hf_inference._flat import continues, flat_prompt, is_bare
from plugmux_hf_inference._places import Place, error_reader, place_of, remedy_corrector, speaks_tgi
from plugmux_hf_inference._static import COMPLETIONS, RAW

if TYPE_CHECKING:
    from plugmux.http import EventSource
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._prompts import Prompt
    from plugmux_hf_inference._wire import Sending

__all__ = ["TextRoute", "text_exchange", "text_route"]


async def text_exchange(request: Request, session: Session) -> Exchange:
    """The exchange for one flat prompt. Raises ConfigurationError, ContextLengthError."""
    place = place_of(session)
    route = await text_route(request, session, place)
    request, notices = await fitted(request, session, place)

    async def encode(request: Request, notices: tuple[Notice, ...]) -> Sending:
        prompt = await flat_prompt(request, session, place)
        said = Notice(code="road", message=f"{route.why}; prompt by {_maker(prompt)}")
        asked = _textgen.text_sending if route.is_tgi else completion_sending
        notices = (said, *_unheeded(request), *notices)
        return _wire.with_notices(asked(request, prompt.text), place.headers, notices)

    return Exchange(
        http=session.http,
        url=route.url,
        sending=await encode(request, notices),
        decoder=_decoder,
        mend=_textgen.mend if route.is_tgi else _wire.mend,
        shorten=shortener(request, encode),
        error=error_reader(session, place),
        correct=remedy_corrector(session, place),
        credential=session.credential,
    )


def _decoder(source: EventSource, sending: Sending) -> Decoder:
    return _textgen.TextDecoder(source.headers, sent=sending.body)


def _unheeded(request: Request) -> tuple[Notice, ...]:
    if request.options.action != "continue" or continues(request) or is_bare(request):
        return ()
    said = "there is no assistant message at the end to go on with"
    return (Notice(code="option-ignored", option="action", message=said),)


def _maker(prompt: Prompt) -> str:
    repairs = f" ({', '.join(prompt.repairs)})" if prompt.repairs else ""
    return f"{prompt.source}{repairs}"


@frozen(kw_only=True, eq=False, repr=False)
class TextRoute(Value):
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
