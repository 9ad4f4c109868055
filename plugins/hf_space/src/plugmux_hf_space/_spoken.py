"""What an answer in words says: its text, what is thought aloud, and the files that a chat puts beside it.

A message's content is text up to gradio 5 and a list of parts in 6; a file is `{"file": FileData}` in both
(recorded). A ChatInterface gives what its function gave: a text, a message, a file, or a list of these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from plugmux.errors import MalformedResponseError
from plugmux_hf_space._results import FileData, files_of

__all__ = ["attached_of", "text_of", "thought_of"]


def text_of(value: Any, kind: str, *, chat: bool = False) -> str:
    """The text of an answer. A Chatbot's is that of the assistant's messages behind the last user's; in
    another component of a `chat` a list is one message after the other."""
    if kind == "chatbot":
        return _joined(_of_chatbot(value))
    match value:
        case None:
            return ""
        case str():
            return value
        case {"text": str() as text}:
            return text
        case {"content": str() | list()}:
            return _joined([value])
        case list() if value and all(isinstance(item, Mapping) and "content" in item for item in value):
            return _joined(value)
        case list() | dict() if chat and _is_said(value):
            return _joined(_of_interface(value))
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise MalformedResponseError("the answer is nested too deeply") from error


def thought_of(value: object) -> str:
    """What a chat's assistant thinks aloud: messages whose metadata has a title (documented by gradio)."""
    rows = value if isinstance(value, list) else [value]
    return "\n".join(_of_content(row.get("content")) for row in _last_turn(rows) if _is_thought(row))


def attached_of(value: object, kind: str) -> list[FileData]:
    """The files in a chat's answer, those of its thoughts left out."""
    messages = _of_chatbot(value) if kind == "chatbot" else _of_interface(value)
    said = (message.get("content") for message in messages if not _is_thought(message))
    return [file for content in said for file in _files_in(content)]


def _of_chatbot(value: object) -> list[Mapping[str, Any]]:
    rows = value if isinstance(value, list) else []
    if rows and isinstance(rows[-1], list):  # tuples: [[user, assistant], …], up to gradio 5
        return [{"content": part} for part in rows[-1][1:2]]
    return _last_turn(rows)


def _of_interface(value: object) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, Mapping) and "content" in item else {"content": item} for item in items]


def _is_said(value: list[Any] | dict[str, Any]) -> bool:
    """Whether all of it is words and files, and not data of another kind."""
    items = value if isinstance(value, list) else [value]
    contents = [message["content"] for message in _of_interface(value)]
    return bool(items) and all(isinstance(c, str) or _of_content(c) or _files_in(c) for c in contents)


def _files_in(content: object, *, depth: int = 8) -> list[FileData]:
    match content:
        case list() if depth:
            return [file for part in content for file in _files_in(part, depth=depth - 1)]
        case {"component": str(), "value": value}:
            return files_of(value)
        case {"text": str(), "files": list() as files}:
            return files_of(files)
        case Mapping():
            return files_of(content)
    return []


def _last_turn(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The assistant's messages behind the last user's."""
    turn: list[Mapping[str, Any]] = []
    for row in reversed(rows):
        if not isinstance(row, Mapping) or row.get("role", "assistant") != "assistant":
            break
        turn.insert(0, row)
    return turn


def _joined(messages: Sequence[Mapping[str, Any]]) -> str:
    said = (_of_content(message.get("content")) for message in messages if not _is_thought(message))
    return "\n".join(filter(None, said))


def _is_thought(message: Mapping[str, Any]) -> bool:
    metadata = message.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata.get("title"))


def _of_content(content: object, *, depth: int = 8) -> str:
    match content:
        case str():
            return content
        case list() if depth:
            return "".join(_of_content(part, depth=depth - 1) for part in content)
        case {"type": "text", "text": str() as text} | {"text": str() as text}:
            return text
    return ""
