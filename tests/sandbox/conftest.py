"""A service of our own for the sandbox to play, and a plain client to ask it with."""

from __future__ import annotations

import http.client
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plugmux.sandbox import Sandbox, Timings, answer, pieces

QUICK = Timings(token=0, silent=0.05, slow_first_token=0.05, stall=0.05)


class EchoRoutes:
    """One streaming route below `/echo/`."""

    def routes(self, box: Sandbox) -> list[Route]:
        async def chat(request: Request) -> Response:
            asked = await request.json()
            return box.reply(asked["model"], _chunks(asked["prompt"]))

        async def broken(request: Request) -> Response:
            raise KeyError("nothing there")

        return [Route("/echo/chat", chat, methods=["POST"]), Route("/echo/broken", broken)]

    def environment(self, url: str) -> dict[str, str]:
        return {"PLUGMUX_ECHO_BASE_URL": f"{url}/echo"}


async def _chunks(prompt: str) -> AsyncIterator[bytes]:
    for piece in pieces(answer(prompt)):
        yield f"data: {json.dumps(piece)}\n\n".encode()
    yield b"data: [DONE]\n\n"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(plugins={"echo": EchoRoutes()}, timings=QUICK) as box:
        yield box


@pytest.fixture
def new_box() -> Callable[..., Sandbox]:
    def make(**plugins: Any) -> Sandbox:
        return Sandbox(plugins={"echo": EchoRoutes(), **plugins}, timings=QUICK)

    return make


Ask = Callable[..., tuple[int, http.client.HTTPMessage, bytes]]


@pytest.fixture
def ask(box: Sandbox) -> Iterator[Ask]:
    """`ask(model)` → status, headers, body; an incomplete body raises http.client.IncompleteRead."""
    opened: list[http.client.HTTPConnection] = []

    def send(model: str, *, prompt: str = "hello", **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(urlsplit(box.url).netloc, timeout=5)
        opened.append(connection)
        body = json.dumps({"model": model, "prompt": prompt})
        connection.request("POST", "/echo/chat", body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    yield send
    for connection in opened:
        connection.close()
