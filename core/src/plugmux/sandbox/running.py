"""The uvicorn server of a sandbox. Imports uvicorn and starlette."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import uvicorn

from plugmux.sandbox.application import application

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from plugmux.sandbox.server import Sandbox

__all__ = ["server_of"]


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


def server_of(box: Sandbox, routes: Sequence[BaseRoute], on_started: Callable[[], None]) -> uvicorn.Server:
    """A server that calls `on_started` when it takes requests, and that breaks off what is still being
    answered when it is told to stop."""
    config = uvicorn.Config(
        application(box, routes),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=0,
    )
    return _Server(config, on_started)
