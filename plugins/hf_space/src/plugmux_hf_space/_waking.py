"""Getting at an app: where it is, and waking it if it sleeps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from attrs import evolve

from plugmux.errors import DeadlineError, InvalidRequestError, ModelNotFoundError, ProviderError, ServerError
from plugmux.events import Event, Progress
from plugmux.huggingface.endpoints import Endpoints
from plugmux_hf_space._app import App
from plugmux_hf_space._hub import SpaceFacts, get_space, obstacle
from plugmux_hf_space._known import KNOWN
from plugmux_hf_space._places import Place, place_of, space_address, space_of
from plugmux_hf_space._settings import SpaceSettings
from plugmux_hf_space._shelf import open_shelf
from plugmux_hf_space._trust import locked_out, towards_the_hub

if TYPE_CHECKING:
    from plugmux.model import Model
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["place_of_model", "wake"]

CHAT_SECONDS = 30.0
"""How old a description may be when a chat goes on: an app that was started anew has forgotten it."""


def place_of_model(model: Model, settings: SpaceSettings) -> Place:
    """Where a model of the map is; names that were never looked up are taken at their word."""
    if settings.base is not None:
        return _at_base(model, settings.base)
    endpoint = model.id.partition("#")[2] or None
    known = next((k for k in KNOWN if k.model == model.id), None)
    space = model.extra.get("space") or (known.space if known else None)
    url = model.extra.get("url") or None
    if space or url:
        return Place(space=space, url=url, endpoint=endpoint)
    found = place_of(model.id) or (Place(space=s) if (s := space_of(model.id)) else None)
    if found is None:
        raise InvalidRequestError(
            f"{model.id!r} names neither a Space nor an address",
            param="model",
            remedy="write spaces/owner/name",
        )
    return found


def _at_base(model: Model, base: Place) -> Place:
    """The instance's one app, whatever the model is called; a plain word names one of its endpoints."""
    name, _, endpoint = model.id.partition("#")
    space, url = model.extra.get("space"), model.extra.get("url")
    listed = Place(space=space or None, url=url or None)
    place = listed if base.is_at(listed) else base
    plain = None if place_of(name) or space_of(name) else name.strip("/")
    return evolve(place, endpoint=endpoint or plain or base.endpoint)


async def wake(
    session: Session, settings: SpaceSettings, place: Place, request: Request
) -> AsyncGenerator[Event | App, None]:
    """Events while it takes, then the app, last.

    Asking an app for its description is the visit that wakes a sleeping Space (documented). Raises
    DeadlineError (`limit` "waking", or one of the attempt's), ModelNotFoundError for one that is broken,
    paused or gone.
    """
    until = anyio.current_time() + settings.waking_limit
    place = await _addressed(session, place)
    stage = ""
    while True:
        with _told(place, stage):
            found = await _visit(session, place, request)
        if isinstance(found, App):
            yield found
            return
        stage = found
        if anyio.current_time() + settings.poll_gap > until:
            raise _passed(place, stage, settings)
        yield Progress(stage="waking", message=f"{place.id} is {stage.lower().replace('_', ' ')}")
        await anyio.sleep(settings.poll_gap)


async def _visit(session: Session, place: Place, request: Request) -> App | str:
    """The app, or the stage of a Space that does not answer where waiting may help."""
    shelf = await open_shelf(session)
    max_age = CHAT_SECONDS if request.state else 300.0
    try:
        return await shelf.app(
            session, place.url or "", max_age=max_age, headers=request.options.extra_headers
        )
    except ProviderError as error:
        return await _stage(session, place, error)


@contextmanager
def _told(place: Place, stage: str) -> Iterator[None]:
    """A limit of the attempt that passes while a Space wakes says so. `stage` is empty before it is known."""
    try:
        yield
    except DeadlineError as error:
        if not stage:
            raise
        raise DeadlineError(
            f"{place.id} is still {stage}: {error.message}", limit=error.limit, seconds=error.seconds
        ) from error


async def _addressed(session: Session, place: Place) -> Place:
    """With an address: the Hub's, else the one that the rule gives."""
    if place.url or place.space is None:
        return place
    facts = await _facts(session, place.space)
    return evolve(place, url=(facts.url if facts else None) or space_address(place.space))


async def _facts(session: Session, space: str) -> SpaceFacts | None:
    """What the Hub says, or None if it cannot be asked. Raises ModelNotFoundError for one that is gone,
    DeadlineError where the attempt's own time is up."""
    try:
        endpoints = Endpoints.load(session.settings, session.environ)
        facts = await get_space(towards_the_hub(session), endpoints, space)
    except ModelNotFoundError:
        raise
    except ProviderError as error:
        if isinstance(error, DeadlineError) and error.limit in _WHOLE:
            raise
        return None
    reason = obstacle(facts)
    if reason is not None:
        raise ModelNotFoundError(reason, code=facts.stage.lower() or None)
    return facts


_WHOLE = frozenset({"first_content", "total"})
"""Limits of the whole attempt, which no other question can come after."""


async def _stage(session: Session, place: Place, error: ProviderError) -> str:
    """The stage of a Space that does not answer, if waiting may help. Raises what is wrong otherwise."""
    if (locked := locked_out(session, error)) is not None:
        raise locked from error
    if error.code != "unavailable" or place.space is None:
        raise error
    facts = await _facts(session, place.space)
    if facts is None or not (facts.is_waiting or facts.stage.startswith("RUNNING_")):
        said = f" (the Hub says {facts.stage or 'nothing'})" if facts else ""
        raise ServerError(
            f"{place.id} does not answer{said}: {error.message}", status=error.status, code="unavailable"
        ) from error
    return facts.stage


def _passed(place: Place, stage: str, settings: SpaceSettings) -> DeadlineError:
    return DeadlineError(
        f"{place.id} is still {stage} after {settings.waking_limit:g} s",
        limit="waking",
        seconds=settings.waking_limit,
        remedy="the setting waking_limit allows more; a woken Space may be ready in a minute",
    )
