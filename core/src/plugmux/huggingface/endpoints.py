"""Where the Hub and the router are, and the switch that blocks them.

`HF_ENDPOINT` moves the Hub, the setting `router_url` the router, `hub_url` the Hub for one provider.
`HF_HUB_OFFLINE` blocks Hugging Face's own hosts; a local or private server is not Hugging Face's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from plugmux.errors import ConfigurationError, ConnectionFailedError
from plugmux.value import Value

__all__ = ["HUB", "ROUTER", "Endpoints", "bill_to_headers", "is_of_hugging_face", "is_offline"]

HUB = "https://huggingface.co"
ROUTER = "https://router.huggingface.co"

_DOMAINS = ("huggingface.co", "hf.co", "hf.space", "huggingface.tech", "huggingface.cloud")
_YES = frozenset({"1", "true", "yes", "on"})


def _without_slash(url: str) -> str:
    return url.strip().rstrip("/")


@frozen(kw_only=True, eq=False, repr=False)
class Endpoints(Value):
    """The URLs to use, without a slash at their end."""

    hub: str = field(default=HUB, converter=_without_slash)
    router: str = field(default=ROUTER, converter=_without_slash)
    offline: bool = False

    @classmethod
    def load(cls, settings: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Endpoints:
        """From a provider's settings, then the environment. Raises ConfigurationError."""
        hub = settings.get("hub_url") or environ.get("HF_ENDPOINT") or HUB
        router = settings.get("router_url") or ROUTER
        return _endpoints(str(hub), str(router), is_offline(environ))

    @property
    def origins(self) -> tuple[str, ...]:
        """The URLs that a Hub token may go to."""
        return tuple(dict.fromkeys((HUB, ROUTER, self.hub, self.router)))

    def require_online(self, url: str) -> None:
        """Raise ConnectionFailedError if `url` is Hugging Face's and `HF_HUB_OFFLINE` is set."""
        if self.offline and is_of_hugging_face(url):
            raise ConnectionFailedError(
                "HF_HUB_OFFLINE is set: Hugging Face's servers are not asked",
                kind="address",
                remedy="unset it, or use a provider with a base_url of your own",
            )


@lru_cache(maxsize=64)
def _endpoints(hub: str, router: str, offline: bool) -> Endpoints:
    return Endpoints(
        hub=_checked(hub, "hub_url (or HF_ENDPOINT)"),
        router=_checked(router, "router_url"),
        offline=offline,
    )


def is_offline(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `HF_HUB_OFFLINE` (or `TRANSFORMERS_OFFLINE`) is set."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(environ.get(name, "").strip().lower() in _YES for name in names)


def is_of_hugging_face(url: str) -> bool:
    """Whether the URL's host is one of Hugging Face's."""
    host = (urlsplit(url).hostname or "").lower()
    return any(host == domain or host.endswith(f".{domain}") for domain in _DOMAINS)


def bill_to_headers(settings: Mapping[str, Any]) -> dict[str, str]:
    """`X-HF-Bill-To` for the setting `bill_to`.

    That is an organisation's name or a resource group's id (documented).
    """
    payer = str(settings.get("bill_to") or "").strip()
    return {"X-HF-Bill-To": payer} if payer else {}


def _checked(url: str, name: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{name}: {url!r} is not an http or https URL with a host")
    return url
