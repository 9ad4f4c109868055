"""What comes out: `Media` of bytes or base64, checked for being what it should be, and transcripts. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from plugmux.errors import MalformedResponseError
from plugmux.media import Media, MediaKind
from plugmux.models import Task

__all__ = ["an", "checked", "kind_of", "media_of", "transcript_of"]


def kind_of(task: Task) -> MediaKind:
    """What a task makes."""
    if task in (Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO):
        return MediaKind.VIDEO
    return MediaKind.AUDIO if task is Task.TEXT_TO_SPEECH else MediaKind.IMAGE


def media_of(given: str | bytes, task: Task, *, label: str = "", prompt: str | None = None) -> Media:
    """A `Media` of bytes or base64. Raises MalformedResponseError for what is none of its kind."""
    data = given if isinstance(given, bytes) else _decoded(given)
    if not data:
        raise MalformedResponseError("the result is empty")
    kind = kind_of(task)
    return checked(Media.from_bytes(data, kind=kind, mime_type=label or None, prompt=prompt))


def checked(media: Media) -> Media:
    """The same, if it is what it should be: by its content where that is recognised, else by its label."""
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


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedResponseError("the result has broken base64") from error


def an(word: str) -> str:
    """The word with its article."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
