"""What a provider can serve: `Model` and the words that describe it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from attrs import field, frozen
from attrs.validators import instance_of

from plugmux.value import Value

__all__ = ["Auth", "Capability", "Model", "Pricing", "Task"]


class Task(str, Enum):
    """What is asked of a model, in the Hub's words."""

    CONVERSATIONAL = "conversational"
    TEXT_GENERATION = "text-generation"
    IMAGE_TEXT_TO_TEXT = "image-text-to-text"
    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    TEXT_TO_SPEECH = "text-to-speech"
    AUTOMATIC_SPEECH_RECOGNITION = "automatic-speech-recognition"

    @property
    def is_media(self) -> bool:
        """Whether the answer is a picture, a film or a sound."""
        return self in _MEDIA_TASKS


_MEDIA_TASKS = frozenset(
    {
        Task.TEXT_TO_IMAGE,
        Task.IMAGE_TO_IMAGE,
        Task.TEXT_TO_VIDEO,
        Task.IMAGE_TO_VIDEO,
        Task.TEXT_TO_SPEECH,
    }
)


class Capability(str, Enum):
    """Something that a model may be able to do. What is not stated is unknown, and not no."""

    TOOLS = "tools"
    STRUCTURED_OUTPUT = "structured_output"
    VISION = "vision"
    REASONING = "reasoning"
    WEB_SEARCH = "web_search"
    PREFILL = "prefill"


class Auth(str, Enum):
    """Whether a provider wants a credential for this model."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@frozen(kw_only=True, eq=False, repr=False)
class Pricing(Value):
    """US dollars per million tokens."""

    input: float | None = None
    output: float | None = None


def _tasks(values: Iterable[str]) -> tuple[Task, ...]:
    return tuple(dict.fromkeys(Task(value) for value in values))


def _option_names(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _word_set(words: Iterable[str]) -> frozenset[str]:
    return frozenset(words)


def _word_tuple(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(words)


def _capabilities(given: Mapping[Any, bool]) -> dict[Capability, bool]:
    return {Capability(name): bool(answer) for name, answer in given.items()}


def _facts(given: Mapping[str, str]) -> dict[str, str]:
    return dict(given)


@frozen(kw_only=True, eq=False, repr=False)
class Model(Value):
    """One model at one provider, computed by one upstream.

    A plugin gives what it knows; the core stamps `provider`, `source` and `seen_at`.

    `id`            the name users give: a Hub id as it is, or `spaces/owner/name`
    `remote_id`     the name to send; `id` unless given
    `upstream`      who computes in the end; None where the service itself chooses
    `tasks`         what it can do, the most usual first
    `assumed`       nobody says what it can do: `tasks` is a guess, and at the provider that the caller pins
                    another task is tried
    `inputs`        media it reads beside text: `image`, `audio`, `video`
    `options`       names of request options it takes; None is unknown
    `capabilities`  yes or no; a missing key is unknown
    `context_length`  tokens, prompt and answer together
    `account`       who pays: candidates with one account run dry together
    `default`       the provider names it when the caller names no model
    `asleep`        listed and usable, but has to be woken first: comes last
    `reserve`       a second road to what another model of this provider serves: used when that
                    road has failed, or when the caller asks for this upstream or for a sort order
    `selectors`     suffixes that the service itself understands behind the remote id: `fastest`, or the
                    name of an upstream that has no model of its own in the list
    `latency`       seconds to the first token, `throughput` tokens a second, as the service says
    `listed`        False for a model that was looked up by name and belongs in no listing
    """

    id: str = field(validator=instance_of(str))
    provider: str = ""
    remote_id: str = field(default="")
    upstream: str | None = None
    tasks: tuple[Task, ...] = field(default=(Task.CONVERSATIONAL,), converter=_tasks)
    assumed: bool = False
    inputs: frozenset[str] = field(default=frozenset(), converter=_word_set)
    options: frozenset[str] | None = field(default=None, converter=_option_names)
    capabilities: Mapping[Capability, bool] = field(factory=dict, converter=_capabilities, hash=False)
    context_length: int | None = None
    pricing: Pricing | None = None
    auth: Auth = field(default=Auth.REQUIRED, converter=Auth)
    account: str | None = None
    gated: bool = False
    aliases: tuple[str, ...] = field(default=(), converter=_word_tuple)
    default: bool = False
    asleep: bool = False
    reserve: bool = False
    selectors: frozenset[str] = field(default=frozenset(), converter=_word_set)
    latency: float | None = None
    throughput: float | None = None
    listed: bool = True
    source: str = ""
    seen_at: float | None = None
    extra: Mapping[str, str] = field(factory=dict, converter=_facts, hash=False)
    """The plugin's own facts on the model (a route, a provider id): strings only."""

    def __attrs_post_init__(self) -> None:
        if not self.remote_id:
            object.__setattr__(self, "remote_id", self.id)

    @property
    def key(self) -> tuple[str, str | None, str]:
        """(provider, upstream, remote id): what tries, breakers and health are counted by."""
        return self.provider, self.upstream, self.remote_id

    def can(self, capability: Capability) -> bool | None:
        """True, False, or None when nobody knows."""
        return self.capabilities.get(capability)
