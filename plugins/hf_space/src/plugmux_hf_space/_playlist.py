"""A sound or film that an app gives in pieces: the playlist read, the pieces joined.

gradio 5 and 6 give streamed outputs so (by their source): AAC with a header in every piece, or MPEG-TS.
Both may be joined end to end. Asking for the joined file instead would have the server convert it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from plugmux.credentials import origin_of
from plugmux.errors import MalformedResponseError
from plugmux.media import Media, MediaKind, Spool
from plugmux_hf_space import _wire

if TYPE_CHECKING:
    from plugmux.session import Session

__all__ = ["download_pieces", "is_playlist", "pieces_of"]

MAX_PIECES = 5_000
MAX_BYTES = 1024**3
_TYPES = {"aac": "audio/aac", "ts": "video/mp2t", "mp3": "audio/mpeg"}


def is_playlist(url: str) -> bool:
    """Whether an address is that of a playlist."""
    return url.partition("?")[0].endswith(".m3u8")


def pieces_of(playlist: str, url: str) -> list[str]:
    """The addresses of the pieces, in order. Raises MalformedResponseError for one at another origin."""
    if not playlist.startswith("#EXTM3U"):
        raise MalformedResponseError("the app's playlist is none")
    lines = [line.strip() for line in playlist.splitlines()]
    pieces = [urljoin(url, line) for line in lines if line and not line.startswith("#")]
    if not pieces or len(pieces) > MAX_PIECES:
        raise MalformedResponseError(f"the app's playlist has {len(pieces):,} pieces")
    for piece in pieces:
        if _origin(piece) != _origin(url):
            raise MalformedResponseError("the app's playlist names pieces at another host")
    return pieces


async def download_pieces(session: Session, url: str, kind: MediaKind, *, prompt: str | None = None) -> Media:
    """The whole sound or film behind a playlist at the app."""
    answer = await session.http.request("GET", url, error=_wire.error_of)
    spool = Spool()
    pieces = pieces_of(answer.text, url)
    for piece in pieces:
        part = await session.http.request("GET", piece, error=_wire.error_of)
        spool.write(part.content)
        if spool.size > MAX_BYTES:
            raise MalformedResponseError(f"the result is larger than {MAX_BYTES:,} bytes")
    ending = pieces[0].partition("?")[0].rpartition(".")[2]
    return Media.from_spool(spool, kind=kind, mime_type=_TYPES.get(ending), url=url, prompt=prompt)


def _origin(url: str) -> str | None:
    try:
        return origin_of(url)
    except ValueError:
        return None
