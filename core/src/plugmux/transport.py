"""Connections, hops, byte iteration, and httpx's errors translated: all that others see of HTTP's client.

It uses httpx's transports and not its client: plugmux follows redirects itself, so that every hop gets
exactly the credential headers its origin may see, on a request that nobody else ever holds.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import anyio
from attrs import define, field

from plugmux.credentials import Credential, origin_of
from plugmux.decoding import ContentDecoder
from plugmux.errors import (
    ConfigurationError,
    ConnectionFailedError,
    DeadlineError,
    MalformedResponseError,
    ProviderError,
    StreamCutError,
)
from plugmux.requests import Limits

# httpx imports a command line of its own where click and rich are installed, which is half of its cost.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

if sys.modules["httpx._main"] is None:
    del sys.modules["httpx._main"]

__all__ = ["Exchange", "Outgoing", "Stopwatch", "Transport", "make_transport"]

MAX_HOPS = 5
CLOSE_SECONDS = 5.0
CONNECT_SECONDS = 10.0

TransportFactory = Callable[..., httpx.AsyncBaseTransport]


class Stopwatch:
    """The limits of one attempt, checked against the time on arrival of each chunk."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.clock = clock
        self.started = clock()
        self.content_seen = False
        self.content_after: float | None = None
        ends = [self._end(limits.total), self._end(limits.first_content)]
        self._total_at, self._content_at = ends
        self._next_check = min(ends)

    def _end(self, seconds: float | None) -> float:
        return float("inf") if seconds is None else self.started + seconds

    def see_content(self) -> None:
        """The first content is there: note when."""
        self.content_seen = True
        self.content_after = self.clock() - self.started

    def check(self) -> None:
        """Raise DeadlineError if `total`, or `first_content` before any content, has passed."""
        now = self.clock()
        if now < self._next_check:
            return
        if now >= self._total_at:
            raise self.passed("total")
        if not self.content_seen and now >= self._content_at:
            raise self.passed("first_content")
        self._next_check = self._total_at

    def passed(self, limit: str) -> DeadlineError:
        """The error that says `limit` has passed."""
        seconds = getattr(self.limits, limit) or 0.0
        what = _LIMIT_WORDS[limit].format(seconds=f"{seconds:g} s")
        return DeadlineError(what, limit=limit, seconds=seconds)

    def read_timeout(self, limit: str) -> float | None:
        """Seconds the next silence may last under `limit`, never past `total`."""
        silence = getattr(self.limits, limit)
        left = self._total_at - self.clock()
        if left == float("inf"):
            return silence  # type: ignore[no-any-return]
        return max(0.001, left if silence is None else min(silence, left))

    def silence(self, limit: str) -> DeadlineError:
        """The error for a read that timed out under `limit`."""
        return self.passed("total" if self.clock() >= self._total_at else limit)


_LIMIT_WORDS = {
    "first_sign": "no sign of an answer within {seconds}",
    "first_content": "no content within {seconds}",
    "idle": "silent for {seconds}",
    "total": "not finished within {seconds}",
}


@define(kw_only=True)
class Outgoing:
    """A request to be sent: what httpx needs to build it, and who may see which secret."""

    method: str
    url: str
    headers: dict[str, str] = field(factory=dict)
    body: dict[str, Any] = field(factory=dict)
    """`json`, `content`, `data` and `files`, as httpx names them."""
    credential: Credential | None = None
    follow_redirects: bool = True
    address: str | None = None
    """The address to connect to, already checked, in place of resolving the URL's host."""


@define(kw_only=True, eq=False)
class Exchange:
    """A response whose headers have come and whose bytes have not."""

    url: str
    status: int
    headers: Mapping[str, str]
    _response: httpx.Response
    _watch: Stopwatch

    async def iterate(self) -> AsyncGenerator[bytes, None]:
        """The bytes, content encodings undone. The one function that owns byte iteration.

        On early exit it closes the response and then runs httpx's inner generators to their end:
        left suspended they would be finalised by the garbage collector, of which trio warns.
        """
        response, watch, check = self._response, self._watch, self._watch.check
        chunks = _stream_of(response).__aiter__()
        try:
            encoding = self.headers.get("content-encoding", "identity")
            decoder = None if encoding == "identity" else ContentDecoder(encoding)
            async for chunk in chunks:
                check()
                if decoder is None:
                    yield chunk
                    continue
                for piece in decoder.feed(chunk):
                    yield piece
            if decoder is not None:
                decoder.end()
        except httpx.HTTPError as error:
            raise _body_error(error, watch) from error
        finally:
            await self.aclose()
            with suppress(httpx.HTTPError, httpx.StreamError):
                async for _ in chunks:
                    pass

    async def aclose(self) -> None:
        """Close the connection, or give it back when the body was read to its end."""
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._response.aclose()


