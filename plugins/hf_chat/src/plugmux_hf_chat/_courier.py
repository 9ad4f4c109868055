"""The event loop that libcurl needs: the caller's own on asyncio, a thread with one on trio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from plugmux.errors import ConnectionFailedError, StreamCutError
from plugmux_hf_chat._curl import Order, Transfer

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from curl_cffi import AsyncCurl

__all__ = ["Courier"]

T = TypeVar("T")


class Courier:
    """Keeps libcurl's connections. Bound to the event loop of its first use.

    What it calls runs where libcurl lives; cancelling the wait for it cancels the call.
    """

    def __init__(self, portal: BlockingPortal | None, leave: AbstractContextManager[Any] | None) -> None:
        self._portal = portal
        self._thread = leave
        self._multi: AsyncCurl | None = None
        self._closed = False
        self._transfers: set[Transfer] = set()
        self._partings: dict[object, Callable[[], Coroutine[Any, Any, None]]] = {}
        self.introduction = anyio.Lock()
        """Held by who asks a server for the session that all visitors without a login share."""

    @classmethod
    async def start(cls) -> Courier:
        if _on_asyncio():
            return cls(None, None)
        from anyio.from_thread import start_blocking_portal

        thread = start_blocking_portal("asyncio")
        return cls(await anyio.to_thread.run_sync(thread.__enter__), thread)

    @property
    def is_direct(self) -> bool:
        """Whether libcurl lives on the caller's own loop."""
        return self._portal is None

    async def open(self, order: Order) -> Transfer:
        """Start a transfer. It waits for nothing, so a cancelled caller does not lose it on the way.

        Raises ConnectionFailedError once the client is closed.
        """
        if self._closed:
            raise ConnectionFailedError("the client was closed meanwhile", kind="address")
        with anyio.CancelScope(shield=True):
            transfer = await self._call(self._open, order)
        self._transfers.add(transfer)
        return transfer

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> Awaitable[T]:
        """Call a step of a transfer, and wait for it. Raises StreamCutError once the client is closed."""
        if self._closed:
            raise StreamCutError("the client was closed meanwhile")
        return self._call(function, *args)

    async def _call(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._portal is None:
            return await function(*args)
        return await _result_of(self._portal.start_task_soon(function, *args))

    async def close(self, transfer: Transfer) -> None:
        """Close a transfer, also when the caller has been cancelled."""
        self._transfers.discard(transfer)
        if self._portal is None:
            transfer.close()
        elif not self._closed:  # else the thread has ended, and the transfer with it
            with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                await self._call(_closed, transfer)

    @contextlib.contextmanager
    def parting(self, call: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
        """While this is open, closing the courier does `call` first: what a server is to be told then."""
        key = object()
        self._partings[key] = call
        try:
            yield
        finally:
            del self._partings[key]

    async def aclose(self) -> None:
        """Tell servers what they are to be told, then close all connections (and the thread, if any)."""
        try:
            async with anyio.create_task_group() as group:
                for call in self._partings.values():
                    group.start_soon(call)
        finally:
            await self._close_all()

    async def _close_all(self) -> None:
        self._closed = True
        while self._transfers:
            await self._call(_closed, self._transfers.pop())
        if self._multi is not None:
            multi, self._multi = self._multi, None
            await self._call(multi.close)
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await anyio.to_thread.run_sync(thread.__exit__, None, None, None)

    async def _open(self, order: Order) -> Transfer:
        if self._multi is None:
            from curl_cffi import AsyncCurl

            self._multi = AsyncCurl()
        return Transfer(self._multi, order)


async def _closed(transfer: Transfer) -> None:
    transfer.close()


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _result_of(future: Future[T]) -> T:
    """Wait on trio for what another thread computes; a cancelled wait cancels it there."""
    import trio

    done, token = trio.Event(), trio.lowlevel.current_trio_token()

    def tell(_: Future[T]) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(tell)
    try:
        await done.wait()
    except BaseException:
        future.cancel()
        raise
    return future.result()
