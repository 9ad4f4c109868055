"""Which server, and a way to it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from plugmux.errors import ConfigurationError, ConnectionFailedError
from plugmux.huggingface.endpoints import is_of_hugging_face, is_offline
from plugmux.session import Session
from plugmux_hf_chat._courier import Courier
from plugmux_hf_chat._http import Site

__all__ = ["checked_base", "is_hosted", "open_site"]


def checked_base(url: object) -> str:
    """A base URL without a slash at its end. Raises ConfigurationError."""
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"base_url: {url!r} is not an http or https URL with a host")
    return str(url).rstrip("/")


def is_hosted(base_url: str) -> bool:
    """Whether it is HuggingChat itself, which wants the Hub's own cookie too."""
    return urlsplit(base_url).hostname == "huggingface.co"


async def open_site(session: Session, base_url: str, extra_headers: Mapping[str, str] | None = None) -> Site:
    """The server, with connections that the client keeps. Raises ConnectionFailedError when offline."""
    if is_offline(session.environ) and is_of_hugging_face(base_url):
        raise ConnectionFailedError(
            "HF_HUB_OFFLINE is set: Hugging Face's servers are not asked",
            kind="address",
            remedy="unset it, or set base_url to a chat-ui server of your own",
        )
    return Site(
        base_url=base_url,
        session=session,
        courier=await session.resource("courier", Courier.start),
        impersonate=str(session.settings.get("impersonate") or "chrome"),
        extra_headers=dict(extra_headers or {}),
    )
