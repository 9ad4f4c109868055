"""From a host to an open connection, on asyncio: the addresses of a name are tried side by side (RFC 8305).

Not asyncio's own `happy_eyeballs_delay`, which before Python 3.12 loses an open socket when it is cancelled.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from itertools import zip_longest
from typing import Any, Protocol, TypeVar, cast

__all__ = ["dial"]

STAGGER_SECONDS = 0.25


class _Abortable(Protocol):
    def abort(self) -> object: ...


Connection = TypeVar("Connection", bound=_Abortable)


async def dial(host: str, port: int, make: Callable[[], Connection], **options: Any) -> Connection:
    """Connect what `make` makes, an asyncio protocol with an `abort`. `options` are `create_connection`'s.

    Raises OSError, gaierror and SSLError included.
    """

    async def reach(address: str) -> Connection:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(cast("Callable[[], Any]", make), address, port, **options)
        return cast("Connection", protocol)

    addresses = await _addresses_of(host, port)
    return await (reach(addresses[0]) if len(addresses) == 1 else _first(reach, addresses))


async def _addresses_of(host: str, port: int) -> list[str]:
    """The host's addresses, best first."""
    if _is_address(host):
        return [host]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _by_turns((family, str(address[0])) for family, *_, address in found)


def _by_turns(found: Iterable[tuple[int, str]]) -> list[str]:
    """The addresses, one of each family after the other."""
    families: dict[int, list[str]] = {}
    for family, address in found:
        families.setdefault(family, []).append(address)
    return [address for turn in zip_longest(*families.values()) for address in turn if address is not None]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _first(reach: Callable[[str], Awaitable[Connection]], addresses: list[str]) -> Connection:
    """The first connection that stands; another address is tried whenever one fails or takes its time."""
    tries: list[asyncio.Future[Connection]] = []
    winner: asyncio.Future[Connection] | None = None
    try:
        for address in addresses:
            tries.append(asyncio.ensure_future(reach(address)))
            patience = None if address is addresses[-1] else STAGGER_SECONDS
            winner = await _winner(tries, patience)
            if winner is not None:
                return winner.result()
        return tries[0].result()  # all have failed: the first one's reason
    finally:
        for attempt in tries:
            if attempt is not winner:
                attempt.add_done_callback(_discard)
                attempt.cancel()


async def _winner(
    tries: list[asyncio.Future[Connection]], seconds: float | None
) -> asyncio.Future[Connection] | None:
    """Wait for one to stand, or for `seconds`, or, where that is None, until all have failed."""
    running = {attempt for attempt in tries if not attempt.done()}
    while running:
        done, running = await asyncio.wait(running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for attempt in done:
            if attempt.exception() is None:
                return attempt
        if seconds is not None:
            return None
    return None


def _discard(attempt: asyncio.Future[Connection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().abort()
