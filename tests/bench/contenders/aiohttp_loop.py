"""A second yardstick: the same loop over aiohttp."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

DISTRIBUTION = "aiohttp"
Take = Callable[[str], object]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Callable[[str, Take], Awaitable[None]]]:
    async with aiohttp.ClientSession() as session:

        async def stream(prompt: str, take: Take) -> None:
            body = {"model": "bench", "messages": [{"role": "user", "content": prompt}], "stream": True}
            async with session.post(f"{address}/chat/completions", json=body) as response:
                async for line in response.content:
                    if not line.startswith(b"data: ") or line == b"data: [DONE]\n":
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        take(text)

        yield stream
