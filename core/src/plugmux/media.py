"""Pictures, films and sounds that come out: held in memory when small, on disk when large."""

from __future__ import annotations

import binascii
import os
from enum import Enum
from typing import IO, TYPE_CHECKING, Any

from attrs import field, frozen

from plugmux.value import Shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SPOOL_LIMIT", "Media", "MediaKind", "Spool", "mime_type_of"]

SPOOL_LIMIT = 16 * 1024 * 1024
"""Bytes above which a `Media` lives in a temporary file instead of memory."""

SLICE = 1 << 20
"""Bytes that are copied or decoded in one call, which keeps all other threads waiting."""


class MediaKind(str, Enum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class Spool:
    """Bytes in a temporary file, removed with the last reference to it."""

    def __init__(self) -> None:
        import tempfile

        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_LIMIT)  # noqa: SIM115
        self.size = 0

    def __del__(self) -> None:
        self._file.close()  # "removed with the last reference" is meant so: without, Python warns

    def write(self, chunk: bytes | memoryview) -> None:
        """In slices, and large content at once to disk, so that a thread that writes lets others run."""
        if self.size + len(chunk) > SPOOL_LIMIT:
            self._file.rollover()  # type: ignore[attr-defined]
        view = memoryview(chunk)
        for start in range(0, len(view), SLICE):
            self.size += self._file.write(view[start : start + SLICE])

    def read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def head(self, size: int) -> bytes:
        self._file.seek(0)
        start = self._file.read(size)
        self._file.seek(0, os.SEEK_END)
        return start

    def copy_to(self, target: IO[bytes]) -> None:
        self._file.seek(0)
        while chunk := self._file.read(1 << 20):
            target.write(chunk)


@frozen(kw_only=True, eq=False, repr=False)
class Media(Shown):
    """A finished picture, film or sound.

    `mime_type` follows the content, not the label it came with. `url` is where the service keeps it,
    for as long as it does; `prompt` is what the service says it drew.
    """

    kind: MediaKind
    mime_type: str
    url: str | None = None
    prompt: str | None = None
    _spool: Spool = field(factory=Spool, repr=False)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        kind: MediaKind,
        mime_type: str | None = None,
        url: str | None = None,
        prompt: str | None = None,
    ) -> Media:
        """A `Media` of these bytes. The content decides the MIME type where it is recognised."""
        spool = Spool()
        spool.write(data)
        return cls.from_spool(spool, kind=kind, mime_type=mime_type, url=url, prompt=prompt)

    @classmethod
    def from_base64(
        cls,
        text: str | bytes | memoryview,
        *,
        kind: MediaKind,
        mime_type: str | None = None,
        url: str | None = None,
        prompt: str | None = None,
    ) -> Media:
        """A `Media` of base64. Raises ValueError for what is none; large texts belong in a worker thread."""
        spool = Spool()
        for start in range(0, len(text), SLICE):
            spool.write(binascii.a2b_base64(text[start : start + SLICE], strict_mode=True))
        return cls.from_spool(spool, kind=kind, mime_type=mime_type, url=url, prompt=prompt)

    @classmethod
    def from_spool(
        cls,
        spool: Spool,
        *,
        kind: MediaKind,
        mime_type: str | None = None,
        url: str | None = None,
        prompt: str | None = None,
    ) -> Media:
        """A `Media` of what was written to `spool` (a download, say)."""
        known = mime_type_of(spool.head(64)) or mime_type or "application/octet-stream"
        return cls(kind=kind, mime_type=known, url=url, prompt=prompt, spool=spool)

    @property
    def data(self) -> bytes:
        """The whole content."""
        return self._spool.read()

    @property
    def size(self) -> int:
        """Bytes."""
        return self._spool.size

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the content to `path`: never half, and never over a file that exists.

        Raises FileExistsError, or OSError when the folder cannot be written.
        """
        from pathlib import Path
        from uuid import uuid4

        target = Path(path)
        partial = target.with_name(f".{uuid4().hex}.partial")
        try:
            with partial.open("xb") as file:
                self._spool.copy_to(file)
            _put(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.data, self.kind, self.mime_type, self.url, self.prompt)


def _put(partial: Path, target: Path) -> None:
    """Give a finished file its name, if that is free. Raises FileExistsError."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        target.open("xb").close()
        partial.replace(target)


def mime_type_of(head: bytes) -> str | None:
    """The MIME type that the first bytes of a file tell, or None."""
    for offset, magic, mime_type in _SIGNATURES:
        if head[offset : offset + len(magic)] == magic:
            return mime_type
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    return None


_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
)


def _rebuild(data: bytes, kind: MediaKind, mime_type: str, url: str | None, prompt: str | None) -> Media:
    return Media.from_bytes(data, kind=kind, mime_type=mime_type, url=url, prompt=prompt)
