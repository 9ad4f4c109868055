"""huggingface_hub's AsyncInferenceClient."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from huggingface_hub import AsyncInferenceClient

DISTRIBUTION = "huggingface_hub"
Take = Callable[[str], object]


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Callable[[str, Take], Awaitable[None]]]:
    async with AsyncInferenceClient(base_url=address, api_key="bench", timeout=60) as client:

        async def stream(prompt: str, take: Take) -> None:
            messages = [{"role": "user", "content": prompt}]
            chunks = await client.chat_completion(messages, model="bench", stream=True)
            async for chunk in chunks:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    take(text)

        yield stream
