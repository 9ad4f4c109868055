"""The plugin contract: four hooks, the marker that implements them, and the stream wrapper.

A plugin is an entry point in the group `plugmux` that names an object (a module will do) with hook
implementations:

    from plugmux import hookimpl

    @hookimpl
    async def get_models(session, wanted): ...

An implementation may take fewer arguments than the spec, by name. A misspelt hook is an error when the
plugin is loaded. Beside its hooks the object may have

    static_models         a sequence of `Model`, or a function of the provider's settings that gives
                          one: served while nothing better is known
    settings              names of its settings, for `plugmux providers` and for spotting a misspelt one
    default_auth          an `Auth` value for models that were never seen (pass-through names)
    keep_alive            seconds between the service's signs of life while nothing else comes
    own_limits            True: it bounds by itself how long its service may work, if nobody else is ready
    credential_remedy     how to get a credential, for the error that says one is missing
    credential_per_model  True: `authenticate` is asked for each model anew (`session.model` says which)
    login, logout         for `plugmux auth login`: async functions of (session, echo)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from plugmux.credentials import Credential
    from plugmux.errors import ProviderError
    from plugmux.events import Event
    from plugmux.messages import Message
    from plugmux.model import Model
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["hookimpl", "stream_wrapper"]

PROJECT = "plugmux"


_hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function or method as the implementation of the hook of its name."""


class Hooks:
    """The specifications. pluggy knows no async: hooks return awaitables and generators."""

    @_hookspec(firstresult=True)
    def get_models(self, session: Session, wanted: str | None) -> Awaitable[Sequence[Model]]:
        """What this provider serves now (`wanted` None), or the models that answer to one name.

        A look-up has 3 seconds; an empty sequence says no, and is remembered for a while. Raising is
        fine: the last known list, then `static_models`, serves.
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def create_stream(self, request: Request, session: Session) -> AsyncGenerator[Event, None]:
        """Answer one attempt with events, exactly one `Finish` last.

        Raises a `ProviderError`. The core closes the generator on break, error and cancel.
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def authenticate(self, session: Session, challenge: ProviderError | None) -> Awaitable[Credential | None]:
        """The credential to use: called when first needed, and again with the error after a 401.

        None means anonymous (first call), or that there is no better one (with a challenge).
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def format_prompt(self, model: Model, messages: Sequence[Message], continue_final: bool) -> str | None:
        """One flat prompt for a model that takes no messages; None where this format does not apply.

        `continue_final`: the last message is the assistant's and is to be gone on with.
        """
        raise NotImplementedError


StreamWrapper = Callable[[AsyncIterator["Event"], "Request", "Session"], AsyncGenerator["Event", None]]


def stream_wrapper(wrap: StreamWrapper) -> Any:
    """Turn an async generator function into a `create_stream` wrapper for an extension.

        @plugmux.stream_wrapper
        async def create_stream(stream, request, session):
            async for event in stream:
                yield event

    The inner stream is closed whenever the outer one is. An extension (entry-point group
    `plugmux.extensions`) wraps the streams of every provider.
    """

    async def closing(
        inner: AsyncGenerator[Event, None], request: Request, session: Session
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(inner), aclosing(wrap(inner, request, session)) as outer:
            async for event in outer:
                yield event

    @hookimpl(wrapper=True)
    def create_stream(
        request: Request, session: Session
    ) -> Generator[None, AsyncGenerator[Event, None], AsyncGenerator[Event, None]]:
        inner = yield
        return closing(inner, request, session)

    return create_stream
