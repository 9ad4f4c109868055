"""HTTP to one chat-ui server: what `session.http` is to other plugins, by libcurl.

Credentials come only through `credential.headers_for`, for every request anew. No cookie of an answer is
kept, but for the session that a server without login makes for somebody who has none yet: a jar would
store the session that a refused request sets, and lose the login by it.
"""

from __future__ import annotations

import json as _json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, cast

import anyio
from attrs import define, evolve, field

from plugmux.credentials import Credential
from plugmux.errors import MalformedResponseError, ProviderError
from plugmux.http import EventSource, Response
from plugmux.requests import Limits
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux_hf_chat._courier import Courier
from plugmux_hf_chat._curl import Head, Order, Transfer
from plugmux_hf_chat._errors import conceal, error_of
from plugmux_hf_chat._wire import origin_header

if TYPE_CHECKING:
    from plugmux.transports.exchange import Decoder, Exchange

__all__ = ["ANONYMOUS_SECONDS", "Site"]

ANONYMOUS_SECONDS = 14 * 24 * 3600
"""How long a server keeps a session that nobody uses."""
DAY = 24 * 3600
MAX_BODY = 64 * 1024 * 1024
MAX_ERROR_BODY = 64 * 1024

# What the web client's own requests carry in place of the page load that the fingerprint stands for.
_FETCH: dict[str, str | None] = {
    "Accept": "*/*",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": None,
    "Upgrade-Insecure-Requests": None,
    "Priority": "u=1, i",
}


@define(kw_only=True, eq=False)
class Site:
    """One chat-ui server, with one attempt's credential and limits.

    `base_url` has no trailing slash. `extra_headers` are the caller's own.
    """

    base_url: str
    session: Session
    courier: Courier
    impersonate: str = "chrome"
    extra_headers: Mapping[str, str] = field(factory=dict, repr=False)
    credential: Credential | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        self.credential = self.session.credential or self._kept_session()

    @property
    def secrets(self) -> Mapping[str, str]:
        """The secret headers that the server is sent."""
        return self.credential.headers_for(self.base_url) if self.credential else {}

    async def get(self, path: str, *, first_line: bool = False) -> Any:
        """The JSON at `path`, or that of its first line. Raises a ProviderError."""
        answer = await self.request("GET", path)
        if first_line:
            answer = evolve(answer, content=answer.content.partition(b"\n")[0])
        try:
            return answer.json()
        except ProviderError as error:
            conceal(error, self.secrets)
            raise

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        watch: Stopwatch | None = None,
        max_bytes: int = MAX_BODY,
    ) -> Response:
        """Send and read the whole answer. Raises a ProviderError for a status of 300 and more."""
        content = None if json is None else _json.dumps(json).encode()
        headers = {"Content-Type": "application/json"} if json is not None else {}
        async with self._exchange(method, path, headers, content, watch) as exchange:
            body = await _read(exchange, max_bytes)
        return Response(url=exchange.url, status=exchange.status, headers=exchange.headers, content=body)

    async def introduced(self, path: str, *, json: Any) -> Response:
        """A POST that may be the first of a visitor without a session. Raises as `request` does.

        One at a time until there is a session: two at once would each be given one, and only one is kept.
        """
        if self.credential is None:
            async with self.courier.introduction:
                self.credential = self._kept_session()
                if self.credential is None:
                    return await self.request("POST", path, json=json)
        return await self.request("POST", path, json=json)

    @asynccontextmanager
    async def events(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        lines: bool,
    ) -> AsyncGenerator[EventSource, None]:
        """Send and give the answer's JSON lines or server-sent events. Raises a ProviderError."""
        async with self._exchange(method, path, dict(headers or {}), content, None) as exchange:
            source = EventSource(cast("Exchange", exchange), lines=lines, max_line=MAX_BODY)
            try:
                yield source
            finally:
                await source.aclose()

    async def tell(self, path: str, *, json: Any = None, seconds: float = 2.0) -> None:
        """A POST whose answer does not matter, with a limit of its own: the attempt's may have passed."""
        await self.request(
            "POST", path, json=json, watch=Stopwatch(Limits(first_sign=seconds, total=seconds))
        )

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None,
        watch: Stopwatch | None,
    ) -> AsyncGenerator[_Exchange, None]:
        watch = watch or self.session.watch
        url = f"{self.base_url}{path}"
        transfer = await self.courier.open(
            Order(
                method=method,
                url=url,
                headers=self._headers(url, headers),
                content=content,
                impersonate=self.impersonate,
            )
        )
        exchange = _Exchange(url=url, courier=self.courier, transfer=transfer, watch=watch)
        try:
            exchange.head = await exchange.waited(transfer.head, "first_sign")
            if exchange.status >= 300:
                raise await self._failure(exchange)
            self._keep_session(exchange.head)
            yield exchange
        finally:
            await self.courier.close(transfer)

    def _headers(self, url: str, headers: Mapping[str, str]) -> dict[str, str | None]:
        secret = self.credential.headers_for(url) if self.credential else {}
        return (
            _FETCH
            | {"Origin": origin_header(self.base_url)}
            | dict(self.extra_headers)
            | dict(headers)
            | secret
        )

    async def _failure(self, exchange: _Exchange) -> ProviderError:
        try:
            body = await _read(exchange, MAX_ERROR_BODY, cut=True)
        except ProviderError:
            body = b""  # the status alone has to do
        response = Response(url=exchange.url, status=exchange.status, headers=exchange.headers, content=body)
        return conceal(error_of(response), self.secrets)

    # The session of somebody who is not logged in

    @property
    def _cache_key(self) -> str:
        return f"anonymous session {self.base_url}"

    def _kept_session(self) -> Credential | None:
        kept = self.session.cache.get(self._cache_key)
        return self._anonymous(kept) if isinstance(kept, str) else None

    def _keep_session(self, head: Head) -> None:
        cookie = _cookie(head.set_cookies, "hf-chat")
        if cookie is None:
            return
        if self.session.credential is not None:
            self._note_renewal(self.session.credential, cookie)
        else:
            self.credential = self._anonymous(cookie.value)
            self.session.cache.put(self._cache_key, cookie.value, seconds=ANONYMOUS_SECONDS)

    def _note_renewal(self, credential: Credential, cookie: Morsel[str]) -> None:
        """An accepted message prolongs the session: remember until when, at most once a day."""
        sent = credential.headers_for(self.base_url).get("Cookie", "")
        until = _end_of(cookie)
        if f"hf-chat={cookie.value}" not in sent or until is None:
            return
        key = f"renewed {credential.fingerprint}"
        if until - float(self.session.cache.get(key) or 0) > DAY:
            self.session.cache.put(key, until, seconds=ANONYMOUS_SECONDS)

    def _anonymous(self, value: str) -> Credential:
        return Credential(
            headers={"Cookie": f"hf-chat={value}"}, origins=[self.base_url], source="a session without login"
        )


