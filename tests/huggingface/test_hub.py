"""Facts on models from the Hub, in whatever shape they come."""

from __future__ import annotations

import json

import httpx
import pytest

from plugmux.credentials import Credential
from plugmux.errors import AuthenticationError, ConnectionFailedError, ServerError
from plugmux.huggingface.endpoints import Endpoints
from plugmux.huggingface.hub import (
    get_model,
    is_hub_id,
    list_models,
    mapping_of,
    model_of,
    next_page,
    who_am_i,
)

ENDPOINTS = Endpoints()
ENTRY = {"providerId": "their/id", "status": "live", "task": "conversational", "isModelAuthor": False}


def test_a_mapping_is_read_as_an_object_and_as_a_list():
    as_object = mapping_of({"novita": ENTRY})
    as_list = mapping_of([{"provider": "novita", **ENTRY}])
    assert as_object == as_list
    assert (as_object[0].upstream, as_object[0].remote_id, as_object[0].task) == (
        "novita",
        "their/id",
        "conversational",
    )


@pytest.mark.parametrize(
    "nothing", [None, {}, [], "text", 7, {"novita": None}, [{"provider": "novita"}], [1]]
)
def test_a_mapping_that_says_nothing_is_empty(nothing):
    assert mapping_of(nothing) == ()


def test_what_is_staged_or_broken_is_not_live():
    model = model_of(
        {
            "id": "a/b",
            "inferenceProviderMapping": {
                "novita": {**ENTRY, "status": "staging"},
                "nscale": {**ENTRY, "status": "error"},
                "together": ENTRY,
            },
        }
    )
    assert [entry.upstream for entry in model.live] == ["together"]


def test_an_adapter_names_its_weights():
    entry = {**ENTRY, "adapter": "lora", "adapterWeightsPath": "lora.safetensors"}
    assert mapping_of({"fal-ai": entry})[0].adapter_weights == "lora.safetensors"


def test_a_model_keeps_its_tokenizers_facts():
    config = {
        "model_type": "llama",
        "tokenizer_config": {"bos_token": "<s>", "chat_template": "old"},
        "chat_template_jinja": "new",
    }
    model = model_of({"id": "a/b", "pipeline_tag": "text-generation", "config": config, "gated": "auto"})
    assert (model.model_type, model.gated) == ("llama", True)
    assert model.tokenizer == {"bos_token": "<s>", "chat_template": "new"}


def test_a_model_kept_as_json_is_the_same_when_read_again():
    body = {
        "id": "a/b",
        "pipeline_tag": "text-to-image",
        "trendingScore": 12,
        "tags": ["x"],
        "config": {"model_type": "llama", "tokenizer_config": {"eos_token": "</s>"}},
        "inferenceProviderMapping": {"fal-ai": {**ENTRY, "adapter": "lora", "adapterWeightsPath": "w"}},
    }
    model = model_of(body)
    assert model_of(json.loads(json.dumps(model.to_plain()))) == model


@pytest.mark.parametrize("body", [None, [], "x", {}, {"id": 7}])
def test_what_is_no_model_is_none(body):
    assert model_of(body) is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("gpt2", True),
        ("org/model-1.5_x", True),
        ("/srv/models/mine", False),
        ("../model", False),
        ("./model", False),
        ("a/b/c", False),
        ("spaces/a/b", False),
        ("http://a.example", False),
        ("a b", False),
        ("a/b:groq", False),
        ("", False),
        ("a" * 200, False),
    ],
)
def test_a_name_that_the_hub_can_have_is_told_from_others(name, is_one):
    assert is_hub_id(name) is is_one


async def test_a_renamed_model_comes_under_its_new_id(new_session):
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/models/gpt2":
            return httpx.Response(307, headers={"location": "/api/models/openai-community/gpt2"})
        return httpx.Response(200, json={"id": "openai-community/gpt2"})

    session = new_session(answer)
    assert (await get_model(session.http, ENDPOINTS, "gpt2")).id == "openai-community/gpt2"


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(404, json={"error": "Repository not found"}),
        httpx.Response(401, json={"error": "Invalid username or password."}),
        httpx.Response(401, json={"error": "x"}, headers={"x-error-code": "RepoNotFound"}),
    ],
)
async def test_a_name_the_hub_does_not_know_is_no_model(new_session, refusal):
    session = new_session(lambda request: refusal)
    assert await get_model(session.http, ENDPOINTS, "a/b") is None


async def test_a_bad_token_is_not_mistaken_for_a_missing_model(new_session):
    refusal = {"error": "Invalid credentials in Authorization header"}
    session = new_session(lambda request: httpx.Response(401, json=refusal))
    with pytest.raises(AuthenticationError):
        await get_model(session.http, ENDPOINTS, "a/b")


async def test_a_failing_hub_is_an_error(new_session):
    session = new_session(lambda request: httpx.Response(500))
    with pytest.raises(ServerError):
        await get_model(session.http, ENDPOINTS, "a/b")


async def test_offline_the_hub_is_not_asked(new_session):
    session = new_session(lambda request: pytest.fail("asked"))
    with pytest.raises(ConnectionFailedError, match="HF_HUB_OFFLINE"):
        await get_model(session.http, Endpoints(offline=True), "a/b")


async def test_a_list_is_read_page_by_page_up_to_the_wished_number(new_session):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        link = '<https://huggingface.co/api/models?cursor=next>; rel="next"'
        return httpx.Response(200, json=[{"id": f"a/{len(asked)}"}, "odd"], headers={"link": link})

    session = new_session(answer)
    found = await list_models(session.http, ENDPOINTS, task="text-generation", pages=2)
    assert [model.id for model in found] == ["a/1", "a/2"]
    assert asked[0]["pipeline_tag"] == "text-generation"
    assert asked[0]["inference_provider"] == "all"
    assert asked[1] == {"cursor": "next"}


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ('<https://hub.example/api?cursor=1>; rel="next"', "https://hub.example/api?cursor=1"),
        ("</api?cursor=1>; rel=next", "https://hub.example/api?cursor=1"),
        ('<https://evil.example/api>; rel="next"', None),
        ('<https://hub.example/api>; rel="prev"', None),
        ("", None),
    ],
)
def test_the_next_page_is_followed_on_the_same_host_only(link, target):
    assert next_page(link, "https://hub.example/api") == target


async def test_who_am_i_is_asked_once_an_hour(new_session):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["authorization"])
        return httpx.Response(200, json={"name": "somebody"})

    credential = Credential.bearer("abcdefgh", origins=[ENDPOINTS.hub])
    session = new_session(answer, credential=credential)
    assert (await who_am_i(session, ENDPOINTS))["name"] == "somebody"
    assert (await who_am_i(session, ENDPOINTS))["name"] == "somebody"
    assert asked == ["Bearer abcdefgh"]


async def test_without_a_credential_nobody_is_asked_who_that_is(new_session):
    assert await who_am_i(new_session(lambda request: pytest.fail("asked")), ENDPOINTS) is None


def test_every_recorded_mapping_is_read(shared):
    for path in sorted((shared / "recordings" / "inference" / "hub").glob("model-mapping-*.json")):
        body = json.loads(path.read_text())["response"]["body"]
        plain = json.loads(body) if isinstance(body, str) else body
        stated = plain["inferenceProviderMapping"] if isinstance(plain, dict) else None
        if stated:
            assert {entry.upstream for entry in model_of(plain).served} == set(stated), path.name
