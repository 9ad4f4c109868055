"""What is listed, what a name finds, how a Space is woken, and who gets to see the token."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from plugmux.errors import (
    AuthenticationError,
    DeadlineError,
    InvalidInputError,
    InvalidRequestError,
    ModelNotFoundError,
    ProviderError,
    ServerError,
)
from plugmux.events import Progress, Text
from plugmux.model import Auth, Model, Task
from plugmux.requests import Limits
from plugmux.testing import FaultServer, replies
from plugmux_hf_space import plugin
from plugmux_hf_space._hub import facts_of, obstacle
from plugmux_hf_space._known import KNOWN, static_models
from plugmux_hf_space._places import Place
from plugmux_hf_space._settings import SpaceSettings
from plugmux_hf_space._waking import place_of_model

RUNNING = {"runtime": {"stage": "RUNNING"}}
SLEEPING = {"runtime": {"stage": "SLEEPING"}}
FLUX = "black-forest-labs/FLUX.1-dev"

Open = Callable[..., Any]


def ids(models: Any) -> list[str]:
    return [model.id for model in models]


# What the Hub says


STAGES = [
    ("RUNNING", None),
    ("RUNNING_BUILDING", None),
    ("SLEEPING", None),
    ("BUILDING", None),
    ("A_WORD_OF_TOMORROW", None),
    ("", None),
    ("PAUSED", "paused"),
    ("BUILD_ERROR", "broken"),
    ("RUNTIME_ERROR", "broken"),
    ("NO_APP_FILE", "broken"),
    ("DELETING", "deleted"),
]


@pytest.mark.parametrize(("stage", "reason"), STAGES)
def test_a_stage_is_an_open_word(stage: str, reason: str | None) -> None:
    facts = facts_of({"id": "a/b", "runtime": {"stage": stage}}, "https://huggingface.co")
    said = obstacle(facts)
    assert said is None if reason is None else reason in (said or "")


@pytest.mark.parametrize("body", [None, [], {}, {"id": 5}])
def test_what_describes_no_space_is_malformed(body: Any) -> None:
    with pytest.raises(ProviderError):
        facts_of(body, "https://huggingface.co")


@pytest.mark.parametrize(
    ("body", "url"),
    [
        ({"host": "https://a-b.hf.space"}, "https://a-b.hf.space"),
        ({"host": {"host": "https://a-b.hf.space"}}, "https://a-b.hf.space"),
        ({"subdomain": "a-b"}, "https://a-b.hf.space"),
        ({"host": "http://a-b.hf.space"}, None),
        ({"host": "javascript:alert(1)"}, None),
        ({}, None),
    ],
)
def test_an_address_counts_only_with_tls(body: dict[str, Any], url: str | None) -> None:
    assert facts_of({"id": "a/b", **body}, "https://huggingface.co").url == url


def test_a_static_space_is_no_gradio_app() -> None:
    assert "static" in (obstacle(facts_of({"id": "a/b", "sdk": "static"}, "https://x")) or "")


# Lists


def test_three_spaces_are_known_without_asking() -> None:
    models = static_models()
    assert ids(models)[:2] == [f"spaces/{FLUX}", FLUX]
    assert all(model.auth is Auth.OPTIONAL for model in models)
    assert [m.id for m in models if m.reserve] == [known.model for known in KNOWN]
    assert {m.upstream for m in models} == {f"spaces/{known.space}" for known in KNOWN}


async def test_a_list_knows_who_sleeps_and_leaves_out_who_is_broken(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {
        KNOWN[0].space: {"runtime": {"stage": "SLEEPING", "hardware": {"current": "zero-a10g"}}},
        KNOWN[1].space: {"runtime": {"stage": "PAUSED"}},
        KNOWN[2].space: RUNNING,
    }
    models = await plugin.get_models(open_session(hub_url=server.url), None)
    assert ids(models) == [
        f"spaces/{KNOWN[0].space}",
        KNOWN[0].model,
        f"spaces/{KNOWN[2].space}",
        KNOWN[2].model,
    ]
    assert [model.asleep for model in models] == [True, True, False, False]
    assert [model.account for model in models] == ["zerogpu", "zerogpu", None, None]


async def test_a_known_space_that_could_not_be_asked_is_listed_as_it_is_known(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {KNOWN[0].space: RUNNING}
    script.answers[f"/api/spaces/{KNOWN[1].space}"] = replies.json({}, status=500)
    models = await plugin.get_models(open_session(hub_url=server.url), None)
    assert ids(models) == [f"spaces/{KNOWN[0].space}", FLUX, f"spaces/{KNOWN[1].space}", KNOWN[1].model]
    assert "hub_host" not in models[2].extra


async def test_a_sleeping_space_is_not_woken_by_a_list(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {"me/mine": SLEEPING}
    models = await plugin.get_models(open_session(hub_url=server.url, spaces="me/mine"), None)
    assert ids(models) == ["spaces/me/mine"]
    assert models[0].asleep
    assert not [r for r in server.requests if r.path == "/config"]


async def test_a_list_fails_where_nothing_could_be_asked(open_session: Open) -> None:
    with pytest.raises(ProviderError):
        await plugin.get_models(open_session(hub_url="http://127.0.0.1:9"), None)


async def test_a_named_space_is_listed_with_its_endpoint_and_options(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {"me/mine": {**RUNNING, "cardData": {"models": ["org/model"]}}}
    script.inputs = [
        ("textbox", "prompt", {}),
        ("slider", "width", {"value": 5}),
        ("slider", "height", {"value": 5}),
    ]
    script.outputs = [("image", "Result", {})]
    own, as_model = await plugin.get_models(open_session(hub_url=server.url, spaces="me/mine"), None)
    assert (own.id, own.tasks, own.aliases) == ("spaces/me/mine", (Task.TEXT_TO_IMAGE,), ("me/mine",))
    assert own.options == {"width", "height", "aspect_ratio"}
    assert (as_model.id, as_model.reserve, as_model.upstream) == ("org/model", True, "spaces/me/mine")


async def test_a_card_of_two_models_serves_neither(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {"me/mine": {**RUNNING, "cardData": {"models": ["org/one", "org/two"]}}}
    models = await plugin.get_models(open_session(hub_url=server.url, spaces="me/mine"), None)
    assert ids(models) == ["spaces/me/mine"]


async def test_the_setting_says_which_model_a_space_stands_for(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {"me/mine": RUNNING}
    settings = {"hub_url": server.url, "spaces": "me/mine", "serves": "me/mine=org/model"}
    assert ids(await plugin.get_models(open_session(**settings), None)) == ["spaces/me/mine", "org/model"]


async def test_an_instance_with_an_address_serves_that_app_only(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    session = open_session(base_url=server.url)
    assert ids(await plugin.get_models(session, None)) == [server.url]
    assert list(await plugin.get_models(session, "flux-dev")) == []


def test_an_instance_with_an_address_knows_no_public_space_beforehand() -> None:
    assert plugin.static_models({"base_url": "http://127.0.0.1:1"}) == ()
    assert list(plugin.static_models({})) == list(static_models())


# Names


async def test_a_space_is_found_by_name_even_if_it_is_not_listed(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {"some/body": RUNNING}
    models = await plugin.get_models(open_session(hub_url=server.url), "spaces/some/body")
    assert ids(models) == ["spaces/some/body"]
    assert models[0].extra["hub_host"] == server.url


async def test_owner_and_name_alone_may_be_a_model_and_is_left_alone(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {"some/body": RUNNING}
    assert list(await plugin.get_models(open_session(hub_url=server.url), "some/body")) == []
    assert server.requests == []


async def test_owner_and_name_alone_is_found_where_the_settings_name_it(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {"some/body": RUNNING}
    session = open_session(hub_url=server.url, spaces="some/body")
    (model,) = await plugin.get_models(session, "some/body")
    assert "some/body" in model.aliases


async def test_an_alias_of_a_known_space_is_found(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.spaces = {FLUX: RUNNING}
    models = await plugin.get_models(open_session(hub_url=server.url), "flux-dev")
    assert ids(models) == [f"spaces/{FLUX}", FLUX]


REFUSED = [
    ({"runtime": {"stage": "PAUSED"}}, "paused"),
    ({"runtime": {"stage": "BUILD_ERROR", "errorMessage": "no wheel"}}, "no wheel"),
    ({"disabled": True}, "disabled"),
    ({"sdk": "static"}, "static"),
]


@pytest.mark.parametrize(("facts", "said"), REFUSED)
async def test_a_space_that_cannot_serve_says_why(
    server: FaultServer, script: Any, open_session: Open, facts: dict[str, Any], said: str
) -> None:
    script.spaces = {"a/b": facts}
    with pytest.raises(ModelNotFoundError, match=said):
        await plugin.get_models(open_session(hub_url=server.url), "spaces/a/b")


async def test_a_space_that_is_gone_says_so(server: FaultServer, open_session: Open) -> None:
    with pytest.raises(ModelNotFoundError, match="no Space a/b"):
        await plugin.get_models(open_session(hub_url=server.url), "spaces/a/b")


async def test_a_private_space_asks_for_a_token(server: FaultServer, script: Any, open_session: Open) -> None:
    script.answers["/api/spaces/a/b"] = replies.json({"error": "Invalid username or password."}, status=401)
    with pytest.raises(ModelNotFoundError, match="HF_TOKEN"):
        await plugin.get_models(open_session(hub_url=server.url), "spaces/a/b")


async def test_an_app_that_does_nothing_known_says_so(
    server: FaultServer, script: Any, open_session: Open
) -> None:
    script.outputs = [("label", "Class", {})]
    with pytest.raises(ModelNotFoundError, match="plugmux space inspect"):
        await plugin.get_models(open_session(), server.url)


NAMELESS = [
    ("nope", [], "has no endpoint #nope$"),
    ("run", [("label", "Class", {})], "does no task of plugmux with #run: no media and no text comes out"),
]


@pytest.mark.parametrize(("endpoint", "outputs", "said"), NAMELESS)
async def test_an_endpoint_that_cannot_be_had_says_why(
    server: FaultServer, script: Any, open_session: Open, endpoint: str, outputs: list[Any], said: str
) -> None:
    script.outputs = outputs or script.outputs
    with pytest.raises(ModelNotFoundError) as caught:
        await plugin.get_models(open_session(), f"{server.url}#{endpoint}")
    assert re.search(said, caught.value.message)


async def test_the_hubs_hosts_are_left_alone_when_offline(open_session: Open) -> None:
    session = open_session()
    session.environ = {"HF_HUB_OFFLINE": "1"}
    with pytest.raises(ProviderError, match="HF_HUB_OFFLINE"):
        await plugin.get_models(session, "spaces/a/b")


def test_a_name_that_was_never_looked_up_is_taken_at_its_word() -> None:
    plain = SpaceSettings.load({})
    assert place_of_model(Model(id="a/b"), plain).space == "a/b"
    assert place_of_model(Model(id="http://127.0.0.1:1#x"), plain).endpoint == "x"
    assert place_of_model(Model(id=FLUX), plain).space == FLUX
    mine = SpaceSettings.load({"base_url": "http://127.0.0.1:1"})
    assert place_of_model(Model(id="generate"), mine).endpoint == "generate"
    with pytest.raises(InvalidRequestError):
        place_of_model(Model(id="nonsense"), plain)


BASE = "http://127.0.0.1:1"
AT_BASE = [
    ("a model that a known Space stands for", Model(id=FLUX), None),
    ("a known Space's own entry", static_models()[0], None),
    ("the app itself", Model(id=BASE, extra={"url": BASE}), None),
    ("an endpoint of the list", Model(id=f"{BASE}#say", extra={"url": BASE}), "say"),
    ("an endpoint of a model", Model(id=f"{FLUX}#say"), "say"),
    ("a plain word", Model(id="say"), "say"),
    ("another address", Model(id="http://127.0.0.1:2", extra={"url": "http://127.0.0.1:2"}), None),
]


@pytest.mark.parametrize(("model", "endpoint"), [row[1:] for row in AT_BASE], ids=[row[0] for row in AT_BASE])
def test_an_instance_with_an_address_asks_nobody_else(model: Model, endpoint: str | None) -> None:
    place = place_of_model(model, SpaceSettings.load({"base_url": BASE}))
    assert place == Place(url=BASE, endpoint=endpoint)


def test_an_instance_with_a_space_keeps_the_address_that_the_hub_gave() -> None:
    mine = SpaceSettings.load({"base_url": "spaces/a/b"})
    listed = Model(id="spaces/a/b#say", extra={"space": "a/B", "url": "https://a-b.hf.space"})
    assert place_of_model(listed, mine) == Place(space="a/B", url="https://a-b.hf.space", endpoint="say")
    assert place_of_model(Model(id=FLUX), mine) == Place(space="a/b")


# Waking


@pytest.fixture
def sleeper(script: Any, says: Any) -> Any:
    """A Space that answers from the third visit on."""
    script.spaces = {"a/b": SLEEPING}
    page = replies.answer("<html>asleep</html>", status=503, content_type="text/html")
    script.answers["/config"] = replies.in_order(page, page, lambda request: replies.json(script.config()))
    script.messages = [says.done("Hello"), says.close]
    return script


async def test_a_sleeping_space_is_woken_and_waited_for(
    server: FaultServer, sleeper: Any, collect: Callable[..., Any]
) -> None:
    settings = {"hub_url": server.url, "poll_gap": 0.01, "waking_limit": 5}
    events = await collect("spaces/a/b", settings=settings)
    waking = [event for event in events if isinstance(event, Progress) and event.stage == "waking"]
    assert len(waking) == 2
    assert waking[0].message == "spaces/a/b is sleeping"
    assert [event for event in events if isinstance(event, Text)] == [Text(text="Hello")]


async def test_waking_has_its_deadline(
    server: FaultServer, sleeper: Any, collect: Callable[..., Any]
) -> None:
    sleeper.answers["/config"] = replies.html(status=503)
    with pytest.raises(DeadlineError, match="still SLEEPING") as caught:
        await collect("spaces/a/b", settings={"hub_url": server.url, "poll_gap": 0.01, "waking_limit": 0.05})
    assert caught.value.limit == "waking"


async def test_a_space_that_sleeps_until_the_attempts_time_is_up_says_that_it_sleeps(
    server: FaultServer, sleeper: Any, ask: Callable[..., Any], open_session: Open
) -> None:
    sleeper.answers["/config"] = replies.html(status=503)
    now = 0.0
    limits = Limits(first_sign=20.0, first_content=120.0)
    stream = await ask(
        "spaces/a/b", session=open_session(hub_url=server.url, poll_gap=0, limits=limits, clock=lambda: now)
    )
    with pytest.raises(DeadlineError, match="a/b is still SLEEPING: no content within 120 s") as caught:
        async for event in stream:
            assert isinstance(event, Progress)
            now = 121.0
    assert caught.value.limit == "first_content"


async def test_a_space_that_breaks_while_it_wakes_says_why(
    server: FaultServer, sleeper: Any, collect: Callable[..., Any]
) -> None:
    broken = {"id": "a/b", "runtime": {"stage": "RUNTIME_ERROR", "errorMessage": "out of memory"}}
    asleep = {"id": "a/b", "host": server.url, **SLEEPING}
    sleeper.answers["/api/spaces/a/b"] = replies.in_order(replies.json(asleep), replies.json(broken))
    with pytest.raises(ModelNotFoundError, match="out of memory"):
        await collect("spaces/a/b", settings={"hub_url": server.url, "poll_gap": 0.01})


async def test_a_space_that_runs_and_does_not_answer_is_unavailable(
    server: FaultServer, sleeper: Any, collect: Callable[..., Any]
) -> None:
    sleeper.spaces = {"a/b": RUNNING}
    with pytest.raises(ServerError, match="the Hub says RUNNING"):
        await collect("spaces/a/b", settings={"hub_url": server.url, "poll_gap": 0.01})


async def test_a_space_whose_tasks_nobody_knows_does_what_its_app_does(
    server: FaultServer, sleeper: Any, collect: Callable[..., Any], says: Any, picture: bytes
) -> None:
    sleeper.outputs = [("image", "Result", {})]
    sleeper.files = {"/tmp/a.png": picture}
    sleeper.messages = [says.done(says.file("/tmp/a.png")), says.close]
    events = await collect("spaces/a/b", settings={"hub_url": server.url, "poll_gap": 0.01})
    assert any(getattr(event, "mime_type", None) == "image/png" for event in events)


# Credentials

SECRET = "hf_" + "x" * 20


async def test_questions_to_the_hub_carry_the_token_to_the_hub_only(
    server: FaultServer, open_session: Open
) -> None:
    credential = await plugin.authenticate(open_session(hub_url=server.url, token=SECRET), None)
    assert credential is not None
    assert credential.headers_for(f"{server.url}/api") == {"Authorization": f"Bearer {SECRET}"}
    assert credential.headers_for("http://127.0.0.1:1/config") == {}


HOST = "https://a-b.hf.space"
TRUSTED = Model(id="spaces/a/b", extra={"space": "a/b", "hub_host": HOST, "url": HOST})


async def test_a_trusted_space_sees_the_token_at_the_address_that_the_hub_named(open_session: Open) -> None:
    session = open_session(model=TRUSTED, trusted="a/b", token=SECRET)
    credential = await plugin.authenticate(session, None)
    assert credential is not None
    assert credential.headers_for(f"{HOST}/config") == {"x-hf-authorization": f"Bearer {SECRET}"}
    assert credential.headers_for("https://huggingface.co/api") == {}
    assert credential.headers_for("https://else.hf.space/config") == {}


UNTRUSTED = [
    ("a Space that nobody trusts", TRUSTED, ""),
    ("another Space", evolve(TRUSTED, extra={**TRUSTED.extra, "space": "c/d"}), "a/b"),
    ("an address that was only guessed", evolve(TRUSTED, extra={"space": "a/b", "guess": HOST}), "a/b"),
    ("an address without a Space", Model(id=HOST, extra={"url": HOST}), "a/b"),
    ("a static entry", static_models()[0], FLUX),
]


@pytest.mark.parametrize(
    ("model", "trusted"), [row[1:] for row in UNTRUSTED], ids=[row[0] for row in UNTRUSTED]
)
async def test_nobody_else_sees_the_token(open_session: Open, model: Model, trusted: str) -> None:
    session = open_session(model=model, trusted=trusted, token=SECRET)
    assert await plugin.authenticate(session, None) is None


async def test_a_refused_token_is_not_tried_again(open_session: Open) -> None:
    session = open_session(model=TRUSTED, trusted="a/b", token=SECRET)
    assert await plugin.authenticate(session, AuthenticationError("no", status=401)) is None


async def test_a_token_with_a_line_break_is_refused_without_showing_it(open_session: Open) -> None:
    session = open_session(token="hf_secret\u00e9")
    with pytest.raises(InvalidInputError) as caught:
        await plugin.authenticate(session, None)
    assert "secret\u00e9" not in str(caught.value)


async def test_no_header_of_a_job_at_a_strange_address_holds_the_token(
    server: FaultServer, script: Any, says: Any, open_session: Open, collect: Callable[..., Any]
) -> None:
    script.messages = [says.done("Hello"), says.close]
    asking = open_session(token=SECRET)
    credential = await plugin.authenticate(asking, None)
    await collect(server.url, session=open_session(credential=credential, token=SECRET))
    assert server.requests
    assert not [r for r in server.requests if SECRET in str(r.headers) or SECRET.encode() in r.body]
