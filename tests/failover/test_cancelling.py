"""A caller who goes away at any moment leaves nothing open."""

import gc
import os
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from plugmux import AsyncClient
from plugmux.settings import Settings
from plugmux.testing import FaultServer, Hang, chat, replies

pytest.importorskip("plugmux_hf_inference")

FDS = Path("/proc/self/fd")


def open_files():
    return len(list(FDS.iterdir())) if FDS.is_dir() else 0


def asked(server):
    """The requests for an answer."""
    return [request for request in server.requests if request.path == "/v1/chat/completions"]


def settings(tmp_path, server):
    return Settings.load(
        {
            "PLUGMUX_HOME": str(tmp_path),
            "PLUGMUX_INSTANCES": f"local=hf-inference@{server.url}/v1",
            "PLUGMUX_DISABLE": "hf-inference hf-chat hf-media hf-space",
        }
    )


def served(*actions):
    listed = replies.json({"data": [{"id": "test/model"}]})
    events = chat.chunks(chat.tokens(5))
    chatted = replies.stream(events[:5], after=actions) if actions else replies.stream(events)
    return replies.by_path({"/v1/models": listed, "/v1/chat/completions": chatted})


async def ask(client, seen):
    async with client.stream("test/model", "hi") as stream:
        async for event in stream:
            seen.append(event)


async def cancelled_after(steps, client):
    """Ask, and go away after so many turns of the event loop. Gives the events seen by then."""
    seen = []
    async with anyio.create_task_group() as group:
        group.start_soon(ask, client, seen)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    return seen


async def test_cancelling_at_every_step_closes_the_socket(tmp_path):
    async with (
        FaultServer(served(Hang())) as server,
        AsyncClient(settings=settings(tmp_path, server)) as client,
    ):
        await client.models()
        threads = threading.active_count()
        for steps in range(400):
            seen = await cancelled_after(steps, client)
            for request in asked(server):
                await request.wait_left(seconds=2)
            if len(seen) == 7:
                break
        assert len(seen) == 7, "the walk went through the whole stream"
        assert steps > 5
        assert threading.active_count() <= threads + 1
    gc.collect()


@pytest.mark.parametrize("how", ["break", "error", "cancel"])
@pytest.mark.parametrize("at", range(1, 8))
async def test_leaving_at_each_event_is_seen_by_the_server_at_once(tmp_path, how, at):
    async with (
        FaultServer(served(Hang())) as server,
        AsyncClient(settings=settings(tmp_path, server)) as client,
    ):
        await client.models()
        left = await leave(client, how, at)
        if at == 1:
            assert not asked(server), "only the announcement comes before the request"
        for request in asked(server):
            assert await request.wait_left(seconds=2) - left < 0.1
    gc.collect()


async def leave(client, how, at):
    import time

    left = 0.0
    with anyio.CancelScope() as scope:
        try:
            async with client.stream("test/model", "hi") as stream:
                seen = 0
                async for _ in stream:
                    seen += 1
                    if seen == at:
                        left = time.monotonic()
                        if how == "break":
                            break
                        if how == "error":
                            raise KeyError(at)
                        scope.cancel()
                        await anyio.lowlevel.checkpoint()
        except KeyError:
            pass
    return left


async def test_5000_requests_of_which_a_third_is_cancelled_leave_nothing(tmp_path):
    async with FaultServer(served()) as server, AsyncClient(settings=settings(tmp_path, server)) as client:
        await client.models()
        counts = []
        for _ in range(5):
            for _ in range(5):
                await storm(client, 200)
            server.requests.clear()
            gc.collect()
            counts.append((open_files(), threading.active_count(), memory()))
        assert counts[-1][0] <= counts[0][0] + 5
        assert counts[-1][1] <= counts[0][1] + 2
        assert counts[-1][2] <= counts[0][2] + 8 * 2**20


def memory():
    """Bytes of this process in memory; 0 where nobody says."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


async def storm(client, count):
    async def one(number):
        with anyio.CancelScope() as scope:
            async with client.stream("test/model", "hi") as stream:
                async for _ in stream:
                    if number % 3 == 0:
                        scope.cancel()

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)
