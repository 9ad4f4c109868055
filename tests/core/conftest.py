"""A real transport to real sockets, and the moment at which something was let go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from plugmux.credentials import Credential
from plugmux.http import Http
from plugmux.requests import Limits
from plugmux.transport import Stopwatch, Transport

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
