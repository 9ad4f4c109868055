"""The pictures that a request brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio.to_thread

from plugmux.attachments import Attachment, attachment_from
from plugmux.errors import InvalidInputError, InvalidRequestError

if TYPE_CHECKING:
    from plugmux.requests import Request

__all__ = ["pictures_of"]


async def pictures_of(request: Request) -> list[Attachment]:
    """The pictures of a request: the option, else those of the last user message. One that is given by its
    URL stays one.

    Raises InvalidRequestError for what is no picture's URL.
    """
    if request.options.image is not None:
        return [request.options.image]
    return [await anyio.to_thread.run_sync(_attachment, url) for url in _urls(request)]


def _urls(request: Request) -> list[str]:
    last = next((m for m in reversed(request.messages) if m.role == "user"), None)
    parts = last.content if last is not None and isinstance(last.content, tuple) else ()
    images = [part.get("image_url") for part in parts if part.get("type") == "image_url"]
    urls = [image.get("url") if isinstance(image, Mapping) else image for image in images]
    return [url for url in urls if isinstance(url, str)]


def _attachment(url: str) -> Attachment:
    """A message may come from a stranger: it names no file of this machine."""
    if not url.startswith(("data:", "http://", "https://")):
        raise InvalidRequestError("an image of a message wants a data:, http: or https: URL", param="image")
    try:
        return attachment_from(url, field="image")
    except InvalidInputError as error:
        raise InvalidRequestError(str(error), param="image") from error
