"""A session whose network is a function, requests, and the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.events import Event
from plugmux.http import Http
from plugmux.messages import MessagesInput, messages_from
from plugmux.model import Model, Task
from plugmux.requests import Limits, Request, options_from
from plugmux.sandbox import Sandbox, Timings
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport

NewSession = Callable[..., Session]
NewRequest = Callable[..., Request]
Ask = Callable[..., Any]


@pytest.fixture
def new_session(tmp_path: Path) -> NewSession:
    """A session that asks `answer(request)` instead of a network; `environ` is all the environment it has."""

    def make(
        answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(500),
        *,
        settings: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        credential: Credential | None = None,
        token: str | None = None,
        provider: str = "hf-inference",
    ) -> Session:
        limits = Limits(total=20)
        watch = Stopwatch(limits)
        transport = Transport(factory=lambda **_: httpx.MockTransport(answer))
        return Session(
            provider=provider,
            settings=settings or {},
            http=Http(transport, watch, credential),
            cache=Cache(tmp_path / "cache"),
            credential=credential,
            token=token,
            limits=limits,
            watch=watch,
            transport=transport,
            environ=environ or {"HF_HOME": str(tmp_path / "no-such-home")},
            home=tmp_path,
        )

    return make


@pytest.fixture
def new_request() -> NewRequest:
    """A request for `org/model`, as core makes it."""

    def make(
        messages: MessagesInput = "Hello",
        *,
        model: Model | None = None,
        task: Task | None = None,
        **options: Any,
    ) -> Request:
        model = model or Model(id="org/model")
        return Request(
            id="request",
            model=model,
            task=task or model.tasks[0],
            messages=messages_from(messages),
            options=options_from(options),
        )

    return make


@pytest.fixture
def collect(new_session: NewSession, new_request: NewRequest) -> Ask:
    """The events of a stream of this plugin, asked with `new_request`'s arguments."""
    from plugmux_hf_inference import plugin

    async def ask(
        answer: Callable[[httpx.Request], httpx.Response],
        *arguments: Any,
        settings: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **options: Any,
    ) -> list[Event]:
        session = new_session(answer, settings=settings, environ=environ)
        stream = plugin.create_stream(new_request(*arguments, **options), session)
        return [event async for event in stream]

    return ask


@pytest.fixture
def event_stream() -> Callable[..., httpx.Response]:
    """An event stream of JSON bodies and of text as it is."""

    def make(*bodies: Any, **headers: str) -> httpx.Response:
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        content = "".join(f"data: {text}\n\n" for text in texts)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(200, headers={"content-type": "text/event-stream", **named}, text=content)

    return make


@pytest.fixture
def chunk() -> Callable[..., dict[str, Any]]:
    """A chunk of a chat stream with this delta."""

    def make(reason: str | None = None, **delta: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"object": "chat.completion.chunk", "model": "org/model", "choices": [choice]}

    return make


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    """The sandbox with this plugin's routes only."""
    from plugmux_hf_inference import sandbox

    with Sandbox(plugins={"hf-inference": sandbox}, timings=Timings(token=0, silent=1, stall=0)) as box:
        yield box


def pieces_of(events: Sequence[Event], kind: type) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


@pytest.fixture
def text_of() -> Callable[..., str]:
    """The joined text of all events of one kind."""
    return pieces_of
