"""openai's AsyncOpenAI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from openai import AsyncOpenAI

DISTRIBUTION = "openai"
Take = Callable[[str], object]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Callable[[str, Take], Awaitable[None]]]:
    async with AsyncOpenAI(base_url=address, api_key="bench") as client:

        async def stream(prompt: str, take: Take) -> None:
            messages = [{"role": "user", "content": prompt}]
            chunks = await client.chat.completions.create(model="bench", messages=messages, stream=True)
            async for chunk in chunks:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    take(text)

        yield stream
