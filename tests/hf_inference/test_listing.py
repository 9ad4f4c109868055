"""Which models a list names: the router's, and that of any other server."""

from __future__ import annotations

import json

import pytest

from plugmux.errors import MalformedResponseError
from plugmux.model import Auth, Capability, Pricing, Task
from plugmux_hf_inference._listing import own_models, router_models
from plugmux_hf_inference._static import ALIASES, DEFAULT_MODEL, STATIC_MODELS


def routed(*entries):
    return router_models(json.dumps({"object": "list", "data": list(entries)}).encode())


def upstream(provider, **facts):
    return {"provider": provider, "status": "live", "is_model_author": False, **facts}


RICH = {
    "id": "org/model",
    "object": "model",
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "providers": [
        upstream(
            "novita",
            context_length=1000,
            pricing={"input": 0.5, "output": 1.5},
            supports_tools=True,
            supports_structured_output=False,
            first_token_latency_ms=500,
            throughput=20.5,
        ),
        upstream("together", context_length=500, supports_tools=False, supports_structured_output=False),
        upstream("featherless-ai"),
        {"provider": "groq", "status": "error"},
    ],
}


def test_an_id_is_one_model_and_a_reserve_for_each_live_upstream():
    models = routed(RICH)
    assert [(model.remote_id, model.upstream, model.reserve) for model in models] == [
        ("org/model", None, False),
        ("org/model:novita", "novita", True),
        ("org/model:together", "together", True),
        ("org/model:featherless-ai", "featherless-ai", True),
    ]


def test_an_upstreams_own_facts_are_its_own():
    novita = routed(RICH)[1]
    assert novita.context_length == 1000
    assert novita.pricing == Pricing(input=0.5, output=1.5)
    assert (novita.latency, novita.throughput) == (0.5, 20.5)
    assert novita.can(Capability.TOOLS) is True
    assert novita.can(Capability.STRUCTURED_OUTPUT) is False


def test_what_an_upstream_does_not_state_is_unknown():
    bare = routed(RICH)[3]
    assert (bare.context_length, bare.pricing, bare.latency) == (None, None, None)
    assert bare.can(Capability.TOOLS) is None


def test_the_automatic_road_promises_only_what_any_upstream_keeps():
    automatic = routed(RICH)[0]
    assert automatic.context_length == 500
    assert automatic.pricing is None
    assert automatic.can(Capability.TOOLS) is True
    assert automatic.can(Capability.STRUCTURED_OUTPUT) is None


def test_the_automatic_road_takes_a_policy_or_an_upstream_that_has_no_model_of_its_own():
    selectors = routed(RICH)[0].selectors
    assert selectors >= {"fastest", "cheapest", "preferred", "cerebras", "groq"}
    assert selectors.isdisjoint({"novita", "together", "featherless-ai"})


@pytest.mark.parametrize(
    ("facts", "pricing"),
    [
        ({"is_free": True}, Pricing(input=0.0, output=0.0)),
        ({"is_free": True, "pricing": {"input": None}}, Pricing(input=0.0, output=0.0)),
        ({"is_free": True, "pricing": {"output": 2}}, Pricing(output=2.0)),
        ({"is_free": False}, None),
        ({"is_free": "odd"}, None),
    ],
)
def test_what_is_free_has_a_price_of_nothing(facts, pricing):
    assert routed({"id": "a/b", "providers": [upstream("groq", **facts)]})[1].pricing == pricing


def test_a_model_that_sees_says_so():
    model = routed(RICH)[0]
    assert model.tasks == (Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT)
    assert (model.inputs, model.can(Capability.VISION)) == ({"image"}, True)


def test_a_model_without_a_live_upstream_is_not_served():
    assert routed({"id": "a/b", "providers": [{"provider": "groq", "status": "error"}]}) == []


@pytest.mark.parametrize("facts", [{}, {"status": None}])
def test_an_upstream_of_no_status_serves(facts):
    models = routed({"id": "a/b", "providers": [{"provider": "groq", **facts}]})
    assert [model.upstream for model in models] == [None, "groq"]


def test_a_model_without_named_upstreams_is_served_by_somebody():
    assert [model.remote_id for model in routed({"id": "a/b"})] == ["a/b"]


