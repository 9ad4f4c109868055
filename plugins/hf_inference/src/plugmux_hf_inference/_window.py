"""The conversation made to fit the candidate's window, where the caller asked for it (`shorten=True`).

Before sending, if the window is known; after the server's refusal, by the server's own numbers, if it is not.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio.to_thread
import attrs

from plugmux.errors import ContextLengthError, ProviderError
from plugmux.events import Notice
from plugmux.huggingface.failures import error_of
from plugmux.huggingface.hub import is_hub_id
from plugmux_hf_inference import _context
from plugmux_hf_inference._places import server_info

if TYPE_CHECKING:
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._places import Place
    from plugmux_hf_inference._tokens import Count

__all__ = ["fitting", "refitted", "tokenizer_of"]

TOKENIZER_SECONDS = 7 * 24 * 3600.0
NO_TOKENIZER_SECONDS = 24 * 3600.0
MAX_TOKENIZER = 64 * 1024 * 1024


async def fitting(request: Request, session: Session, place: Place) -> tuple[Request, tuple[Notice, ...]]:
    """The request with as much of the conversation as fits, and what must be said of it.

    As it is if shortening was not asked for or the window is unknown. Raises ContextLengthError with the
    numbers if not even the last message fits.
    """
    if not request.options.shorten:
        return request, ()
    window = request.model.context_length or await _servers_window(session, place)
    if window is None:
        return request, ()
    tokenizer = None
    if find_spec("tokenizers") is not None:  # the library that reads it
        name = request.model.extra.get("hub_id") or request.model.id
        tokenizer = await tokenizer_of(name, session, place)
    said: list[str] = []
    fit = partial(_fit, request, window, lambda: _context.counter_of(tokenizer, tell=said.append))
    shortened = await anyio.to_thread.run_sync(fit, abandon_on_cancel=True)
    notices = [Notice(code="tokens-estimated", message=text) for text in said]
    return shortened, (*notices, *_shortening(request, shortened))


async def refitted(request: Request, error: ProviderError) -> tuple[Request, tuple[Notice, ...]] | None:
    """The request shortened to the window that the server names in its refusal; None if that is no way.

    The server's count of the prompt, where it tells it, corrects the estimate.
    """
    if not request.options.shorten or not isinstance(error, ContextLengthError) or not error.limit:
        return None
    fit = partial(_fit, request, error.limit, lambda: _corrected(request, error.given))
    try:
        shortened = await anyio.to_thread.run_sync(fit, abandon_on_cancel=True)
    except ContextLengthError:
        return None  # the server's own refusal says it better
    notices = _shortening(request, shortened)
    return (shortened, notices) if notices else None


def _fit(request: Request, window: int, counter: Callable[[], Count]) -> Request:
    count = counter()
    tools = request.options.tools
    fitted = _context.fit(
        request.messages,
        window=window,
        max_tokens=request.options.max_tokens,
        count=count,
        may_shorten=True,
        extra=count(json.dumps([dict(tool) for tool in tools])) if tools else 0,
    )
    return attrs.evolve(request, messages=fitted.messages) if fitted.dropped else request


def _corrected(request: Request, given: int | None) -> Count:
    estimate = _context.estimate_tokens
    estimated = sum(estimate(message.text) for message in request.messages)
    if not given or not estimated:
        return estimate
    factor = given / estimated
    return lambda text: int(estimate(text) * factor) + 1


def _shortening(request: Request, shortened: Request) -> tuple[Notice, ...]:
    dropped = len(request.messages) - len(shortened.messages)
    if not dropped:
        return ()
    said = f"{dropped} of {len(request.messages)} messages left out to fit the model's window"
    return (Notice(code="shortened", option="shorten", message=said),)


async def _servers_window(session: Session, place: Place) -> int | None:
    """TGI states its window; the router's models have theirs in the model map."""
    if not place.is_own:
        return None
    tokens = (await server_info(session, place)).get("max_total_tokens")
    return tokens if isinstance(tokens, int) else None


async def tokenizer_of(name: str, session: Session, place: Place) -> bytes | None:
    """The model's `tokenizer.json`: from the cache of Hugging Face's libraries, from our own, or from the
    Hub; None where there is none."""
    if not is_hub_id(name):
        return None
    found = await anyio.to_thread.run_sync(_context.cached_tokenizer, name, session.environ)
    if found is not None:
        return found
    key = f"tokenizer:{place.endpoints.hub}:{name}"
    known = session.cache.get(key)
    if isinstance(known, str):
        return zlib.decompress(base64.b64decode(known)) if known else None
    found = await _downloaded(session, place, name)
    packed = base64.b64encode(zlib.compress(found)).decode() if found else ""
    session.cache.put(key, packed, seconds=TOKENIZER_SECONDS if found else NO_TOKENIZER_SECONDS)
    return found


async def _downloaded(session: Session, place: Place, name: str) -> bytes | None:
    url = f"{place.endpoints.hub}/{quote(name, safe='/')}/resolve/main/tokenizer.json"
    try:
        place.endpoints.require_online(url)
        answer = await session.http.request("GET", url, error=error_of, max_bytes=MAX_TOKENIZER)
    except ProviderError:
        return None
    return answer.content
