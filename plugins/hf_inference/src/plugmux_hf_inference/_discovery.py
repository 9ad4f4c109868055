"""Which models there are: the router's list, a server's own, and one name looked up."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import attrs

from plugmux.errors import ModelNotFoundError, ProviderError
from plugmux.huggingface import hub
from plugmux.huggingface.failures import error_of
from plugmux.model import Auth, Model, Task
from plugmux_hf_inference import _listing, _mapped
from plugmux_hf_inference._facts import ask_facts
from plugmux_hf_inference._places import Place, error_reader, place_of, server_info
from plugmux_hf_inference._static import ALIASES, CHAT_OPTIONS

if TYPE_CHECKING:
    from plugmux.session import Session

__all__ = ["list_models", "look_up"]

TRENDING = 10
"""The Hub's score from which on a model is listed."""
ASIDE_SECONDS = 3.0


async def list_models(session: Session) -> Sequence[Model]:
    """What the session's provider serves.

    That is what a server of one's own lists; else the router's list and, beside it, what is trending on
    the Hub for text generation and served by somebody. Raises a ProviderError where the server or the router
    fails: what is trending is no list by itself, and would take the place of one that is remembered.
    """
    place = place_of(session)
    if place.is_own:
        return await _own(session, place)
    found: dict[str, Sequence[Model]] = {}
    async with anyio.create_task_group() as group:
        group.start_soon(_keep, found, "trending", _trending(session, place))
        listed = await _kept(_routed(session, place))
    if isinstance(listed, ProviderError):
        raise listed
    known = {model.id for model in listed}
    return [*listed, *(model for model in found.get("trending", ()) if model.id not in known)]


async def look_up(session: Session, wanted: str) -> Sequence[Model]:
    """The models that answer to a name: at a server of one's own only what it lists."""
    place = place_of(session)
    if place.is_own:
        return [model for model in await _own(session, place) if model.id == wanted]
    name = ALIASES.get(wanted, wanted)
    if not hub.is_hub_id(name):
        return []
    return _named(await _at_router(session, place, name) or await _at_hub(session, place, name), wanted)


async def _routed(session: Session, place: Place) -> Sequence[Model]:
    answer = await session.http.request("GET", place.models_url(), error=error_of)
    return _listing.router_models(answer.content)


async def _trending(session: Session, place: Place) -> Sequence[Model]:
    """Text-generation models in fashion that somebody serves. The Hub's facts on each are few: `config`
    with its chat template is asked for when a prompt is needed."""
    fields = ("inferenceProviderMapping", "pipeline_tag", "gated", "trendingScore")
    listed = await hub.list_models(
        session.http, place.endpoints, task=Task.TEXT_GENERATION.value, expand=fields
    )
    liked = (found for found in listed if (found.trending_score or 0) >= TRENDING)
    return [model for found in liked for model in _mapped.models_of(found)]


async def _at_router(session: Session, place: Place, name: str) -> Sequence[Model]:
    try:
        url = f"{place.models_url()}/{quote(name, safe='/')}"
        answer = await session.http.request("GET", url, error=error_of)
    except ProviderError as error:
        if error.forget or error.status in (400, 422):
            return []
        raise
    return [model for model in _listing.router_models(answer.content) if model.id == name]


async def _at_hub(session: Session, place: Place, name: str) -> Sequence[Model]:
    """What the Hub's mapping offers; a renamed model (the Hub redirects) keeps the name asked for.

    Raises ModelNotFoundError with the reason for a model that the Hub knows and nobody here can serve.
    """
    found = await ask_facts(session, place, name)
    if found is None:
        return []
    models = _mapped.models_of(found, name)
    if not models:
        raise ModelNotFoundError(_mapped.why_not(found))
    return models


async def _own(session: Session, place: Place) -> list[Model]:
    """What the server lists, and what the setting `models` names.

    A server that cannot list (`transformers serve` answers 500 without a network) serves the named ones;
    without any, its error is raised. `provider::model` reaches any model of it in either case.
    """
    named = [_unlisted(name) for name in _names(session.settings.get("models"))]
    try:
        reader = error_reader(session, place)
        answer = await session.http.request("GET", place.models_url(), error=reader)
        listed = _listing.own_models(answer.content)
    except ProviderError:
        if named:
            return named
        raise
    if len(listed) == 1 and listed[0].context_length is None:
        listed = [_with_info(listed[0], await server_info(session, place))]
    known = {model.id for model in listed}
    return [*listed, *(model for model in named if model.id not in known)]


def _with_info(model: Model, info: Mapping[str, Any]) -> Model:
    """TGI serves one model, and states its window at `/info`."""
    tokens = info.get("max_total_tokens")
    return attrs.evolve(model, context_length=tokens) if isinstance(tokens, int) else model


async def _kept(awaitable: Awaitable[Sequence[Model]]) -> Sequence[Model] | ProviderError:
    try:
        return await awaitable
    except ProviderError as error:
        return error


async def _keep(found: dict[str, Sequence[Model]], name: str, awaitable: Awaitable[Sequence[Model]]) -> None:
    """One of several questions asked side by side: what fails or is slow costs only its own answer."""
    with anyio.move_on_after(ASIDE_SECONDS):
        answer = await _kept(awaitable)
        if not isinstance(answer, ProviderError):
            found[name] = answer


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