def test_everything_behind_the_router_is_paid_by_one_account():
    assert {(model.account, model.auth) for model in routed(RICH)} == {("huggingface", Auth.REQUIRED)}


@pytest.mark.parametrize(
    "odd", [None, 7, {}, {"id": 7}, {"id": "a/b", "architecture": "?"}, {"id": "a/b", "providers": {}}]
)
def test_an_entry_that_cannot_be_read_is_left_out(odd):
    assert routed(odd, {"id": "c/d"})[0].id == "c/d"


def test_an_upstream_that_cannot_be_read_is_left_out():
    entry = {"id": "a/b", "providers": [{"provider": 7}, "odd", upstream("groq", pricing={"input": "free"})]}
    assert [model.remote_id for model in routed(entry)] == ["a/b", "a/b:groq"]


def test_one_entry_by_itself_is_read_like_a_list():
    assert router_models(json.dumps(RICH).encode())[0].id == "org/model"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data": 7}', b'{"object": "list"}', b"\xff"])
@pytest.mark.parametrize("reader", [router_models, own_models])
def test_what_is_no_list_is_malformed(body, reader):
    with pytest.raises(MalformedResponseError, match="not a list of models"):
        reader(body)


def test_a_known_model_has_its_short_names_and_the_default_is_marked():
    names = {
        model.id: model
        for model in routed({"id": DEFAULT_MODEL}, {"id": "meta-llama/Llama-3.3-70B-Instruct"})
    }
    assert names[DEFAULT_MODEL].default
    assert "llama-3.3-70b" in names["meta-llama/Llama-3.3-70B-Instruct"].aliases


def owned(*entries):
    return own_models(json.dumps({"object": "list", "data": list(entries)}).encode())


@pytest.mark.parametrize(
    ("facts", "length"),
    [
        ({"max_model_len": 4096}, 4096),
        ({"meta": {"n_ctx_train": 2048}}, 2048),
        ({"context_length": 100}, 100),
        ({"context_window": 200}, 200),
        ({"max_model_len": None}, None),
        ({"meta": None}, None),
        ({}, None),
    ],
)
def test_a_servers_own_word_for_its_window_is_known(facts, length):
    assert owned({"id": "m", **facts})[0].context_length == length


def test_what_a_model_of_ones_own_server_can_do_is_a_guess():
    (found,) = owned({"id": "m"})
    assert (found.tasks, found.assumed) == ((Task.CONVERSATIONAL,), True)


def test_a_server_that_can_go_on_with_a_message_is_known_by_its_name():
    assert owned({"id": "m", "owned_by": "vllm"})[0].can(Capability.PREFILL) is True
    assert owned({"id": "m", "owned_by": "someone"})[0].can(Capability.PREFILL) is None


def test_a_server_with_one_model_has_a_default():
    assert owned({"id": "m"})[0].default
    assert not any(model.default for model in owned({"id": "m"}, {"id": "n"}))


def test_a_server_of_ones_own_needs_no_credential():
    assert owned({"id": "m"}, {"odd": 1}, 7)[0].auth is Auth.OPTIONAL


def test_short_names_name_the_model_that_they_say():
    assert ALIASES["qwen-2.5-72b"] == "Qwen/Qwen2.5-72B-Instruct"
    assert ALIASES["command-r-plus"].startswith("CohereLabs/")
    assert not any("/" in alias for alias in ALIASES)


def test_every_short_name_leads_to_a_listed_model():
    listed = {model.id for model in STATIC_MODELS}
    assert set(ALIASES.values()) <= listed


def test_the_routers_documented_list_is_read(shared):
    body = json.loads((shared / "recordings/inference/router-auto/models-1.json").read_text())["response"][
        "body"
    ]
    models = router_models((body if isinstance(body, str) else json.dumps(body)).encode())
    assert [(model.upstream, model.context_length) for model in models] == [
        (None, 65536),
        ("novita", 1048576),
        ("together", 512000),
        ("fireworks-ai", 1048576),
        ("featherless-ai", None),
        ("deepinfra", 65536),
    ]
    assert models[1].pricing == Pricing(input=1.69, output=3.38)
    assert models[3].pricing is None
