"""The whole way: through plugmux's own client, its command line and its sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plugmux
import plugmux_hf_space.sandbox
from plugmux.errors import AllProvidersFailedError, NoRouteError
from plugmux.events import Media, Text
from plugmux.sandbox import Sandbox, Timings
from plugmux.settings import Settings
from plugmux.testing import FaultServer, replies
from plugmux_hf_space._app import app_of
from plugmux_hf_space._places import Place
from plugmux_hf_space._tasks import judge
from plugmux_hf_space.inspection import as_plain, as_text

SECRET = "hf_" + "y" * 20
OTHERS = "hf-chat,hf-inference,hf-media"

pytest.importorskip("starlette")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings that know this provider only."""

    def load(**environ: str) -> Settings:
        return Settings.load({"PLUGMUX_HOME": str(tmp_path), "PLUGMUX_DISABLE": OTHERS, **environ})

    return load


# The client


async def test_any_address_is_a_model(
    server: FaultServer, script: Any, says: Any, settings: Callable[..., Settings]
) -> None:
    script.messages = [says.starts, says.generating("Hel"), says.done("Hello"), says.close]
    async with plugmux.AsyncClient(settings=settings(PLUGMUX_HF_SPACE_HUB_URL=server.url)) as client:
        done = await client.complete(server.url, "hi", temperature=0.5)
    assert (done.text, done.provider, done.upstream) == ("Hello", "hf-space", server.url)
    assert [notice.option for notice in done.notices] == ["temperature"]


async def test_an_instance_with_an_address_takes_unlisted_endpoints(
    server: FaultServer, script: Any, says: Any, settings: Callable[..., Settings]
) -> None:
    script.messages = [says.done("Hello"), says.close]
    mine = settings(PLUGMUX_INSTANCES=f"mine=hf-space@{server.url}")
    async with plugmux.AsyncClient(settings=mine) as client:
        done = await client.complete("mine::run", "hi")
    assert (done.text, done.provider) == ("Hello", "mine")


async def test_a_paused_space_says_why_there_is_no_route(
    server: FaultServer, script: Any, settings: Callable[..., Settings]
) -> None:
    script.spaces = {"a/b": {"runtime": {"stage": "PAUSED"}}}
    async with plugmux.AsyncClient(settings=settings(PLUGMUX_HF_SPACE_HUB_URL=server.url)) as client:
        with pytest.raises(NoRouteError, match="only its owner can restart it"):
            await client.complete("spaces/a/b", "hi")


async def test_an_app_that_dies_is_reported_as_failed(
    server: FaultServer, script: Any, says: Any, settings: Callable[..., Settings]
) -> None:
    script.messages = [says.starts, says.failed("out of memory"), says.close]
    async with plugmux.AsyncClient(settings=settings(PLUGMUX_HF_SPACE_HUB_URL=server.url)) as client:
        with pytest.raises(AllProvidersFailedError, match="out of memory"):
            await client.complete(server.url, "hi")


@pytest.mark.parametrize(("trusted", "seen"), [("a/b", f"Bearer {SECRET}"), ("c/d", None)])
async def test_the_token_reaches_a_trusted_space_and_no_other(
    server: FaultServer,
    script: Any,
    says: Any,
    settings: Callable[..., Settings],
    trusted: str,
    seen: str | None,
) -> None:
    async with FaultServer(script.reply) as app:
        script.spaces = {"a/b": {"host": app.url, "runtime": {"stage": "RUNNING"}}}
        script.messages = [says.done("Hello"), says.close]
        known = settings(PLUGMUX_HF_SPACE_HUB_URL=server.url, PLUGMUX_HF_SPACE_TRUSTED=trusted)
        async with plugmux.AsyncClient(token=SECRET, settings=known) as client:
            assert (await client.complete("spaces/a/b", "hi")).text == "Hello"
        assert all(r.headers["authorization"] == f"Bearer {SECRET}" for r in server.requests)
        assert not [r for r in app.requests if "authorization" in r.headers]
        joined = next(r for r in app.requests if r.path.endswith("/queue/join"))
        assert joined.headers.get("x-hf-authorization") == seen


async def test_a_private_space_that_nobody_trusts_is_to_be_named_in_the_setting(
    server: FaultServer, script: Any, settings: Callable[..., Settings]
) -> None:
    async with FaultServer(replies.json({"detail": "Not Found"}, status=404)) as app:
        script.spaces = {"a/b": {"host": app.url, "private": True, "runtime": {"stage": "RUNNING"}}}
        known = settings(PLUGMUX_HF_SPACE_HUB_URL=server.url)
        async with plugmux.AsyncClient(token=SECRET, settings=known) as client:
            with pytest.raises(AllProvidersFailedError, match="name a/b in the setting trusted of hf-space"):
                await client.complete("spaces/a/b", "hi")
        assert not [r for r in app.requests if SECRET in str(r.headers)]


