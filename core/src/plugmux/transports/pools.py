"""Connections, pooled by scheme and proxy."""

from __future__ import annotations

import ssl
import time
import urllib.request
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from plugmux.credentials import origin_of
from plugmux.errors import ConfigurationError, ConnectionFailedError
from plugmux.transports.lean_httpx import httpx

if TYPE_CHECKING:
    from plugmux.transport import TransportFactory

__all__ = ["CLOSE_SECONDS", "Pool", "Pools", "make_transport"]

CLOSE_SECONDS = 5.0
BUFFER_BYTES = 64 * 1024
CROWD = 4
"""Requests at once that one pool of httpcore's gets."""
IDLE_SECONDS = 5.0
"""After this time without a request a further pool may be closed."""


class Pool:
    """A transport, how many requests it may carry at once, and how many it does."""

    def __init__(self, transport: httpx.AsyncBaseTransport, room: float) -> None:
        self.transport = transport
        self.room = room
        self.busy = 0
        self.closed = False
        self.idle_since = time.monotonic()

    def give_back(self) -> None:
        """One request fewer."""
        self.busy -= 1
        self.idle_since = time.monotonic()


class Pools:
    """The pools of one event loop, opened when wanted.

    httpcore's compares all its connections with each other for every request, and polls the idle ones: with
    100 at once that is a third of what a short answer costs. So requests are spread over many small ones, the
    first before the next, and the last is closed when it has had nothing to do for a while.
    """

    def __init__(self, kind: str | None, factory: TransportFactory | None) -> None:
        self._factory = factory or partial(make_transport, kind, buffer=bytearray(BUFFER_BYTES))
        self._pools: dict[tuple[str, str | None], list[Pool]] = {}
        self._verify: dict[str, ssl.SSLContext] = {}
        self._opening = anyio.Lock()
        self._proxies = {
            scheme: proxy if "://" in proxy else f"http://{proxy}"  # as curl reads it
            for scheme, proxy in urllib.request.getproxies().items()
        }

    async def take(self, url: str) -> Pool:
        """The first pool with room for a request to `url`; it is the taker's to give it back.

        Raises ConnectionFailedError for a bad address, ConfigurationError.
        """
        way = self._way_to(url)
        pools = self._pools.setdefault(way, [])
        if len(pools) > 1:
            await _close_stale(pools)
        pool = _with_room(pools)
        if pool is None:
            async with self._opening:
                pool = _with_room(pools) or await self._open(*way)
                if pool not in pools:
                    pools.append(pool)
        if self._pools.get(way) is not pools:
            raise ConnectionFailedError("the client was closed", kind="reset")
        pool.busy += 1
        return pool

    def _way_to(self, url: str) -> tuple[str, str | None]:
        try:
            origin_of(url)
        except ValueError as error:
            raise ConnectionFailedError(f"bad address: {error}", kind="address") from error
        return urlsplit(url).scheme, self.proxy_for(url)

    def proxy_for(self, url: str) -> str | None:
        """The proxy that carries requests to `url`; None is a direct connection."""
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        if proxy and urllib.request.proxy_bypass(parts.hostname or ""):  # reads the whole environment
            return None
        return proxy

    async def _open(self, scheme: str, proxy: str | None) -> Pool:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=CROWD)
        try:
            verify = await self._verification(scheme)
            transport = self._factory(verify=verify, proxy=proxy, limits=limits)
        except OSError as error:
            raise ConfigurationError(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}") from error
        except (ImportError, ValueError) as error:
            raise ConfigurationError(f"the proxy for {scheme} cannot be used: {error}") from error
        return Pool(transport, getattr(transport, "room", CROWD))

    async def _verification(self, scheme: str) -> ssl.SSLContext:
        if scheme not in self._verify:
            if scheme == "https":  # a few hundred certificates: 30 ms that the loop need not stand still
                self._verify[scheme] = await anyio.to_thread.run_sync(httpx.create_ssl_context)
            else:
                self._verify[scheme] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._verify[scheme]

    async def aclose(self) -> None:
        opened, self._pools = self._pools, {}
        every = [pool for pools in opened.values() for pool in pools]
        for pool in every:
            pool.closed = True
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            for pool in every:
                await pool.transport.aclose()


def _with_room(pools: list[Pool]) -> Pool | None:
    return next((pool for pool in pools if pool.busy < pool.room), None)


async def _close_stale(pools: list[Pool]) -> None:
    """Close the last pool if a rush has left it idle. One at a time: a request waits for it."""
    last = pools[-1]
    if not last.busy and last.idle_since < time.monotonic() - IDLE_SECONDS:
        pools.remove(last)
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await last.transport.aclose()


def make_transport(
    kind: str | None,
    *,
    verify: ssl.SSLContext,
    proxy: str | None,
    limits: httpx.Limits,
    buffer: bytearray | None = None,
) -> httpx.AsyncBaseTransport:
    """The transport of this kind; None is the first of "fast", "httpcore" and "httpx" that can be had.

    What goes through a proxy is always httpx's, and on trio there is nothing else. `buffer` is where all
    sockets of an event loop put what comes. Raises ConfigurationError for "fast" where it cannot be had.
    """
    view = memoryview(buffer or bytearray(BUFFER_BYTES))
    if kind in (None, "fast") and proxy is None and _can_be_fast(asked=kind == "fast"):
        from plugmux.transports.fast import FastTransport

        return FastTransport(verify=verify, limits=limits, buffer=view)
    if kind != "httpx" and proxy is None and _on_asyncio():
        from plugmux.transports.httpcore_pool import HttpcoreTransport

        return HttpcoreTransport(verify=verify, limits=limits, buffer=view)
    return httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, limits=limits)


def _on_asyncio() -> bool:
    return anyio.get_cancelled_exc_class().__module__.startswith("asyncio")


def _can_be_fast(*, asked: bool) -> bool:
    if find_spec("httptools") is None:
        reason = "is not installed: pip install 'plugmux[fast]'"
    elif not _on_asyncio():
        reason = "runs on asyncio only; leave it unset to have httpx on trio"
    else:
        return True
    if asked:
        raise ConfigurationError(f"the transport 'fast' {reason}")
    return False
