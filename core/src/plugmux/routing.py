"""Which candidates may serve a request, in which order, and why: a pure function.

`explain` and the router use the same one, so what `plugmux route` shows is what would happen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from attrs import evolve, frozen

from plugmux.model import Auth, Capability, Model, Task
from plugmux.names import SELECTORS, ModelName
from plugmux.requests import Options, Policy
from plugmux.value import Value

__all__ = ["Candidate", "Dropped", "Key", "Route", "Standing", "Wish", "candidates", "task_of"]

Key: TypeAlias = tuple[str, str | None, str]


@frozen(eq=False, repr=False)
class Candidate(Value):
    """A provider, an upstream and a remote model id that may serve the request; `why` it stands here."""

    model: Model
    why: str = ""
    wish: int = 0
    """Which of the models that the caller named it serves: 0 is the first."""

    @property
    def key(self) -> Key:
        return self.model.key

    def __str__(self) -> str:
        model = self.model
        return f"{model.provider}{'/' + model.upstream if model.upstream else ''} ({model.remote_id})"


@frozen(eq=False, repr=False)
class Dropped(Value):
    """A candidate that may not serve the request, and why."""

    model: Model
    reason: str

    def __str__(self) -> str:
        return f"{Candidate(self.model)}: {self.reason}"


@frozen(eq=False, repr=False)
class Route(Value):
    """The candidates in order, and the dropped ones."""

    name: str
    candidates: tuple[Candidate, ...] = ()
    dropped: tuple[Dropped, ...] = ()


class Wish(NamedTuple):
    """The facts of a request that decide who may serve it."""

    name: ModelName
    task: Task
    policy: Policy = Policy()
    options: Options = Options()
    has_images: bool = False
    needs_context: int | None = None


class Standing(NamedTuple):
    """What is known of a candidate's health: `resting` until its next probe, `latency` in seconds."""

    resting: bool = False
    failures: int = 0
    latency: float | None = None


_UNKNOWN = Standing()
Health: TypeAlias = Callable[[Key], Standing]


def unknown_health(key: Key) -> Standing:
    """Nobody has been tried yet."""
    return _UNKNOWN


def candidates(
    models: Sequence[Model],
    wish: Wish,
    *,
    health: Health = unknown_health,
    credentials: Mapping[str, bool] | None = None,
) -> Route:
    """Order the entries that a name stands for, and drop those that cannot serve it.

    `credentials` says for each provider whether a credential is at hand; a missing one is unknown.
    """
    credentials = credentials or {}
    kept: list[Model] = []
    dropped: list[Dropped] = []
    for offered in models:
        model = _selected(offered, wish)
        reason = _obstacle(model, wish, credentials) or _wrong_choice(model, models, wish.policy)
        if reason is None:
            kept.append(model)
        else:
            dropped.append(Dropped(model, reason))
    anonymous = bool(credentials) and not any(credentials.values())
    standings = {model.key: health(model.key) for model in kept}
    kept.sort(key=lambda model: _rank(model, wish, standings[model.key], anonymous, credentials))
    unique, doubles = _one_road_each(kept)
    if not wish.policy.allow_fallbacks:
        doubles += [Dropped(model, "fallbacks are not allowed") for model in unique[1:]]
        unique = unique[:1]
    found = tuple(Candidate(m, _why(m, wish, standings[m.key], credentials)) for m in unique)
    return Route(wish.name.text, found, (*dropped, *doubles))


def task_of(models: Sequence[Model], *, has_audio: bool, has_image: bool, asked: Task | None) -> Task:
    """The task of a request: as asked; else by what was given; else the first model's first task."""
    if asked is not None:
        return asked
    if has_audio:
        return Task.AUTOMATIC_SPEECH_RECOGNITION
    tasks = [task for model in models for task in model.tasks]
    if has_image:
        wanted = next((task for task in tasks if task.value.startswith("image-to")), None)
        if wanted is not None:
            return wanted
    return tasks[0] if tasks else Task.CONVERSATIONAL


_CHAT = frozenset({Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT, Task.TEXT_GENERATION})


def _obstacle(model: Model, wish: Wish, credentials: Mapping[str, bool]) -> str | None:
    """Why a model cannot serve the wish, or None."""
    return (
        _wrong_place(model, wish)
        or _excluded(model, wish.policy)
        or _wrong_kind(model, wish)
        or _missing_ability(model, wish)
        or _missing_credential(model, credentials)
    )


def _wrong_place(model: Model, wish: Wish) -> str | None:
    name, policy = wish.name, wish.policy
    if name.provider is not None and model.provider != name.provider:
        return f"{name.provider} was asked for"
    if name.suffix is not None and name.suffix not in SELECTORS and model.upstream != name.suffix:
        choice = f"the service does not name it: without `:{name.suffix}` it chooses itself"
        here = f"this is {model.upstream}" if model.upstream else choice
        return f"upstream {name.suffix} was asked for; {here}"
    if policy.only is not None and not _named(model, policy.only):
        return "policy: not among `only`"
    if policy.order is not None and not policy.allow_fallbacks and not _named(model, policy.order):
        return "policy: not in `order`, and fallbacks are not allowed"
    return None


def _wrong_kind(model: Model, wish: Wish) -> str | None:
    if not _does(model, wish.task):
        return f"it does {', '.join(task.value for task in model.tasks)}, not {wish.task.value}"
    if wish.needs_context and model.context_length and model.context_length < wish.needs_context:
        return f"its context of {model.context_length:,} tokens is too small"
    return None


def _does(model: Model, task: Task) -> bool:
    return task in model.tasks or (task in _CHAT and not _CHAT.isdisjoint(model.tasks))


