"""Pictures, films and sounds on disk: sensible names, nothing overwritten, nothing half written."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from plugmux.errors import InvalidInputError
from plugmux.media import Media

__all__ = ["STANDARD_OUTPUT", "MediaFiles", "file_ending", "name_from"]

STANDARD_OUTPUT = "-"
LONGEST_NAME = 60

_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
}


def file_ending(mime_type: str) -> str:
    """`.png` for `image/png`; `.bin` for what nobody knows."""
    import mimetypes

    return _ENDINGS.get(mime_type) or mimetypes.guess_extension(mime_type) or ".bin"


def name_from(prompt: str) -> str:
    """A file name of a prompt: its first words in ASCII, `a-red-fox`; `plugmux` if none are left."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = ""
    for word in words:
        if len(name) + 1 + len(word) > LONGEST_NAME:
            break
        name += f"-{word}" if name else word
    return name or (words[0][:LONGEST_NAME] if words else "plugmux")


class MediaFiles:
    """Where results go.

    `target` is a file, a folder (made if it ends in `/`), `-` for standard output, or None for the current
    folder and a name made of `prompt`. `count` results are expected; more than one is numbered. `say` gets
    a line when a result had to go elsewhere. `out` is standard output, as it is now if not given.
    """

    def __init__(
        self,
        target: str | None,
        *,
        prompt: str,
        count: int,
        say: Callable[[str], None],
        out: TextIO | None = None,
    ) -> None:
        self._target = target
        self._out = out or sys.stdout
        self._prompt = prompt
        self._count = count
        self._say = say
        self.saved: list[Path] = []

    def check(self) -> None:
        """Before anything is paid for, make the folder asked for and refuse what could not be written.

        Raises InvalidInputError.
        """
        if self._target == STANDARD_OUTPUT:
            self._check_output()
            return
        folder = self._folder()
        if self._is_folder:
            _make(folder)
        if not folder.is_dir():
            raise InvalidInputError(f"there is no folder {folder}", field="-o")
        if not os.access(folder, os.W_OK):
            raise InvalidInputError(f"the folder {folder} cannot be written", field="-o")
        if not self._is_folder and self._count == 1 and os.path.lexists(self._target or ""):
            raise InvalidInputError(f"{self._target} exists; nothing is overwritten", field="-o")

    def _check_output(self) -> None:
        if self._count > 1:
            raise InvalidInputError("only one result can go to standard output", field="-o")
        if self._out.isatty():
            raise InvalidInputError("a terminal cannot show the bytes; redirect them", field="-o")

    def save(self, media: Media) -> Path | None:
        """Write one result, and return where; None for standard output."""
        if self._target == STANDARD_OUTPUT:
            self._out.buffer.write(media.data)
            self._out.buffer.flush()
            return None
        ending = file_ending(media.mime_type)
        try:
            path = self._first_free(media, self._folder(), self._stem(), self._ending(ending))
        except OSError as error:
            # The result is paid for: a full or vanished folder must not lose it.
            folder = Path(tempfile.mkdtemp(prefix="plugmux-"))
            path = self._first_free(media, folder, self._stem(), ending)
            self._say(f"cannot write to {self._folder()}: {error.strerror}; saved as {path}")
        self.saved.append(path)
        return path

    def _first_free(self, media: Media, folder: Path, stem: str, ending: str) -> Path:
        for name in self._names(stem, ending):
            path = folder / name
            if os.path.lexists(path):
                continue
            try:
                return media.save(path)
            except FileExistsError:
                continue
        raise AssertionError("names never end")

    def _names(self, stem: str, ending: str) -> Iterator[str]:
        number = 1
        if self._count == 1:
            yield f"{stem}{ending}"
            number = 2
        while True:
            yield f"{stem}-{number}{ending}"
            number += 1

    @property
    def _is_folder(self) -> bool:
        target = self._target
        return target is None or target.endswith(os.sep) or Path(target).is_dir()

    def _folder(self) -> Path:
        if self._target is None:
            return Path()
        return Path(self._target) if self._is_folder else Path(self._target).parent

    def _stem(self) -> str:
        return name_from(self._prompt) if self._is_folder else Path(self._target or "").stem

    def _ending(self, ending: str) -> str:
        given = "" if self._is_folder else Path(self._target or "").suffix
        same = {given.lower(), ending} <= {".jpg", ".jpeg"} or given.lower() == ending
        if given and not same:
            self._say(f"the service sent {ending}, and the file is named {given} as you asked")
        return given or ending


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"cannot make the folder {folder}: {error.strerror}", field="-o") from error
