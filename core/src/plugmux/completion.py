"""What an answer came to, and the trace of how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from plugmux.events import FinishReason, Media, Notice, Source, ToolCall, Usage
from plugmux.value import Value

if TYPE_CHECKING:
    from plugmux.errors import ProviderError
    from plugmux.messages import Conversation
    from plugmux.model import Model
    from plugmux.routing import Candidate, Dropped

__all__ = ["Completion", "Trace", "Try", "cost_of"]


@frozen(kw_only=True, eq=False, repr=False)
class Try(Value):
    """One attempt: which candidate, how it ended, how long it took (seconds)."""

    number: int
    provider: str
    model: str
    upstream: str | None
    outcome: str
    """`served`, `failed`, or `abandoned` when the caller went away."""
    error: ProviderError | None = None
    seconds: float = 0.0
    waited: float = 0.0
    usage: Usage | None = None

    @property
    def key(self) -> tuple[str, str | None, str]:
        """The candidate's key."""
        return self.provider, self.upstream, self.model

    def __str__(self) -> str:
        who = "/".join(part for part in (self.provider, self.upstream) if part)
        waited = f", having waited {self.waited:.2f} s" if self.waited else ""
        text = f"{self.number}. {who} ({self.model}): {self.outcome} after {self.seconds:.2f} s{waited}"
        return f"{text}: {self.error.brief}" if self.error else text


@frozen(kw_only=True, eq=False, repr=False)
class Trace(Value):
    """Every candidate, every dropped one with its reason, every attempt. No secret is in it."""

    request_id: str = ""
    model: str = ""
    candidates: tuple[Candidate, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    attempts: tuple[Try, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Completion(Value):
    """What an answer came to.

    `usage` is the serving attempt's, `usage_total` that of all attempts together; `cost` is US dollars
    where prices and usage are known. `headers` are those of the service's answer, cookies left out; empty
    where a plugin does not speak through `session.http`. `choices` holds the answers one by one where several
    were asked for (`n`), each with a trace of its own.
    """

    text: str = ""
    reasoning: str = ""
    media: tuple[Media, ...] = ()
    sources: tuple[Source, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    title: str | None = None
    usage: Usage | None = None
    usage_total: Usage | None = None
    cost: float | None = None
    finish_reason: FinishReason | None = None
    model: str = ""
    provider: str = ""
    upstream: str | None = None
    request_id: str | None = None
    conversation: Conversation | None = None
    notices: tuple[Notice, ...] = ()
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    trace: Trace = field(factory=Trace, repr=False)
    choices: tuple[Completion, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; media by kind, type and size only."""
        plain = attrs.asdict(self, recurse=False)
        plain["media"] = [{"kind": m.kind, "mime_type": m.mime_type, "size": m.size} for m in self.media]
        for name in ("sources", "tool_calls", "notices"):
            plain[name] = [attrs.asdict(item) for item in plain[name]]
        for name in ("usage", "usage_total"):
            plain[name] = attrs.asdict(plain[name]) if plain[name] else None
        plain["conversation"] = self.conversation.to_dict() if self.conversation else None
        plain["trace"] = [str(attempt) for attempt in self.trace.attempts]
        plain["headers"] = dict(self.headers)
        plain["choices"] = [choice.to_dict() for choice in self.choices]
        return plain


def cost_of(model: Model, usage: Usage | None) -> float | None:
    """US dollars for this usage, where prices and counts are known."""
    price = model.pricing
    if price is None or usage is None or None in (price.input, price.output):
        return None
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return (usage.prompt_tokens * price.input + usage.completion_tokens * price.output) / 1e6  # type: ignore[operator]
