"""Which candidates may serve a request, in which order, and why: a pure function.

`explain` and the router use the same one, so what `plugmux route` shows is what would happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from attrs import frozen

from plugmux.model import Auth, Model, Task
from plugmux.names import SELECTORS
from plugmux.value import Value
from plugmux.wishes import Wish, named, obstacle, selected

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
        model = selected(offered, wish)
        reason = obstacle(model, wish, credentials, models)
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
    return next((i for i, name in enumerate(order) if named(model, (name,))), len(order))


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
    if wish.policy.order and named(model, wish.policy.order):
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
