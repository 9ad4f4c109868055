"""Which road a model takes, and the flow on each: chat, raw text generation, pictures."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias

import attrs

from plugmux.events import Event
from plugmux_hf_inference import _wire
from plugmux_hf_inference._answers import ChatDecoder
from plugmux_hf_inference._exchange import Exchange
from plugmux_hf_inference._places import place_of

if TYPE_CHECKING:
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["chat", "road_of"]

Road: TypeAlias = "Callable[[Request, Session], AsyncGenerator[Event, None]]"


def road_of(request: Request) -> Road:
    """The road for a request."""
    return chat


async def chat(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """OpenAI's chat completions, at the router or at a server of the user's own."""
    place = place_of(session)
    sending = _wire.chat_sending(request)
    sending = attrs.evolve(sending, headers={**place.headers, **sending.headers})
    exchange = Exchange(
        http=session.http,
        url=place.chat_url(),
        decoder=lambda source: ChatDecoder(source.headers),
        mend=_wire.mend,
    )
    async with aclosing(exchange.run(sending)) as events:
        async for event in events:
            yield event
