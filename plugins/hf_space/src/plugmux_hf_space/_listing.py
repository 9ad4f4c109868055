"""What can be called: the known Spaces, those of the settings, and any that is asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio
from attrs import evolve, frozen

from plugmux.errors import ModelNotFoundError, PlugmuxError, ProviderError
from plugmux.huggingface.endpoints import Endpoints
from plugmux.model import Auth, Capability, Model, Task
from plugmux_hf_space._app import App
from plugmux_hf_space._hub import SpaceFacts, get_space, obstacle, space_at
from plugmux_hf_space._known import KNOWN, entries, static_models
from plugmux_hf_space._places import Place, place_of, space_address, space_of
from plugmux_hf_space._settings import Override, SpaceSettings
from plugmux_hf_space._shelf import open_shelf
from plugmux_hf_space._tasks import Verdict, judge
from plugmux_hf_space._trust import PRIVATE
from plugmux_hf_space._zerogpu import ACCOUNT

if TYPE_CHECKING:
    from plugmux.session import Session

__all__ = ["Lister", "models_of"]

APP_SECONDS = 2.0
"""A look-up has 3 s in all: an app that is slower is listed with all tasks and read when it is called."""

LIST_SECONDS = 4.0
"""The whole list has 5 s: a Space that takes longer is listed as it is known without asking."""

UNREAD = "unread"
"""In `Model.extra`: the app could not be asked what it does."""


@frozen(kw_only=True)
class Lister:
    """Lists for one session. `environ` is for HF_ENDPOINT and HF_HUB_OFFLINE."""

    session: Session
    settings: SpaceSettings
    endpoints: Endpoints

    @classmethod
    def of(cls, session: Session) -> Lister:
        return cls(
            session=session,
            settings=SpaceSettings.load(session.settings),
            endpoints=Endpoints.load(session.settings, session.environ),
        )

    async def all(self) -> list[Model]:
        """The known Spaces that can serve, and what the settings name.

        One that is broken, paused or gone is left out; a look-up by its name says why. Raises if
        nothing at all could be asked.
        """
        if self.settings.base is not None:
            return await self._at(self.settings.base)
        found: dict[str, list[Model]] = {}
        problems: list[PlugmuxError] = []
        jobs = [(known.space, _known_job(self, known.space)) for known in KNOWN]
        jobs += [(place.id, _place_job(self, place)) for place in self.settings.places]
        async with anyio.create_task_group() as group:
            for name, job in jobs:
                group.start_soon(_collect, name, job, found, problems)
        if problems and not any(found.values()):
            raise problems[0]
        for model in static_models():
            found.setdefault(model.extra["space"], [m for m in static_models() if m.extra == model.extra])
        return [model for name, _ in jobs for model in found.get(name, ())]

    async def named(self, wanted: str) -> Sequence[Model]:
        """The models that a name means; none if it is no name of ours. Raises with the reason otherwise."""
        known = next((k for k in KNOWN if wanted in (k.model, *k.aliases)), None)
        if known is not None and self.settings.base is None:
            return await self._known(known.space)
        place = place_of(wanted) or self._configured(wanted)
        if place is None or self.settings.base is not None:
            return ()
        models = await self._at(place)
        return [
            evolve(m, aliases=(*m.aliases, wanted)) if m.id == models[0].id and m.id != wanted else m
            for m in models
        ]

    def _configured(self, wanted: str) -> Place | None:
        space = space_of(wanted)
        spaces = {place.space for place in self.settings.places}
        return Place(space=space) if space is not None and space in spaces else None

    async def _known(self, space: str) -> list[Model]:
        """Entries of the static table, with what the Hub says now. The app itself is not woken."""
        facts = await get_space(self.session, self.endpoints, space)
        _refuse(facts)
        mine = [m for m in static_models() if m.extra["space"] == space]
        return [evolve(m, asleep=facts.is_waiting, **_told(facts, m.extra)) for m in mine]

    async def locate(self, place: Place) -> tuple[Place, SpaceFacts | None]:
        """The place with its address and, for a Space, what the Hub says of it.

        Raises ModelNotFoundError with the reason for a Space that cannot serve.
        """
        if place.is_space_address and place.url is not None:
            space = await space_at(self.session, self.endpoints, place.url)
            place = evolve(place, space=space) if space else place
        if place.space is None:
            return place, None
        facts = await get_space(self.session, self.endpoints, place.space)
        _refuse(facts)
        return evolve(place, space=facts.id, url=facts.url or space_address(facts.id)), facts

    async def _at(self, place: Place) -> list[Model]:
        place, facts = await self.locate(place)
        override = self.settings.override_of(place)
        app = None if facts is not None and facts.is_waiting else await self._app(place)
        models = models_of(place, app, facts, override)
        return self._also_as_model(place, facts, models)

    async def _app(self, place: Place) -> App | None:
        shelf = await open_shelf(self.session)
        with anyio.move_on_after(APP_SECONDS):
            try:
                return await shelf.app(self.session, place.url or "")
            except ProviderError as error:
                if place.space is None or error.code != "unavailable":
                    raise
        return None

    def _also_as_model(self, place: Place, facts: SpaceFacts | None, models: list[Model]) -> list[Model]:
        """Under a model's id too: by the setting `serves`; by its card's one model if settings name it."""
        if place.space is None or not models or place.endpoint:
            return models
        named = any(place.space == listed.space for listed in self.settings.places)
        only = facts.models[0] if facts and named and len(facts.models) == 1 else None
        model = self.settings.serves.get(place.space.lower()) or only
        if named:
            models = [evolve(models[0], aliases=(*models[0].aliases, place.space)), *models[1:]]
        return [*models, entries(models[0], model)[1]] if model else models


def models_of(
    place: Place, app: App | None, facts: SpaceFacts | None = None, override: Override | None = None
) -> list[Model]:
    """An app's entries: its best endpoint under the plain id, the others behind `#`.

    Without a description (asleep, slow) there is one entry, for all tasks. Raises ModelNotFoundError if
    the app does nothing that plugmux knows.
    """
    if app is None:
        unread = _entry(place, place.endpoint, tuple(Task), facts)
        return [evolve(unread, extra={**unread.extra, UNREAD: "yes"})]
    verdicts = _verdicts(app, override, place.endpoint)
    usable = [verdict for verdict in verdicts if verdict.tasks]
    if not usable:
        raise ModelNotFoundError(
            f"{place.id} {_nothing(place.endpoint, verdicts)}",
            code="no-task",
            remedy=f"plugmux space inspect {place.url} shows why",
        )
    first, *rest = usable
    models = [_of_verdict(place, first, facts, named=place.endpoint is not None)]
    return models + [_of_verdict(place, verdict, facts, named=True) for verdict in rest]


def _verdicts(app: App, override: Override | None, endpoint: str | None) -> Sequence[Verdict]:
    """On all endpoints, or on the named one: who names it may give every parameter of it (`extra_body`)."""
    if endpoint is None:
        return judge(app, override)
    named = [found for found in app.endpoints if found.name == endpoint]
    given = {slot.name for found in named for slot in found.visible if slot.name}
    return [verdict for verdict in judge(app, override, given=given) if verdict.endpoint in named]


def _nothing(endpoint: str | None, verdicts: Sequence[Verdict]) -> str:
    if endpoint is None:
        return "has no endpoint that does a task of plugmux"
    why = next((verdict.why for verdict in verdicts), "")
    return f"does no task of plugmux with #{endpoint}: {why}" if why else f"has no endpoint #{endpoint}"


def _of_verdict(place: Place, verdict: Verdict, facts: SpaceFacts | None, *, named: bool) -> Model:
    endpoint = verdict.endpoint.name
    model = _entry(place, endpoint if named else None, verdict.tasks, facts)
    options = {name for name in verdict.options if name not in _NOT_OPTIONS}
    if {"width", "height"} <= options:
        options.add("aspect_ratio")
    if verdict.history is not verdict.history.NONE:
        options.add("system")
    sees = "image" in verdict.options
    return evolve(
        model,
        options=options,
        inputs={name for name in ("image", "audio") if name in verdict.options},
        capabilities={Capability.VISION: sees} if Task.CONVERSATIONAL in verdict.tasks else {},
        extra={**model.extra, "endpoint": endpoint},
    )


_NOT_OPTIONS = frozenset({"prompt", "randomize_seed", "n"})


def _entry(place: Place, endpoint: str | None, tasks: tuple[Task, ...], facts: SpaceFacts | None) -> Model:
    name = f"{place.id}#{endpoint}" if endpoint else place.id
    model = Model(id=name, upstream=place.id, tasks=tasks, auth=Auth.OPTIONAL if place.space else Auth.NONE)
    extra = {"url": place.url or ""} | ({"space": place.space} if place.space else {})
    if facts is None:
        return evolve(model, extra=extra)
    return evolve(model, asleep=facts.is_waiting, **_told(facts, extra))


def _told(facts: SpaceFacts, extra: Mapping[str, str]) -> dict[str, Any]:
    """What the Hub's facts change of an entry. `hub_host` is the only address that may see a token."""
    named = {"hub_host": facts.url, "url": facts.url} if facts.url else {}
    private = {PRIVATE: "yes"} if facts.private else {}
    account = ACCOUNT if facts.is_on_zerogpu else None
    return {"extra": {**extra, "space": facts.id, **named, **private}, "account": account}


def _refuse(facts: SpaceFacts) -> None:
    reason = obstacle(facts)
    if reason is not None:
        raise ModelNotFoundError(reason, code=facts.stage.lower() or None)


Job = Callable[[], Coroutine[Any, Any, Iterable[Model]]]


def _known_job(lister: Lister, space: str) -> Job:
    return lambda: lister._known(space)


def _place_job(lister: Lister, place: Place) -> Job:
    return lambda: lister._at(place)


async def _collect(name: str, job: Job, found: dict[str, list[Model]], problems: list[PlugmuxError]) -> None:
    try:
        with anyio.move_on_after(LIST_SECONDS):
            found[name] = list(await job())
    except ModelNotFoundError:
        found[name] = []
    except ProviderError as error:
        problems.append(error)
