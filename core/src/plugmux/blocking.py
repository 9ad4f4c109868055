"""The synchronous client: the twin of `AsyncClient`, on one background thread with one event loop.

One task there drives a whole stream; its events cross to the caller's thread in batches, bounded so that a
slow reader slows the service down. Works in notebooks, whose own event loop it never touches.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from plugmux.background import BackgroundLoop, BackgroundTask
from plugmux.client import AsyncClient, AsyncStream
from plugmux.errors import PlugmuxError

if TYPE_CHECKING:
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


class _Channel:
    """Events on their way from the loop's thread to the reader's.

    What runs on the loop holds the channel, and the channel holds neither the reader nor his iterator: when
    he drops them, the iterator is finalised and the stream stops.
    """

    def __init__(self, stream: AsyncStream, loop: BackgroundLoop) -> None:
        self._stream = stream
        self._loop = loop
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._room: Any = None
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self._task: BackgroundTask[None] | None = None

    def read(self) -> Iterator[Event]:
        """The events, from a task that begins with the first and stops when this iterator goes."""
        with self._changed:
            if self._closed:
                return
            self._task = self._loop.start(self._pump)
        try:
            while events := self._take():
                yield from events
        finally:
            self.stop()

    def stop(self) -> None:
        """Have the reading end, and wait for nothing: for finalisers."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """End the reading, on whichever thread that is, and return when the connection is closed."""
        self.stop()
        with self._changed:
            self._changed.notify()
        if self._task is not None:
            self._task.close()

    async def _pump(self) -> None:
        """Drive the whole stream, in one task of the loop's thread."""
        import anyio

        error: BaseException | None = None
        try:
            async with self._stream as stream:
                async for event in stream:
                    if self._put(event) >= BATCH:
                        await self._wait_for_room(anyio.Event())
        except anyio.get_cancelled_exc_class():
            error = PlugmuxError("the client was closed before the answer had ended")
            raise
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

    def _take(self) -> list[Event]:
        """All events that are there, waiting for the first; none at the end, which closing is too.

        Raises the stream's error.
        """
        with self._changed:
            while not (self._events or self._ended or self._closed):
                if self._task is not None and self._task.is_lost():
                    raise PlugmuxError("a stream stays with the process that began it")
                self._changed.wait()
            if self._closed:
                return []
            events, self._events = self._events, []
            room, self._room = self._room, None
            error = None if events else self._error
        if room is not None:
            self._loop.soon(room.set)
        if error is not None:
            raise error
        return events


class Stream:
    """One answer as it comes: a context manager and an iterator of events. See `AsyncStream`.

    One that is dropped half-read is closed soon after; leaving the context or `close` waits until it is.
    """

    def __init__(self, stream: AsyncStream, loop: BackgroundLoop) -> None:
        self._stream = stream
        self._channel = _Channel(stream, loop)
        self._iterator: Iterator[Event] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        if self._iterator is None:
            self._iterator = self._channel.read()
        return self._iterator

    def text(self) -> Iterator[str]:
        """The text alone; see `AsyncStream.text` for what happens when an answer breaks off."""
        from plugmux.events import Text

        self._stream.give_for_good()
        try:
            for event in self:
                if isinstance(event, Text):
                    yield event.text
        finally:
            self._channel.stop()

    @property
    def completion(self) -> Completion:
        """The completion so far."""
        return self._stream.completion

    def close(self) -> None:
        """Close the connection, from any thread: who reads comes to the end. A stream that was not begun
        is closed too."""
        self._channel.close()


class Client:
    """The synchronous twin of `plugmux.AsyncClient`; takes the same arguments. Thread-safe.

    After `os.fork` the child may use it too, over connections of its own; streams stay with the parent.
    """

    def __init__(self, **arguments: Any) -> None:
        self._client = AsyncClient(**arguments)
        self._start_anew()
        _clients.add(self)

    def _start_anew(self) -> None:
        self._gate = threading.Lock()
        self._loop = BackgroundLoop()
        self._entered = False

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _enter(self) -> BackgroundLoop:
        """Keep connections open between calls, until `close`."""
        if not self._entered:
            with self._gate:
                if not self._entered:
                    self._loop.call(self._client.__aenter__)
                    self._entered = True
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
        with self._gate:
            if self._entered:
                self._entered = False
                self._loop.call(lambda: self._client.__aexit__(None, None, None))
            self._loop.stop()


_clients: WeakSet[Client] = WeakSet()
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


def _start_anew_after_fork() -> None:
    """A forked child has no thread to talk to, and its parent's sockets are not its own."""
    global _shared_gate  # noqa: PLW0603  another thread may have held it
    _shared_gate = threading.Lock()
    for client in _clients:
        client._start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew_after_fork)


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
