"""libcurl with a browser's fingerprint, one transfer at a time, on asyncio.

It drives curl_cffi's multi handle itself instead of its session: a session's stream buffers without a
bound, keeps cookies, and its `aclose` waits for the end of the answer. Here a transfer that nobody reads
is paused, a closed one is taken out of libcurl at once (which closes its connection), and libcurl's cookie
engine and redirects are never turned on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from plugmux.errors import (
    ConfigurationError,
    ConnectionFailedError,
    MalformedResponseError,
    ProviderError,
    StreamCutError,
)

if TYPE_CHECKING:
    from curl_cffi import AsyncCurl

__all__ = ["HIGH_WATER", "Head", "Order", "Transfer"]

HIGH_WATER = 256 * 1024
"""Bytes held for a reader that does not come; libcurl itself holds at most one chunk more."""
CONNECT_SECONDS = 10.0
PAUSE = 0x10000001
"""What a write callback answers to be paused (CURL_WRITEFUNC_PAUSE)."""


@frozen(kw_only=True)
class Order:
    """A request as libcurl is to send it."""

    method: str
    url: str
    headers: Mapping[str, str | None] = field(repr=False)
    """None keeps the browser's own header of that name from being sent."""
    content: bytes | None = field(default=None, repr=False)
    impersonate: str = "chrome"


@frozen(kw_only=True)
class Head:
    """Status and headers of an answer; names in lower case, `set_cookies` as they came."""

    status: int
    headers: Mapping[str, str]
    set_cookies: tuple[str, ...] = field(default=(), repr=False)


class Transfer:
    """One request and its answer. Belongs to the event loop of `multi`."""

    def __init__(self, multi: AsyncCurl, order: Order) -> None:
        self._multi = multi
        self._curl = _prepared(order, self._on_header, self._on_chunk)
        self._lines: list[bytes] = []
        self._head: Head | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._paused = False
        self._closed = False
        self._news = asyncio.Event()
        self._done: asyncio.Future[None] = multi.add_handle(self._curl)
        self._done.add_done_callback(self._on_end)

    async def head(self) -> Head:
        """Status and headers, as soon as they are there. Raises ConnectionFailedError."""
        while self._head is None:
            self._check()
            await self._wait()
        return self._head

    async def chunk(self) -> bytes:
        """All that has come since, or the next to come; empty at the end. Raises StreamCutError."""
        while not self._chunks:
            if self._check():
                return b""
            await self._wait()
        joined = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._curl.pause(0)
        return joined

    def close(self) -> None:
        """Take the transfer out of libcurl: an unfinished one loses its connection at once."""
        if self._closed:
            return
        self._closed = True
        if self._multi._curlm is not None:
            self._multi.remove_handle(self._curl)
        self._curl.close()
        self._news.set()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _check(self) -> bool:
        """Whether the answer has ended well. Raises if it has ended badly."""
        if self._closed or (self._done.done() and self._done.cancelled()):
            raise StreamCutError("the answer was closed")
        if not self._done.done():
            return False
        error = self._done.exception()
        if error is not None:
            raise _translated(error, started=self._head is not None) from error
        if self._head is None:
            raise MalformedResponseError("an answer without headers")
        return True

    def _on_end(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled():
            done.exception()  # marks it as seen: a reader may never come
        self._news.set()

    def _on_header(self, line: bytes) -> int:
        if line.strip():
            self._lines.append(line)
        elif (head := _head_of(self._lines)).status >= 200:
            self._head = head
            self._news.set()
        else:
            self._lines.clear()  # an interim answer (100, 103)
        return len(line)

    def _on_chunk(self, chunk: bytes) -> int:
        if self._size >= HIGH_WATER:
            self._paused = True
            return PAUSE
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._news.set()
        return len(chunk)


def _prepared(order: Order, on_header: Any, on_chunk: Any) -> Any:
    from curl_cffi import Curl, CurlHttpVersion, CurlOpt
    from curl_cffi.requests.impersonate import resolve_latest_browser_type

    curl = Curl()
    curl.setopt(CurlOpt.URL, order.url.encode())
    curl.setopt(CurlOpt.CUSTOMREQUEST, order.method.encode())
    if order.content is not None or order.method == "POST":
        content = order.content or b""
        curl.setopt(CurlOpt.POSTFIELDS, content)
        curl.setopt(CurlOpt.POSTFIELDSIZE, len(content))
    curl.setopt(CurlOpt.HTTPHEADER, [_line(name, value) for name, value in order.headers.items()])
    curl.setopt(CurlOpt.FOLLOWLOCATION, 0)
    curl.setopt(CurlOpt.CONNECTTIMEOUT_MS, int(CONNECT_SECONDS * 1000))
    curl.setopt(CurlOpt.SUPPRESS_CONNECT_HEADERS, 1)
    curl.setopt(CurlOpt.ACCEPT_ENCODING, b"gzip, deflate, br")
    curl.setopt(CurlOpt.HEADERFUNCTION, on_header)
    curl.setopt(CurlOpt.WRITEFUNCTION, on_chunk)
    browser = resolve_latest_browser_type(order.impersonate)  # type: ignore[no-untyped-call]
    if curl.impersonate(browser, default_headers=True) != 0:
        raise ConfigurationError(f"impersonate: curl_cffi does not know the browser {order.impersonate!r}")
    if order.url.lower().startswith("http:"):
        # A browser never asks a plain connection to become HTTP/2; libcurl would.
        curl.setopt(CurlOpt.HTTP_VERSION, CurlHttpVersion.V1_1)
    return curl


def _line(name: str, value: str | None) -> bytes:
    if any(letter in (value or "") for letter in "\r\n\0"):
        raise ConfigurationError(f"the header {name} holds a line break")
    return (f"{name}:" if value is None else f"{name}: {value}" if value else f"{name};").encode()


def _head_of(lines: list[bytes]) -> Head:
    status, _, _ = lines[0].partition(b" ")[2].partition(b" ") if lines else (b"", b"", b"")
    fields = [line.decode("latin-1").partition(":") for line in lines[1:]]
    headers: dict[str, str] = {}
    for name, _, value in fields:
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    cookies = headers.pop("set-cookie", None) and [v.strip() for n, _, v in fields if _is_cookie(n)]
    return Head(status=int(status), headers=headers, set_cookies=tuple(cookies or ()))


def _is_cookie(name: str) -> bool:
    return name.strip().lower() == "set-cookie"


_DNS = frozenset({5, 6})
_ADDRESS = frozenset({1, 3, 97})
_TLS = frozenset({35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98})
_CONNECT = frozenset({7, 28})
_MALFORMED = frozenset({8, 61})


def _translated(error: BaseException, *, started: bool) -> ProviderError:
    """curl's error codes (libcurl's documented CURLE values) as plugmux's errors."""
    code = int(getattr(error, "code", 0) or 0)
    if started:
        kind = MalformedResponseError if code in _MALFORMED else StreamCutError
        return kind(f"the connection broke in the middle of the answer (curl {code})")
    for kinds, kind_name, what in (
        (_DNS, "dns", "the host name is not known"),
        (_ADDRESS, "address", "bad address or proxy"),
        (_TLS, "tls", "TLS failed"),
        (_CONNECT, "connect", "no connection"),
    ):
        if code in kinds:
            return ConnectionFailedError(f"{what} (curl {code})", kind=kind_name)
    if code in _MALFORMED:
        return MalformedResponseError(f"not HTTP (curl {code})")
    return ConnectionFailedError(f"the connection broke before any answer (curl {code})", kind="reset")
