"""Notices code that blocks the event loop, and names the plugin it belongs to.

While requests are under way a daemon thread posts a note to the loop and waits for it to be read. What
keeps the loop from reading it is on the loop's own stack: if a plugin's code is there, that plugin is
blamed. One loop cannot be saved from it; the next requests can be sent elsewhere.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

__all__ = ["Blocking", "Watchdog"]

LIMIT = 0.5
EVERY = 0.25


class Blocking(NamedTuple):
    """The loop stood still for `seconds`. `place` is the plugin's innermost line; `stack` ends innermost."""

    plugin: str
    seconds: float
    place: str
    stack: tuple[str, ...]

    def __str__(self) -> str:
        return f"it blocked the event loop for {self.seconds:.1f} s at {self.place}"


class Watchdog:
    """Watches one event loop. `owner` gives the plugin that a top-level package belongs to, or None;
    `report` is called from the watching thread. `limit` is in seconds."""

    def __init__(
        self,
        owner: Callable[[str], str | None],
        report: Callable[[Blocking], None],
        *,
        limit: float = LIMIT,
        every: float = EVERY,
    ) -> None:
        self._owner = owner
        self._report = report
        self._limit = limit
        self._every = every
        self._users = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the loop that runs here, for as long as the block lasts."""
        with self._changed:
            self._users += 1
            if self._thread is None or not self._thread.is_alive():
                self._thread = self._start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify()

    def _start(self) -> threading.Thread:
        from anyio.lowlevel import current_token

        native = current_token().native_token
        post = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon  # type: ignore[attr-defined]
        arguments = (post, threading.get_ident())
        thread = threading.Thread(target=self._watch, args=arguments, name="plugmux-watchdog", daemon=True)
        thread.start()
        return thread

    def _watch(self, post: Callable[[Callable[[], None]], None], loop_thread: int) -> None:
        while self._wanted():
            read = threading.Event()
            try:
                post(read.set)
            except RuntimeError:  # the loop is closed
                return
            began = time.monotonic()
            if not read.wait(self._limit):
                self._look(read, loop_thread, began)
            with self._changed:
                self._changed.wait_for(lambda: not self._users, self._every)

    def _wanted(self) -> bool:
        """Whether anybody is there to watch for; ends the thread a moment after the last one left."""
        with self._changed:
            self._changed.wait_for(lambda: self._users, self._every)
            if not self._users:
                self._thread = None
            return bool(self._users)

    def _look(self, read: threading.Event, loop_thread: int, began: float) -> None:
        stack = _stack(sys._current_frames().get(loop_thread))
        blamed = ((self._owner(module.partition(".")[0]), line) for module, line in stack)
        plugin, place = next((found for found in blamed if found[0]), (None, ""))
        if plugin is None:
            return
        while not read.wait(self._limit) and self._users:
            pass
        lines = tuple(line for _, line in reversed(stack))
        self._report(Blocking(plugin=plugin, seconds=time.monotonic() - began, place=place, stack=lines))


def _stack(frame: FrameType | None) -> list[tuple[str, str]]:
    """(module, line in words) of each frame, innermost first."""
    found = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "?")
        found.append((module, f"{module}:{frame.f_lineno} {frame.f_code.co_name}"))
        frame = frame.f_back
    return found
