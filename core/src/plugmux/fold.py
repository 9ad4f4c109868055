"""A stream folded into what was said so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from plugmux.events import (
    Attempt,
    ConversationState,
    Event,
    Finish,
    FinishReason,
    Media,
    Notice,
    Reasoning,
    Reset,
    ServedBy,
    Source,
    Sources,
    Text,
    Title,
    ToolCall,
    Usage,
)
from plugmux.messages import Message

if TYPE_CHECKING:
    from plugmux.completion import Completion

__all__ = ["Fold"]


class Fold:
    """Collects events; `Reset` forgets what the answer said, and nothing else."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.media: list[Media] = []
        self.sources: list[Source] = []
        self.calls: dict[int, list[ToolCall]] = {}
        self.notices: list[Notice] = []
        self.title: str | None = None
        self.usage: Usage | None = None
        self.usages: list[Usage] = []
        self.served: ServedBy | None = None
        self.state: Mapping[str, Any] | None = None
        self.finish: FinishReason | None = None

    def add(self, event: Event) -> None:
        """Take one event in."""
        adder = _ADDERS.get(type(event))
        if adder is not None:
            adder(self, event)

    @property
    def has_content(self) -> bool:
        return bool(self.texts or self.thoughts or self.media or self.calls)

    def message(self) -> Message:
        """What was said, as a message to go on from."""
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in self.completion().tool_calls
        ]
        return Message(role="assistant", content="".join(self.texts), tool_calls=tuple(calls))

    def total(self) -> Usage | None:
        """The usage of all attempts together."""
        known = [*self.usages, self.usage] if self.usage else self.usages
        return sum(known[1:], known[0]) if known else None

    def completion(self, **facts: Any) -> Completion:
        """The completion so far; `facts` are what only the router knows."""
        from plugmux.completion import Completion

        served = self.served or ServedBy()
        facts["request_id"] = served.request_id or facts.get("request_id")
        facts["upstream"] = served.upstream or facts.get("upstream")
        return Completion(
            text="".join(self.texts),
            reasoning="".join(self.thoughts),
            media=tuple(self.media),
            sources=tuple(dict.fromkeys(self.sources)),
            tool_calls=tuple(_joined(pieces) for _, pieces in sorted(self.calls.items())),
            title=self.title,
            usage=self.usage,
            usage_total=self.total(),
            finish_reason=self.finish,
            notices=tuple(self.notices),
            **facts,
        )

    def _reasoning(self, event: Reasoning) -> None:
        if event.text:
            self.thoughts.append(event.text)

    def _tool_call(self, event: ToolCall) -> None:
        self.calls.setdefault(event.index, []).append(event)

    def _reset(self, _: Reset) -> None:
        self.texts.clear()
        self.thoughts.clear()
        self.media.clear()
        self.sources.clear()
        self.calls.clear()
        self.finish = None
        self.state = None

    def _attempt(self, _: Attempt) -> None:
        if self.usage is not None:
            self.usages.append(self.usage)
        self.usage = None
        self.served = None
        self.finish = None
        self.state = None

    def _served(self, event: ServedBy) -> None:
        old = self.served or ServedBy()
        self.served = ServedBy(
            model=event.model or old.model,
            upstream=event.upstream or old.upstream,
            request_id=event.request_id or old.request_id,
        )


def _joined(pieces: list[ToolCall]) -> ToolCall:
    return ToolCall(
        index=pieces[0].index,
        id=next((piece.id for piece in pieces if piece.id), None),
        name=next((piece.name for piece in pieces if piece.name), None),
        arguments="".join(piece.arguments for piece in pieces),
    )


def _keep_text(fold: Fold, event: Text) -> None:
    if event.text:
        fold.texts.append(event.text)


def _keep_usage(fold: Fold, event: Usage) -> None:
    fold.usage = event


def _keep_title(fold: Fold, event: Title) -> None:
    fold.title = event.title


def _keep_state(fold: Fold, event: ConversationState) -> None:
    fold.state = event.state


def _keep_finish(fold: Fold, event: Finish) -> None:
    fold.finish = event.reason


def _keep_media(fold: Fold, event: Media) -> None:
    fold.media.append(event)


def _keep_sources(fold: Fold, event: Sources) -> None:
    fold.sources.extend(event.sources)


def _keep_notice(fold: Fold, event: Notice) -> None:
    fold.notices.append(event)


_ADDERS: dict[type, Callable[[Fold, Any], None]] = {
    Text: _keep_text,
    Reasoning: Fold._reasoning,
    ToolCall: Fold._tool_call,
    Media: _keep_media,
    Sources: _keep_sources,
    Title: _keep_title,
    Notice: _keep_notice,
    Usage: _keep_usage,
    ServedBy: Fold._served,
    ConversationState: _keep_state,
    Finish: _keep_finish,
    Reset: Fold._reset,
    Attempt: Fold._attempt,
}
