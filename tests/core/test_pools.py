"""How requests are spread over pools, and what becomes of the pools that a rush has left."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from plugmux.transports import pools as module
from plugmux.transports.pools import CROWD, IDLE_SECONDS, Pool, Pools

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
