"""LiteLLM's acompletion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import litellm

DISTRIBUTION = "litellm"
Take = Callable[[str], object]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Callable[[str, Take], Awaitable[None]]]:
    async def stream(prompt: str, take: Take) -> None:
        chunks = await litellm.acompletion(
            model="openai/bench",
            messages=[{"role": "user", "content": prompt}],
            api_base=address,
            api_key="bench",
            stream=True,
        )
        async for chunk in chunks:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                take(text)

    yield stream
