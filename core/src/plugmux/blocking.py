"""The synchronous client: the twin of `AsyncClient`, on one background thread with one event loop.

One task there drives a whole stream; its events cross to the caller's thread in batches, bounded so that a
slow reader slows the service down. Works in notebooks, whose own event loop it never touches.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from plugmux.client import AsyncClient, AsyncStream
from plugmux.errors import PlugmuxError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from anyio.from_thread import BlockingPortal

    from plugmux.completion import Completion
    from plugmux.events import Event
    from plugmux.health import CandidateHealth
    from plugmux.messages import MessagesInput
    from plugmux.model import Model, Task
    from plugmux.routing import Route
    from plugmux.standing import ProviderStatus

__all__ = ["Client", "Stream", "complete", "explain", "models", "stream"]

BATCH = 256
"""Events that may wait to be read before the stream is held up."""

CLOSE_SECONDS = 10.0

Result = TypeVar("Result")


class _Task(Generic[Result]):
    """Work on the loop's thread. `cancel` returns when it is really over: its sockets are closed then."""

    def __init__(self, work: Callable[[], Awaitable[Result]]) -> None:
        self._work = work
        self._over = threading.Event()
        self.future: Future[Result]

    async def run(self) -> Result:
        try:
            return await self._work()
        finally:
            self._over.set()

    def cancel(self) -> None:
        if not self.future.done():
            self.future.cancel()
            self._over.wait(CLOSE_SECONDS)


class _Loop:
    """An event loop on a daemon thread, started at first use."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], Awaitable[Result]]) -> _Task[Result]:
        """Run `work` there. Raises PlugmuxError when called from that very thread."""
        if threading.current_thread() is self._thread:
            raise PlugmuxError(
                "the blocking client was called from its own event loop; use plugmux.AsyncClient there"
            )
        with self._gate:
            portal = self._portal or self._open()
        task = _Task(work)
        task.future = portal.start_task_soon(task.run)
        return task

    def call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run `work` there and wait; an interrupt of the wait cancels it."""
        task = self.start(work)
        try:
            return task.future.result()
        except BaseException:
            task.cancel()
            raise

    def _open(self) -> BlockingPortal:
        ready: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=_run_loop, args=(ready,), name="plugmux", daemon=True)
        self._thread.start()
        self._portal = ready.result()
        return self._portal

    def stop(self) -> None:
        with self._gate:
            portal, self._portal = self._portal, None
        if portal is None or self._thread is None:
            return
        with suppress(RuntimeError):
            portal.call(portal.stop, True)
        self._thread.join(5)


def _run_loop(ready: Future[BlockingPortal]) -> None:
    import anyio
    from anyio.from_thread import BlockingPortal

    async def main() -> None:
        async with BlockingPortal() as portal:
            ready.set_result(portal)
            await portal.sleep_until_stopped()

    try:
        anyio.run(main, backend="asyncio")
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)
        raise


class _Channel:
    """Events on their way from the loop's thread to the reader's."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._room: Any = None
        self._ended = False
        self._error: BaseException | None = None

    async def pump(self, stream: AsyncStream) -> None:
        """Drive the whole stream, in one task of the loop's thread."""
        import anyio

        error: BaseException | None = None
        try:
            async with stream:
                async for event in stream:
                    if self._put(event) >= BATCH:
                        await self._wait_for_room(anyio.Event())
        except BaseException as caught:
            error = caught
            if not isinstance(caught, Exception):
                raise
        finally:
            self._end(error)

    def _put(self, event: Event) -> int:
        with self._changed:
            self._events.append(event)
            waiting = len(self._events)
            if waiting == 1:  # the reader waits for the first only
                self._changed.notify()
            return waiting

    async def _wait_for_room(self, room: Any) -> None:
        with self._changed:
            if not self._events:
                return
            self._room = room
        await room.wait()

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify()

    def take(self) -> list[Event]:
        """All events that are there, waiting for the first; none at the end. Raises the stream's error."""
        with self._changed:
            while not self._events and not self._ended:
                self._changed.wait()
            events, self._events = self._events, []
            room, self._room = self._room, None
            error = None if events else self._error
        if room is not None:
            self._loop.start(_setter(room))
        if error is not None:
            raise error
        return events


def _setter(room: Any) -> Callable[[], Awaitable[None]]:
    async def set_it() -> None:
        room.set()

    return set_it


