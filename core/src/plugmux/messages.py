"""What goes in: messages in OpenAI's shape, and a conversation that can go on.

Plain dicts and a plain string are accepted at the door (`messages_from`) and checked once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
from attrs import field, frozen

from plugmux.errors import InvalidInputError
from plugmux.value import Value

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "Conversation",
    "Message",
    "MessagesInput",
    "ProviderState",
    "gone_on",
    "messages_from",
]

ROLES = ("system", "developer", "user", "assistant", "tool")

ContentPart: TypeAlias = Mapping[str, Any]


@frozen(kw_only=True, eq=False, repr=False)
class Message(Value):
    """One message in OpenAI's shape.

    `content` is text, or a tuple of parts (`{"type": "text", "text": …}`,
    `{"type": "image_url", "image_url": {"url": …}}`), or None beside `tool_calls`.
    """

    role: str
    content: str | tuple[ContentPart, ...] | None = None
    name: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None

    @property
    def text(self) -> str:
        """The text of the message; parts of other kinds are left out."""
        if isinstance(self.content, str):
            return self.content
        parts = self.content or ()
        return "\n".join(part["text"] for part in parts if part.get("type") == "text")

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's JSON for it. What was not given is left out."""
        content = self.content
        plain: dict[str, Any] = {"role": self.role}
        plain["content"] = [dict(part) for part in content] if isinstance(content, tuple) else content
        if self.name is not None:
            plain["name"] = self.name
        if self.tool_calls:
            plain["tool_calls"] = [dict(call) for call in self.tool_calls]
        if self.tool_call_id is not None:
            plain["tool_call_id"] = self.tool_call_id
        return plain


MessagesInput: TypeAlias = "str | Message | Mapping[str, Any] | Iterable[Message | Mapping[str, Any]]"


def messages_from(
    given: MessagesInput, *, system: str | None = None, may_be_empty: bool = False
) -> tuple[Message, ...]:
    """Check what a caller gave and return messages.

    A string is one user message. `system` is put in front. `may_be_empty`: something else says it all.
    Raises InvalidInputError with the path of the wrong field (`messages[2].role`).
    """
    if isinstance(given, str):
        messages: tuple[Message, ...] = (Message(role="user", content=_text(given, "messages")),)
    elif isinstance(given, Message | Mapping):
        messages = (_message_from(given, "messages"),)
    elif isinstance(given, Iterable) and not isinstance(given, bytes | bytearray):
        messages = tuple(_message_from(item, f"messages[{i}]") for i, item in enumerate(given))
    else:
        raise InvalidInputError(f"expected text or messages, got {_name(given)}", field="messages")
    if not may_be_empty:
        _refuse_emptiness(messages)
    if system is not None:
        messages = (Message(role="system", content=_text(system, "system")), *messages)
    return messages


def gone_on(messages: tuple[Message, ...], answer: Message) -> tuple[Message, ...]:
    """The messages with an answer that goes on with the last of them, if that is the assistant's text."""
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant" or not isinstance(last.content, str):
        return (*messages, answer)
    whole = attrs.evolve(last, content=last.content + str(answer.content), tool_calls=answer.tool_calls)
    return (*messages[:-1], whole)


def _refuse_emptiness(messages: Sequence[Message]) -> None:
    if not messages:
        raise InvalidInputError("no message given", field="messages")
    if not any(_says_something(message) for message in messages):
        raise InvalidInputError("the prompt is empty", field="messages")


def _says_something(message: Message) -> bool:
    if isinstance(message.content, str):
        return bool(message.content.strip())
    parts = message.content or ()
    return bool(message.tool_calls) or any(p["type"] != "text" or p["text"].strip() for p in parts)


def _message_from(given: object, where: str) -> Message:
    if isinstance(given, Message):
        given = given.to_dict() | ({"reasoning": given.reasoning} if given.reasoning else {})
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"expected a message, got {_name(given)}", field=where)
    role = given.get("role")
    if role not in ROLES:
        raise InvalidInputError(f"unknown role {role!r}; known: {', '.join(ROLES)}", field=f"{where}.role")
    calls = given.get("tool_calls") or ()
    if not isinstance(calls, list | tuple) or not all(isinstance(call, Mapping) for call in calls):
        raise InvalidInputError("expected a list of tool calls", field=f"{where}.tool_calls")
    content = _content_from(given.get("content"), f"{where}.content")
    if content is None and not calls:
        raise InvalidInputError("missing", field=f"{where}.content")
    return Message(
        role=role,
        content=content,
        name=_text_or_none(given, "name", where),
        tool_calls=tuple(calls),
        tool_call_id=_text_or_none(given, "tool_call_id", where),
        reasoning=_text_or_none(given, "reasoning", where),
    )


def _content_from(content: object, where: str) -> str | tuple[ContentPart, ...] | None:
    if content is None:
        return None
    if isinstance(content, str):
        return _text(content, where)
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise InvalidInputError(f"expected text or a list of parts, got {_name(content)}", field=where)
    for i, part in enumerate(content):
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise InvalidInputError("a part needs a type", field=f"{where}[{i}]")
        if part["type"] == "text":
            _text(part.get("text"), f"{where}[{i}].text")
    return tuple(content)


def _text_or_none(given: Mapping[str, Any], key: str, where: str) -> str | None:
    value = given.get(key)
    return None if value is None else _text(value, f"{where}.{key}")


def _text(value: object, where: str) -> str:
    """`value`, if it is text that can be sent: a lone surrogate (of bytes that were no UTF-8) cannot."""
    if not isinstance(value, str):
        raise InvalidInputError(f"expected text, got {_name(value)}", field=where)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            said = f"the character {value[error.start]!r} at {error.start} cannot be sent as UTF-8"
            raise InvalidInputError(said, field=where) from error
    return value


@frozen(kw_only=True, eq=False, repr=False)
class ProviderState(Value):
    """What one provider and model need to go on, and how many messages that covers."""

    provider: str
    model: str
    covers: int
    state: Mapping[str, Any] = field(repr=False)


@frozen(kw_only=True, eq=False, repr=False)
class Conversation(Value):
    """All messages of a chat, and what each provider keeps of it.

    `to_dict` and `from_dict` give and take plain JSON with a `version`.
    """

    messages: tuple[Message, ...] = ()
    states: tuple[ProviderState, ...] = ()

    def state_of(self, provider: str, model: str) -> ProviderState | None:
        """What this provider and model need to go on, if they have spoken before."""
        found = (s for s in self.states if s.provider == provider and s.model == model)
        return next(found, None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": 1,
            "messages": [message.to_dict() for message in self.messages],
            "states": [
                {
                    "provider": state.provider,
                    "model": state.model,
                    "covers": state.covers,
                    "state": dict(state.state),
                }
                for state in self.states
            ],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises InvalidInputError for anything else."""
        if not isinstance(plain, Mapping) or plain.get("version") != 1:
            raise InvalidInputError("not a conversation of version 1", field="conversation")
        try:
            messages = tuple(
                _message_from(item, f"conversation.messages[{i}]") for i, item in enumerate(plain["messages"])
            )
            states = tuple(
                ProviderState(
                    provider=str(item["provider"]),
                    model=str(item["model"]),
                    covers=int(item["covers"]),
                    state=dict(item["state"]),
                )
                for item in plain["states"]
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"damaged: {error!r}", field="conversation") from error
        return cls(messages=messages, states=states)


def _name(value: object) -> str:
    return type(value).__name__
