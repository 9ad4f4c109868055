"""Attacks on the credential: every way by which a secret could get out, and none of them does."""

import json
import logging
import pickle
import subprocess
import sys
import traceback

import pytest

from plugmux import AsyncClient, PlugmuxError
from plugmux.settings import Settings
from plugmux.testing import FaultServer, chat, replies

pytest.importorskip("plugmux_hf_inference")

SECRET = "made-up-secret-for-tests"


@pytest.fixture
def settings(tmp_path):
    def make(server, **environ):
        return Settings.load(
            {
                "PLUGMUX_HOME": str(tmp_path / "home"),
                "PLUGMUX_DISABLE": "hf-chat hf-media hf-space",
                "PLUGMUX_HF_INFERENCE_ROUTER_URL": server.url,
                "PLUGMUX_HF_INFERENCE_HUB_URL": server.url,
                "HF_TOKEN": SECRET,
            }
            | environ
        )

    return make


def router(answer):
    """A router that lists one model and answers a chat like this."""
    item = {"id": "org/model", "providers": [{"provider": "together", "status": "live"}]}
    listed = replies.json({"object": "list", "data": [item]})
    return replies.by_path({"/v1/models": listed, "/v1/chat/completions": answer})


def chats(server):
    return [request for request in server.requests if request.path == "/v1/chat/completions"]


def quoting(status):
    """A service that quotes what it was sent, header and all."""

    def reply(request):
        sent = request.headers.get("authorization", "nothing")
        return replies.json({"error": {"message": f"you sent {sent}", "headers": sent}}, status=status)

    return reply


async def failure_of(client):
    with pytest.raises(PlugmuxError) as caught:
        await client.complete("org/model", "hi")
    return caught.value


async def test_the_token_does_reach_its_own_service(settings):
    async with FaultServer(router(replies.stream(chat.chunks()))) as server:
        await AsyncClient(settings=settings(server)).complete("org/model", "hi")
        assert chats(server)[0].headers["authorization"] == f"Bearer {SECRET}"


async def test_a_list_of_models_that_quotes_the_token_shows_it_nowhere(settings, tmp_path):
    def echo(request):
        return replies.answer(f"you sent {request.headers.get('authorization')}")

    async with FaultServer(echo) as server, AsyncClient(settings=settings(server)) as client:
        with pytest.raises(PlugmuxError, match="you sent") as caught:
            await client.complete("org/unknown", "hi")
        statuses = await client.providers()
    assert SECRET not in str(caught.value) + repr(statuses)
    kept = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert kept
    assert SECRET not in "".join(kept)


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_foreign_redirect_is_followed_without_the_token(settings, status):
    async with FaultServer(replies.stream(chat.chunks())) as foreign:
        away = replies.redirect(f"{foreign.url}/v1/chat/completions", status=status)
        async with FaultServer(router(away)) as server:
            await AsyncClient(settings=settings(server)).complete("org/model", "hi")
    assert all(SECRET not in str(request.headers) for request in foreign.requests)
    assert all(SECRET.encode() not in request.body for request in foreign.requests)
    assert foreign.requests


async def test_an_endpoint_of_the_users_own_never_gets_the_hub_token(settings):
    listed = replies.json({"data": [{"id": "test/model"}]})
    paths = {"/v1/models": listed, "/v1/chat/completions": replies.stream(chat.chunks())}
    async with FaultServer(replies.by_path(paths)) as own, FaultServer(router(replies.json({}))) as server:
        given = settings(server, PLUGMUX_INSTANCES=f"own=hf-inference@{own.url}/v1")
        await AsyncClient(settings=given).complete("own::test/model", "hi")
    assert own.requests
    assert all(SECRET not in str(request.headers) for request in own.requests)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429, 500, 503])
async def test_an_answer_that_quotes_the_token_is_cleaned(settings, status):
    async with FaultServer(router(quoting(status))) as server:
        error = await failure_of(AsyncClient(settings=settings(server)))
    attempts = getattr(error, "attempts", ())
    shown = [str(error), repr(error), repr(vars(error)), *map(repr, attempts), *map(str, attempts)]
    shown += [repr(vars(attempt.error)) for attempt in attempts if attempt.error]
    shown += traceback.format_exception(error)
    shown.append(repr(pickle.dumps(error)))
    assert SECRET not in "\n".join(shown)


async def test_an_error_inside_a_stream_that_quotes_the_token_is_cleaned(settings):
    events = [b'data: {"error": {"message": "bad key %s"}}\n\n' % SECRET.encode()]
    async with FaultServer(router(replies.stream(events))) as server:
        error = await failure_of(AsyncClient(settings=settings(server)))
    assert SECRET not in "".join(traceback.format_exception(error)) + repr(pickle.dumps(error))


async def test_no_log_at_any_level_holds_the_token(settings, caplog):
    caplog.set_level(logging.DEBUG)
    async with FaultServer(router(quoting(500))) as server:
        await failure_of(AsyncClient(settings=settings(server)))
    assert SECRET not in caplog.text


async def test_a_completion_and_its_trace_hold_no_token(settings):
    async with FaultServer(router(replies.stream(chat.chunks()))) as server:
        done = await AsyncClient(settings=settings(server)).complete("org/model", "hi")
    assert SECRET not in repr(done) + repr(done.trace) + json.dumps(done.to_dict())
    assert SECRET.encode() not in pickle.dumps(done)


async def test_no_file_holds_the_token(settings, tmp_path):
    async with FaultServer(router(quoting(500))) as server:
        await failure_of(AsyncClient(settings=settings(server)))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(SECRET.encode() not in path.read_bytes() for path in files)


async def test_a_token_in_the_call_stays_out_of_everything_too(settings):
    async with FaultServer(router(quoting(401))) as server:
        client = AsyncClient(settings=settings(server, HF_TOKEN=""), token=SECRET)
        error = await failure_of(client)
    assert SECRET not in "".join(traceback.format_exception(error)) + repr(vars(client))


@pytest.mark.parametrize(
    "arguments", [["complete", "org/model", "hi"], ["route", "org/model"], ["auth", "status"]]
)
def test_the_command_line_shows_no_token(settings, arguments):
    pytest.importorskip("click")
    with FaultServer(router(quoting(401))).in_thread() as server:
        environ = dict(settings(server).environ)
        done = subprocess.run(
            [sys.executable, "-m", "plugmux.cli", *arguments],
            env={**environ, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert SECRET not in done.stdout + done.stderr
    assert done.stdout + done.stderr
