"""The limit `total`, on every transport, against servers that are never quite silent."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from plugmux.errors import DeadlineError
from plugmux.http import Http
from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, Hang, Send, Wait, replies
from plugmux.transport import Transport


@pytest.fixture
def kind(kind: str, anyio_backend_name: str) -> str:
    if (kind, anyio_backend_name) == ("fast", "trio"):
        pytest.skip("the fast transport runs on asyncio only")
    return kind


async def test_headers_that_drip_do_not_outlast_the_total_limit(limited: Callable[..., Http]) -> None:
    dripping = [Send(b"HTTP/1.1 100 Continue\r\n\r\n"), Wait(0.05)] * 1000
    async with FaultServer(dripping) as server:
        with pytest.raises(DeadlineError) as caught, anyio.fail_after(20):
            await limited(first_sign=30, total=0.2).request("GET", server.url)
    assert caught.value.limit == "total"


async def test_a_silence_does_not_outlast_the_total_limit(transport: Transport) -> None:
    """The time that is left when the answer begins is not the time that is left later."""
    moment = 0.0
    http = Http(transport, Stopwatch(Limits(total=100), lambda: moment), None)
    answer = replies.stream([b"data: 1\n\n"], after=[Hang()])
    async with FaultServer(answer) as server, http.events("GET", server.url) as source:
        with pytest.raises(DeadlineError) as caught, anyio.fail_after(20):
            async for _ in source:
                moment = 99.95
    assert caught.value.limit == "total"
