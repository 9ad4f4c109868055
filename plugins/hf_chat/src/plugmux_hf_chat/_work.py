"""What one request asks of a chat-ui server: options taken, options refused, and the special wishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from plugmux.errors import InvalidRequestError, UnsupportedOptionError
from plugmux.events import Notice
from plugmux.messages import Message
from plugmux.model import Capability, Task
from plugmux.requests import Options, Request
from plugmux_hf_chat._conversation import State
from plugmux_hf_chat._wire import IMAGE_TOOL, TAKEN, Prompt, prompt_of

__all__ = ["WISHES", "Work", "work_of"]

WISHES = ("retry", "edit", "resume")
"""Keys of `extra_body` that are not sent: another answer to the last question, the last question in
other words, and taking up a run that goes on in the server. `retry` and `edit` take True, or the id of
an assistant's or user's message."""

SYSTEM = ("system", "developer")
_TASKS = (Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT, Task.TEXT_GENERATION, Task.TEXT_TO_IMAGE)
_OF_THE_CORE = frozenset({"shorten"})


@frozen(kw_only=True)
class Work:
    """One turn, planned. `wish` is one of `WISHES` or None, `at` the message id that came with it."""

    wish: str | None = None
    at: str | None = None
    state: State | None = None
    tail: Prompt
    """What is new since the state."""
    whole: Prompt
    """Everything, for a conversation that starts (anew)."""
    tools: tuple[str, ...] | None = None
    extra: Mapping[str, Any] = field(factory=dict)
    notices: tuple[Notice, ...] = ()


def work_of(request: Request) -> Work:
    """Plan a turn. Raises InvalidRequestError for what cannot be done at all."""
    options = request.options
    if request.task not in _TASKS:  # a model that was never looked up is taken at the caller's word
        raise InvalidRequestError(f"chat-ui does not do {request.task.value}", param="task")
    if options.action == "continue":
        raise UnsupportedOptionError("chat-ui cannot continue an answer", param="action")
    extra = dict(options.extra_body or {})
    wish, at = _wish_of(extra)
    state = State.of(request.state)
    if wish and state is None:
        raise InvalidRequestError(f"{wish} needs a conversation held with this model", param="extra_body")
    if state and not wish and not request.new_messages:
        said = "nothing is said after the last answer; for another one extra_body takes {'retry': True}"
        raise InvalidRequestError(said, param="messages")
    new = _told(request.new_messages) or request.messages
    tail = prompt_of(new, options.image)
    whole = prompt_of(request.messages, options.image)
    return Work(
        wish=wish,
        at=at,
        state=state,
        tail=tail,
        whole=whole,
        tools=(IMAGE_TOOL,) if request.task is Task.TEXT_TO_IMAGE else None,
        extra=extra,
        notices=(
            *_ignored(options),
            *(_unsent(request, wish, tail) if wish in ("retry", "resume") else _pictures(request, whole)),
            *(_other_system(request) if state else ()),
        ),
    )


def _told(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages without system prompts: the server keeps the one that the conversation began with."""
    return tuple(message for message in messages if message.role not in SYSTEM)


def _other_system(request: Request) -> list[Notice]:
    """A word on a system prompt that comes, or changes, in the middle of a conversation."""
    new = request.new_messages
    before = {m.text for m in request.messages[: len(request.messages) - len(new)] if m.role in SYSTEM}
    if all(message.text in before for message in new if message.role in SYSTEM):
        return []
    said = "the server keeps the system prompt that the conversation began with"
    return [Notice(code="option-ignored", option="system", message=said)]


def _unsent(request: Request, wish: str, tail: Prompt) -> list[Notice]:
    """What comes with a wish for which the server takes nothing: the last question, repeated, is no loss."""
    new = request.new_messages
    asked = [m.text for m in request.messages[: len(request.messages) - len(new)] if m.role == "user"]
    said = f"{wish} is about the question that the server has"
    found = []
    if any(message.text not in asked[-1:] for message in _told(new)):
        found.append(Notice(code="option-ignored", option="messages", message=f"{said}: no other is sent"))
    if tail.attachments:
        found.append(Notice(code="option-ignored", option="image", message=f"{said}: no picture is sent"))
    return found


def _wish_of(extra: dict[str, Any]) -> tuple[str | None, str | None]:
    given = {name: extra.pop(name) for name in WISHES if name in extra}
    wishes = [name for name, value in given.items() if value]
    if len(wishes) > 1:
        raise InvalidRequestError(f"{' and '.join(wishes)} exclude each other", param="extra_body")
    if not wishes:
        return None, None
    value = given[wishes[0]]
    if value is not True and not isinstance(value, str):
        raise InvalidRequestError(f"{wishes[0]} is true or a message id", param="extra_body")
    return wishes[0], value if isinstance(value, str) else None


def _ignored(options: Options) -> list[Notice]:
    names = set(options.given()) - TAKEN - _OF_THE_CORE
    return [
        Notice(code="option-ignored", option=name, message=f"chat-ui takes no {name}")
        for name in sorted(names)
    ]


def _pictures(request: Request, prompt: Prompt) -> list[Notice]:
    """The server drops pictures for a model that cannot see, and says nothing."""
    found = [
        Notice(code="option-ignored", option="messages", message=f"chat-ui takes no {kind} parts")
        for kind in prompt.ignored
    ]
    if prompt.attachments and request.model.can(Capability.VISION) is False:
        said = f"{request.model.remote_id} cannot see: the server drops the picture"
        found.append(Notice(code="option-ignored", option="image", message=said))
    return found
