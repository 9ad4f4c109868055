"""Plugins held to their contract: the only place that catches whatever foreign code raises."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio

from plugmux.errors import InvalidRequestError, PluginError, PlugmuxError, ProviderError
from plugmux.events import Attempt, Event, Media, Reasoning, Text, ToolCall
from plugmux.model import Model
from plugmux.stopwatch import Stopwatch

__all__ = ["admit", "closed", "failure_of", "isolated", "opened"]

CLOSE_SECONDS = 5.0

CONTENT = frozenset({Text, Reasoning, ToolCall, Media})
_NOTHING = Text(text="")
"""As OpenAI's first chunk has it: no content yet."""
_FROM_PLUGINS = frozenset(Event.__args__) - {Attempt}


@contextmanager
def isolated(provider: str, hook: str) -> Iterator[None]:
    """Whatever a plugin's hook, or its stream, raises becomes a PlugmuxError; cancellation passes."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if (lost := _lost_cancellation(error)) is not None:
            raise lost from error
        if isinstance(error, PlugmuxError):
            raise
        if isinstance(error, TimeoutError):
            raise PluginError(f"{hook} did not end in time", plugin=provider) from error
        raise PluginError(
            f"{hook} raised {_said(error)}",
            plugin=provider,
            remedy="a defect of the plugin: update it or tell its author",
        ) from error


def _lost_cancellation(error: BaseException) -> BaseException | None:
    """asyncio's cancellation of this task, if a plugin's cleanup raised this error in its place: it is told
    only once, and who was cancelled would be sent to the next provider."""
    asyncio: Any = sys.modules.get("asyncio")
    try:
        task = asyncio and asyncio.current_task()
    except RuntimeError:  # trio, which tells again
        return None
    if task is None or not task.cancelling():
        return None
    causes = [error]
    while causes[-1].__context__ is not None and causes[-1].__context__ not in causes:
        causes.append(causes[-1].__context__)
    return next((cause for cause in causes if isinstance(cause, asyncio.CancelledError)), None)


def opened(stream: Any, provider: str) -> AsyncGenerator[Event, None]:
    """What `create_stream` gave, if it is an async generator. Raises PluginError."""
    if not hasattr(stream, "__aiter__") or not hasattr(stream, "aclose"):
        given = type(stream).__name__
        raise PluginError(f"create_stream gave {given} where an async generator belongs", plugin=provider)
    return stream  # type: ignore[no-any-return]


async def closed(stream: AsyncGenerator[Event, None], provider: str) -> None:
    """Close a stream, within 5 s. What that raises is logged and no more: it would take the place of why
    the stream is closed, and who breaks off or is cancelled would be sent to the next provider."""
    try:
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await stream.aclose()
    except (Exception, SystemExit) as error:  # noqa: BLE001  foreign code
        import logging

        kind = type(error).__name__  # what it says may hold a secret
        logging.getLogger("plugmux").warning("plugin %r: closing its stream raised %s", provider, kind)


def admit(event: object, provider: str, watch: Stopwatch) -> None:
    """Let an event of a plugin's stream pass, and note the first content. Raises PluginError for what is
    no event, or one that only the core sends."""
    kind = type(event)
    if kind in CONTENT:
        if not watch.content_seen and event != _NOTHING:
            watch.see_content()
    elif kind not in _FROM_PLUGINS:
        raise PluginError(f"its stream gave {kind.__name__}, which is no event", plugin=provider)


def failure_of(error: PlugmuxError, model: Model) -> ProviderError:
    """The error as one provider's failure, with provider, model and upstream filled in."""
    if isinstance(error, ProviderError):
        failure = error
    else:
        failure = (
            ProviderError(str(error)) if isinstance(error, PluginError) else InvalidRequestError(str(error))
        )
        failure.__cause__ = error
    failure.provider = failure.provider or model.provider
    failure.model = failure.model or model.remote_id
    failure.upstream = failure.upstream or model.upstream
    return failure


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")
