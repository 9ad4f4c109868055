"""An event loop on a background thread, for callers that have none or have one that is not to be touched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from plugmux.errors import PlugmuxError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable

    from anyio import CancelScope
    from anyio.from_thread import BlockingPortal

__all__ = ["BackgroundLoop", "BackgroundTask"]

CLOSE_SECONDS = 10.0

Result = TypeVar("Result")


class BackgroundTask(Generic[Result]):
    """Work on the loop's thread."""

    def __init__(self, work: Callable[[], Awaitable[Result]], loop: BackgroundLoop) -> None:
        self._work = work
        self._loop = loop
        self._over = threading.Event()
        self._cancelled = False
        self._scope: CancelScope | None = None
        self.future: Future[Result]
        self.thread: threading.Thread | None = None

    def is_lost(self) -> bool:
        """Whether the thread that it was given to is gone: in a forked child it is."""
        return self.thread is not None and not self.thread.is_alive()

    async def run(self) -> Result:
        import anyio

        try:
            with anyio.CancelScope() as self._scope:
                if self._cancelled:
                    self._scope.cancel()
                return await self._work()
            raise CancelledError
        finally:
            self._over.set()

    def cancel(self) -> None:
        """Have it stop. Waits for nothing and takes no lock, so a finaliser may call it on any thread."""
        if not self._over.is_set():
            self._cancelled = True
            self._loop.soon(self._stop)

    def _stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def close(self) -> None:
        """Cancel it and return when it is really over: its sockets are closed then."""
        self.cancel()
        if not (self.is_lost() or self._loop.is_here()):
            self._over.wait(CLOSE_SECONDS)


class BackgroundLoop:
    """An event loop on a daemon thread, started at first use."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._loop: AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def is_here(self) -> bool:
        """Whether this is the loop's own thread."""
        return threading.current_thread() is self._thread

    def soon(self, callback: Callable[[], object]) -> None:
        """Call it at the loop's next turn, and wait for nothing; not at all where the loop has ended."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def start(self, work: Callable[[], Awaitable[Result]]) -> BackgroundTask[Result]:
        """Run `work` there. Raises PlugmuxError when called from that very thread."""
        if self.is_here():
            raise PlugmuxError(
                "the blocking client was called from its own event loop; use plugmux.AsyncClient there"
            )
        task = BackgroundTask(work, self)
        with self._gate:  # or `stop` could come between: what a stopped loop is given is never begun
            alive = self._thread is not None and self._thread.is_alive()
            portal = self._portal if self._portal and alive else self._open()
            task.thread = self._thread
            task.future = portal.start_task_soon(task.run)
        return task

    def call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run `work` there and wait; an interrupt of the wait cancels it.

        Raises PlugmuxError when the loop is stopped meanwhile.
        """
        task = self.start(work)
        try:
            return task.future.result()
        except CancelledError as error:
            raise PlugmuxError("the client was closed while the request was under way") from error
        except BaseException:
            task.close()
            raise

    def _open(self) -> BlockingPortal:
        ready: Future[tuple[BlockingPortal, AbstractEventLoop]] = Future()
        self._thread = threading.Thread(target=_run_loop, args=(ready,), name="plugmux", daemon=True)
        self._thread.start()
        self._portal, self._loop = ready.result()
        return self._portal

    def stop(self) -> None:
        with self._gate:
            portal, self._portal = self._portal, None
            thread = self._thread  # by the time this one ends there may be another
        if portal is None or thread is None:
            return
        with suppress(RuntimeError):
            portal.call(portal.stop, True)
        thread.join(5)


def _run_loop(ready: Future[tuple[BlockingPortal, AbstractEventLoop]]) -> None:
    import asyncio

    import anyio
    from anyio.from_thread import BlockingPortal

    async def main() -> None:
        async with BlockingPortal() as portal:
            ready.set_result((portal, asyncio.get_running_loop()))
            await portal.sleep_until_stopped()

    try:
        anyio.run(main, backend="asyncio")
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)
        raise
