"""How requests are spread over pools, and what becomes of the pools that a rush has left."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from plugmux.errors import ConnectionFailedError
from plugmux.http import Http
from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, replies
from plugmux.transport import Transport
from plugmux.transports import pools as module
from plugmux.transports.pools import CROWD, IDLE_SECONDS, Pool, Pools, make_transport

URL = "http://service.example/"


class Counted(httpx.AsyncBaseTransport):
    """A transport that knows whether it was closed."""

    def __init__(self, **_: Any) -> None:
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time: set its one element."""
    moment = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: moment[0])
    return moment


async def rush(pools: Pools, number: int) -> list[Pool]:
    return [await pools.take(URL) for _ in range(number)]


def transports(taken: list[Pool]) -> list[Counted]:
    return list(dict.fromkeys(pool.transport for pool in taken))


async def test_a_pool_is_filled_before_the_next_is_opened() -> None:
    pools = Pools(None, Counted)
    taken = await rush(pools, 2 * CROWD + 1)
    assert len(transports(taken)) == 3
    taken[0].give_back()
    assert await pools.take(URL) is taken[0]


async def test_what_a_rush_has_left_is_closed_pool_by_pool_from_the_last(now: list[float]) -> None:
    pools = Pools(None, Counted)
    taken = await rush(pools, 3 * CROWD)
    for pool in taken:
        pool.give_back()
    left = transports(taken)
    now[0] += IDLE_SECONDS + 1
    for closed in ([False, False, True], [False, True, True], [False, True, True]):
        pool = await pools.take(URL)
        assert pool.transport is left[0]
        assert [transport.closed for transport in left] == closed
        pool.give_back()


async def test_what_was_used_a_moment_ago_or_is_in_use_is_kept(now: list[float]) -> None:
    pools = Pools(None, Counted)
    taken = await rush(pools, 2 * CROWD)
    for pool in taken[:-1]:
        pool.give_back()
    now[0] += IDLE_SECONDS + 1
    await pools.take(URL)  # the last is in use
    taken[-1].give_back()
    await pools.take(URL)  # it was, just now
    assert not any(transport.closed for transport in transports(taken))


async def test_closing_closes_every_pool() -> None:
    pools = Pools(None, Counted)
    taken = await rush(pools, 2 * CROWD)
    await pools.aclose()
    assert all(transport.closed for transport in transports(taken))


class Late(httpx.AsyncBaseTransport):
    """A transport that connects when it is let; `asked` is when somebody waits for that."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.asked = anyio.Event()
        self.let = anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        await self.let.wait()
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_a_connection_that_stands_after_the_client_was_closed_is_closed_too(
    kind: str, anyio_backend_name: str
) -> None:
    if (kind, anyio_backend_name) == ("fast", "trio"):
        pytest.skip("the fast transport runs on asyncio only")
    made: list[Late] = []

    def late(**options: Any) -> Late:
        made.append(Late(make_transport(kind, **options)))
        return made[-1]

    async def close() -> None:
        while not made:
            await anyio.lowlevel.checkpoint()
        await made[0].asked.wait()
        await transport.aclose()
        made[0].let.set()

    transport = Transport(factory=late)
    async with FaultServer(replies.answer("hello")) as server, anyio.create_task_group() as group:
        group.start_soon(close)
        with pytest.raises(ConnectionFailedError, match="the client was closed"):
            await Http(transport, Stopwatch(Limits()), None).request("GET", server.url)
        await (await server.wait_for(1)).wait_left()
