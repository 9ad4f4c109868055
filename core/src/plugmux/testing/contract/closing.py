"""The contract of letting go: break, error and cancel close the socket at once, and nothing stays behind."""

from __future__ import annotations

import gc
import math
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import anyio.lowlevel

from plugmux.errors import ProviderError
from plugmux.testing import replies
from plugmux.testing.contract.bench import Bench, Stage, demand, until
from plugmux.testing.replies import Hang

__all__ = ["CancelContract"]

AT_ONCE = 0.1
ROUNDS = 3
TOLD_SECONDS = 2.5
CLOSE_SECONDS = 3.0
SHIELDED = "the stream ignores it (a shielded cancel scope around a yield, say)"


class CancelContract(Bench):
    async def test_break_closes_the_socket_at_once(self) -> None:
        await self._demand_at_once(self.part(Hang()), _break, "break")

    async def test_an_error_in_the_callers_loop_closes_the_socket_at_once(self) -> None:
        await self._demand_at_once(self.part(Hang()), _fail, "an error in the caller's loop")

    async def test_cancel_in_the_middle_closes_the_socket_at_once(self) -> None:
        await self._demand_at_once(self.part(Hang()), _cancel, "cancel")

    async def test_cancel_before_any_answer_closes_the_socket_at_once(self) -> None:
        await self._demand_at_once(replies.no_answer(), _cancel, "cancel")

    async def test_cancel_is_never_swallowed(self) -> None:
        async with self.stage(self.part(Hang())) as stage:
            went_on = False
            with anyio.CancelScope() as scope:
                async with stage.asking() as stream:
                    await _first_sign(stage, stream)
                    scope.cancel()
                    async for _ in stream:
                        pass
                    went_on = True
        demand(not went_on, "the stream ended in peace when it was cancelled: it swallows cancellation")
        demand(scope.cancelled_caught, "cancellation did not come back out of the stream")

    async def test_closing_takes_no_longer_than_it_may(self) -> None:
        async with self.stage(self.part(Hang())) as stage:
            async with stage.asking() as stream:
                await _first_sign(stage, stream)
                started = time.monotonic()
            took = time.monotonic() - started
        demand(took < CLOSE_SECONDS, f"closing the stream took {took:.1f} s; {CLOSE_SECONDS:g} s are allowed")

    async def test_the_server_is_told_to_stop_on_break(self) -> None:
        if self.stop_path is None:
            return
        async with self.stage(self.part(Hang())) as stage:
            await _break(stage)
            await self._demand_told(stage, "break")

    async def test_the_server_is_told_to_stop_on_cancel(self) -> None:
        if self.stop_path is None:
            return
        async with self.stage(self.part(Hang())) as stage:
            with anyio.CancelScope() as scope:
                async with stage.asking() as stream:
                    await _first_sign(stage, stream)
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
            await self._demand_told(stage, "cancel")

    async def test_nothing_is_left_behind(self) -> None:
        """After a first round, which may open what is kept, more rounds add no file, thread or task."""
        with _warned() as said:
            await self._rounds_leave_nothing(self.whole(), _complete)
            await self._rounds_leave_nothing(self.part(Hang()), _break)
            gc.collect()
        demand(not said, f"something was left to the garbage collector: {'; '.join(said)}")

    async def _rounds_leave_nothing(self, reply: replies.Reply, ask: Callable[[Stage], object]) -> None:
        async with self.stage(reply) as stage:
            await ask(stage)  # type: ignore[misc]
            before = await _held(stage)
            for _ in range(3):
                await ask(stage)  # type: ignore[misc]
            after = await _held(stage)
        grown = {name: f"{before[name]} → {after[name]}" for name in after if after[name] > before[name] + 1}
        demand(not grown, f"three answers left something behind: {grown}")

    async def _demand_at_once(
        self, reply: replies.Reply, leave: Callable[[Stage], Awaitable[float]], what: str
    ) -> None:
        """Late only if it was late in every round: a busy machine is late by itself now and then."""
        late = []
        for _ in range(ROUNDS):
            async with self.stage(reply) as stage:
                started = await leave(stage)
                late.append(await stage.all_left() - started)
            if late[-1] < AT_ONCE:
                return
            demand(late[-1] < math.inf, f"the socket stayed open after {what}: {SHIELDED}")
        demand(False, f"the socket was closed {min(late):.2f} s after {what}; {AT_ONCE:g} s are allowed")

    async def _demand_told(self, stage: Stage, what: str) -> None:
        requests = stage.server.requests
        told = await until(lambda: any(r.path == self.stop_path for r in requests), seconds=TOLD_SECONDS)
        demand(told, f"after {what} the server was not told to stop: nobody asked {self.stop_path}")


class _CallersError(Exception):
    pass


async def _break(stage: Stage) -> float:
    """Leave a stream in its middle. Gives the moment of leaving, as the other two do."""
    async with stage.asking() as stream:
        await _first_sign(stage, stream)
        return time.monotonic()


async def _fail(stage: Stage) -> float:
    """Leave a stream by an error in the caller's own code."""
    try:
        async with stage.asking() as stream:
            await _first_sign(stage, stream)
            started = time.monotonic()
            raise _CallersError
    except _CallersError:
        return started


async def _cancel(stage: Stage) -> float:
    """Cancel a stream that waits for the service."""

    async def ask() -> None:
        with suppress(ProviderError):  # the service hung up on a stream that did not let go
            async with stage.asking() as stream:
                async for _ in stream:
                    seen.set()

    seen = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await _main_request(stage)
        with anyio.move_on_after(0.2):
            await seen.wait()
        await anyio.sleep(0.02)
        started = time.monotonic()
        tasks.cancel_scope.cancel()
    return started


async def _complete(stage: Stage) -> None:
    await stage.events()


async def _first_sign(stage: Stage, stream: object) -> None:
    """The first event of a stream; the arrival of the request where no event comes of half an answer."""
    with anyio.move_on_after(1.0):
        async for _ in stream:  # type: ignore[attr-defined]
            return
    await _main_request(stage)


async def _main_request(stage: Stage) -> None:
    demand(await until(lambda: stage.main_requests), "the service was never asked")


async def _held(stage: Stage) -> dict[str, int]:
    """Open files, running threads and tasks, when everything that is closing has closed."""
    await stage.all_left(seconds=0.1)
    gc.collect()
    await anyio.sleep(0.02)
    threads = [thread for thread in threading.enumerate() if "AnyIO worker" not in thread.name]
    held = {"threads": len(threads), "tasks": len(anyio.get_running_tasks())}
    return held | _open_files()


def _open_files() -> dict[str, int]:
    folder = Path("/proc/self/fd")
    return {"open files": len(list(folder.iterdir()))} if folder.is_dir() else {}


@contextmanager
def _warned() -> Iterator[list[str]]:
    """What is said of generators, coroutines and sockets that nobody closed."""
    said: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: said.append(str(unraisable.exc_value))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
    finally:
        sys.unraisablehook = hook
        kinds = (ResourceWarning, RuntimeWarning)
        said += [str(warning.message) for warning in caught if issubclass(warning.category, kinds)]