class Stream:
    """One answer as it comes: a context manager and an iterator of events. See `AsyncStream`."""

    def __init__(self, stream: AsyncStream, loop: _Loop) -> None:
        self._stream = stream
        self._loop = loop
        self._channel = _Channel(loop)
        self._task: _Task[None] | None = None
        self._iterator: Iterator[Event] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        if self._iterator is None:
            self._iterator = self._events()
        return self._iterator

    def _events(self) -> Iterator[Event]:
        self._task = self._loop.start(lambda: self._channel.pump(self._stream))
        try:
            while events := self._channel.take():
                yield from events
        finally:
            self._task.cancel()

    def text(self) -> Iterator[str]:
        """The text alone; see `AsyncStream.text` for what happens when an answer breaks off."""
        from plugmux.events import Text

        self._stream.give_for_good()
        with closing(self):
            for event in self:
                if isinstance(event, Text):
                    yield event.text

    @property
    def completion(self) -> Completion:
        """The completion so far."""
        return self._stream.completion

    def close(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()


class Client:
    """The synchronous twin of `plugmux.AsyncClient`; takes the same arguments. Thread-safe."""

    def __init__(self, **arguments: Any) -> None:
        self._client = AsyncClient(**arguments)
        self._loop = _Loop()
        self._entered = False

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _enter(self) -> _Loop:
        """Keep connections open between calls, until `close`."""
        if not self._entered:
            self._entered = True
            self._loop.call(self._client.__aenter__)
        return self._loop

    def stream(self, model: str | Iterable[str] | None, messages: MessagesInput, **arguments: Any) -> Stream:
        """An answer as a stream of events; see `AsyncClient.stream`."""
        return Stream(self._client.stream(model, messages, **arguments), self._enter())

    def complete(
        self, model: str | Iterable[str] | None, messages: MessagesInput, **arguments: Any
    ) -> Completion:
        """The whole answer as one value; see `AsyncClient.complete`."""
        return self._enter().call(lambda: self._client.complete(model, messages, **arguments))

    def models(
        self, task: Task | str | None = None, provider: str | None = None, *, refresh: bool = False
    ) -> list[Model]:
        """What can be used now; see `AsyncClient.models`."""
        return self._enter().call(lambda: self._client.models(task, provider, refresh=refresh))

    def explain(
        self, model: str | Iterable[str] | None, messages: MessagesInput = "?", **arguments: Any
    ) -> Route:
        """Who would be asked, and why; see `AsyncClient.explain`."""
        return self._enter().call(lambda: self._client.explain(model, messages, **arguments))

    def providers(self, *, check: bool = False) -> list[ProviderStatus]:
        """Every provider and what is wrong with it; see `AsyncClient.providers`."""
        return self._enter().call(lambda: self._client.providers(check=check))

    def health(self) -> list[CandidateHealth]:
        """The health of every candidate that this client has tried."""
        return self._client.health()

    def close(self) -> None:
        """Close every connection and end the thread. The client may be used again."""
        if self._entered:
            self._entered = False
            self._loop.call(lambda: self._client.__aexit__(None, None, None))
        self._loop.stop()


_shared: Client | None = None
_shared_gate = threading.Lock()


def _client() -> Client:
    """The one client behind the module's functions: made at first use, closed at exit."""
    global _shared  # noqa: PLW0603  the one global that the façade needs
    with _shared_gate:
        if _shared is None:
            _shared = Client()
            atexit.register(_shared.close)
        return _shared


def _forget_after_fork() -> None:
    """A forked child has no thread to talk to: it makes a client of its own."""
    global _shared, _shared_gate
    if _shared is not None:
        atexit.unregister(_shared.close)
    _shared, _shared_gate = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def complete(model: str | Iterable[str] | None, messages: MessagesInput, **arguments: Any) -> Completion:
    """The whole answer as one value; see `AsyncClient.complete`."""
    return _client().complete(model, messages, **arguments)


def stream(model: str | Iterable[str] | None, messages: MessagesInput, **arguments: Any) -> Stream:
    """An answer as a stream of events; see `AsyncClient.stream`."""
    return _client().stream(model, messages, **arguments)


def models(
    task: Task | str | None = None, provider: str | None = None, *, refresh: bool = False
) -> list[Model]:
    """What can be used now; see `AsyncClient.models`."""
    return _client().models(task, provider, refresh=refresh)


def explain(model: str | Iterable[str] | None, messages: MessagesInput = "?", **arguments: Any) -> Route:
    """Who would be asked, and why; see `AsyncClient.explain`."""
    return _client().explain(model, messages, **arguments)
