"""What the contract's tests stand on: a service that plays a script, and the plugin behind its hooks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pluggy
import pytest
from attrs import define, field

from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.events import Event, Media, Reasoning, Text, ToolCall
from plugmux.hooks import PROJECT, Hooks
from plugmux.http import Http
from plugmux.messages import messages_from
from plugmux.model import Model
from plugmux.requests import Limits, Request, options_from
from plugmux.session import Resources, Session
from plugmux.stopwatch import Stopwatch
from plugmux.testing import replies
from plugmux.testing.replies import Replies, Reply
from plugmux.testing.server import FaultServer, SeenRequest
from plugmux.transport import Transport

__all__ = ["CONTENT", "Bench", "Stage", "demand", "until"]

CONTENT = (Text, Reasoning, ToolCall, Media)
SECONDS = 20.0
"""No single question to a plugin may take longer."""


def demand(holds: object, otherwise: str) -> None:
    """Fail with a sentence that says what the provider did wrong."""
    if not holds:
        raise AssertionError(otherwise)


async def until(holds: Callable[[], object], *, seconds: float = SECONDS) -> bool:
    """Wait until something holds that a server in another thread brings about. False if it did not."""
    with anyio.move_on_after(seconds):
        while not holds():  # noqa: ASYNC110 - the other thread has no event of this loop
            await anyio.sleep(0.002)
        return True
    return False


class Bench:
    """How a provider's service looks. Set `plugin` and `model`, and override what is different.

    `content_type`  of the streamed answer
    `streams`       False for a service whose answer comes in one piece
    `says_its_end`  False where only the end of the bytes ends an answer
    `main_path`     where the answer itself is asked for; None: everywhere but at `stop_path`
    `stop_path`     where the plugin tells the server to stop, if it does
    `loop_limit`    seconds the event loop may be blocked
    `longest`       seconds until the service hangs up: a plugin that cannot be cancelled ends then
    `always_sent`   names of options that the service itself demands in every request
    """

    plugin: ClassVar[Any] = None
    model: ClassVar[Model] = Model(id="kit/echo")
    prompt: ClassVar[str] = "say hello"
    content_type: ClassVar[str] = "text/event-stream"
    streams: ClassVar[bool] = True
    says_its_end: ClassVar[bool] = True
    main_path: ClassVar[str | None] = None
    stop_path: ClassVar[str | None] = None
    loop_limit: ClassVar[float] = 0.1
    longest: ClassVar[float] = 10.0
    always_sent: ClassVar[frozenset[str]] = frozenset()
    secret: ClassVar[str] = "kit-secret-0123456789"  # noqa: S105 - it opens nothing

    pytestmark: ClassVar[Any] = pytest.mark.anyio

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        if find_spec(request.param) is None:
            pytest.skip(f"{request.param} is not installed")
        return str(request.param)

    def settings(self, url: str) -> Mapping[str, Any]:
        """The settings that point the provider at the server; `url` has no slash at its end."""
        return {"base_url": url}

    def chunks(self) -> Sequence[bytes]:
        """A whole answer, one item for each event, with at least four pieces of content if it streams."""
        raise NotImplementedError(f"{type(self).__name__} has no chunks()")

    def script(self, main: Reply) -> Replies:
        """`main` where the answer is asked for, and whatever else the service is asked on the way."""
        if self.stop_path is None:
            return main
        return lambda request: replies.json({}) if request.path == self.stop_path else main

    def is_main(self, request: SeenRequest) -> bool:
        """Whether this request asks for the answer itself."""
        path = request.path.partition("?")[0]
        return path != self.stop_path if self.main_path is None else path == self.main_path

    def error_body(self, status: int) -> Any:
        """What the service says with an error status, as JSON."""
        return {"error": {"message": f"the kit says {status}", "type": "kit", "code": None}}

    def options(self) -> Mapping[str, Any]:
        """Options to ask with, one at a time, each with a value that is found again where it is sent."""
        return {
            "max_tokens": 1234,
            "temperature": 0.123,
            "top_p": 0.456,
            "seed": 98765,
            "stop": ["KIT-STOP"],
            "response_format": {"type": "json_object"},
            "reasoning_effort": "minimal",
            "negative_prompt": "KIT-NEGATIVE",
            "guidance_scale": 3.125,
            "num_inference_steps": 29,
            "fps": 13,
            "voice": "KIT-VOICE",
            "language": "KIT-LANGUAGE",
        }

    # What follows is for the contract's own tests.

    def whole(self) -> Reply:
        """The complete answer."""
        return replies.stream(self.chunks(), content_type=self.content_type)

    def part(self, *after: replies.Action, share: float = 0.5) -> Reply:
        """The first part of the answer, and then `after`."""
        chunks = list(self.chunks())
        if len(chunks) == 1:
            kept = [chunks[0][: int(len(chunks[0]) * share)]]
        else:
            kept = chunks[: int(len(chunks) * share)]
        return replies.stream(kept, after=after, content_type=self.content_type)

    def error(self, status: int, body: Any = None, **headers: str) -> Reply:
        """An answer of an error status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replies.json(self.error_body(status) if body is None else body, status=status, headers=named)

    @asynccontextmanager
    async def stage(self, main: Reply | None = None, **limits: float) -> AsyncIterator[Stage]:
        """A server that plays `main`, and the plugin pointed at it."""
        transport = Transport()
        server = FaultServer(self.script(self.whole() if main is None else main), longest=self.longest)
        with server.in_thread():
            stage = Stage(bench=self, server=server, transport=transport, limits=Limits(**limits))
            try:
                with anyio.fail_after(SECONDS):
                    yield stage
            finally:
                with anyio.CancelScope(shield=True):
                    await stage.resources.aclose()
                    await transport.aclose()

    @property
    def hook(self) -> Any:
        """The plugin's hooks, as the core calls them."""
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        manager.register(self.plugin)
        manager.check_pending()
        return manager.hook


