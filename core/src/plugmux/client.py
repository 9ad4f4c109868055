"""The asynchronous client: `AsyncClient`, its streams, and what it tells about models and providers."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from plugmux.calls import Call, task_from, token_from
from plugmux.errors import InvalidInputError, PlugmuxError

if TYPE_CHECKING:
    from plugmux.attempts import Run
    from plugmux.completion import Completion
    from plugmux.credentials import Secret
    from plugmux.events import Event
    from plugmux.health import CandidateHealth, Health
    from plugmux.messages import MessagesInput
    from plugmux.model import Model, Task
    from plugmux.routing import Route
    from plugmux.runtime import Clocks, Runtime
    from plugmux.settings import Settings
    from plugmux.standing import ProviderStatus

__all__ = ["AsyncClient", "AsyncStream"]


class AsyncStream:
    """One answer as it comes: a context manager and an iterator of events.

    `completion` is what was said so far, folded. Leaving the context closes the connection.
    """

    def __init__(self, client: AsyncClient, call: Call) -> None:
        self._client = client
        self._call = call
        self._run: Run | None = None
        self._events: AsyncGenerator[Event, None] | None = None
        self._takes_back = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._iterator()

    def _iterator(self) -> AsyncGenerator[Event, None]:
        if self._events is None:
            from plugmux.attempts import events_of

            self._events = events_of(self._opened())
        return self._events

    async def text(self) -> AsyncGenerator[str, None]:
        """The text alone. It cannot take back what it gave: an answer that breaks off is an error,
        unless the policy says otherwise; after a Reset the text starts over."""
        from plugmux.events import Text

        self.give_for_good()
        async with aclosing(self):
            async for event in self:
                if isinstance(event, Text):
                    yield event.text

    def give_for_good(self) -> None:
        """Say before reading that what is shown cannot be taken back: a broken answer is then an error
        by default, not a fresh start."""
        self._takes_back = False

    async def until_done(self) -> Completion:
        """Read to the end and return the completion."""
        async with aclosing(self):
            async for _ in self:
                pass
        return self.completion

    @property
    def completion(self) -> Completion:
        """The completion so far."""
        if self._run is None:
            from plugmux.completion import Completion

            return Completion()
        from plugmux.report import completion_of

        return completion_of(self._run)

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Run, None]:
        """The call planned, and its run, watched for what blocks the loop."""
        from plugmux.attempts import Run
        from plugmux.job import Job

        call = self._call
        async with self._client._use() as runtime:
            until = call.until(runtime.clocks.monotonic())
            asked, plan = await call.planned(runtime)
            job = Job(
                id=os.urandom(16).hex(),
                route=plan.route,
                task=plan.task,
                messages=asked.messages,
                options=asked.options,
                policy=asked.policy,
                limits=call.limits,
                until=until,
                notices=plan.notices,
                token=asked.token,
                conversation=call.conversation,
                on_break=asked.policy.on_break or ("restart" if self._takes_back else "error"),
            )
            self._run = Run(runtime, job)
            with runtime.watchdog.watching():
                yield self._run

    async def aclose(self) -> None:
        """Close the connection; a stream that was not begun is closed too. Raises PlugmuxError while another
        task reads it."""
        events = self._iterator()
        if events.ag_running:  # type: ignore[attr-defined]
            raise PlugmuxError("another task reads this stream: cancel that one, or let it leave the stream")
        await events.aclose()


class AsyncClient:
    """Routes requests to whichever provider can serve them. For asyncio and trio.

    `token` is the credential to use instead of what the environment holds. `settings` defaults to the
    environment and the configuration file. Used without `async with`, each call opens and closes its own
    connections.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        settings: Settings | None = None,
        clocks: Clocks | None = None,
        entry_points: Any = None,
        transport_factory: Any = None,
    ) -> None:
        self._token = _secret(token)
        self._settings = settings
        self._clocks = clocks
        self._entry_points = entry_points
        self._transport_factory = transport_factory
        self._runtime: Runtime | None = None
        self._loop: object = None
        self._health: Health | None = None
        self._entered: list[Runtime] = []

    async def __aenter__(self) -> Self:
        self._entered.append(self._acquire())
        return self

    async def __aexit__(self, *exc: object) -> None:
        runtime = self._entered.pop()
        runtime.users -= 1
        await runtime.disconnect()

    def stream(
        self, model: str | Iterable[str] | None, messages: MessagesInput, **arguments: Any
    ) -> AsyncStream:
        """An answer as a stream of events.

        `model` is a name, several in order of wish, or None for the default; `messages` text, a message
        or a list of them. Further: `task`, `policy`, `conversation`, `timeout` (seconds for the whole
        request), `token`, `system`, `limits`, and the options of `plugmux.Options`. A mapping as `policy`
        goes over the configured one, key by key; a `Policy` replaces it. `system` replaces the system
        message that a `conversation` begins with, which needs no message more: with `action="continue"`
        its last answer is gone on with.

        Raises InvalidInputError at once; while iterating NoRouteError, AllProvidersFailedError, or the
        ProviderError that ends routing.
        """
        if arguments.get("n") not in (None, 1):
            raise InvalidInputError("a stream is one answer; in Python, complete() takes n", field="n")
        return AsyncStream(self, self._call(model, messages, arguments))

    async def complete(
        self, model: str | Iterable[str] | None, messages: MessagesInput, **arguments: Any
    ) -> Completion:
        """The whole answer as one value. Arguments and errors as for `stream`; `n` asks for several
        pictures, or texts (`choices`), which are made side by side; with a `seed`, each by the next one."""
        call = self._call(model, messages, arguments)
        if call.n == 1:
            return await AsyncStream(self, call).until_done()
        from anyio import move_on_after

        from plugmux.fanout import several

        async with self._use() as runtime:
            call.until(runtime.clocks.monotonic())
            with move_on_after(call.timeout):  # each answer says that its time was over
                await call.read_attachments()
            return await several(lambda index: AsyncStream(self, call.variation(index)), call.n)

    async def models(
        self, task: Task | str | None = None, provider: str | None = None, *, refresh: bool = False
    ) -> list[Model]:
        """What can be used now, one entry for each provider and upstream."""
        wanted = task_from(task)
        async with self._use() as runtime:
            found = await runtime.catalog.current(refresh=refresh)
        return [
            model
            for model in found.models
            if model.listed
            and (wanted is None or wanted in model.tasks)
            and (provider is None or model.provider == provider)
        ]

    async def explain(
        self, model: str | Iterable[str] | None, messages: MessagesInput = "?", **arguments: Any
    ) -> Route:
        """Who would be asked, in which order, who would not, and why. Nothing is sent to a model."""
        from plugmux.planning import Planner

        call = self._call(model, messages, arguments)
        async with self._use() as runtime:
            plan = await Planner(runtime=runtime, asked=await call.ready()).explain()
        return plan.route

    async def providers(self, *, check: bool = False) -> list[ProviderStatus]:
        """Every provider and what is wrong with it, if anything. `check` loads each."""
        from plugmux.standing import statuses

        async with self._use() as runtime:
            return await statuses(runtime, check=check)

    def health(self) -> list[CandidateHealth]:
        """The health of every candidate that this client has tried."""
        return self._health.report() if self._health else []

    async def aclose(self) -> None:
        """Close every connection. The client may be used again."""
        if self._runtime is not None:
            await self._runtime.disconnect()

    def _call(self, model: Any, messages: MessagesInput, arguments: dict[str, Any]) -> Call:
        return Call(model, messages, defaults=self._load_settings().policy, **arguments)

    def _load_settings(self) -> Settings:
        if self._settings is None:
            from plugmux.settings import Settings

            self._settings = Settings.load()
            _warn(self._settings.problems)
        return self._settings

    @asynccontextmanager
    async def _use(self) -> AsyncGenerator[Runtime, None]:
        """The runtime for one call. The last user of a client that was not entered closes it."""
        runtime = self._acquire()
        try:
            yield runtime
        finally:
            runtime.users -= 1
            if runtime.users == 0:
                await runtime.disconnect()

    def _acquire(self) -> Runtime:
        from anyio.lowlevel import current_token

        from plugmux.runtime import Runtime

        loop = current_token()
        if self._runtime is None or self._loop != loop:
            self._runtime = Runtime.make(
                self._load_settings(),
                token=self._token,
                clocks=self._clocks,
                health=self._health,
                entry_points=self._entry_points,
                transport_factory=self._transport_factory,
            )
            self._health = self._runtime.health
            self._loop = loop
        self._runtime.users += 1
        return self._runtime


def _secret(token: str | None) -> Secret | None:
    given = token_from(token)
    if given is None:
        return None
    from plugmux.credentials import Secret

    return Secret(given.strip())


def _warn(problems: Iterable[str]) -> None:
    import logging

    for problem in problems:
        logging.getLogger("plugmux").warning("%s", problem)
