"""What an endpoint's data says: files, text, and what has changed since the last look."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from plugmux.errors import MalformedResponseError
from plugmux.events import Event, Notice, Reasoning, Reset, Text
from plugmux.media import MediaKind
from plugmux_hf_space._diffs import BrokenDiffError, apply_edits
from plugmux_hf_space._tasks import Verdict

__all__ = ["FileData", "Growing", "Replay", "files_of", "media_kind", "remarks", "text_of", "thought_of"]

MAX_TEXT = 16 * 1024 * 1024


@frozen(kw_only=True)
class FileData:
    """A file at the app: its `path` there, or a `url`. `is_stream`: a sound that comes in pieces."""

    path: str | None = None
    url: str | None = None
    is_stream: bool = False
    mime_type: str | None = None


def media_kind(verdict: Verdict) -> MediaKind | None:
    """What the endpoint makes, or None where it answers in text."""
    return _KINDS.get(verdict.answer_kind)


_KINDS = {
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "image": MediaKind.IMAGE,
    "gallery": MediaKind.IMAGE,
    "imageslider": MediaKind.IMAGE,
    "imageeditor": MediaKind.IMAGE,
}


def files_of(value: object, *, depth: int = 8) -> list[FileData]:
    """The files in a component's value: FileData itself, a video of gradio 4 and 5, a gallery, a pair.

    What lies more than `depth` levels down is not looked at.
    """
    if depth == 0:
        return []
    match value:
        case {"video": dict() as inner} | {"image": dict() as inner} | {"composite": dict() as inner}:
            return files_of(inner, depth=depth - 1)
        case {"path": path, **rest} if isinstance(path, str) or isinstance(rest.get("url"), str):
            return [_file(value)]
        case {"url": str()}:
            return [_file(value)]
        case [_, str() | None] if isinstance(value, list) and isinstance(value[0], Mapping):
            return files_of(value[0], depth=depth - 1)
        case list():
            return [file for item in value for file in files_of(item, depth=depth - 1)]
        case str() if value.startswith("data:"):
            return [FileData(url=value)]
    return []


def _file(value: Any) -> FileData:
    path, url, mime_type = value.get("path"), value.get("url"), value.get("mime_type")
    return FileData(
        path=path if isinstance(path, str) else None,
        url=url if isinstance(url, str) else None,
        is_stream=bool(value.get("is_stream")),
        mime_type=mime_type if isinstance(mime_type, str) else None,
    )


def text_of(value: Any, kind: str) -> str:
    """The text of an answer. A Chatbot's is that of the assistant's messages behind the last user's."""
    if kind == "chatbot":
        return _of_chat(value)
    match value:
        case None:
            return ""
        case str():
            return value
        case {"__type__": "update", "value": str() as text}:
            return text
        case {"text": str() as text}:
            return text
        case {"content": str() | list()}:
            return _joined([value])
        case list() if value and all(isinstance(item, Mapping) and "content" in item for item in value):
            return _joined(value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise MalformedResponseError("the answer is nested too deeply") from error


def _of_chat(value: object) -> str:
    rows = value if isinstance(value, list) else []
    if rows and isinstance(rows[-1], list):  # tuples: [[user, assistant], …], up to gradio 5
        return _of_content(rows[-1][1]) if len(rows[-1]) > 1 else ""
    return _joined(_last_turn(rows))


def thought_of(value: object) -> str:
    """What a chat's assistant thinks aloud: messages whose metadata has a title (documented by gradio)."""
    rows = value if isinstance(value, list) else [value]
    return "\n".join(_of_content(row.get("content")) for row in _last_turn(rows) if _is_thought(row))


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
    """A message's content: text up to gradio 5, a list of parts in 6 (recorded)."""
    match content:
        case str():
            return content
        case list() if depth:
            return "".join(_of_content(part, depth=depth - 1) for part in content)
        case {"type": "text", "text": str() as text} | {"text": str() as text}:
            return text
    return ""


def remarks(verdict: Verdict, data: Sequence[Any]) -> list[Notice]:
    """What the other outputs tell: the seed that was used, say."""
    found = []
    for i, output in enumerate(verdict.endpoint.outputs[: len(data)]):
        value = data[i]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if i not in verdict.answer and is_number and output.kind in ("slider", "number"):
            found.append(Notice(code="result", message=f"{output.label or 'value'}: {value}"))
    return found


@define
class Replay:
    """The values of a generator, from its first whole ones and the edits that follow.

    `values` is None as soon as an edit does not fit: the result comes whole in the end, so that a broken
    diff costs the previews and nothing else.
    """

    whole: bool = False
    values: list[Any] | None = None
    _started: bool = False

    def feed(self, data: Sequence[Any]) -> list[Any] | None:
        """The values after a message, or None when they cannot be known."""
        if self.whole or not self._started:
            self._started = True
            self.values = list(data)
        elif self.values is not None:
            self.values = self._edited(self.values, data)
        return self.values

    def lose(self) -> None:
        """A message was lost: the edits that follow have nothing to stand on."""
        self._started, self.values = True, None

    @staticmethod
    def _edited(values: list[Any], data: Sequence[Any]) -> list[Any] | None:
        if len(data) != len(values):
            return None
        try:
            return [apply_edits(value, edits) for value, edits in zip(values, data, strict=True)]
        except BrokenDiffError:
            return None


@define
class Growing:
    """A text that is sent whole each time. `feed` gives what is new, or takes back what was said."""

    said: str = field(default="")

    thought: str = field(default="")

    def think(self, text: str) -> list[Event]:
        """What is new of a thought. One that was changed is not said again."""
        thought, self.thought = self.thought, text
        new = text.removeprefix(thought) if text.startswith(thought) else ""
        return [Reasoning(text=new)] if new else []

    def feed(self, text: str) -> list[Event]:
        """Events that turn what was said into `text`. Raises MalformedResponseError for an endless one."""
        if len(text) > MAX_TEXT:
            raise MalformedResponseError(f"the answer is longer than {MAX_TEXT:,} characters")
        said, self.said = self.said, text
        if text == said:
            return []
        if text.startswith(said):
            return [Text(text=text[len(said) :])]
        again: list[Event] = [Reset(why="the app replaced its text")]
        return [*again, Text(text=text)] if text else again
