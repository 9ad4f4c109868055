"""Where requests go, and which token may go there."""

from __future__ import annotations

import httpx
import pytest

from plugmux.errors import AuthenticationError, ConfigurationError, ConnectionFailedError
from plugmux_hf_inference._places import credential_of, place_of, server_info, speaks_tgi

TOKEN = {"HF_TOKEN": "abcdefgh"}


def test_without_a_base_url_the_router_is_asked(new_session):
    place = place_of(new_session())
    assert place.chat_url() == "https://router.huggingface.co/v1/chat/completions"
    assert not place.is_own


@pytest.mark.parametrize(
    ("given", "api"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1/chat/completions", "http://127.0.0.1:8000/v1"),
        ("https://api.example/inference/v4", "https://api.example/inference/v4"),
    ],
)
def test_a_base_url_is_taken_in_every_usual_spelling(new_session, given, api):
    place = place_of(new_session(settings={"base_url": given}))
    assert (place.api, place.is_own) == (api, True)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://a.example", "http://"])
def test_a_wrong_base_url_is_named(new_session, url):
    with pytest.raises(ConfigurationError, match="base_url"):
        place_of(new_session(settings={"base_url": url}))


def test_who_pays_is_told_to_the_router_only(new_session):
    bill = {"bill_to": "my-org"}
    assert place_of(new_session(settings=bill)).headers == {"X-HF-Bill-To": "my-org"}
    own = bill | {"base_url": "http://127.0.0.1:8000"}
    assert place_of(new_session(settings=own)).headers == {}


def test_offline_the_router_is_not_asked_and_a_local_server_is(new_session):
    offline = {"HF_HUB_OFFLINE": "1"}
    with pytest.raises(ConnectionFailedError, match="HF_HUB_OFFLINE"):
        place_of(new_session(environ=offline))
    assert place_of(new_session(settings={"base_url": "http://127.0.0.1:8000"}, environ=offline)).is_own


def test_the_hub_token_goes_to_the_router(new_session):
    credential = credential_of(new_session(environ=TOKEN))
    assert credential.headers_for("https://router.huggingface.co/v1/chat/completions")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "https://xyz.endpoints.huggingface.cloud/v1"])
def test_the_hub_token_never_goes_to_a_base_url_by_itself(new_session, url):
    session = new_session(settings={"base_url": url}, environ=TOKEN, token="given-by-caller")
    assert credential_of(session) is None


@pytest.mark.parametrize("name", ["token", "api_key"])
def test_a_base_urls_own_token_goes_there_and_nowhere_else(new_session, name):
    settings = {"base_url": "https://api.example/v1", name: "endpoint-token"}
    credential = credential_of(new_session(settings=settings, environ=TOKEN))
    assert credential.headers_for("https://api.example/v1/models") == {
        "Authorization": "Bearer endpoint-token"
    }
    assert credential.headers_for("https://router.huggingface.co/v1") == {}


def test_a_base_url_that_is_the_router_gets_the_hub_token(new_session):
    settings = {"base_url": "https://router.huggingface.co/together/v1"}
    assert credential_of(new_session(settings=settings, environ=TOKEN)) is not None


def test_a_refused_token_of_a_base_url_is_not_offered_again(new_session):
    session = new_session(settings={"base_url": "https://api.example/v1", "token": "endpoint-token"})
    assert credential_of(session, AuthenticationError("no", status=401)) is None


OWN = {"base_url": "http://127.0.0.1:8000/v1"}
TGI = {"max_total_tokens": 4096}


class Info:
    """Answers `/info` in turn (the last answer again and again), and counts how often it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, request):
        assert request.url.path == "/info"
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="not found"),
        httpx.Response(405),
        httpx.Response(200, json={"version": 1}),
        httpx.Response(200, json=[]),
    ],
)
async def test_a_server_that_shows_that_it_is_not_tgi_is_asked_once(new_session, answer):
    server = Info(answer)
    session = new_session(server, settings=OWN)
    for _ in range(2):
        assert not await speaks_tgi(session, place_of(session))
    assert server.asked == 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("silence"),
        httpx.Response(401),
        httpx.Response(503, text="starting"),
        httpx.Response(200, text="<html>starting"),
    ],
)
async def test_a_failed_look_at_a_server_is_not_remembered(new_session, failure):
    server = Info(failure, httpx.Response(200, json=TGI))
    session = new_session(server, settings=OWN)
    place = place_of(session)
    assert await server_info(session, place) == {}
    assert await server_info(session, place) == TGI
    assert await server_info(session, place) == TGI
    assert server.asked == 2
