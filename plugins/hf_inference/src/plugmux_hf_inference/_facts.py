"""What the Hub says of one model: its mapping, its tokenizer, its kind. Kept for a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from plugmux.errors import ProviderError
from plugmux.huggingface import hub
from plugmux.huggingface.hub import HubModel

if TYPE_CHECKING:
    from plugmux.session import Session
    from plugmux_hf_inference._places import Place

__all__ = ["ask_facts", "facts_of"]

SECONDS = 24 * 3600.0
UNKNOWN_SECONDS = 3600.0
LIMIT = 3.0
"""Seconds that the Hub may take on the way to an answer: a prompt by the model's name is better than none."""


async def facts_of(session: Session, place: Place, name: str) -> HubModel | None:
    """What is kept, or what the Hub says now; None if it does not know the model or cannot be asked.

    It is not asked for names that it cannot have, such as the path of a model on somebody's disk.
    """
    if not hub.is_hub_id(name):
        return None
    known = session.cache.get(_key(place, name))
    if known is not None:
        return hub.model_of(known)
    with anyio.move_on_after(LIMIT):
        try:
            return await ask_facts(session, place, name)
        except ProviderError:
            return None
    return None


async def ask_facts(session: Session, place: Place, name: str) -> HubModel | None:
    """What the Hub says now; None if it does not know the model. Raises a ProviderError."""
    found = await hub.get_model(session.http, place.endpoints, name)
    plain = {} if found is None else found.to_plain()
    seconds = UNKNOWN_SECONDS if found is None else SECONDS
    session.cache.put(_key(place, name), plain, seconds=seconds)
    if found is not None and found.id != name:
        session.cache.put(_key(place, found.id), plain, seconds=seconds)
    return found


def _key(place: Place, name: str) -> str:
    return f"hub:{place.endpoints.hub}:{name}"
