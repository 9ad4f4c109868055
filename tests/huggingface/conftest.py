"""A session whose network is a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.http import Http, Response
from plugmux.requests import Limits
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport

NewSession = Callable[..., Session]


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
    ) -> Session:
        limits = Limits(total=5)
        watch = Stopwatch(limits)
        transport = Transport(factory=lambda **_: httpx.MockTransport(answer))
        return Session(
            provider="hf-test",
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
def answer_of() -> Callable[..., Response]:
    """An answer as core hands it to an error reader."""

    def make(status: int, body: bytes | str, **headers: str) -> Response:
        content = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(
            url="https://service.example", status=status, headers=httpx.Headers(named), content=content
        )

    return make
