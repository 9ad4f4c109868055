"""Repairs of messages that a chat template refuses: pure, and none changes what it is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

__all__ = ["FORMS", "STEPS", "Plain", "known_role", "parse_arguments", "repaired", "text_of", "text_parts"]

Plain: TypeAlias = dict[str, Any]
"""A message in OpenAI's shape, as plain data."""
Repair: TypeAlias = tuple[str, Callable[[list[Plain]], list[Plain]]]
"""What was done, in words for the user, and the doing."""


def repaired(messages: list[Plain], repairs: Iterable[Repair]) -> tuple[tuple[str, ...], list[Plain]]:
    """The messages after all repairs, and the names of those that changed something."""
    names = []
    for name, repair in repairs:
        before, messages = messages, repair(messages)
        names += [name] * (before != messages)
    return tuple(names), messages


def known_role(message: Plain) -> str:
    role = str(message.get("role"))
    return "system" if role == "developer" else role


def text_of(message: Plain) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else "".join(part["text"] for part in text_parts(message))


def text_parts(message: Plain) -> list[Mapping[str, Any]]:
    content = message.get("content")
    parts = content if isinstance(content, list | tuple) else ()
    return [part for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]


def _flatten(messages: list[Plain]) -> list[Plain]:
    return [
        message | {"content": text_of(message)} if _is_all_text(message) else message for message in messages
    ]


def _drop_media(messages: list[Plain]) -> list[Plain]:
    return [
        message | {"content": text_of(message)}
        if isinstance(message.get("content"), list | tuple)
        else message
        for message in messages
    ]


def _is_all_text(message: Plain) -> bool:
    content = message.get("content")
    return isinstance(content, list | tuple) and len(text_parts(message)) == len(content)


def _as_parts(messages: list[Plain]) -> list[Plain]:
    return [
        message | {"content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message.get("content"), str)
        else message
        for message in messages
    ]


def parse_arguments(messages: list[Plain]) -> list[Plain]:
    return _with_arguments(messages, _parsed)


def _print_arguments(messages: list[Plain]) -> list[Plain]:
    return _with_arguments(messages, _printed)


def _with_arguments(messages: list[Plain], change: Callable[[Any], Any]) -> list[Plain]:
    return [
        message | {"tool_calls": [_with_changed(call, change) for call in message["tool_calls"]]}
        if message.get("tool_calls")
        else message
        for message in messages
    ]


def _with_changed(call: Any, change: Callable[[Any], Any]) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or "arguments" not in function:
        return call
    return {**call, "function": {**function, "arguments": change(function["arguments"])}}


def _parsed(arguments: Any) -> Any:
    try:
        found = json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments
    return found if isinstance(found, Mapping) else arguments


def _printed(arguments: Any) -> Any:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _fill_content(messages: list[Plain]) -> list[Plain]:
    return [message | {"content": ""} if message.get("content") is None else message for message in messages]


def _late_system_to_user(messages: list[Plain]) -> list[Plain]:
    return messages[:1] + _system_to_user(messages[1:])


def _system_to_user(messages: list[Plain]) -> list[Plain]:
    return [
        {**message, "role": "user"} if message.get("role") == "system" else message for message in messages
    ]


def _merge_neighbours(messages: list[Plain]) -> list[Plain]:
    merged: list[Plain] = []
    for message in messages:
        last = merged[-1] if merged else {}
        if _can_join(last, message):
            merged[-1] = {**last, "content": f"{last['content']}\n\n{message['content']}"}
        else:
            merged.append(message)
    return merged


def _can_join(first: Plain, second: Plain) -> bool:
    return (
        first.get("role") == second.get("role") in ("user", "assistant")
        and isinstance(first.get("content"), str)
        and isinstance(second.get("content"), str)
        and not (first.get("tool_calls") or second.get("tool_calls"))
    )


def _begin_with_user(messages: list[Plain]) -> list[Plain]:
    place = next((i for i, message in enumerate(messages) if message.get("role") != "system"), len(messages))
    if place < len(messages) and messages[place].get("role") == "assistant":
        return [*messages[:place], {"role": "user", "content": ""}, *messages[place:]]
    return messages


_PARSE = ("tool-call arguments parsed", parse_arguments)
_FLATTEN = ("text parts joined", _flatten)
_FILL = ("missing content filled", _fill_content)
_NEIGHBOURS = ("neighbours of one role merged", _merge_neighbours)
_LATE = ("late system messages given as the user's", _late_system_to_user)
_SYSTEM = ("system messages given as the user's", _system_to_user)
_USER_FIRST = ("an empty user message put first", _begin_with_user)

STEPS: tuple[tuple[Repair, ...], ...] = (
    (),
    (_FILL,),
    (_FILL, _NEIGHBOURS),
    (_FILL, _LATE, _NEIGHBOURS),
    (_FILL, _SYSTEM, _NEIGHBOURS),
    (_FILL, _SYSTEM, _NEIGHBOURS, _USER_FIRST),
)
FORMS: tuple[tuple[tuple[Repair, ...], dict[str, Any]], ...] = (
    ((_PARSE,), {}),
    ((_PARSE, _FLATTEN), {}),
    ((_PARSE, ("media left out", _drop_media)), {}),
    ((("tool-call arguments as text", _print_arguments), _FLATTEN), {}),
    ((_PARSE, ("text given as parts", _as_parts)), {}),
    ((_PARSE, _FLATTEN), {"tools": [], "documents": []}),
)
"""Forms to try, one after the other. Some templates demand a list of tools, be it empty."""
