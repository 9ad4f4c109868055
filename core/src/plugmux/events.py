"""What a stream consists of.

A stream is a sequence of these events. A consumer ignores the kinds that it does not know. It is
complete if and only if it yields exactly one `Finish`, as its last event; ending without one is a cut.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias

from attrs import field, frozen

from plugmux.media import Media, MediaKind
from plugmux.value import Value

__all__ = [
    "Attempt",
    "ConversationState",
    "Event",
    "Finish",
    "FinishReason",
    "Media",
    "MediaKind",
    "Notice",
    "Preview",
    "Progress",
    "Reasoning",
    "Reset",
    "ServedBy",
    "Source",
    "Sources",
    "Text",
    "Title",
    "ToolCall",
    "Usage",
]


class FinishReason(str, Enum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    INTERRUPTED = "interrupted"


@frozen(kw_only=True, eq=False, repr=False)
class Text(Value):
    """The next piece of the answer."""

    text: str


@frozen(kw_only=True, eq=False, repr=False)
class Reasoning(Value):
    """The next piece of the model's thinking, or a word on what it is doing (`status`)."""

    text: str = ""
    status: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ToolCall(Value):
    """A piece of a tool call that the caller is to run.

    Pieces with one `index` belong together: `id` and `name` come once, `arguments` are to be
    joined and then hold JSON. A tool that the server itself runs is `Progress`.
    """

    index: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class Preview(Value):
    """A picture, film or sound that is not final yet."""

    media: Media


@frozen(kw_only=True, eq=False, repr=False)
class Source(Value):
    """One source of an answer."""

    url: str
    title: str | None = None
    snippet: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Sources(Value):
    """Sources that the service names for its answer."""

    sources: tuple[Source, ...]


@frozen(kw_only=True, eq=False, repr=False)
class Title(Value):
    """The service's title for the conversation."""

    title: str


@frozen(kw_only=True, eq=False, repr=False)
class Progress(Value):
    """How far the work is.

    `stage` is the service's word (queued, running, a tool's name), `fraction` 0 to 1, `position`
    the place in the queue (0 is next), `eta` seconds.
    """

    stage: str | None = None
    fraction: float | None = None
    position: int | None = None
    eta: float | None = None
    message: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ConversationState(Value):
    """What continues this conversation at this provider and model: plain JSON values.

    The core keeps it in `Conversation.states` and notes how many messages it covers.
    """

    state: dict[str, Any] = field(repr=False)


@frozen(kw_only=True, eq=False, repr=False)
class ServedBy(Value):
    """Who answers, in the service's own words."""

    model: str | None = None
    upstream: str | None = None
    request_id: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Notice(Value):
    """Something that must be said and is no error.

    `code` is a stable word for programs, `option` the option concerned.
    """

    code: str
    message: str
    option: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Usage(Value):
    """Tokens, as the service counted them. None is unknown."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=_sum(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=_sum(self.completion_tokens, other.completion_tokens),
            total_tokens=_sum(self.total_tokens, other.total_tokens),
        )


@frozen(kw_only=True, eq=False, repr=False)
class Finish(Value):
    """The answer is complete. Always the last event, and only once."""

    reason: FinishReason = FinishReason.STOP


@frozen(kw_only=True, eq=False, repr=False)
class Reset(Value):
    """Forget everything this answer said so far; it starts over."""

    why: str


@frozen(kw_only=True, eq=False, repr=False)
class Attempt(Value):
    """The core tries a candidate. `number` counts from 1. Plugins never send it."""

    number: int
    provider: str
    model: str
    upstream: str | None = None


Event: TypeAlias = (
    Text
    | Reasoning
    | ToolCall
    | Media
    | Preview
    | Sources
    | Title
    | Progress
    | ConversationState
    | ServedBy
    | Notice
    | Usage
    | Finish
    | Reset
    | Attempt
)


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
