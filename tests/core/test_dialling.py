"""Many addresses, one connection: who wins, what is said when nobody does, and what is left of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from plugmux.transports import dialling


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Stub:
    """Stands for a connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def network(made: list[Stub], **behaviours: str) -> Callable[[str], Awaitable[Stub]]:
    """A way to reach addresses that are "refused", "silent", or stand; `made` are those that stood."""

    async def reach(address: str) -> Stub:
        await asyncio.sleep(0)
        if behaviours[address] == "refused":
            raise ConnectionRefusedError(address)
        if behaviours[address] == "silent":
            await asyncio.sleep(3600)
        made.append(Stub(address))
        return made[-1]

    return reach


async def test_a_refusal_goes_on_to_the_next_address_at_once() -> None:
    began = anyio.current_time()
    won = await dialling._first(network([], a="refused", b="stands"), ["a", "b"])
    assert won.address == "b"
    assert anyio.current_time() - began < dialling.STAGGER_SECONDS


async def test_a_silent_address_holds_nobody_up() -> None:
    with anyio.fail_after(5):
        won = await dialling._first(network([], a="silent", b="silent", c="stands"), ["a", "b", "c"])
    assert won.address == "c"


async def test_an_address_that_stands_is_the_only_one_asked() -> None:
    made: list[Stub] = []
    await dialling._first(network(made, a="stands", b="stands"), ["a", "b"])
    assert [(stub.address, stub.aborted) for stub in made] == [("a", False)]


async def test_where_all_refuse_the_first_ones_reason_is_given() -> None:
    with pytest.raises(ConnectionRefusedError, match="a"):
        await dialling._first(network([], a="refused", b="refused"), ["a", "b"])


async def test_a_silent_address_does_not_hide_that_the_last_one_stands_later() -> None:
    release = asyncio.Event()

    async def reach(address: str) -> Stub:
        if address == "b":
            raise ConnectionRefusedError(address)
        await release.wait()
        return Stub(address)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_set_later, release)
        won = await dialling._first(reach, ["a", "b"])
    assert won.address == "a"


async def _set_later(release: asyncio.Event) -> None:
    await anyio.sleep(dialling.STAGGER_SECONDS * 1.5)
    release.set()


@pytest.mark.parametrize("turns", range(8))
async def test_who_goes_away_at_any_moment_leaves_no_connection(turns: int) -> None:
    made: list[Stub] = []
    kept: list[Stub] = []

    async def connect() -> None:
        kept.append(await dialling._first(network(made, a="refused", b="stands"), ["a", "b"]))

    attempt = asyncio.ensure_future(connect())
    for _ in range(turns):
        await asyncio.sleep(0)
    attempt.cancel()
    await asyncio.wait([attempt])
    for _ in range(5):
        await asyncio.sleep(0)
    assert [stub for stub in made if not stub.aborted] == kept


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ([(6, "::2"), (6, "::3"), (4, "1.2.3.4")], ["::2", "1.2.3.4", "::3"]),
        ([(4, "1.2.3.4"), (4, "1.2.3.5")], ["1.2.3.4", "1.2.3.5"]),
    ],
)
def test_the_families_take_turns(found: list[tuple[int, str]], order: list[str]) -> None:
    assert dialling._by_turns(found) == order