async def test_a_private_space_that_sleeps_is_woken(
    server: FaultServer, script: Any, says: Any, settings: Callable[..., Settings]
) -> None:
    script.messages = [says.done("Hello"), says.close]
    asleep = replies.answer("<html>asleep</html>", status=503, content_type="text/html")
    config = replies.in_order(asleep, replies.json(script.config()))
    async with FaultServer(lambda r: config(r) if r.path == "/config" else script.reply(r)) as app:
        facts = {"id": "a/b", "sdk": "gradio", "host": app.url, "private": True}
        told = replies.json({**facts, "runtime": {"stage": "SLEEPING"}})
        unknown = replies.json({"error": "Repository not found"}, status=401)
        script.answers["/api/spaces/a/b"] = lambda r: told if "authorization" in r.headers else unknown
        known = settings(
            PLUGMUX_HF_SPACE_HUB_URL=server.url,
            PLUGMUX_HF_SPACE_TRUSTED="a/b",
            PLUGMUX_HF_SPACE_POLL_GAP="0",
        )
        async with plugmux.AsyncClient(token=SECRET, settings=known) as client:
            assert (await client.complete("spaces/a/b", "hi")).text == "Hello"
        assert not [r for r in app.requests if "authorization" in r.headers]


# The sandbox


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(timings=Timings(token=0.0), plugins={"hf-space": plugmux_hf_space.sandbox}) as box:  # type: ignore[dict-item]
        yield box


async def test_the_sandbox_paints_and_talks(box: Sandbox, settings: Callable[..., Settings]) -> None:
    async with plugmux.AsyncClient(settings=settings(**box.environment())) as client:
        events = [event async for event in client.stream("flux-dev", "a fox", task="text-to-image")]
        assert [e.mime_type for e in events if isinstance(e, Media)] == ["image/png"]
        said = [event async for event in client.stream("spaces/sandbox/chat", "hello")]
    assert len([event for event in said if isinstance(event, Text)]) > 5


FAULTS = ["401", "402", "429", "503", "cut", "no-done", "html", "half-json", "empty"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_sandbox_is_never_a_whole_answer(
    box: Sandbox, settings: Callable[..., Settings], fault: str
) -> None:
    async with plugmux.AsyncClient(settings=settings(**box.environment())) as client:
        with pytest.raises(plugmux.PlugmuxError):
            await client.complete(f"spaces/sandbox/fault-{fault}", "hello", policy={"max_tries": 1})


async def test_a_malformed_message_of_the_sandbox_costs_nothing_but_a_word(
    box: Sandbox, settings: Callable[..., Settings]
) -> None:
    async with plugmux.AsyncClient(settings=settings(**box.environment())) as client:
        done = await client.complete("spaces/sandbox/fault-malformed-chunk", "hello")
    assert done.text.startswith("This is the plugmux sandbox")
    assert done.text.endswith("5 characters long.")
    assert [notice.code for notice in done.notices] == ["malformed-chunk"]


# Inspection


def test_an_inspection_shows_tasks_reasons_and_what_would_be_sent(script: Any) -> None:
    script.inputs = [
        ("textbox", "prompt", {}),
        ("slider", "width", {"minimum": 32, "maximum": 64, "step": 32, "value": 64}),
        ("radio", "style", {"choices": ["ink", "oil"], "value": "ink"}),
        ("state", "", {}),
    ]
    script.outputs = [("image", "Result", {})]
    app = app_of("http://app", script.config(), script.info())
    text = as_text(Place(url="http://app"), app, judge(app))
    assert "/run  text-to-image" in text
    assert "why: image comes out, text goes in" in text
    assert "width  slider [32 to 64]: takes width, else 64" in text
    assert "style  radio [ink, oil]: takes extra_body['style'], else \"ink\"" in text
    assert 'sends: ["<the prompt>", 64, "ink", null]' in text
    plain = as_plain(Place(url="http://app"), app, judge(app))
    assert json.loads(json.dumps(plain))["endpoints"][0]["options"] == {"prompt": "prompt", "width": "width"}


def test_an_inspection_says_why_an_endpoint_is_not_usable(script: Any) -> None:
    script.outputs = [("label", "Class", {})]
    app = app_of("http://app", script.config(), script.info())
    text = as_text(Place(url="http://app"), app, judge(app))
    assert "/run  not usable" in text
    assert "no media and no text comes out (label)" in text


def test_the_command_shows_an_app(script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    testing = pytest.importorskip("click.testing")
    from plugmux_hf_space.commands import space

    monkeypatch.setenv("PLUGMUX_HOME", str(tmp_path))
    with FaultServer(script.reply).in_thread() as server:
        shown = testing.CliRunner().invoke(space, ["inspect", server.url])
        as_json = testing.CliRunner().invoke(space, ["inspect", server.url, "--json"])
    assert shown.exit_code == 0, shown.output
    assert "/run  text-generation" in shown.output
    assert json.loads(as_json.output)["gradio"] == "6.31.0"


def test_the_command_refuses_a_name_that_is_none() -> None:
    testing = pytest.importorskip("click.testing")
    from plugmux_hf_space.commands import space

    refused = testing.CliRunner().invoke(space, ["inspect", "nonsense"])
    assert isinstance(refused.exception, plugmux.InvalidInputError)
