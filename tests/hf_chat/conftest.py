"""A chat-ui sandbox, and sessions made by hand, for both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.http import Http
from plugmux.messages import Conversation, messages_from
from plugmux.model import Model, Task
from plugmux.requests import Limits, Request, options_from
from plugmux.session import Resources, Session
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport


@pytest.fixture(scope="session")
def box() -> Iterator[Any]:
    """A sandbox server with this plugin's routes only; tokens come without a pause."""
    sandbox = pytest.importorskip("plugmux.sandbox")
    from plugmux_hf_chat import sandbox as routes

    timings = sandbox.Timings(token=0.0, silent=30.0, stall=30.0, slow_first_token=0.3)
    with sandbox.Sandbox(plugins={"hf-chat": routes}, timings=timings) as running:
        assert not running.broken
        yield running


@pytest.fixture(scope="session")
def slow_box() -> Iterator[Any]:
    """The same, 20 ms a token."""
    sandbox = pytest.importorskip("plugmux.sandbox")
    from plugmux_hf_chat import sandbox as routes

    timings = sandbox.Timings(token=0.02, silent=30.0, stall=30.0)
    with sandbox.Sandbox(plugins={"hf-chat": routes}, timings=timings) as running:
        yield running


@pytest.fixture
async def new_session(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Callable[..., Session]]:
    """Makes sessions as the core does. Those of one test share connections and cache, like one client's; a
    `cold` one shares the cache only."""
    opened, transport, cache = [Resources()], Transport(), Cache(tmp_path / "cache")

    def make(
        base_url: str,
        *,
        credential: Credential | None = None,
        limits: Limits | None = None,
        token: str | None = None,
        cold: bool = False,
        **settings: Any,
    ) -> Session:
        if cold:
            opened.append(Resources())
        watch = Stopwatch(limits or Limits(first_sign=10, idle=10))
        return Session(
            provider="hf-chat",
            settings={"base_url": base_url, **settings},
            http=Http(transport, watch, credential),
            cache=cache,
            credential=credential,
            token=token,
            limits=watch.limits,
            watch=watch,
            transport=transport,
            resources=opened[-1],
        )

    yield make
    for resources in opened:
        await resources.aclose()
    await transport.aclose()


@pytest.fixture
def new_request() -> Callable[..., Request]:
    """Makes requests as the core does."""

    def make(
        prompt: Any,
        model: str = "sandbox/plain",
        *,
        conversation: Conversation | None = None,
        system: str | None = None,
        task: Task = Task.CONVERSATIONAL,
        capabilities: Any = None,
        **options: Any,
    ) -> Request:
        before = conversation.messages if conversation else ()
        return Request(
            id="request",
            model=Model(id=model, provider="hf-chat", capabilities=capabilities or {}),
            task=task,
            messages=(*before, *messages_from(prompt, system=system, may_be_empty=bool(before))),
            options=options_from(options),
            conversation=conversation,
        )

    return make
