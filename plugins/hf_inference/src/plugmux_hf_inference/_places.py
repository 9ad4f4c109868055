"""Where requests go, and which credential may go there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from attrs import frozen

from plugmux.credentials import Credential, origin_of
from plugmux.errors import AuthenticationError, ConfigurationError, ProviderError
from plugmux.huggingface import tokens
from plugmux.huggingface.endpoints import Endpoints, bill_to_headers
from plugmux.value import Value

if TYPE_CHECKING:
    from plugmux.http import ErrorReader, Response
    from plugmux.session import Session

__all__ = [
    "Place",
    "credential_of",
    "error_reader",
    "is_own",
    "place_of",
    "remedy_corrector",
    "server_info",
    "speaks_tgi",
]

INFO_SECONDS = 3600.0
INFO_LIMIT = 2.0


@frozen(kw_only=True, eq=False, repr=False)
class Place(Value):
    """One service: the router, or a server of the user's own (`is_own`).

    `api` is the URL that ends in `/v1` or its like, `root` what TGI's routes are appended to.
    """

    api: str
    root: str
    endpoints: Endpoints
    is_own: bool
    headers: Mapping[str, str]

    def chat_url(self) -> str:
        return f"{self.api}/chat/completions"

    def models_url(self) -> str:
        return f"{self.api}/models"


def place_of(session: Session) -> Place:
    """The place that the session's provider is configured for.

    Raises ConfigurationError, or ConnectionFailedError when `HF_HUB_OFFLINE` forbids it.
    """
    endpoints = Endpoints.load(session.settings, session.environ)
    base = _base_url(session.settings)
    api = base or f"{endpoints.router}/v1"
    endpoints.require_online(api)
    headers = {} if base and not _is_ours(base, endpoints) else bill_to_headers(session.settings)
    root = api.removesuffix("/v1") if base else endpoints.router
    return Place(api=api, root=root, endpoints=endpoints, is_own=bool(base), headers=headers)


def is_own(session: Session) -> bool:
    """Whether the provider is configured for a server of the user's own."""
    return bool(_base_url(session.settings))


def error_reader(session: Session, place: Place) -> ErrorReader:
    """Reads an error answer, with the remedy that fits the place."""
    correct = remedy_corrector(session, place)

    def read(response: Response) -> ProviderError:
        from plugmux.huggingface.failures import error_of

        error = error_of(response)
        correct(error)
        return error

    return read


def remedy_corrector(session: Session, place: Place) -> Callable[[ProviderError], None]:
    """What gives an error the remedy that fits the place: Hugging Face's pages and tokens mend nothing at a
    server of one's own."""

    def correct(error: ProviderError) -> None:
        if place.is_own and not _is_ours(place.api, place.endpoints):
            own = f"give the provider {session.provider} a token in its settings; HF_TOKEN is not sent there"
            error.remedy = own if isinstance(error, AuthenticationError) else ""

    return correct


async def server_info(session: Session, place: Place) -> Mapping[str, Any]:
    """What TGI says of itself at `/info`, kept for an hour; empty for a server that is not TGI, and, for this
    time only, where that could not be found out."""
    key = f"info:{place.root}"
    known = session.cache.get(key)
    if isinstance(known, dict):
        return known
    info = None
    with anyio.move_on_after(INFO_LIMIT):
        info = await _ask_info(session, place)
    if info is None:
        return {}
    session.cache.put(key, info, seconds=INFO_SECONDS)
    return info


async def _ask_info(session: Session, place: Place) -> dict[str, Any] | None:
    """The answer of `/info`: empty if it shows that the server is not TGI, None if it shows nothing."""
    from plugmux.huggingface.failures import error_of

    try:
        found = (await session.http.request("GET", f"{place.root}/info", error=error_of)).json()
    except ProviderError as error:
        return {} if error.status in (404, 405) else None
    return found if isinstance(found, dict) and "max_total_tokens" in found else {}


async def speaks_tgi(session: Session, place: Place) -> bool:
    """Whether the server at the place is TGI."""
    return bool(await server_info(session, place))


def credential_of(session: Session, challenge: ProviderError | None = None) -> Credential | None:
    """The Hub token for the router; for a foreign `base_url` only a token from its own settings."""
    endpoints = Endpoints.load(session.settings, session.environ)
    base = _base_url(session.settings)
    if base is None or _is_ours(base, endpoints):
        return tokens.credential_of(session, challenge)
    token = session.settings.get("api_key") or session.settings.get("token")
    if not isinstance(token, str) or challenge is not None:
        return None
    source = f"the settings of {session.provider}"
    return Credential.bearer(token, origins=[base], source=source, account=session.provider)


def _is_ours(base: str, endpoints: Endpoints) -> bool:
    """Whether the URL is the router's or the Hub's: the Hub token is made for these."""
    return origin_of(base) in {origin_of(url) for url in endpoints.origins}


def _base_url(settings: Mapping[str, Any]) -> str | None:
    """The setting, up to and with `/v1`, which is added to a bare host."""
    given = str(settings.get("base_url") or "").strip()
    if not given:
        return None
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"base_url: {given!r} is not an http or https URL with a host")
    url = given.partition("?")[0].rstrip("/")
    for tail in ("/chat/completions", "/completions", "/models"):
        url = url.removesuffix(tail)
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"
