"""The one flat prompt of a model that takes no messages, and the facts on the model that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from plugmux.errors import ProviderError
from plugmux.huggingface import hub
from plugmux.huggingface.hub import HubModel

if TYPE_CHECKING:
    from plugmux.messages import Message
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._places import Place

__all__ = ["continues", "facts_of", "flat_prompt"]

FACTS_SECONDS = 24 * 3600.0
NO_FACTS_SECONDS = 3600.0


async def flat_prompt(request: Request, session: Session, place: Place) -> str:
    """The conversation as one prompt, by the model's own template where it has one."""
    return _plain(request.messages, continues(request))


def _plain(messages: Sequence[Message], open_end: bool) -> str:
    lines = [f"{message.role.capitalize()}: {message.text}" for message in messages]
    return "\n".join(lines if open_end else [*lines, "Assistant:"])


def continues(request: Request) -> bool:
    """Whether the final assistant message is to be gone on with."""
    wanted = request.options.action == "continue"
    return wanted and bool(request.messages) and request.messages[-1].role == "assistant"


async def facts_of(session: Session, place: Place, name: str) -> HubModel | None:
    """What the Hub says of a model, kept for a day; None if it cannot be asked or does not know it."""
    if place.endpoints.offline and not session.settings.get("hub_url"):
        return None
    key = f"hub:{place.endpoints.hub}:{name}"
    known = session.cache.get(key)
    if known is not None:
        return hub.model_of(known)
    try:
        found = await hub.get_model(session.http, place.endpoints, name)
    except ProviderError:
        return None
    seconds = NO_FACTS_SECONDS if found is None else FACTS_SECONDS
    session.cache.put(key, {} if found is None else found.to_plain(), seconds=seconds)
    return found
