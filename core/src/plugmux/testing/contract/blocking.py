"""The contract of the event loop: no hook keeps it from running."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable

import anyio

from plugmux.testing import replies
from plugmux.testing.contract.bench import Bench, Stage, demand

__all__ = ["LoopContract", "blocked_for"]

TICK = 0.005
PAUSE = 0.02
"""Between two pieces of an answer: whoever reads it with blocking calls blocks for all of it."""
ROUNDS = 3
"""A loop is called blocked when it was in every round: a busy machine stops for a moment, too."""


class LoopContract(Bench):
    async def test_an_answer_never_blocks_the_loop(self) -> None:
        await self._demand_free("create_stream", _answer)

    async def test_authenticate_never_blocks_the_loop(self) -> None:
        await self._demand_free("authenticate", _authenticate)

    async def test_get_models_never_blocks_the_loop(self) -> None:
        await self._demand_free("get_models", _list_models)

    async def test_an_answer_leaves_no_thread_running(self) -> None:
        async with self.stage() as stage:
            await stage.outcome()
            before = {thread.ident for thread in threading.enumerate()}
            for _ in range(3):
                await stage.outcome()
            left = [t.name for t in threading.enumerate() if t.ident not in before and "AnyIO" not in t.name]
        demand(len(left) < 3, f"every answer leaves a thread behind: {', '.join(left)}")

    async def _demand_free(self, hook: str, ask: Callable[[Stage], Awaitable[object]]) -> None:
        seen: list[tuple[float, str]] = []
        slowly = replies.stream(self.chunks(), pause=PAUSE, content_type=self.content_type)
        async with self.stage(slowly) as stage:
            for _ in range(ROUNDS):
                seen.append(await blocked_for(lambda: ask(stage), limit=self.loop_limit))
                if seen[-1][0] < self.loop_limit:
                    return
        seconds, stack = min(seen)
        demand(False, f"{hook} blocked the event loop for {seconds:.2f} s:\n{stack}")


async def _answer(stage: Stage) -> object:
    return await stage.outcome()


async def _authenticate(stage: Stage) -> object:
    return await stage.credential()


async def _list_models(stage: Stage) -> object:
    hooked = stage.bench.hook.get_models(session=stage.session(), wanted=None)
    try:
        return None if hooked is None else await hooked
    except Exception:  # noqa: BLE001 - get_models may raise, and here only its time counts
        return None


async def blocked_for(work: Callable[[], Awaitable[object]], *, limit: float) -> tuple[float, str]:
    """The longest time in seconds that the loop stood still while `work` ran, and where it stood.

    The stack is empty where that was shorter than `limit`.
    """
    watch = _Watch(limit)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.beat)
        await anyio.sleep(2 * TICK)
        watcher = threading.Thread(target=watch.look, name="plugmux-loop-watch", daemon=True)
        watcher.start()
        try:
            await work()
            await anyio.sleep(2 * TICK)
        finally:
            watch.over.set()
            tasks.cancel_scope.cancel()
    return watch.longest, watch.stack


class _Watch:
    """A heart that beats on the loop, and a thread that looks when it does not."""

    def __init__(self, limit: float) -> None:
        self.longest = 0.0
        self.stack = ""
        self.over = threading.Event()
        self._limit = limit
        self._last = time.monotonic()
        self._loop_thread = threading.get_ident()

    async def beat(self) -> None:
        while True:
            now = time.monotonic()
            self.longest = max(self.longest, now - self._last - TICK)
            self._last = now
            await anyio.sleep(TICK)

    def look(self) -> None:
        while not self.over.wait(TICK):
            if not self.stack and time.monotonic() - self._last > self._limit:
                frame = sys._current_frames().get(self._loop_thread)
                self.stack = "".join(traceback.format_stack(frame)[-6:]) if frame else ""
