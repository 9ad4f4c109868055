"""Not run: read by mypy --strict against the installed package, so a wrong or missing annotation fails."""

from __future__ import annotations

from typing import assert_type

import plugmux


def complete() -> None:
    done = plugmux.complete("llama-3.3-70b", "What is machine learning?")
    assert_type(done, plugmux.Completion)
    assert_type(done.text, str)
    for attempt in done.trace.attempts:
        assert_type(attempt.seconds, float)


def stream() -> None:
    with plugmux.Client(token="t") as client, client.stream("a/model", "Hi", max_tokens=64) as events:
        for event in events:
            if isinstance(event, plugmux.Text):
                assert_type(event.text, str)


async def complete_async() -> None:
    async with plugmux.AsyncClient() as client:
        done = await client.complete(["org/first", "org/second"], "Hi")
        assert_type(done, plugmux.Completion)
        assert_type(await client.models(task="text-to-image"), list[plugmux.Model])


async def stream_async() -> None:
    async with plugmux.AsyncClient() as client, client.stream("a/model", "Hi") as stream:
        async for text in stream.text():
            assert_type(text, str)
