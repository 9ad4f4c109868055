"""The conformance kit lets a flawless provider pass, and says so where it does not."""

from __future__ import annotations

import pytest
from flawless import Flawless

from plugmux import Model
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
