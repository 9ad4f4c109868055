"""plugmux's AsyncClient, on the transport that PLUGMUX_TRANSPORT names."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import plugmux

DISTRIBUTION = "plugmux"
Take = Callable[[str], object]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Callable[[str, Take], Awaitable[None]]]:
    """`address` comes to plugmux as PLUGMUX_INSTANCES does: by the environment."""
    async with plugmux.AsyncClient() as client:

        async def stream(prompt: str, take: Take) -> None:
            async with client.stream("local::bench", prompt) as events:
                async for event in events:
                    if isinstance(event, plugmux.Text):
                        take(event.text)

        await _be_sure_of_transport(stream)
        yield stream


async def _be_sure_of_transport(stream: Callable[[str, Take], Awaitable[None]]) -> None:
    """Raises LookupError where another transport carries the answer than the one asked for."""
    wanted = os.environ["PLUGMUX_TRANSPORT"]
    await stream("bench-1-0", str)
    if (wanted == "fast") != ("httptools" in sys.modules):
        raise LookupError(f"this plugmux did not take {wanted} for its transport")
