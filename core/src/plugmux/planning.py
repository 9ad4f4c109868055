"""From what a caller asked to a route: names resolved, unknown ones looked up, candidates ordered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import anyio
import attrs

from plugmux.entrypoints import KNOWN_DISTRIBUTIONS
from plugmux.errors import InvalidInputError, NoRouteError, PlugmuxError
from plugmux.events import Notice
from plugmux.messages import Message
from plugmux.model import Auth, Model, Task
from plugmux.modelmap import ModelMap
from plugmux.names import ModelName, parse_name
from plugmux.requests import Options, Policy
from plugmux.routing import Candidate, Dropped, Route, Wish, candidates, task_of
from plugmux.runtime import Runtime

__all__ = ["Asked", "Plan", "Planner"]


class Asked:
    """A request as the caller put it, checked."""

    def __init__(
        self,
        *,
        models: tuple[str, ...],
        messages: tuple[Message, ...] = (),
        options: Options | None = None,
        policy: Policy | None = None,
        task: Task | None = None,
        token: str | None = None,
    ) -> None:
        self.models = models
        self.messages = messages
        self.options = options or Options()
        self.policy = policy or Policy()
        self.task = task
        self.token = token


class Plan(NamedTuple):
    """`notices` name the wishes that nobody can serve, where another one can be."""

    route: Route
    task: Task
    notices: tuple[Notice, ...] = ()


class Planner:
    """Makes the plan of one request."""

    def __init__(self, *, runtime: Runtime, asked: Asked) -> None:
        self.runtime = runtime
        self.asked = asked

    async def plan(self) -> Plan:
        """The route. Raises NoRouteError when nobody can serve the request."""
        plan = await self.explain()
        if not plan.route.candidates:
            raise self._all_dropped(plan.route)
        return plan

    async def explain(self) -> Plan:
        """The route, also an empty one. Raises NoRouteError for a name that nobody knows."""
        models_map = await self.runtime.catalog.current(only=self._pinned())
        if not models_map:
            self._refuse_emptiness()
        texts = self.asked.models or (await self._default(models_map),)
        found: list[Route] = []
        task: Task | None = None
        unknown: list[NoRouteError] = []
        for text in texts:
            try:
                name, models = await self._models_of(text, models_map)
            except NoRouteError as error:
                unknown.append(error)
                continue
            task = task or self._task(models)
            found.append(await self._route(name, models, task))
        if unknown and not found:
            raise unknown[0]
        notices = tuple(Notice(code="unknown-model", message=str(error)) for error in unknown)
        return Plan(route=_joined(texts, found), task=task or Task.CONVERSATIONAL, notices=notices)

    def _refuse_emptiness(self) -> None:
        if self.runtime.registry.instances():
            return
        if blocked := ", ".join(self.runtime.registry.blocked()):
            raise NoRouteError(f"PLUGMUX_DISABLE blocks every provider that is installed: {blocked}")
        packages = ", ".join(KNOWN_DISTRIBUTIONS.values())
        raise NoRouteError(
            "no provider plugin is installed",
            remedy=f"install one: pip install plugmux-hf-inference (there are: {packages})",
        )

    def _pinned(self) -> list[str] | None:
        """The providers that every name pins, if each pins one: nobody else need be asked."""
        providers = [parse_name(text).provider for text in self.asked.models]
        return [name for name in providers if name] if providers and all(providers) else None

    async def _default(self, models_map: ModelMap) -> str:
        """The configured default, else that of a provider which is ready: with a credential, or without
        the need for one."""
        configured = self.runtime.settings.default_model
        if configured is not None:
            return configured
        task = self.asked.task or Task.CONVERSATIONAL
        named = [model for model in models_map.defaults() if task in model.tasks]
        if not named:
            listed = dict.fromkeys(m.id for m in models_map.models if task in m.tasks and m.listed)
            raise NoRouteError(
                f"no model was named and there is no default for {task.value}",
                near=[*listed][:4],
                remedy="name one, or set PLUGMUX_MODEL",
            )
        known = await self._credentials({model.provider for model in named})
        named.sort(key=lambda model: (not known.get(model.provider), model.auth is Auth.REQUIRED))
        return f"{named[0].provider}::{named[0].id}"

    async def _models_of(self, text: str, models_map: ModelMap) -> tuple[ModelName, Sequence[Model]]:
        name = parse_name(self.runtime.settings.aliases.get(text, text), models_map.upstreams)
        if name.text != text:
            name = attrs.evolve(name, text=text)
        if name.provider is not None and name.provider not in self.runtime.registry.instances():
            raise self._no_such_provider(name.provider, text)
        resolved = models_map.resolve(name.id)
        if resolved.ambiguous:
            raise NoRouteError(
                f"{name.id!r} could mean several models",
                model=text,
                near=resolved.ambiguous,
                remedy="name one of them in full",
            )
        wanted = resolved.id or name.id
        models = [m for m in models_map.of(wanted) if name.provider in (None, m.provider)]
        if not models:
            models = list(await self._look_up(name, wanted, models_map))
        return name, models

    def _no_such_provider(self, provider: str, text: str) -> NoRouteError:
        known = self.runtime.registry.instances()
        distribution = KNOWN_DISTRIBUTIONS.get(provider)
        remedy = f"pip install {distribution}" if distribution else f"there are: {', '.join(sorted(known))}"
        if provider in self.runtime.settings.disabled:
            remedy = "it is blocked by PLUGMUX_DISABLE"
        return NoRouteError(f"there is no provider {provider!r}", model=text, remedy=remedy)

    async def _look_up(self, name: ModelName, id: str, models_map: ModelMap) -> Sequence[Model]:
        """Ask the providers for a name that is not in the map."""
        providers = [name.provider] if name.provider else list(self.runtime.registry.instances())
        found, reasons = await self.runtime.catalog.look_up(id, providers)
        answered = found.resolve(id).id or id
        models = [m for m in found.of(answered) if name.provider in (None, m.provider)]
        if models:
            return models
        if name.provider is not None:
            return [await self._pass_through(name.provider, id, name.suffix)]
        raise NoRouteError(
            f"no provider knows a model {name.text!r}",
            model=name.text,
            near=models_map.near(name.id),
            reasons=reasons,
        )

    async def _pass_through(self, provider: str, id: str, suffix: str | None) -> Model:
        """A model nobody lists, at the provider that the caller pinned: passed on as the caller wrote it."""
        plugin = await self.runtime.registry.load(provider)
        tasks = (self.asked.task,) if self.asked.task else (Task.CONVERSATIONAL,)
        return Model(
            id=id,
            provider=provider,
            tasks=tasks,
            auth=plugin.default_auth,
            selectors=() if suffix is None else (suffix,),
            source="named",
            listed=False,
        )

    def _task(self, models: Sequence[Model]) -> Task:
        options = self.asked.options
        return task_of(
            models,
            has_audio=options.audio is not None,
            has_image=self._has_images(),
            asked=self.asked.task,
        )

    async def _route(self, name: ModelName, models: Sequence[Model], task: Task) -> Route:
        asked = self.asked
        wish = Wish(
            name=name, task=task, policy=asked.policy, options=asked.options, has_images=self._has_images()
        )
        return candidates(
            models,
            wish,
            health=self.runtime.health.standing,
            credentials=await self._credentials({model.provider for model in models}),
        )

    def _has_images(self) -> bool:
        if self.asked.options.image is not None:
            return True
        parts = (part for m in self.asked.messages if isinstance(m.content, tuple) for part in m.content)
        return any(part.get("type") == "image_url" for part in parts)

    async def _credentials(self, providers: Collection[str]) -> dict[str, bool]:
        """Which of these providers have a credential; one that cannot say is left out."""
        said = {} if self.asked.token else {name: self.runtime.has_credential(name) for name in providers}
        known = {name: answer for name, answer in said.items() if answer is not None}
        unasked = [name for name in providers if name not in known]

        async def ask(provider: str) -> None:
            try:
                credential = await self.runtime.credential(provider, token=self.asked.token)
            except PlugmuxError:
                return
            known[provider] = credential is not None

        if len(unasked) == 1:
            await ask(*unasked)
        elif unasked:
            async with anyio.create_task_group() as group:
                for provider in unasked:
                    group.start_soon(ask, provider)
        return known

    def _all_dropped(self, route: Route) -> NoRouteError:
        reasons = {str(Candidate(drop.model)): drop.reason for drop in route.dropped}
        providers = {d.model.provider: None for d in route.dropped if "needs a credential" in d.reason}
        remedy = "; ".join(self.runtime.registry.credential_remedy(name) for name in providers)
        return NoRouteError(
            f"every candidate for {route.name!r} was dropped",
            model=route.name,
            reasons=reasons,
            remedy=remedy,
        )


def model_names(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """The names a caller gave: none, one, or several in order of wish. Raises InvalidInputError."""
    if given is None:
        return ()
    if not isinstance(given, Iterable):
        raise InvalidInputError(f"expected a name or names, got {type(given).__name__}", field="model")
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError("a model name is empty or no text", field="model")
    if not names:
        raise InvalidInputError("no model was named", field="model")
    return tuple(name.strip() for name in names)


def _joined(texts: Sequence[str], routes: Sequence[Route]) -> Route:
    """The routes of several wished models as one; a candidate stands in it once."""
    seen: set[object] = set()
    found: list[Candidate] = []
    for wish, route in enumerate(routes):
        for candidate in route.candidates:
            if candidate.key not in seen:
                seen.add(candidate.key)
                found.append(Candidate(candidate.model, candidate.why, wish))
    dropped: tuple[Dropped, ...] = tuple(drop for route in routes for drop in route.dropped)
    return Route(", ".join(texts), tuple(found), dropped)
