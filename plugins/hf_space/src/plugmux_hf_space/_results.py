"""What an endpoint's data says: files, numbers, and what has changed since the last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from plugmux.errors import MalformedResponseError
from plugmux.events import Event, Notice, Reasoning, Reset, Text
from plugmux.media import MediaKind
from plugmux_hf_space._diffs import BrokenDiffError, apply_edits
from plugmux_hf_space._tasks import Verdict

__all__ = ["FileData", "Growing", "Replay", "files_of", "kind_of_file", "media_kind", "remarks", "shown"]

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


def shown(value: Any, before: Any = None) -> Any:
    """What a component holds after an answer: an update of it (recorded) may leave the value `before`."""
    if isinstance(value, Mapping) and value.get("__type__") == "update":
        return value.get("value", before)
    return value


def files_of(value: object, *, depth: int = 8) -> list[FileData]:
    """The files in a component's value: FileData itself, a video of gradio 4 and 5, a gallery, a pair.

    What lies more than `depth` levels down is not looked at.
    """
    if depth == 0:
        return []
    match value:
        case (
            {"video": dict() as inner}
            | {"image": dict() as inner}
            | {"composite": dict() as inner}
            | {"file": dict() as inner}
        ):
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


def kind_of_file(file: FileData) -> MediaKind | None:
    """What a file is by its MIME type, else by its name; None for what is no picture, film or sound."""
    import mimetypes

    named = (file.path or file.url or "").partition("?")[0]
    mime_type = file.mime_type or mimetypes.guess_type(named)[0] or ""
    found = (kind for kind in MediaKind if mime_type.startswith(f"{kind.value}/"))
    return next(found, None)


def _file(value: Any) -> FileData:
    path, url, mime_type = value.get("path"), value.get("url"), value.get("mime_type")
    return FileData(
        path=path if isinstance(path, str) else None,
        url=url if isinstance(url, str) else None,
        is_stream=bool(value.get("is_stream")),
        mime_type=mime_type if isinstance(mime_type, str) else None,
    )


def remarks(verdict: Verdict, data: Sequence[Any]) -> list[Notice]:
    """What the other outputs tell: the seed that was used, say."""
    found = []
    for i, output in enumerate(verdict.endpoint.outputs[: len(data)]):
        value = shown(data[i])
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
        again += [Reasoning(text=self.thought)] if self.thought else []  # it is forgotten with the text
        return [*again, Text(text=text)] if text else again
