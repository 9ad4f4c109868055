"""any-llm's client for a server that speaks as OpenAI's does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from any_llm import AnyLLM

DISTRIBUTION = "any-llm-sdk"
Take = Callable[[str], object]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Callable[[str, Take], Awaitable[None]]]:
    client = AnyLLM.create("openai", api_key="bench", api_base=address)

    async def stream(prompt: str, take: Take) -> None:
        messages = [{"role": "user", "content": prompt}]
        async for chunk in await client.acompletion(model="bench", messages=messages, stream=True):
            if chunk.choices and (text := chunk.choices[0].delta.content):
                take(text)

    yield stream