def _excluded(model: Model, policy: Policy) -> str | None:
    if policy.ignore is not None and _named(model, policy.ignore):
        return "policy: among `ignore`"
    price = model.pricing.output if model.pricing else None
    if policy.max_price is not None and price is not None and price > policy.max_price:
        return f"policy: {price:g} USD per million tokens is over max_price"
    return None


def _wrong_choice(model: Model, models: Sequence[Model], policy: Policy) -> str | None:
    """Why the choice of an upstream cannot be left to the service, which knows nothing of the policy; or
    None. Whom it may choose is known by the models in reserve."""
    if model.upstream is not None or (policy.ignore is None and policy.max_price is None):
        return None
    for other in models:
        its_own = other.reserve and (other.provider, other.id) == (model.provider, model.id)
        if its_own and (reason := _excluded(other, policy)):
            return f"it may choose {other.upstream}; {reason}"
    return None


def _missing_ability(model: Model, wish: Wish) -> str | None:
    if wish.options.tools and model.can(Capability.TOOLS) is False:
        return "it cannot call tools"
    if wish.has_images and wish.task in _CHAT and model.can(Capability.VISION) is False:
        return "it cannot see images"
    if wish.policy.require_parameters and model.options is not None:
        missing = sorted(set(wish.options.given()) - model.options)
        if missing:
            return f"it does not take {', '.join(missing)}"
    return None


def _missing_credential(model: Model, credentials: Mapping[str, bool]) -> str | None:
    if model.auth is Auth.REQUIRED and credentials.get(model.provider) is False:
        return "it needs a credential and there is none"
    return None


def _named(model: Model, names: Collection[str]) -> bool:
    upstream = model.upstream
    return (
        model.provider in names
        or (upstream is not None and upstream in names)
        or f"{model.provider}/{upstream}" in names
    )


def _selected(model: Model, wish: Wish) -> Model:
    """The model with the wished suffix on its remote id, where the service itself understands it: a selector,
    or the upstream that shall compute, of which the price and the window of others say nothing. Where it is a
    guess what a model can do, the caller knows better."""
    if model.assumed and model.provider == wish.name.provider and not _does(model, wish.task):
        model = evolve(model, tasks=(wish.task,), options=None)
    suffix = wish.name.suffix
    if suffix is None or suffix not in model.selectors:
        return model
    name = f"{model.remote_id}:{suffix}"
    if suffix in SELECTORS:
        return evolve(model, remote_id=name)
    return evolve(model, remote_id=name, upstream=suffix, pricing=None, context_length=None)


def _rank(
    model: Model, wish: Wish, standing: Standing, anonymous: bool, credentials: Mapping[str, bool]
) -> tuple[object, ...]:
    """What comes first: the policy's order, then the healthy, then the fast. An open breaker comes before
    all: an order is a wish, and hammering who is down serves nobody."""
    policy = wish.policy
    needs_none = model.auth is Auth.NONE or (
        model.auth is Auth.OPTIONAL and not credentials.get(model.provider)
    )
    return (
        standing.resting,
        _place(model, policy.order),
        model.asleep,
        anonymous and not needs_none,
        model.reserve if _sort(wish) is None else False,
        float("-inf") if wish.name.suffix in model.selectors else _sorted_by(model, _sort(wish)),
        standing.failures,
        standing.latency if standing.latency is not None else model.latency or 9.0,
    )


def _place(model: Model, order: Sequence[str] | None) -> int:
    if order is None:
        return 0
    return next((i for i, name in enumerate(order) if _named(model, (name,))), len(order))


def _sort(wish: Wish) -> str | None:
    return wish.policy.sort or (SELECTORS.get(wish.name.suffix) if wish.name.suffix else None)


def _sorted_by(model: Model, sort: str | None) -> float:
    infinite = float("inf")
    match sort:
        case "price":
            price = model.pricing.output if model.pricing else None
            return infinite if price is None else price
        case "latency":
            return infinite if model.latency is None else model.latency
        case "throughput":
            return -(model.throughput or 0.0)
    return 0.0


def _one_road_each(models: Sequence[Model]) -> tuple[list[Model], list[Dropped]]:
    """One request never reaches the same upstream and remote id by two roads."""
    seen: dict[tuple[str, str], Model] = {}
    unique: list[Model] = []
    doubles: list[Dropped] = []
    for model in models:
        if model.upstream is None:
            unique.append(model)
            continue
        road = (model.upstream, model.remote_id)
        first = seen.setdefault(road, model)
        if first is model:
            unique.append(model)
        else:
            doubles.append(Dropped(model, f"{first.provider} reaches the same model at {model.upstream}"))
    return unique, doubles


def _why(model: Model, wish: Wish, standing: Standing, credentials: Mapping[str, bool]) -> str:
    reasons = []
    if wish.policy.order and _named(model, wish.policy.order):
        reasons.append("in the policy's order")
    if _sort(wish):
        reasons.append(f"sorted by {_sort(wish)}")
    if model.upstream and model.upstream in model.selectors:
        reasons.append(f"asked for by name: {model.upstream} is not listed as serving it now")
    if model.auth is Auth.NONE or not credentials.get(model.provider, True):
        reasons.append("needs no credential")
    if model.reserve and not _sort(wish):
        reasons.append("in reserve: a second road, for when the first has failed")
    if model.asleep:
        reasons.append("asleep: has to be woken")
    if standing.resting:
        reasons.append(f"resting after {standing.failures} failures")
    elif standing.latency is not None:
        reasons.append(f"first token after {standing.latency:.2f} s lately")
    return "; ".join(reasons) or "serves the model"
