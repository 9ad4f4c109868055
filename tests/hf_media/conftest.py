"""One attempt of hf-media against a service that exists in memory: scripted answers, and what was sent."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from attrs import define, field

from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.events import Event
from plugmux.http import Http
from plugmux.messages import Message
from plugmux.model import Model, Task
from plugmux.requests import Limits, Options, Request
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport
from plugmux_hf_media import plugin

ROUTER = "https://router.huggingface.co"
TOKEN = "not-a-real-token-2"
CDN = "https://1.1.1.1"
"""Stands for every host of results: a public address, so that no name has to be resolved."""


@define
class Sent:
    """A request that the plugin sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes
    timeouts: Mapping[str, float | None] = field(factory=dict)
    """Seconds that the transport was told to wait, by httpx's names."""

    def json(self) -> Any:
        return json.loads(self.content)


Answer = Callable[[Sent], httpx.Response] | httpx.Response | Exception


@define
class Service:
    """Answers in order, or by `METHOD url` where `answers` is a mapping; remembers what was asked."""

    answers: Sequence[Answer] | Mapping[str, Answer]
    sent: list[Sent] = field(factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        content, timeouts = await request.aread(), request.extensions["timeout"]
        sent = Sent(request.method, _url_of(request), request.headers, content, timeouts)
        self.sent.append(sent)
        answer = self._next(sent)
        if isinstance(answer, Exception):
            raise answer
        return answer(sent) if callable(answer) else answer

    def _next(self, sent: Sent) -> Answer:
        if isinstance(self.answers, Mapping):
            return self.answers[f"{sent.method} {sent.url}"]
        place = len(self.sent) - 1
        assert place < len(self.answers), f"one request too many: {sent.method} {sent.url}"
        return self.answers[place]


def _url_of(request: httpx.Request) -> str:
    return str(request.url)


@asynccontextmanager
async def opened(
    service: Service,
    *,
    model: Model | None = None,
    limits: Limits | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Session]:
    transport = Transport(factory=lambda **_: httpx.MockTransport(service.handle))
    limits = limits or Limits(total=30)
    watch = Stopwatch(limits)
    credential = Credential.bearer(TOKEN, origins=(ROUTER, "https://huggingface.co"))
    try:
        yield Session(
            provider="hf-media",
            settings={"poll_seconds": 0.001, **(settings or {})},
            http=Http(transport, watch, credential),
            cache=Cache(None),
            credential=credential,
            model=model,
            limits=limits,
            watch=watch,
            transport=transport,
            environ={},
        )
    finally:
        await transport.aclose()


def request_for(
    task: Task, upstream: str, remote_id: str, prompt: str = "", id: str = "org/model", **more: Any
) -> Request:
    model = Model(
        id=id,
        provider="hf-media",
        upstream=upstream,
        remote_id=remote_id,
        tasks=(task,),
        extra=more.pop("extra", {}),
    )
    messages = (Message(role="user", content=prompt),) if prompt else ()
    return Request(id="r-1", model=model, task=task, messages=messages, options=Options(**more))


@define
class Played:
    """What an attempt gave, and what it sent."""

    events: list[Event]
    sent: list[Sent]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def _play(service: Service, request: Request, **how: Any) -> Played:
    async with opened(service, model=request.model, **how) as session:
        events = [event async for event in plugin.create_stream(request=request, session=session)]
    return Played(events, service.sent)


class Toolbox:
    """What the tests of this folder share."""

    Service = Service
    opened = staticmethod(opened)
    request_for = staticmethod(request_for)
    play = staticmethod(_play)
    ROUTER, CDN, TOKEN = ROUTER, CDN, TOKEN
    PNG = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    MP4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(40)
    WAV = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0data\x08\0\0\0" + bytes(
        8
    )

    @staticmethod
    def json(body: Any, status: int = 200, **headers: str) -> httpx.Response:
        return Toolbox.raw(json.dumps(body).encode(), "application/json", status, **headers)

    @staticmethod
    def raw(content: bytes, kind: str, status: int = 200, **headers: str) -> httpx.Response:
        return httpx.Response(status, content=content, headers={"content-type": kind, **headers})


@pytest.fixture
def box() -> type[Toolbox]:
    return Toolbox
