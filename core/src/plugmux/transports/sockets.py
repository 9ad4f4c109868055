"""A socket on asyncio: what comes, how long somebody waits for it, and how it ends.

anyio watches a socket anew for each read and stops watching after it, which are two system calls, and makes a
timer and throws it away; asyncio's own buffer for what comes is 256 KiB, made for every token. Here a socket
is watched until too much has come that nobody reads, a timer looks now and then at the moment the present
wait has to end, and all sockets of a loop share one buffer.
"""

from __future__ import annotations

import asyncio
import select
from typing import cast

__all__ = ["HIGH_WATER", "WRITE_PIECE", "Socket"]

HIGH_WATER = 256 * 1024
"""Bytes kept for a reader who does not come; then the socket is left alone."""
WRITE_PIECE = 64 * 1024


class Socket(asyncio.BufferedProtocol):
    """The base of connections. Used by one task at a time.

    What comes is put into `buffer` and has to be taken out at once, by `buffer_updated`.
    """

    def __init__(self, buffer: memoryview) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed = False
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._write_paused = False
        self._read_paused = False
        self._waiter: asyncio.Future[bool] | None = None
        self._timeout: float | None = None
        self._wait_ends = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def abort(self) -> None:
        """Close it at the loop's next turn."""
        self.closed = True
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    def has_news(self) -> bool:
        """Whether there is something to read that the loop has not seen yet, the end included."""
        if self.closed or self._transport is None:
            return True
        descriptor = self._transport.get_extra_info("socket").fileno()
        if not hasattr(select, "poll"):  # Windows, where select knows no largest descriptor
            return bool(select.select([descriptor], [], [], 0)[0])
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

    # What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._wake()

    # For those who read

    def _mind(self, size: int) -> None:
        """Leave the socket alone while more than HIGH_WATER bytes wait to be read; `size` is how many do."""
        too_many = size > HIGH_WATER
        if too_many is self._read_paused or self.closed or self._transport is None:
            return
        self._read_paused = too_many
        if too_many:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def _wait(self, timeout: float | None) -> bool:
        """Until `_wake`; False after `timeout` seconds in which nothing came."""
        self._timeout = timeout
        waiter: asyncio.Future[bool] = self.loop.create_future()
        self._waiter = waiter
        self._renew_wait()
        try:
            return await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def _renew_wait(self) -> None:
        """The present wait has the whole of its time again."""
        if self._timeout is None:
            return
        self._wait_ends = self.loop.time() + self._timeout
        if self._timer is None or self._timer.when() > self._wait_ends:
            self._stop_timer()
            self._timer = self.loop.call_at(self._wait_ends, self._look)

    def _look(self) -> None:
        """A wait may have ended since the timer was set, and another one begun."""
        self._timer = None
        if self._waiter is None or self._waiter.done() or self._timeout is None:
            return
        if self.loop.time() < self._wait_ends:
            self._timer = self.loop.call_at(self._wait_ends, self._look)
        else:
            self._waiter.set_result(False)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
