"""The chat road: OpenAI's chat completions, at the router or at a server of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugmux_hf_inference._decoder import Decoder
from plugmux_hf_inference._exchange import Exchange
from plugmux_hf_inference._fitting import fitted, shortener
from plugmux_hf_inference._places import error_reader, place_of, remedy_corrector
from plugmux_hf_inference._wire import chat_sending, mend, with_notices

if TYPE_CHECKING:
    from plugmux.events import Notice
    from plugmux.http import EventSource
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._wire import Sending

__all__ = ["chat_exchange"]


async def chat_exchange(request: Request, session: Session) -> Exchange:
    """The exchange for a chat. Raises ConfigurationError, ContextLengthError."""
    place = place_of(session)
    request, notices = await fitted(request, session, place)

    async def encode(request: Request, notices: tuple[Notice, ...]) -> Sending:
        return with_notices(chat_sending(request), place.headers, notices)

    return Exchange(
        http=session.http,
        url=place.chat_url(),
        sending=await encode(request, notices),
        decoder=_decoder,
        mend=mend,
        shorten=shortener(request, encode),
        error=error_reader(session, place),
        correct=remedy_corrector(session, place),
        credential=session.credential,
    )


def _decoder(source: EventSource, _: Sending) -> Decoder:
    from plugmux_hf_inference._answers import ChatDecoder  # while the service is at work

    return ChatDecoder(source.headers)