@define(kw_only=True, eq=False)
class Stage:
    """One running server, and the plugin pointed at it."""

    bench: Bench
    server: FaultServer
    transport: Transport
    limits: Limits
    resources: Resources = field(factory=Resources)

    @property
    def main_requests(self) -> list[SeenRequest]:
        """The requests so far that asked for the answer itself."""
        return [request for request in self.server.requests if self.bench.is_main(request)]

    def session(self, credential: Credential | None = None, *, token: str | None = None) -> Session:
        """A session as the core makes it."""
        watch = Stopwatch(self.limits)
        return Session(
            provider="kit",
            settings=self.bench.settings(self.server.url),
            http=Http(self.transport, watch, credential),
            cache=Cache(None),
            credential=credential,
            token=token,
            model=self.bench.model,
            limits=self.limits,
            watch=watch,
            transport=self.transport,
            environ={},
            home=Path("/nonexistent"),
            resources=self.resources,
        )

    async def credential(self) -> Credential | None:
        """What the plugin makes of the kit's token."""
        session = self.session(token=self.bench.secret)
        wanted = self.bench.hook.authenticate(session=session, challenge=None)
        return None if wanted is None else await wanted

    @asynccontextmanager
    async def asking(self, **options: Any) -> AsyncIterator[AsyncGenerator[Event, None]]:
        """The plugin's stream, closed at the end."""
        session = self.session(await self.credential(), token=self.bench.secret)
        request = Request(
            id="kit-1",
            model=self.bench.model,
            task=self.bench.model.tasks[0],
            messages=messages_from(self.bench.prompt),
            options=options_from(options),
        )
        async with aclosing(self.bench.hook.create_stream(request=request, session=session)) as stream:
            yield stream

    async def events(self, **options: Any) -> list[Event]:
        """Every event of the answer."""
        async with self.asking(**options) as stream:
            return [event async for event in stream]

    async def outcome(self, **options: Any) -> tuple[list[Event], BaseException | None]:
        """Every event up to the end, and what was raised there. Cancellation passes."""
        got: list[Event] = []
        try:
            async with self.asking(**options) as stream:
                async for event in stream:
                    got.append(event)  # noqa: PERF401 - it may raise in between
        except Exception as error:  # noqa: BLE001 - what it is, is for the test to say
            return got, error
        return got, None

    async def all_left(self, *, seconds: float = 5.0) -> float:
        """When the client had closed the sockets of all requests for the answer."""
        await until(lambda: all(request.left_at for request in self.main_requests), seconds=seconds)
        return max((request.left_at or float("inf") for request in self.main_requests), default=float("inf"))
