"""Pictures and sounds that go in: of a path, bytes, an open file or a URL."""

from __future__ import annotations

import base64
import os
from typing import Any

from attrs import field, frozen

from plugmux.errors import InvalidInputError
from plugmux.media import mime_type_of
from plugmux.value import Value

__all__ = ["Attachment", "attachment_from"]


@frozen(kw_only=True, eq=False, repr=False)
class Attachment(Value):
    """A picture or sound that goes in: bytes, or a URL that the service is to fetch."""

    name: str = "file"
    mime_type: str = "application/octet-stream"
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None

    @property
    def data_url(self) -> str:
        """The URL to send: the given one, or the bytes as a `data:` URL."""
        if self.data is None:
            return self.url or ""
        return f"data:{self.mime_type};base64,{base64.b64encode(self.data).decode()}"


def attachment_from(given: object, *, field: str) -> Attachment:
    """An `Attachment` of a path, bytes, an open file or a URL (`http:`, `https:`, `data:`).

    Reads the file, so call it off the event loop. Raises InvalidInputError naming `field`.
    """
    match given:
        case Attachment():
            return given
        case bytes() | bytearray():
            return _of_bytes(bytes(given), "file", field)
        case str() if given.startswith(("http://", "https://")):
            return Attachment(name=given.rsplit("/", 1)[-1].split("?")[0] or "file", url=given)
        case str() if given.startswith("data:"):
            return _of_data_url(given, field)
        case str() | os.PathLike():
            return _of_path(os.fspath(given), field)
        case _ if hasattr(given, "read"):
            return _of_file(given, field)
    raise InvalidInputError(
        f"expected a path, bytes, a file or a URL, got {type(given).__name__}", field=field
    )


def _of_path(path: str, field: str) -> Attachment:
    try:
        with open(path, "rb") as file:
            return _of_bytes(file.read(), os.path.basename(path), field)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"cannot read {path!r}: {why}", field=field) from error


def _of_file(file: Any, field: str) -> Attachment:
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise InvalidInputError(f"the file cannot be read: {error}", field=field) from error
    if not isinstance(content, bytes):
        raise InvalidInputError("the file must be opened in binary mode", field=field)
    return _of_bytes(content, os.path.basename(str(getattr(file, "name", "file"))), field)


def _of_data_url(url: str, field: str) -> Attachment:
    label, comma, body = url.partition(",")
    try:
        if not comma or not label.endswith(";base64"):
            raise ValueError("only base64 data URLs are understood")
        data = base64.b64decode(body, validate=True)
    except ValueError as error:
        raise InvalidInputError(f"bad data URL: {error}", field=field) from error
    return _of_bytes(data, "file", field, label[5:].split(";")[0] or None)


def _of_bytes(data: bytes, name: str, field: str, label: str | None = None) -> Attachment:
    import mimetypes

    if not data:
        raise InvalidInputError("is empty", field=field)
    known = mime_type_of(data[:64]) or label or mimetypes.guess_type(name)[0]
    return Attachment(name=name, mime_type=known or "application/octet-stream", data=data)
