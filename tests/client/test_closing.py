"""Closing a client while it is at work, and using it from several places."""

import asyncio
import threading
from contextlib import aclosing

import anyio
import pytest

from plugmux import Attempt, ConnectionFailedError, Finish, PlugmuxError, Text, hookimpl


class Line:
    """Something that a provider keeps open; `hold` keeps its closing from ending."""

    def __init__(self):
        self.closing = anyio.Event()
        self.hold = None
        self.closed = False

    async def aclose(self):
        self.closing.set()
        if self.hold is not None:
            await self.hold.wait()
        self.closed = True


@pytest.fixture
def lines(scripted):
    """A provider that speaks over a line; `hanging` says which attempts wait for the line to be closed."""

    class Speaking(scripted):
        hanging = ()

        def __init__(self):
            super().__init__()
            self.lines = []
            self.begun = anyio.Event()

        async def open(self):
            self.lines.append(Line())
            return self.lines[-1]

        @hookimpl
        async def create_stream(self, request, session):
            self.requests.append(request)
            line = await session.resource("line", self.open)
            yield Text(text=f"{len(self.lines)}")
            if len(self.requests) in self.hanging:
                self.begun.set()
                await line.closing.wait()
                raise ConnectionFailedError("the line is dead", kind="reset")
            yield Text(text=" dead" if line.closed else " alive")
            yield Finish()

    return Speaking()


async def test_who_is_being_served_when_the_client_is_closed_is_told_so(client, lines):
    lines.hanging = (1,)
    one = client(a=lines)
    async with one, anyio.create_task_group() as group:

        async def close():
            await lines.begun.wait()
            await one.aclose()

        group.start_soon(close)
        with pytest.raises(PlugmuxError, match="the client was closed"):
            await one.complete("org/model", "Hi")
    assert len(lines.requests) == 1
    assert not any(candidate.failed for candidate in one.health())


async def test_who_comes_while_the_last_one_leaves_gets_a_line_of_his_own(client, lines):
    one = client(a=lines)
    left = anyio.Event()
    async with (
        anyio.create_task_group() as group,
        aclosing(one.stream("org/model", "Hi").__aiter__()) as first,
    ):
        assert isinstance(await anext(first), Attempt)
        assert await anext(first) == Text(text="1")

        async def leave():
            await first.aclose()
            left.set()

        lines.lines[0].hold = anyio.Event()
        group.start_soon(leave)
        await lines.lines[0].closing.wait()
        second = one.stream("org/model", "Hi").__aiter__()
        assert isinstance(await anext(second), Attempt)
        assert await anext(second) == Text(text="2")
        lines.lines[0].hold.set()
        await left.wait()
        assert await anext(second) == Text(text=" alive")
        await second.aclose()
    assert lines.lines[1].closed


async def test_a_line_that_stands_after_the_client_was_closed_is_closed_too(client, scripted):
    class Slow(scripted):
        def __init__(self):
            super().__init__()
            self.line = Line()
            self.asked = anyio.Event()
            self.let = anyio.Event()

        async def open(self):
            self.asked.set()
            await self.let.wait()
            return self.line

        @hookimpl
        async def create_stream(self, request, session):
            await session.resource("line", self.open)
            yield Text(text="x")
            yield Finish()

    a = Slow()
    one = client(a=a)
    async with one, anyio.create_task_group() as group:

        async def close():
            await a.asked.wait()
            await one.aclose()
            a.let.set()

        group.start_soon(close)
        with pytest.raises(PlugmuxError, match="the client was closed"):
            await one.complete("org/model", "Hi")
    assert a.line.closed


def test_one_client_serves_two_loops_at_once(client, lines):
    one = client(a=lines)
    other_done = threading.Event()

    async def elsewhere():
        assert str(await one.complete("org/model", "Hi")) == "2 alive"

    def on_a_thread():
        asyncio.run(elsewhere())
        other_done.set()

    async def here():
        said = ""
        async with one.stream("org/model", "Hi") as stream:
            async for event in stream:
                if isinstance(event, Text):
                    said += event.text
                    if not other_done.is_set():
                        thread = threading.Thread(target=on_a_thread)
                        thread.start()
                        await asyncio.to_thread(thread.join)
        return said

    assert asyncio.run(here()) == "1 alive"
    assert all(line.closed for line in lines.lines)


async def test_a_served_answer_is_not_called_abandoned(client, scripted):
    async with client(a=scripted()) as one, one.stream("org/model", "Hi") as stream:
        async for event in stream:
            if isinstance(event, Finish):
                break
        await stream.aclose()
        assert [attempt.outcome for attempt in stream.completion.trace.attempts] == ["served"]


@pytest.fixture
def defective(scripted):
    """A provider whose stream cannot be closed without an error."""

    class Defective(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            try:
                yield Text(text="x")
                yield Text(text="y")
            finally:
                raise ValueError("not closed")

    return Defective(latency=0.1)


async def test_who_breaks_off_goes_free_of_what_the_closing_raises(client, scripted, defective, caplog):
    b = scripted(latency=0.2)
    async with client(a=defective, b=b) as one, one.stream("org/model", "Hi") as stream:
        async for event in stream:
            if isinstance(event, Text):
                break
    assert b.requests == []
    assert "closing its stream raised ValueError" in caplog.text


@pytest.mark.parametrize("error", [ValueError("not closed"), ConnectionFailedError("broken", kind="reset")])
async def test_who_is_cancelled_goes_free_of_what_the_cleanup_raises(client, scripted, anyio_backend, error):
    reading = anyio.Event()

    class Untidy(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            try:
                yield Text(text="x")
                reading.set()
                await anyio.sleep_forever()
            finally:
                raise error

    b = scripted(latency=0.2)
    one = client(a=Untidy(latency=0.1), b=b)

    async def ask():
        task = asyncio.create_task(one.complete("org/model", "Hi"))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def ask_trio():
        async with anyio.create_task_group() as group:
            group.start_soon(one.complete, "org/model", "Hi")
            await reading.wait()
            group.cancel_scope.cancel()

    await (ask() if anyio_backend == "asyncio" else ask_trio())
    assert b.requests == []


async def test_a_stream_that_another_task_reads_is_not_closed_under_it(client, scripted):
    reading = anyio.Event()

    class Slow(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            reading.set()
            await anyio.sleep_forever()
            yield Finish()

    stream = client(a=Slow()).stream("org/model", "Hi")
    async with anyio.create_task_group() as group:
        group.start_soon(stream.until_done)
        await reading.wait()
        with pytest.raises(PlugmuxError, match="another task reads this stream"):
            await stream.aclose()
        group.cancel_scope.cancel()


async def test_what_the_closing_raises_hides_no_reason(client, scripted):
    class Broken(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            try:
                yield "no event"
            finally:
                raise ValueError("not closed")

    with pytest.raises(PlugmuxError, match="gave str, which is no event"):
        await client(a=Broken()).complete("org/model", "Hi")
