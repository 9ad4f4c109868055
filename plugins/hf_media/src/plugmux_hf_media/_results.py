"""What comes out: `Media` of bytes or base64, checked for being what it should be, and transcripts. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from plugmux.errors import MalformedResponseError
from plugmux.media import Media, MediaKind, mime_type_of
from plugmux.model import Task
from plugmux_hf_media._large import Long

__all__ = ["an", "checked", "kind_of", "media_of", "media_of_base64", "transcript_of"]


SMALLEST = 64
"""Bytes. No picture, film or sound is smaller; a word, which may pass for base64, is."""


def kind_of(task: Task) -> MediaKind:
    """What a task makes."""
    if task in (Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO):
        return MediaKind.VIDEO
    return MediaKind.AUDIO if task is Task.TEXT_TO_SPEECH else MediaKind.IMAGE


def media_of(content: bytes, task: Task, *, label: str = "", prompt: str | None = None) -> Media:
    """A `Media` of an answer's bytes. Raises MalformedResponseError for what is none of its kind."""
    return checked(Media.from_bytes(content, kind=kind_of(task), mime_type=label or None, prompt=prompt))


def media_of_base64(text: str | Long, task: Task, *, prompt: str | None = None) -> Media:
    """A `Media` of base64, bare or in a data URL. Raises MalformedResponseError."""
    label, body = _without_label(text)
    kind = kind_of(task)
    try:
        media = Media.from_base64(body, kind=kind, mime_type=label, prompt=prompt)
    except ValueError as error:
        raise MalformedResponseError(f"the result has broken base64: {_start_of(text)!r}") from error
    if label is None and media.size < SMALLEST and mime_type_of(media.data) is None:
        raise MalformedResponseError(f"{_start_of(text)!r} where {an(kind.value)} belongs")
    return checked(media)


def _start_of(text: str | Long) -> str:
    return text[:80] if isinstance(text, str) else bytes(text[:80]).decode("utf-8", "replace")


def _without_label(text: str | Long) -> tuple[str | None, str | Long]:
    start = text[:256] if isinstance(text, str) else bytes(text[:256]).decode("ascii", "replace")
    label, comma, _ = start.partition(",")
    if not (comma and label.startswith("data:")):
        return None, text
    return label[5:].split(";")[0] or None, text[len(label) + 1 :]


def checked(media: Media) -> Media:
    """The same, if it is what it should be: by its content where that is recognised, else by its label."""
    if not media.size:
        raise MalformedResponseError("the result is empty")
    family, _, rest = media.mime_type.partition("/")
    fits = family in _FAMILIES[media.kind] or rest in ("octet-stream", "binary", "mp4", "ogg")
    if not fits or (rest != "svg+xml" and _is_page(media)):
        raise MalformedResponseError(f"{media.mime_type} where {an(media.kind.value)} belongs")
    return media


def _is_page(media: Media) -> bool:
    """Whether it is an error page or object under a false label. No such page is large."""
    return media.size < 64 * 1024 and media.data.lstrip()[:1] in (b"<", b"{", b"[")


_FAMILIES = {
    MediaKind.IMAGE: frozenset({"image"}),
    MediaKind.VIDEO: frozenset({"video", "image"}),  # an animated GIF or WebP is a film
    MediaKind.AUDIO: frozenset({"audio", "video"}),  # MP4 and WebM hold sound alone, too
}


def transcript_of(found: object) -> tuple[str | None, str | None]:
    """Text, or the URL of a file with it, out of a recognition's output of any known shape."""
    match found:
        case str():
            return found, None
        case [str(), *_]:
            return "".join(part for part in found if isinstance(part, str)), None
        case [Mapping() as first, *_]:
            return transcript_of(first)
        case {"txt_file": str() as url}:
            return None, url
        case {"translation": str() as text} | {"transcription": str() as text} | {"text": str() as text}:
            return text, None
    return None, None


def an(word: str) -> str:
    """The word with its article."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
