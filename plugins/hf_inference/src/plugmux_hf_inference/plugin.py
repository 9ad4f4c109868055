"""The four hooks. Everything heavy is imported when it is first used."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plugmux.hooks import hookimpl
from plugmux.model import Auth
from plugmux_hf_inference._static import STATIC_MODELS

if TYPE_CHECKING:
    from plugmux.credentials import Credential
    from plugmux.errors import ProviderError
    from plugmux.events import Event
    from plugmux.messages import Message
    from plugmux.model import Model
    from plugmux.requests import Request
    from plugmux.session import Session

default_auth = Auth.OPTIONAL
credential_remedy = "set HF_TOKEN, or run: plugmux auth login hf-inference"
settings = ("api_key", "base_url", "bill_to", "hub_url", "models", "router_url", "token")


def static_models(settings: Mapping[str, Any]) -> Sequence[Model]:
    """The router's known models; of a server at `base_url` nothing is known beforehand."""
    return () if settings.get("base_url") else STATIC_MODELS


@hookimpl
async def get_models(session: Session, wanted: str | None) -> Sequence[Model]:
    """The router's list, or that of the server at `base_url`; one name is looked up at the Hub as well."""
    from plugmux_hf_inference import _discovery

    if wanted is None:
        return await _discovery.list_models(session)
    return await _discovery.look_up(session, wanted)


@hookimpl
def create_stream(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """Answer by the road that the model takes: chat, raw text generation or a picture."""
    from plugmux_hf_inference._roads import stream_of

    return stream_of(request, session)


@hookimpl
def format_prompt(model: Model, messages: Sequence[Message], continue_final: bool) -> str | None:
    """The prompt of the model's family, as far as its name tells; None for a stranger."""
    from plugmux_hf_inference._families import PromptFacts, family_of
    from plugmux_hf_inference._prompts import format_prompt as formatted

    facts = PromptFacts(id=model.id)
    if family_of(facts) is None:
        return None
    return formatted(facts, messages, continue_final=continue_final)


@hookimpl
async def authenticate(session: Session, challenge: ProviderError | None) -> Credential | None:
    """The Hub token for the router; only what its own settings name for a server at `base_url`."""
    from plugmux_hf_inference import _places

    return _places.credential_of(session, challenge)
