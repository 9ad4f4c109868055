"""Files to an app and from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from plugmux.attachments import Attachment
from plugmux.errors import InvalidRequestError, MalformedResponseError, ProviderError
from plugmux.media import Media, MediaKind
from plugmux_hf_space import _wire
from plugmux_hf_space._app import App
from plugmux_hf_space._playlist import download_pieces, is_playlist
from plugmux_hf_space._results import FileData

if TYPE_CHECKING:
    from plugmux.session import Session

__all__ = ["download", "upload"]


async def upload(
    session: Session, app: App, given: Attachment, headers: Mapping[str, str], kind: MediaKind
) -> dict[str, Any]:
    """Bring the picture or sound of an option, `image` or `audio`, to the app: its `FileData` value.

    One that is given by URL is fetched here first: apps of gradio 5 and 6 refuse many addresses
    (recorded). Raises InvalidRequestError for one that is too large.
    """
    attachment = await _with_bytes(session, given, kind)
    name, mime_type = _named(attachment), attachment.mime_type
    data = _within(app, attachment.data or b"", kind)
    path = await _sent(session, app, (name, data, mime_type), headers)
    return {"path": path, "orig_name": name, "mime_type": mime_type, "meta": {"_type": "gradio.FileData"}}


async def _sent(session: Session, app: App, file: tuple[str, bytes, str], headers: Mapping[str, str]) -> str:
    answer = await session.http.request(
        "POST", app.at("/upload"), headers=headers, files={"files": file}, error=_wire.error_of
    )
    match answer.json():
        case [str() as path, *_]:
            return path
    raise MalformedResponseError(f"the upload gave no path: {answer.text[:200]}")


def _within(app: App, data: bytes, kind: MediaKind) -> bytes:
    """The bytes, if the app takes as many."""
    if app.max_file_size is None or len(data) <= app.max_file_size:
        return data
    raise InvalidRequestError(
        f"the file has {len(data):,} bytes, the app takes {app.max_file_size:,}", param=kind.value, status=413
    )


def _named(attachment: Attachment) -> str:
    name = attachment.name
    return name if "." in name else f"{name}{_ending(attachment.mime_type)}"


async def _with_bytes(session: Session, given: Attachment, kind: MediaKind) -> Attachment:
    if given.data is not None:
        return given
    try:
        media = await session.download(given.url or "", kind=kind)
    except ProviderError as error:
        said = f"cannot fetch the file to send: {error.message}"
        raise InvalidRequestError(said, param=kind.value) from error
    return Attachment(name=given.name, mime_type=media.mime_type, data=media.data)


def _ending(mime_type: str) -> str:
    """Apps read a file by the ending of its name; the table is for those that Python does not know."""
    import mimetypes

    return _ENDINGS.get(mime_type) or mimetypes.guess_extension(mime_type) or ""


_ENDINGS = {
    "audio/wav": ".wav",
    "audio/mp4": ".m4a",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "image/webp": ".webp",
}


async def download(
    session: Session, app: App, file: FileData, kind: MediaKind, *, prompt: str | None = None
) -> Media:
    """A file of the app's result. Raises MalformedResponseError for one that it does not give out."""
    url = _address(app, file)
    try:
        if file.is_stream and is_playlist(url):
            return await download_pieces(session, url, kind, prompt=prompt)
        return await session.download(url, kind=kind, own=[app.url], prompt=prompt)
    except ProviderError as error:
        if error.status in (401, 403, 404):
            raise MalformedResponseError(
                f"the app names a result that it does not give out ({error.status}): {error.message}"
            ) from error
        raise


def _address(app: App, file: FileData) -> str:
    """Where a file is. A path at the app goes through its own `/file=`; its `url` counts for streams."""
    if file.url is not None and (file.url.startswith("data:") or file.path is None):
        return urljoin(app.url + "/", file.url)
    path = file.path or ""
    if file.is_stream and file.url is not None:
        below = urlsplit(file.url).path.removeprefix(f"{urlsplit(app.url).path}/")
        return f"{app.url}/{below.lstrip('/')}"
    if path.startswith(("http://", "https://")):
        return path
    return app.at(_wire.file_route(path))
