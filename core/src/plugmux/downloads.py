"""Fetching results from wherever a service says they are, without being sent where they are not.

A result URL is input from outside: it may point at a private address, at a host that resolves to one, or
redirect there. Each hop is resolved here, checked, and connected to by the very address that was checked.
Behind a proxy it is the proxy that resolves names, and its part to keep one from private addresses; here only
those that are written out can be refused.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from contextlib import aclosing
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import anyio
import anyio.to_thread

from plugmux.credentials import origin_of
from plugmux.errors import ConnectionFailedError, MalformedResponseError, ProviderError, ServerError
from plugmux.http import Http, Response
from plugmux.media import Media, MediaKind, Spool

__all__ = ["MAX_DOWNLOAD", "Fetcher"]

MAX_DOWNLOAD = 1024**3
MAX_HOPS = 5
INLINE = 256 * 1024
"""Characters of a data URL that are decoded on the spot; a longer one in a worker thread."""


class Fetcher:
    """Fetches one result. `own` are URLs of the service itself, whose origins may be private."""

    def __init__(self, *, http: Http, own: Iterable[str] = (), max_bytes: int = MAX_DOWNLOAD) -> None:
        self._http = http
        self._own = frozenset(origin_of(url) for url in own)
        self._max_bytes = max_bytes

    async def fetch(self, url: str, *, kind: MediaKind, prompt: str | None = None) -> Media:
        """The result as `Media`.

        Raises ConnectionFailedError, StreamCutError, ServerError (an answer of status 5xx: the result may
        be had later) or MalformedResponseError. None of them speaks of the credential or of the model.
        """
        if url.startswith("data:"):
            return await self._of_data_url(url, kind, prompt)
        for _ in range(MAX_HOPS):
            address = await self._safe_address(url)
            spool, label, target = await self._hop(url, address)
            if target is None:
                return Media.from_spool(spool, kind=kind, mime_type=label, url=url, prompt=prompt)
            url = _joined(url, target)
        raise MalformedResponseError(f"the result's address redirects more than {MAX_HOPS} times")

    async def _of_data_url(self, url: str, kind: MediaKind, prompt: str | None) -> Media:
        if len(url) > self._max_bytes // 3 * 4 + 1024:
            raise MalformedResponseError(f"the result is larger than {self._max_bytes:,} bytes")
        if len(url) <= INLINE:
            media = _of_data_url(url, kind, prompt)
        else:
            media = await anyio.to_thread.run_sync(_of_data_url, url, kind, prompt)
        if media.size > self._max_bytes:
            raise MalformedResponseError(f"the result is larger than {self._max_bytes:,} bytes")
        return media

    async def _hop(self, url: str, address: str | None) -> tuple[Spool, str, str | None]:
        spool = Spool()
        answer = self._http.stream("GET", url, address=address, error=_gone)
        async with answer as (head, chunks), aclosing(chunks):
            target = head.headers.get("location") if head.status in (301, 302, 303, 307, 308) else None
            if target is None:
                async for chunk in chunks:
                    spool.write(chunk)
                    if spool.size > self._max_bytes:
                        raise MalformedResponseError(f"the result is larger than {self._max_bytes:,} bytes")
        if target is None and not spool.size:
            raise MalformedResponseError("the result is empty")
        return spool, head.content_type, target

    async def _safe_address(self, url: str) -> str | None:
        """The address to connect to; None, of the service's own origin, leaves that to the transport, and
        of a name behind a proxy to the proxy."""
        try:
            origin = origin_of(url)
        except ValueError as error:
            raise MalformedResponseError(f"the result's address is bad: {error}") from error
        if origin in self._own:
            return None
        parts = urlsplit(url)
        host = parts.hostname or ""
        if self._http.is_proxied(url) and not _is_address(host):
            return None
        try:
            found = await anyio.getaddrinfo(host, parts.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: no name at all
            raise ConnectionFailedError(f"cannot resolve the result's host {host}", kind="dns") from error
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if not ipaddress.ip_address(address.partition("%")[0]).is_global:
                raise MalformedResponseError(
                    f"the result's host {host} is a private address; plugmux does not fetch from it"
                )
        return addresses[0]


def _is_address(host: str) -> bool:
    """Whether it is written out, in whichever notation, or the machine's own name: what needs no DNS."""
    if f".{host}".rstrip(".").endswith(".localhost"):
        return True
    try:
        socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True


def _gone(response: Response) -> ProviderError:
    """The error for a result that is not at its address: its status is about the result and nothing else."""
    said = f"the result's address answered with status {response.status}"
    if response.status in (408, 425, 429) or response.status >= 500:
        return ServerError(said, status=response.status, retryable=False)
    return MalformedResponseError(f"{said}: it has expired, or was never there", status=response.status)


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError as error:
        raise MalformedResponseError("the result's address redirects to a bad one") from error


def _of_data_url(url: str, kind: MediaKind, prompt: str | None) -> Media:
    label, comma, body = url.partition(",")
    if not comma:
        raise MalformedResponseError("the result is a data URL without data")
    mime_type = label[5:].split(";")[0] or None
    try:
        if label.endswith(";base64"):
            media = Media.from_base64(body, kind=kind, mime_type=mime_type, prompt=prompt)
        else:
            data = unquote_to_bytes(body)
            media = Media.from_bytes(data, kind=kind, mime_type=mime_type, prompt=prompt)
    except ValueError as error:
        raise MalformedResponseError("the result is a data URL with broken base64") from error
    if not media.size:
        raise MalformedResponseError("the result is empty")
    return media
