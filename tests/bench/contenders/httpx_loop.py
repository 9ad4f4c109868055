"""The yardstick: what an application writes that needs nothing but httpx.

It reads on after `[DONE]`, so that the connection is given back as plugmux and the peers do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

DISTRIBUTION = "httpx"
Take = Callable[[str], object]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Callable[[str, Take], Awaitable[None]]]:
    async with httpx.AsyncClient(timeout=60) as client:

        async def stream(prompt: str, take: Take) -> None:
            body = {"model": "bench", "messages": [{"role": "user", "content": prompt}], "stream": True}
            async with client.stream("POST", f"{address}/chat/completions", json=body) as response:
                async for line in response.aiter_lines():
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        take(text)

        yield stream
