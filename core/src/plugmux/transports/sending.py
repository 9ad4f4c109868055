"""One request on its way: built for each hop anew, so that every origin gets exactly the credential headers
that it may see, on a request that nobody else ever holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import anyio
from attrs import evolve

from plugmux.credentials import origin_of, sendable
from plugmux.errors import ConnectionFailedError, MalformedResponseError
from plugmux.stopwatch import Stopwatch
from plugmux.transports.exchange import Exchange
from plugmux.transports.failures import send_error
from plugmux.transports.lean_httpx import httpx
from plugmux.transports.pools import CLOSE_SECONDS, Pool, Pools

if TYPE_CHECKING:
    from plugmux.transport import Outgoing

__all__ = ["Sender"]

MAX_HOPS = 5
CONNECT_SECONDS = 10.0

_url_of = lru_cache(maxsize=256)(httpx.URL)


class Sender:
    """Sends over `pools`, and follows redirects."""

    def __init__(self, pools: Pools, user_agent: str) -> None:
        self.pools = pools
        self._user_agent = user_agent

    async def send(self, outgoing: Outgoing, watch: Stopwatch) -> Exchange:
        """The last hop's answer. See `Transport.send`."""
        left = watch.left()
        if left is None:
            return await self._follow(outgoing, watch)
        with anyio.move_on_after(left):  # headers that drip are no silence
            return await self._follow(outgoing, watch)
        raise watch.passed("total")

    async def _follow(self, outgoing: Outgoing, watch: Stopwatch) -> Exchange:
        for _ in range(MAX_HOPS):
            exchange = await self._hop(outgoing, watch)
            target = exchange.headers.get("location")
            if not (outgoing.follow_redirects and exchange.status in _REDIRECTS and target):
                return exchange
            await exchange.aclose()
            outgoing = _redirected(outgoing, exchange.status, target)
        raise MalformedResponseError(f"redirected more than {MAX_HOPS} times")

    async def _hop(self, outgoing: Outgoing, watch: Stopwatch) -> Exchange:
        first = watch.read_timeout("first_sign")
        timeouts = {
            "connect": min(CONNECT_SECONDS, first or CONNECT_SECONDS),
            "read": first,
            "write": first,
            "pool": None,
        }
        request = self._request(outgoing, timeouts)
        pool = await self.pools.take(outgoing.url)
        try:
            response = await pool.transport.handle_async_request(request)
            if pool.closed:
                await _abandon(response, pool)
                raise ConnectionFailedError("the client was closed", kind="reset")
        except BaseException as error:
            pool.give_back()
            if isinstance(error, (httpx.HTTPError, httpx.StreamError, OSError, ValueError)):
                raise send_error(error, watch) from error
            raise
        timeouts["read"] = watch.read_timeout("idle")  # read anew for the body
        return Exchange(
            url=outgoing.url,
            status=response.status_code,
            headers=response.headers,
            response=response,
            watch=watch,
            pool=pool,
        )

    def _request(self, outgoing: Outgoing, timeouts: dict[str, float | None]) -> httpx.Request:
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": self._user_agent}
        headers |= _sent(outgoing.headers)
        if outgoing.credential is not None:
            headers |= outgoing.credential.headers_for(outgoing.url)
        extensions: dict[str, Any] = {"timeout": timeouts}
        try:
            url = _url_of(outgoing.url)
            if outgoing.address is not None:
                headers["Host"] = url.netloc.decode("ascii")
                extensions["sni_hostname"] = url.host
                url = url.copy_with(host=outgoing.address)
            request = httpx.Request(
                outgoing.method, url, headers=headers, extensions=extensions, **outgoing.body
            )
            request.stream = _Body(request.read())
            return request
        except httpx.InvalidURL as error:
            raise ConnectionFailedError(f"bad address: {error}", kind="address") from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ConnectionFailedError(f"the request cannot be written: {error}", kind="address") from error


def _sent(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without the blanks around their values, which may be secrets: no error shows one."""
    for name, value in headers.items():
        if not sendable(value):
            raise ConnectionFailedError(f"the header {name!r} is no text that can be sent", kind="address")
    return {name: value.strip() for name, value in headers.items()}


async def _abandon(response: httpx.Response, pool: Pool) -> None:
    """Close a connection that was still being made when its pool was closed, which so knows nothing of it."""
    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
        if (connection := response.extensions.get("network_stream")) is not None:
            await connection.aclose()
        await response.aclose()
        await pool.transport.aclose()


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
    return evolve(outgoing, method=method, url=url, headers=headers, body=body, address=None)
