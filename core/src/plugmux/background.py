"""An event loop on a background thread, for callers that have none or have one that is not to be touched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from plugmux.errors import PlugmuxError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from anyio.from_thread import BlockingPortal

__all__ = ["BackgroundLoop", "BackgroundTask"]

CLOSE_SECONDS = 10.0

Result = TypeVar("Result")


class BackgroundTask(Generic[Result]):
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


class BackgroundLoop:
    """An event loop on a daemon thread, started at first use."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], Awaitable[Result]]) -> BackgroundTask[Result]:
        """Run `work` there. Raises PlugmuxError when called from that very thread."""
        if threading.current_thread() is self._thread:
            raise PlugmuxError(
                "the blocking client was called from its own event loop; use plugmux.AsyncClient there"
            )
        with self._gate:
            portal = self._portal or self._open()
        task = BackgroundTask(work)
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
