"""Shortening for those requests that asked for it; for the others nothing is imported and nothing done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from plugmux.errors import ProviderError
    from plugmux.events import Notice
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._places import Place
    from plugmux_hf_inference._wire import Sending

    Encode: TypeAlias = Callable[[Request, tuple[Notice, ...]], Awaitable[Sending]]

__all__ = ["fitted", "shortener"]


async def fitted(request: Request, session: Session, place: Place) -> tuple[Request, tuple[Notice, ...]]:
    """The request as far as it fits the model's window, and what must be said of it."""
    if not request.options.shorten:
        return request, ()
    from plugmux_hf_inference._window import fitting

    return await fitting(request, session, place)


def shortener(request: Request, encode: Encode) -> Callable[[ProviderError], Awaitable[Sending | None]]:
    """What makes a shorter request of a refused one; its result is None if that is no way."""

    async def shorten(error: ProviderError) -> Sending | None:
        if not request.options.shorten:
            return None
        from plugmux_hf_inference._window import refitted

        found = await refitted(request, error)
        return None if found is None else await encode(*found)

    return shorten
