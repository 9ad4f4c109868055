"""What is sent, and through what. The transports themselves, and httpx with them, are imported with the first
request: listing and routing need neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from plugmux.credentials import Credential
    from plugmux.stopwatch import Stopwatch
    from plugmux.transports.exchange import Exchange
    from plugmux.transports.sending import Sender

__all__ = ["Outgoing", "Transport"]

TransportFactory = Callable[..., Any]
"""`factory(verify=…, proxy=…, limits=…)` makes an httpx transport."""


@define(kw_only=True, eq=False, repr=False)
class Outgoing:
    """A request to be sent: what httpx needs to build it, and who may see which secret."""

    method: str
    url: str
    headers: dict[str, str] = field(factory=dict)
    body: dict[str, Any] = field(factory=dict)
    """`json`, `content`, `data` and `files`, as httpx names them."""
    credential: Credential | None = None
    follow_redirects: bool = True
    address: str | None = None
    """The address to connect to, already checked, in place of resolving the URL's host."""


class Transport:
    """Sends requests over connections that it keeps. Bound to the event loop of its first use.

    `kind` is "httpx", "httpcore", "fast", or None for the fastest that can be had; `factory` replaces all.
    """

    def __init__(
        self,
        *,
        factory: TransportFactory | None = None,
        kind: str | None = None,
        user_agent: str = "plugmux",
    ) -> None:
        self._factory = factory
        self._kind = kind
        self._user_agent = user_agent
        self._sender: Sender | None = None

    async def send(self, outgoing: Outgoing, watch: Stopwatch) -> Exchange:
        """Send a request, follow its redirects, and return when the headers of the answer are there.

        Raises ConnectionFailedError, DeadlineError (`first_sign` or `total`), MalformedResponseError.
        """
        return await self.sender().send(outgoing, watch)

    def sender(self) -> Sender:
        """What does the sending, made when first wanted."""
        if self._sender is None:
            from plugmux.transports.pools import Pools
            from plugmux.transports.sending import Sender

            self._sender = Sender(Pools(self._kind, self._factory), self._user_agent)
        return self._sender

    def is_proxied(self, url: str) -> bool:
        """Whether a request to `url` goes through a proxy, which then resolves its host."""
        return self.sender().pools.proxy_for(url) is not None

    async def aclose(self) -> None:
        """Close every connection. It may be used again."""
        if self._sender is not None:
            await self._sender.pools.aclose()