class _Body(httpx.AsyncByteStream):
    """A request's body in one piece. httpx's own is an async generator, which a cancelled send would
    leave suspended for the garbage collector."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._pieces = iter((self._content,) if self._content else ())
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


def _stream_of(response: httpx.Response) -> httpx.AsyncByteStream:
    stream = response.stream
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("the transport gave a stream that is not asynchronous")
    return stream


class Transport:
    """Connections, pooled by scheme and proxy. Bound to the event loop of its first use.

    `factory(verify=…, proxy=…, limits=…)` makes an httpx transport, in place of `make_transport(kind, …)`.
    httpx's pool looks at every idle connection on every request, so few are kept alive.
    """

    def __init__(
        self,
        *,
        factory: TransportFactory | None = None,
        kind: str | None = None,
        user_agent: str = "plugmux",
    ) -> None:
        self._factory = factory or partial(make_transport, kind)
        self._user_agent = user_agent
        self._pools: dict[tuple[str, str | None], httpx.AsyncBaseTransport] = {}
        self._opening = anyio.Lock()
        self._proxies = urllib.request.getproxies()

    async def send(self, outgoing: Outgoing, watch: Stopwatch) -> Exchange:
        """Send a request, follow its redirects, and return when the headers of the answer are there.

        Raises ConnectionFailedError, DeadlineError (`first_sign` or `total`), MalformedResponseError.
        """
        for _ in range(MAX_HOPS):
            exchange = await self._hop(outgoing, watch)
            target = exchange.headers.get("location")
            if not (outgoing.follow_redirects and exchange.status in _REDIRECTS and target):
                return exchange
            await exchange.aclose()
            outgoing = _redirected(outgoing, exchange.status, target)
        raise MalformedResponseError(f"redirected more than {MAX_HOPS} times")

    async def _hop(self, outgoing: Outgoing, watch: Stopwatch) -> Exchange:
        timeouts = {
            "connect": min(CONNECT_SECONDS, watch.read_timeout("first_sign") or CONNECT_SECONDS),
            "read": watch.read_timeout("first_sign"),
            "write": watch.read_timeout("first_sign"),
            "pool": None,
        }
        request = self._request(outgoing, timeouts)
        pool = await self._pool_for(outgoing.url)
        try:
            response = await pool.handle_async_request(request)
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
            raise _send_error(error, watch) from error
        timeouts["read"] = watch.read_timeout("idle")  # httpcore reads it anew for the body
        return Exchange(
            url=outgoing.url,
            status=response.status_code,
            headers=response.headers,
            response=response,
            watch=watch,
        )

    def _request(self, outgoing: Outgoing, timeouts: dict[str, float | None]) -> httpx.Request:
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": self._user_agent}
        headers |= outgoing.headers
        if outgoing.credential is not None:
            headers |= outgoing.credential.headers_for(outgoing.url)
        extensions: dict[str, Any] = {"timeout": timeouts}
        try:
            url = httpx.URL(outgoing.url)
            if outgoing.address is not None:
                headers["Host"] = url.netloc.decode("ascii")
                extensions["sni_hostname"] = url.host
                url = url.copy_with(host=outgoing.address)
            request = httpx.Request(
                outgoing.method, url, headers=headers, extensions=extensions, **outgoing.body
            )
            request.stream = _Body(request.read())
            return request
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise ConnectionFailedError(f"bad address or header: {error}", kind="address") from error

    async def _pool_for(self, url: str) -> httpx.AsyncBaseTransport:
        try:
            origin_of(url)
        except ValueError as error:
            raise ConnectionFailedError(f"bad address: {error}", kind="address") from error
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname or ""
        proxy = self._proxies.get(scheme) or self._proxies.get("all")
        if proxy and urllib.request.proxy_bypass(host):  # reads the whole environment
            proxy = None
        key = scheme, proxy
        if key not in self._pools:
            async with self._opening:
                if key not in self._pools:
                    self._pools[key] = await self._open_pool(scheme, proxy)
        return self._pools[key]

    async def _open_pool(self, scheme: str, proxy: str | None) -> httpx.AsyncBaseTransport:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        try:
            if scheme == "https":  # a few hundred certificates: 30 ms that the loop need not stand still
                verify = await anyio.to_thread.run_sync(httpx.create_ssl_context)
            else:
                verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return self._factory(verify=verify, proxy=proxy, limits=limits)
        except OSError as error:
            raise ConfigurationError(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}") from error
        except (ImportError, ValueError) as error:
            raise ConfigurationError(f"the proxy for {scheme} cannot be used: {error}") from error

    async def aclose(self) -> None:
        pools, self._pools = self._pools, {}
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            for pool in pools.values():
                await pool.aclose()


def make_transport(
    kind: str | None, *, verify: ssl.SSLContext, proxy: str | None, limits: httpx.Limits
) -> httpx.AsyncBaseTransport:
    """The transport of this kind: "httpx", "fast", or None for the fast one where it can be had, on asyncio.

    What goes through a proxy is httpx's. Raises ConfigurationError for "fast" where it cannot be had.
    """
    if kind != "httpx" and proxy is None and _can_be_fast(asked=kind == "fast"):
        from plugmux.fast_transport import FastTransport

        return FastTransport(verify=verify, limits=limits)
    return httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, limits=limits)


def _can_be_fast(*, asked: bool) -> bool:
    if find_spec("httptools") is None:
        reason = "is not installed: pip install 'plugmux[fast]'"
    elif not anyio.get_cancelled_exc_class().__module__.startswith("asyncio"):
        reason = "runs on asyncio only; leave it unset to have httpx on trio"
    else:
        return True
    if asked:
        raise ConfigurationError(f"the transport 'fast' {reason}")
    return False


_FOR_ALL = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Of the caller's own headers, those that another origin may see: any other could hold a secret."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def _redirected(outgoing: Outgoing, status: int, target: str) -> Outgoing:
    """The request for the next hop, as RFC 9110 section 15.4 says."""
    try:
        url = str(httpx.URL(outgoing.url).join(target))
        foreign = origin_of(url) != origin_of(outgoing.url)
    except (httpx.InvalidURL, ValueError) as error:
        raise MalformedResponseError("redirected to a bad address") from error
    method, body = outgoing.method, outgoing.body
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", {}
    headers = {
        name: value
        for name, value in outgoing.headers.items()
        if (body or name.lower() != "content-type") and not (foreign and name.lower() not in _FOR_ALL)
    }
    return Outgoing(method=method, url=url, headers=headers, body=body, credential=outgoing.credential)


def _send_error(error: Exception, watch: Stopwatch) -> ProviderError:
    match error:
        case httpx.ConnectTimeout():
            return ConnectionFailedError("no connection within the time allowed", kind="connect")
        case httpx.TimeoutException():
            return watch.silence("first_sign")
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | ValueError():
            return ConnectionFailedError(f"bad address or header: {error}", kind="address")
        case httpx.ProxyError():
            return ConnectionFailedError(f"the proxy refused: {error}", kind="address")
        case httpx.RemoteProtocolError() if "disconnected without" not in str(error):
            return MalformedResponseError(f"not HTTP: {str(error)[:200]}")
    return _connection_error(error)


def _connection_error(error: Exception) -> ConnectionFailedError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return ConnectionFailedError(f"TLS failed: {getattr(cause, 'reason', None) or cause}", kind="tls")
        if isinstance(cause, socket.gaierror):
            return ConnectionFailedError(f"the host name is not known: {cause.strerror}", kind="dns")
        if isinstance(cause, ConnectionRefusedError):
            return ConnectionFailedError("the connection was refused", kind="connect")
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailedError(str(error) or "no connection", kind="connect")
    return ConnectionFailedError("the connection broke before any answer", kind="reset")


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or cause in found:
            continue
        found.append(cause)
        waiting += [cause.__cause__, cause.__context__, *getattr(cause, "exceptions", ())]
    return found


def _body_error(error: Exception, watch: Stopwatch) -> ProviderError:
    if isinstance(error, httpx.TimeoutException):
        return watch.silence("idle")
    return StreamCutError("the connection broke in the middle of the answer")
