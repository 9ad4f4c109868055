"""A plugin that blocks the event loop is named with the place, and others come before it."""

import logging
import threading

import anyio
import anyio.to_thread
import pytest

from plugmux import Finish, Text, hookimpl
from plugmux.watchdog import Watchdog


def block(released):
    """Holds the loop's thread up until somebody noticed."""
    released.wait(10)


async def test_who_blocks_the_loop_is_blamed_with_the_stack():
    seen, noticed, reported = [], threading.Event(), threading.Event()

    def report(blocking):
        seen.append(blocking)
        reported.set()

    def owner(package):
        noticed.set()
        return "guilty" if package == __name__.partition(".")[0] else None

    watchdog = Watchdog(owner, report, limit=0.05, every=0.01)
    with watchdog.watching():
        block(noticed)
        await anyio.to_thread.run_sync(reported.wait, 5)
    (blocking,) = seen
    assert blocking.plugin == "guilty"
    assert blocking.place in blocking.stack
    assert blocking.place.endswith(" block")
    assert "blocked the event loop" in str(blocking)


async def test_a_loop_that_is_merely_idle_is_not_blamed():
    seen = []
    watchdog = Watchdog(lambda package: "guilty", seen.append, limit=0.2, every=0.01)
    with watchdog.watching():
        await anyio.sleep(0.5)
    assert seen == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_blocking_plugin_comes_last_and_providers_names_it(client, scripted, caplog, backend):
    class Blocking(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            threading.Event().wait(1.5)
            yield Text(text="late")
            yield Finish()

    class Elsewhere(scripted):
        __module__ = "elsewhere"

    warned = threading.Event()
    caplog.handler.addFilter(lambda record: warned.set() or True)
    caplog.set_level(logging.WARNING, "plugmux")

    async def main():
        async with client(bad=Blocking(), good=Elsewhere(latency=5.0)) as one:
            first = await one.complete("org/model", "hi", policy={"order": ["bad"]})
            await anyio.to_thread.run_sync(warned.wait, 10)
            route = await one.explain("org/model")
            problems = {status.name: status.problem for status in await one.providers()}
            return first.provider, [c.model.provider for c in route.candidates], problems["bad"]

    provider, order, problem = anyio.run(main, backend=backend)
    assert (provider, order) == ("bad", ["good", "bad"])
    assert "blocked the event loop" in problem
    assert "'bad'" in caplog.text
