"""The scripted provider plays its script through a real client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from plugmux import (
    AsyncClient,
    AuthenticationError,
    Credential,
    Finish,
    Model,
    NoRouteError,
    ServerError,
    StreamCutError,
    Text,
    stream_wrapper,
)
from plugmux.settings import Settings
from plugmux.testing import Hang, ScriptedProvider, Wait, installed


@pytest.fixture
def client_of(tmp_path: Path) -> Callable[..., AsyncClient]:
    def make(**providers: object) -> AsyncClient:
        settings = Settings.load({"PLUGMUX_HOME": str(tmp_path)})
        return AsyncClient(entry_points=installed(**providers), settings=settings)  # type: ignore[arg-type]

    return make


async def test_it_plays_one_script_an_attempt(client_of: Callable[..., AsyncClient]) -> None:
    acme = ScriptedProvider([Text(text="half"), StreamCutError("cut")])
    spare = ScriptedProvider([Text(text="whole"), Wait(0.001), Finish()])
    async with client_of(acme=acme, spare=spare) as client:
        done = await client.complete(["acme::org/model", "spare::org/model"], "hi")
    assert done.text == "whole"
    assert [attempt.over for attempt in (*acme.attempts, *spare.attempts)] == ["raised", "finished"]
    assert acme.attempts[0].given == [Text(text="half")]


async def test_at_the_end_of_its_script_it_just_answers(client_of: Callable[..., AsyncClient]) -> None:
    async with client_of(acme=ScriptedProvider()) as client:
        assert (await client.complete("org/model", "hi")).text == "hello"


async def test_it_knows_that_it_was_let_go_of(client_of: Callable[..., AsyncClient]) -> None:
    acme = ScriptedProvider([Text(text="a"), Hang()])
    async with client_of(acme=acme) as client:
        with anyio.move_on_after(5):
            async with client.stream("org/model", "hi") as stream:
                async for event in stream:
                    if isinstance(event, Text):
                        break
    assert acme.attempts[0].over == "closed"


async def test_it_renews_its_credential_when_challenged(client_of: Callable[..., AsyncClient]) -> None:
    fresh = Credential.bearer("not-a-real-token-2", origins=["https://service.example"])
    acme = ScriptedProvider([AuthenticationError("old", status=401)], credentials=[None, fresh])
    async with client_of(acme=acme) as client:
        await client.complete("org/model", "hi")
    assert [type(challenge).__name__ for challenge in acme.challenges] == ["NoneType", "AuthenticationError"]
    assert acme.attempts[1].session.credential is fresh


async def test_its_models_can_be_models_or_a_failure(client_of: Callable[..., AsyncClient]) -> None:
    one = ScriptedProvider(models=[Model(id="org/a", context_length=5, auth="none")])
    async with client_of(one=one, two=ScriptedProvider(models=ServerError("down"))) as client:
        assert [model.id for model in await client.models()] == ["org/a"]
        with pytest.raises(NoRouteError):
            await client.complete("org/none", "hi")
    assert one.wanted == [None, "org/none"]


async def test_extensions_can_be_made_up_too(tmp_path: Path) -> None:
    @stream_wrapper
    async def create_stream(stream, request, session):  # type: ignore[no-untyped-def]
        async for event in stream:
            yield Text(text=event.text.upper()) if isinstance(event, Text) else event

    class Loud:
        pass

    loud = Loud()
    loud.create_stream = create_stream  # type: ignore[attr-defined]
    found = installed(acme=ScriptedProvider(), extensions=[("loud", loud)])
    settings = Settings.load({"PLUGMUX_HOME": str(tmp_path)})
    async with AsyncClient(entry_points=found, settings=settings) as client:
        assert (await client.complete("org/model", "hi")).text == "HELLO"
