"""A real transport to real sockets, and the moment at which something was let go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec

import pytest

from plugmux.credentials import Credential
from plugmux.http import Http
from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport

KINDS = ["httpx", "httpcore", *(["fast"] if find_spec("httptools") else [])]
Connect = Callable[..., AbstractAsyncContextManager[Http]]


@pytest.fixture
def connect() -> Connect:
    """`async with connect(credential=…, first_sign=0.1) as http`: limits are by keyword."""

    @asynccontextmanager
    async def opened(credential: Credential | None = None, **limits: float) -> AsyncIterator[Http]:
        transport = Transport()
        try:
            yield Http(transport, Stopwatch(Limits(**limits)), credential)
        finally:
            await transport.aclose()

    return opened


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each transport that is installed."""
    return request.param


@pytest.fixture
async def transport(kind: str) -> AsyncIterator[Transport]:
    opened = Transport(kind=kind)
    yield opened
    await opened.aclose()


@pytest.fixture
def limited(transport: Transport) -> Callable[..., Http]:
    """`limited(first_sign=0.1)`: HTTP on this transport within these limits."""
    return lambda **limits: Http(transport, Stopwatch(Limits(**limits)), None)


@pytest.fixture
def http(limited: Callable[..., Http]) -> Http:
    return limited(first_sign=5, idle=5)