def _end_of(cookie: Morsel[str]) -> float | None:
    """When a cookie ends, in seconds since the epoch."""
    try:
        if cookie["max-age"]:
            return time.time() + float(cookie["max-age"])
        return parsedate_to_datetime(cookie["expires"]).timestamp()
    except (ValueError, TypeError):
        return None


def _cookie(lines: tuple[str, ...], name: str) -> Morsel[str] | None:
    for line in lines:
        cookie: SimpleCookie = SimpleCookie()
        try:
            cookie.load(line)
        except CookieError:
            continue
        if name in cookie and cookie[name].value:
            return cookie[name]
    return None


@define(kw_only=True, eq=False)
class _Exchange:
    """An answer whose head has come: what `EventSource` asks of core's own exchange."""

    url: str
    courier: Courier
    transfer: Transfer
    watch: Stopwatch
    head: Head = field(factory=lambda: Head(status=0, headers={}))

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.head.headers

    async def iterate(self, decoder: Decoder | None = None) -> AsyncGenerator[Any, None]:
        """The bytes, content encodings undone, or what `decoder` makes of them; the limits are checked on
        arrival of each chunk."""
        while chunk := await self.waited(self.transfer.chunk, "idle"):
            self.watch.check()
            if found := decoder.feed(chunk) if decoder is not None else chunk:
                yield found
        if decoder is not None and (found := decoder.flush()):
            yield found

    async def waited(self, step: Any, limit: str) -> Any:
        """Wait for a step of the transfer, as long as `limit` allows. Raises DeadlineError."""
        with anyio.move_on_after(self.watch.read_timeout(limit)):
            return await self.courier.run(step)
        raise self.watch.silence(limit)


async def _read(exchange: _Exchange, max_bytes: int, *, cut: bool = False) -> bytes:
    pieces, size = [], 0
    while size <= max_bytes and (chunk := await exchange.waited(exchange.transfer.chunk, "idle")):
        exchange.watch.check()
        pieces.append(chunk)
        size += len(chunk)
    if size > max_bytes and not cut:
        raise MalformedResponseError(f"the answer is larger than {max_bytes:,} bytes")
    return b"".join(pieces)[:max_bytes]
