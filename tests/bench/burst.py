"""CPU per streamed token while a server sends as fast as it can: plugmux, and a plain httpx and json loop.

All in one process and in turn, so that both meet the same machine in the same mood; CPU of all threads.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from statistics import median

import anyio
import httpx
import server
from rows import Row

import plugmux
from plugmux.settings import Settings

TOKENS = 4000
ROUNDS = 11
Run = Callable[[], Awaitable[int]]


def measure() -> Iterator[Row]:
    with server.running(TOKENS) as address, tempfile.TemporaryDirectory() as home:
        instances = f"local=hf-inference@{address}"
        settings = Settings.load(
            {"PLUGMUX_HOME": home, "PLUGMUX_INSTANCES": instances, "HF_HUB_OFFLINE": "1"}
        )
        plain, routed, blocking = anyio.run(_in_turn, address, settings)
    yield Row(what="plain httpx and json loop", value=median(plain), unit="µs/token")
    yield Row(what="plugmux, async", value=median(routed), unit="µs/token")
    yield Row(what="plugmux, sync", value=median(blocking), unit="µs/token")
    yield Row(what="async against plain", value=_ratio(routed, plain), unit="×", budget=0.9)
    yield Row(what="sync against async", value=_ratio(blocking, routed), unit="×", budget=1.5)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' own ratios: what disturbs the machine disturbs both of a round."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


async def _in_turn(address: str, settings: Settings) -> tuple[list[float], list[float], list[float]]:
    taken: tuple[list[float], ...] = ([], [], [])
    async with _plain(address) as plain, _routed(settings) as routed:
        with plugmux.Client(settings=settings) as client:
            runs = (plain, routed, lambda: anyio.to_thread.run_sync(_stream_blocking, client))
            for number in range(ROUNDS + 1):
                for run, times in zip(runs, taken, strict=True):
                    microseconds = await _cost(run)
                    if number:  # the first round opens connections and warms caches
                        times.append(microseconds)
    return taken[0], taken[1], taken[2]


async def _cost(run: Run) -> float:
    """Microseconds of CPU a token."""
    start = time.process_time()
    tokens = await run()
    spent = time.process_time() - start
    assert tokens >= TOKENS, f"{tokens} tokens came of {TOKENS}"
    return spent / TOKENS * 1e6


@asynccontextmanager
async def _plain(address: str) -> AsyncIterator[Run]:
    body = {"model": "bench", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with httpx.AsyncClient() as client:

        async def run() -> int:
            tokens = 0
            async with client.stream("POST", f"{address}/chat/completions", json=body) as response:
                async for line in response.aiter_lines():
                    if not line.startswith("data: "):
                        continue
                    if line == "data: [DONE]":
                        break
                    choices = json.loads(line[6:])["choices"]
                    if choices and choices[0]["delta"].get("content"):
                        tokens += 1
            return tokens

        yield run


@asynccontextmanager
async def _routed(settings: Settings) -> AsyncIterator[Run]:
    async with plugmux.AsyncClient(settings=settings) as client:

        async def run() -> int:
            tokens = 0
            async with client.stream("local::bench", "Hi") as stream:
                async for event in stream:
                    if isinstance(event, plugmux.Text):
                        tokens += 1
            return tokens

        yield run


def _stream_blocking(client: plugmux.Client) -> int:
    with client.stream("local::bench", "Hi") as stream:
        return sum(isinstance(event, plugmux.Text) for event in stream)
