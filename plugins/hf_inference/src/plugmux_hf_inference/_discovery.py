"""Which models there are: the router's list, a server's own, and one name looked up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs

from plugmux.errors import ProviderError
from plugmux.huggingface.failures import error_of
from plugmux.models import Auth, Model
from plugmux_hf_inference import _listing
from plugmux_hf_inference._places import Place, place_of
from plugmux_hf_inference._static import ALIASES, CHAT_OPTIONS

if TYPE_CHECKING:
    from plugmux.session import Session

__all__ = ["list_models", "look_up"]

_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")


async def list_models(session: Session) -> Sequence[Model]:
    """What the session's provider serves. Raises a ProviderError if the router cannot be asked."""
    place = place_of(session)
    if place.is_own:
        return await _own(session, place)
    answer = await session.http.request("GET", place.models_url(), error=error_of)
    return _listing.router_models(answer.content)


async def look_up(session: Session, wanted: str) -> Sequence[Model]:
    """The models that answer to a name: at a server of one's own only what it lists."""
    place = place_of(session)
    if place.is_own:
        return [model for model in await _own(session, place) if model.id == wanted]
    name = ALIASES.get(wanted, wanted)
    if not _HUB_ID.fullmatch(name) or name.startswith("spaces/"):
        return []
    return _named(await _at_router(session, place, name), wanted)


async def _at_router(session: Session, place: Place, name: str) -> Sequence[Model]:
    try:
        url = f"{place.models_url()}/{quote(name, safe='/')}"
        answer = await session.http.request("GET", url, error=error_of)
    except ProviderError as error:
        if error.forget or error.status in (400, 422):
            return []
        raise
    return [model for model in _listing.router_models(answer.content) if model.id == name]


async def _own(session: Session, place: Place) -> list[Model]:
    """What the server lists, and what the setting `models` names.

    A server that cannot list (`transformers serve` answers 500 without a network) serves the named ones;
    without any, its error is raised. `provider::model` reaches any model of it in either case.
    """
    named = [_unlisted(name) for name in _names(session.settings.get("models"))]
    try:
        answer = await session.http.request("GET", place.models_url(), error=error_of)
        listed = _listing.own_models(answer.content)
    except ProviderError:
        if named:
            return named
        raise
    known = {model.id for model in listed}
    return [*listed, *(model for model in named if model.id not in known)]


def _unlisted(name: str) -> Model:
    return Model(id=name, options=CHAT_OPTIONS, auth=Auth.OPTIONAL)


def _named(models: Sequence[Model], wanted: str) -> Sequence[Model]:
    """The models under the name that was asked for as well."""
    if not models or wanted == models[0].id:
        return models
    first = models[0]
    aliases = tuple(dict.fromkeys((*first.aliases, wanted)))
    return [attrs.evolve(first, aliases=aliases), *models[1:]]


def _names(value: object) -> list[str]:
    if isinstance(value, str):
        return [name for name in re.split(r"[,\s]+", value) if name]
    return [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []
