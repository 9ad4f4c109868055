"""Which models there are: listed, trending, looked up by name."""

from __future__ import annotations

import httpx
import pytest

from plugmux.errors import AuthenticationError, ModelNotFoundError, ProviderError, ServerError
from plugmux.model import Task
from plugmux_hf_inference import plugin

LIVE = {"providerId": "id", "status": "live"}
GPT2 = {
    "id": "openai-community/gpt2",
    "pipeline_tag": "text-generation",
    "trendingScore": 30,
    "inferenceProviderMapping": [{"provider": "hf-inference", "task": "text-generation", **LIVE}],
}
OWN = {"base_url": "http://127.0.0.1:8000/v1"}


def network(**answers):
    """Answers by the end of the path; what is not named is a 404."""

    def answer(request: httpx.Request) -> httpx.Response:
        for end, body in answers.items():
            if request.url.path.endswith(end.replace("__", "/")):
                return body if isinstance(body, httpx.Response) else httpx.Response(200, json=body)
        return httpx.Response(404, json={"error": "not found"})

    return answer


def router(*ids):
    return {"object": "list", "data": [{"id": name} for name in ids]}


async def test_the_routers_models_come_before_the_trending_ones(new_session):
    session = new_session(network(v1__models=router("a/b"), api__models=[GPT2]))
    models = await plugin.get_models(session, None)
    assert [(model.id, model.tasks[0]) for model in models] == [
        ("a/b", Task.CONVERSATIONAL),
        ("openai-community/gpt2", Task.TEXT_GENERATION),
    ]


async def test_a_model_that_the_router_lists_is_not_listed_twice(new_session):
    session = new_session(network(v1__models=router("openai-community/gpt2"), api__models=[GPT2]))
    (model,) = await plugin.get_models(session, None)
    assert model.tasks == (Task.CONVERSATIONAL,)


@pytest.mark.parametrize("score", [9.9, 0, None])
async def test_what_is_not_trending_is_not_listed(new_session, score):
    session = new_session(network(v1__models=router("a/b"), api__models=[GPT2 | {"trendingScore": score}]))
    models = await plugin.get_models(session, None)
    assert [model.id for model in models] == ["a/b"]


async def test_a_failing_hub_costs_only_what_is_trending(new_session):
    session = new_session(network(v1__models=router("a/b"), api__models=httpx.Response(500)))
    assert [model.id for model in await plugin.get_models(session, None)] == ["a/b"]


@pytest.mark.parametrize("trending", [[GPT2], [], httpx.Response(500)])
async def test_without_the_routers_list_there_is_none(new_session, trending):
    session = new_session(network(v1__models=httpx.Response(502), api__models=trending))
    with pytest.raises(ServerError) as caught:
        await plugin.get_models(session, None)
    assert caught.value.status == 502


async def test_a_name_is_looked_up_at_the_router(new_session):
    entry = {"id": "org/new", "providers": [{"provider": "groq", "status": "live"}]}
    session = new_session(network(v1__models__org__new=entry))
    models = await plugin.get_models(session, "org/new")
    assert [model.remote_id for model in models] == ["org/new", "org/new:groq"]


async def test_a_name_that_the_router_does_not_know_is_looked_up_at_the_hub(new_session):
    mapping = {"hf-inference": {"task": "text-generation", **LIVE}}
    session = new_session(
        network(api__models__org__text={"id": "org/text", "inferenceProviderMapping": mapping})
    )
    (model,) = await plugin.get_models(session, "org/text")
    assert (model.id, model.extra["road"]) == ("org/text", "text")


async def test_a_renamed_model_answers_to_the_name_asked_for(new_session):
    moved = httpx.Response(307, headers={"location": "/api/models/openai-community/gpt2x"})
    new = GPT2 | {"id": "openai-community/gpt2x"}
    session = new_session(network(models__gpt2=moved, gpt2x=new))
    (model,) = await plugin.get_models(session, "gpt2")
    assert (model.id, model.extra["hub_id"]) == ("gpt2", "openai-community/gpt2x")


async def test_a_short_name_is_looked_up_under_the_id_it_means(new_session):
    entry = {"id": "meta-llama/Llama-3.3-70B-Instruct"}
    session = new_session(network(**{"v1__models__meta-llama__Llama-3.3-70B-Instruct": entry}))
    (model,) = await plugin.get_models(session, "llama-3.3-70b")
    assert model.id == "meta-llama/Llama-3.3-70B-Instruct"
    assert "llama-3.3-70b" in model.aliases


@pytest.mark.parametrize(
    "name", ["spaces/a/b", "http://a.example", "a/b/c", "a b", "/models/mine", "a:b", ""]
)
async def test_what_is_no_hub_id_is_not_asked_for(new_session, name):
    session = new_session(lambda request: pytest.fail(f"asked {request.url}"))
    assert await plugin.get_models(session, name) == []


async def test_nobody_knowing_a_name_is_no_model(new_session):
    assert await plugin.get_models(new_session(network()), "org/unknown") == []


async def test_a_model_of_another_kind_says_what_it_is(new_session):
    mapping = {"hf-inference": {"task": "feature-extraction", **LIVE}}
    known = {"id": "org/bert", "pipeline_tag": "feature-extraction", "inferenceProviderMapping": mapping}
    with pytest.raises(ModelNotFoundError, match="hf-inference: feature-extraction, live"):
        await plugin.get_models(new_session(network(api__models__org__bert=known)), "org/bert")


async def test_a_model_that_nobody_serves_says_so(new_session):
    known = {"id": "org/idle", "pipeline_tag": "text-generation", "inferenceProviderMapping": None}
    with pytest.raises(ModelNotFoundError, match="no inference provider serves org/idle"):
        await plugin.get_models(new_session(network(api__models__org__idle=known)), "org/idle")


async def test_a_refused_token_in_a_look_up_is_raised(new_session):
    session = new_session(lambda request: httpx.Response(401, json={"error": "Invalid credentials in …"}))
    with pytest.raises(AuthenticationError):
        await plugin.get_models(session, "org/unknown")


async def test_a_server_of_ones_own_serves_what_it_lists(new_session):
    session = new_session(network(v1__models=router("mine", "yours")), settings=OWN)
    assert [model.id for model in await plugin.get_models(session, None)] == ["mine", "yours"]
    assert [model.id for model in await plugin.get_models(session, "mine")] == ["mine"]
    assert await plugin.get_models(session, "org/other") == []


async def test_tgi_tells_its_window_in_its_own_place(new_session):
    info = {"max_total_tokens": 4096, "max_input_tokens": 4095}
    session = new_session(network(v1__models=router("tgi"), info=info), settings=OWN)
    (model,) = await plugin.get_models(session, None)
    assert model.context_length == 4096


@pytest.mark.parametrize("named", [["mine"], "mine", "mine, "])
async def test_models_named_in_the_settings_are_served_when_the_list_fails(new_session, named):
    session = new_session(network(v1__models=httpx.Response(500)), settings=OWN | {"models": named})
    assert [model.id for model in await plugin.get_models(session, None)] == ["mine"]


async def test_models_named_in_the_settings_join_the_list(new_session):
    session = new_session(network(v1__models=router("a", "b")), settings=OWN | {"models": ["b", "c"]})
    assert [model.id for model in await plugin.get_models(session, None)] == ["a", "b", "c"]


@pytest.mark.parametrize("failure", [httpx.Response(500), httpx.Response(200, text="<html>")])
async def test_a_server_that_cannot_list_says_so(new_session, failure):
    session = new_session(network(v1__models=failure), settings=OWN)
    with pytest.raises(ProviderError):
        await plugin.get_models(session, None)
