"""What a request wants of a model, and why a model cannot serve it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from attrs import evolve

from plugmux.model import Auth, Capability, Model, Task
from plugmux.names import SELECTORS, ModelName
from plugmux.requests import Options, Policy

__all__ = ["Wish", "named", "obstacle", "selected"]


class Wish(NamedTuple):
    """The facts of a request that decide who may serve it."""

    name: ModelName
    task: Task
    policy: Policy = Policy()
    options: Options = Options()
    has_images: bool = False
    needs_context: int | None = None


_CHAT = frozenset({Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT, Task.TEXT_GENERATION})


def obstacle(
    model: Model, wish: Wish, credentials: Mapping[str, bool], models: Sequence[Model]
) -> str | None:
    """Why a model, one of these, cannot serve the wish, or None."""
    return (
        _wrong_place(model, wish)
        or _excluded(model, wish.policy)
        or _wrong_kind(model, wish)
        or _missing_ability(model, wish)
        or _missing_credential(model, credentials)
        or _wrong_choice(model, models, wish.policy)
    )


def _wrong_place(model: Model, wish: Wish) -> str | None:
    name, policy = wish.name, wish.policy
    if name.provider is not None and model.provider != name.provider:
        return f"{name.provider} was asked for"
    if name.suffix is not None and name.suffix not in SELECTORS and model.upstream != name.suffix:
        choice = f"the service does not name it: without `:{name.suffix}` it chooses itself"
        here = f"this is {model.upstream}" if model.upstream else choice
        return f"upstream {name.suffix} was asked for; {here}"
    if policy.only is not None and not named(model, policy.only):
        return "policy: not among `only`"
    if policy.order is not None and not policy.allow_fallbacks and not named(model, policy.order):
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
    if policy.ignore is not None and named(model, policy.ignore):
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


def named(model: Model, names: Collection[str]) -> bool:
    """Whether a policy's names mean it: its provider, its upstream, or `provider/upstream`."""
    upstream = model.upstream
    return (
        model.provider in names
        or (upstream is not None and upstream in names)
        or f"{model.provider}/{upstream}" in names
    )


def selected(model: Model, wish: Wish) -> Model:
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
