"""The conformance kit lets a flawless provider pass, and says so where it does not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from flawless import Flawless

from plugmux import Event, Finish, FinishReason, Model, Request, Session, hookimpl
from plugmux.testing import ProviderContract, chat


class TestFlawless(ProviderContract):
    plugin = Flawless()
    model = Model(id="kit/echo", provider="kit")
    stop_path = "/v1/stop"

    def chunks(self) -> list[bytes]:
        return chat.chunks(chat.tokens(12))


async def test_a_contract_without_chunks_says_what_is_missing() -> None:
    class Unfinished(ProviderContract):
        plugin = Flawless()

    with pytest.raises(NotImplementedError, match=r"Unfinished has no chunks\(\)"):
        await Unfinished().test_every_event_is_well_formed()


def contract_with(bad: Any) -> ProviderContract:
    class Contract(ProviderContract):
        plugin = bad
        longest = 0.3

        def chunks(self) -> list[bytes]:
            return chat.chunks(chat.tokens(12))

    return Contract()


class Shielded(Flawless):
    """Waits for the service where no cancellation gets through."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Event, None]:
        with anyio.CancelScope(shield=True):
            async with self.open(request, session) as source:
                async for _ in source:
                    pass
        yield Finish(reason=FinishReason.STOP)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it takes five seconds
async def test_a_plugin_that_cannot_be_cancelled_fails_and_does_not_hang() -> None:
    with pytest.raises(AssertionError, match="the socket stayed open after cancel: the stream ignores it"):
        await contract_with(Shielded()).test_cancel_before_any_answer_closes_the_socket_at_once()


class GivesModelsAtOnce(Flawless):
    @hookimpl
    def get_models(self) -> list[Model]:  # type: ignore[override]
        return [Model(id="kit/echo")]


class GivesNone(Flawless):
    @hookimpl
    async def get_models(self) -> None:  # type: ignore[override]
        return None


class KnowsNames(Flawless):
    static_models = ("kit/echo",)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GivesModelsAtOnce(), "get_models gave list at once: make it an `async def`"),
        (GivesNone(), "get_models gave None where a sequence of Model belongs"),
        (KnowsNames(), "static_models gave 'kit/echo', which is no Model"),
    ],
)
async def test_models_of_a_wrong_kind_are_named_with_where_they_came_from(bad: Flawless, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        await contract_with(bad).test_models_are_well_formed()
