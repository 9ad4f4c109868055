"""Running a command's work: one event loop, one client, and Ctrl-C that closes what is open.

The first Ctrl-C cancels the work, so that every socket is closed and every server told to stop; then
KeyboardInterrupt goes on to the command. A second one does not wait for that.

Standard output is the command's own, which its `Terminal` holds: what a plugin prints while it is imported
or at work goes to standard error.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from plugmux.settings import Settings

if TYPE_CHECKING:
    from plugmux.cli.terminal import Terminal
    from plugmux.client import AsyncClient
    from plugmux.runtime import Runtime

__all__ = ["OpenClient", "load_settings", "stop_on_sigterm", "with_client", "with_runtime"]

Result = TypeVar("Result")


class OpenClient:
    """A client on an event loop that outlives each piece of work.

    asyncio's Runner and not anyio.run: it keeps the loop, and with it the connections, from one answer
    of a chat to the next, and Ctrl-C cancels one piece of work only.
    """

    def __init__(self, terminal: Terminal) -> None:
        from plugmux.client import AsyncClient

        self.settings = load_settings(terminal)
        self.client = AsyncClient(settings=self.settings)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self.run(lambda client: client.__aenter__())
        return self

    def run(self, work: Callable[[AsyncClient], Awaitable[Result]]) -> Result:
        """Do one piece of work. Raises KeyboardInterrupt after it was cancelled by Ctrl-C."""
        with redirect_stdout(sys.stderr):
            return self._runner.run(_awaited(work, self.client))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.run(lambda client: client.__aexit__(kind, error, trace))
        finally:
            self._runner.close()


def stop_on_sigterm() -> None:
    """Let SIGTERM (from `timeout`, say) end this process as Ctrl-C does, so that servers are told.

    A script's job in the background ignores SIGINT, and asyncio would not listen. There it is blocked
    instead, and still what SIGTERM stands for.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)


Given = TypeVar("Given")


async def _awaited(work: Callable[[Given], Awaitable[Result]], given: Given) -> Result:
    return await work(given)


def with_client(terminal: Terminal, work: Callable[[AsyncClient], Awaitable[Result]]) -> Result:
    """Do one piece of work with a client of its own."""
    with OpenClient(terminal) as opened:
        return opened.run(work)


def with_runtime(terminal: Terminal, work: Callable[[Runtime], Awaitable[Result]]) -> Result:
    """Do one piece of work with what a client is made of: plugins and their credentials."""
    from plugmux.runtime import Runtime

    runtime = Runtime.make(load_settings(terminal))

    async def whole() -> Result:
        try:
            return await work(runtime)
        finally:
            await runtime.disconnect()

    with redirect_stdout(sys.stderr), asyncio.Runner() as runner:
        return runner.run(whole())


def load_settings(terminal: Terminal) -> Settings:
    """The settings. Says what was wrong with their files."""
    settings = Settings.load(terminal.environ)
    for problem in settings.problems:
        terminal.note(f"note: {problem}", "yellow")
    return settings
