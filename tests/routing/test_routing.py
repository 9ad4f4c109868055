import pytest

from plugmux import Model, Options, Policy, Pricing, Task
from plugmux.names import parse_name
from plugmux.routing import Standing, Wish, candidates, task_of


def model(provider="a", **facts):
    facts.setdefault("id", "org/model")
    return Model(provider=provider, **facts)


def wish(name="org/model", task=Task.CONVERSATIONAL, **facts):
    return Wish(name=parse_name(name), task=task, **facts)


def order(models, asked=None, **facts):
    return [candidate.model.provider for candidate in candidates(models, asked or wish(), **facts).candidates]


def reasons(models, asked, **facts):
    return {drop.model.provider: drop.reason for drop in candidates(models, asked, **facts).dropped}


def test_the_policys_order_comes_before_health_and_speed():
    models = [model("slow", latency=9.0), model("quick", latency=0.1), model("named", latency=5.0)]
    assert order(models, wish(policy=Policy(order=["named"]))) == ["named", "quick", "slow"]


def test_an_open_breaker_outweighs_the_policys_order():
    found = order(
        [model("a"), model("b")],
        wish(policy=Policy(order=["a"])),
        health=lambda key: Standing(resting=key[0] == "a"),
    )
    assert found == ["b", "a"]


def test_a_resting_candidate_comes_last_and_is_not_dropped():
    resting = {"a": Standing(resting=True, failures=3)}
    found = order([model("a"), model("b")], health=lambda key: resting.get(key[0], Standing()))
    assert found == ["b", "a"]


def test_observed_speed_wins_over_what_the_service_claims():
    seen = {"a": Standing(latency=3.0)}
    models = [model("a", latency=0.1), model("b", latency=1.0)]
    assert order(models, health=lambda key: seen.get(key[0], Standing())) == ["b", "a"]


def test_a_sleeping_space_comes_last():
    assert order([model("space", asleep=True, latency=0.1), model("b")]) == ["b", "space"]


def test_without_any_credential_those_that_need_none_come_first():
    models = [model("keyed", auth="required", latency=0.1), model("free", auth="none", latency=5.0)]
    assert order(models, credentials={"free": False}) == ["free", "keyed"]
    assert order(models, credentials={"keyed": True, "free": False}) == ["keyed", "free"]


def test_a_model_that_needs_a_missing_credential_is_dropped_with_the_reason():
    said = reasons([model("keyed", auth="required")], wish(), credentials={"keyed": False})
    assert "needs a credential" in said["keyed"]


def test_an_unknown_credential_drops_nobody():
    assert order([model("keyed", auth="required")]) == ["keyed"]


def test_what_a_model_can_do_is_the_callers_word_where_it_is_a_guess_and_the_provider_pinned():
    guess = model("a", assumed=True, options={"temperature"})
    (found,) = candidates([guess], wish("a::org/model", Task.TEXT_TO_IMAGE)).candidates
    assert (found.model.tasks, found.model.options) == ((Task.TEXT_TO_IMAGE,), None)
    (found,) = candidates([guess], wish("a::org/model", Task.TEXT_GENERATION)).candidates
    assert found.model == guess
    assert "not text-to-image" in reasons([guess], wish(task=Task.TEXT_TO_IMAGE))["a"]
    known = model("a")
    assert "not text-to-image" in reasons([known], wish("a::org/model", Task.TEXT_TO_IMAGE))["a"]


def test_a_pinned_provider_drops_the_others():
    assert order([model("a"), model("b")], wish("b::org/model")) == ["b"]
    assert reasons([model("a"), model("b")], wish("b::org/model")) == {"a": "b was asked for"}


def test_a_pinned_upstream_drops_the_others():
    models = [model("a"), model("b", upstream="groq", reserve=True), model("c", upstream="together")]
    assert order(models, wish("org/model:groq")) == ["b"]


def test_an_upstream_that_the_service_takes_by_name_goes_on_the_remote_id():
    (found,) = candidates([model(selectors=["groq"])], wish("org/model:groq")).candidates
    assert (found.model.remote_id, found.model.upstream) == ("org/model:groq", "groq")
    assert found.why == "asked for by name: groq is not listed as serving it now"


def test_an_upstream_asked_for_by_its_name_is_held_to_the_policy():
    models = [model(selectors=["groq"])]
    assert order(models, wish("org/model:groq", policy=Policy(only=["groq"]))) == ["a"]
    assert order(models, wish("org/model:groq", policy=Policy(ignore=["groq"]))) == []


def test_the_price_of_others_says_nothing_of_an_upstream_asked_for_by_its_name():
    models = [model(selectors=["groq"], pricing=Pricing(output=15.0), context_length=100)]
    found = candidates(models, wish("org/model:groq", policy=Policy(max_price=1.0), needs_context=200))
    assert [candidate.model.upstream for candidate in found.candidates] == ["groq"]


def test_who_is_not_the_upstream_asked_for_says_who_he_is():
    said = reasons([model("a"), model("b", upstream="together")], wish("org/model:groq"))
    assert said == {
        "a": "upstream groq was asked for; the service does not name it: without `:groq` it chooses itself",
        "b": "upstream groq was asked for; this is together",
    }


def test_a_second_road_stays_in_reserve():
    models = [model("spread", upstream="groq", reserve=True, latency=0.1), model("auto", latency=5.0)]
    assert order(models) == ["auto", "spread"]


def test_a_sort_order_takes_the_reserve_into_account():
    models = [
        model("auto"),
        model("dear", upstream="x", reserve=True, pricing=Pricing(output=2.0)),
        model("cheap", upstream="y", reserve=True, pricing=Pricing(output=1.0)),
    ]
    assert order(models, wish(policy=Policy(sort="price"))) == ["cheap", "dear", "auto"]


def test_a_selector_that_the_service_understands_goes_on_the_remote_id():
    models = [
        model("auto", selectors=["fastest"]),
        model("spread", upstream="x", reserve=True, throughput=99),
    ]
    route = candidates(models, wish("org/model:fastest"))
    assert [c.model.remote_id for c in route.candidates] == ["org/model:fastest", "org/model"]


def test_a_selector_that_no_service_understands_sorts():
    models = [model("slow", throughput=10), model("fast", throughput=90)]
    assert order(models, wish("org/model:fastest")) == ["fast", "slow"]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (Policy(only=["a"]), ["a"]),
        (Policy(ignore=["a"]), ["b"]),
        (Policy(only=["b/groq"]), ["b"]),
        (Policy(only=["groq"]), ["b"]),
        (Policy(allow_fallbacks=False), ["a"]),
        (Policy(order=["b"], allow_fallbacks=False), ["b"]),
        (Policy(max_price=1.0), ["a"]),
    ],
)
def test_the_policy_leaves_these(policy, left):
    models = [model("a"), model("b", upstream="groq", pricing=Pricing(output=2.0))]
    assert order(models, wish(policy=policy)) == left


def spread(*prices):
    """A service that chooses among the upstreams u0, u1, … with these prices."""
    offers = [(f"u{place}", price) for place, price in enumerate(prices)]
    return [
        model("a"),
        *(model("a", upstream=name, reserve=True, pricing=Pricing(output=price)) for name, price in offers),
    ]


def upstreams(models, policy, name="org/model"):
    route = candidates(models, wish(name, policy=policy))
    return [candidate.model.upstream for candidate in route.candidates]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (Policy(max_price=1.0), ["u1"]),
        (Policy(max_price=0.1), []),
        (Policy(max_price=20.0), [None, "u0", "u1"]),
        (Policy(ignore=["u0"]), ["u1"]),
        (Policy(ignore=["a/u0"]), ["u1"]),
        (Policy(ignore=["elsewhere"]), [None, "u0", "u1"]),
    ],
)
def test_a_service_may_not_choose_whom_the_policy_excludes(policy, left):
    assert upstreams(spread(15.0, 0.5), policy) == left


def test_a_selector_does_not_bind_a_service_to_the_policy():
    models = [model("a", selectors=["cheapest"]), *spread(15.0, 0.5)[1:]]
    assert upstreams(models, Policy(max_price=1.0), "org/model:cheapest") == ["u1"]


def test_why_a_service_may_not_choose_is_said():
    route = candidates(spread(15.0, 0.5), wish(policy=Policy(max_price=1.0)))
    assert [drop.reason for drop in route.dropped] == [
        "it may choose u0; policy: 15 USD per million tokens is over max_price",
        "policy: 15 USD per million tokens is over max_price",
    ]


def test_another_providers_or_models_upstreams_bind_no_service():
    others = [
        model("b", upstream="u0", reserve=True, pricing=Pricing(output=15.0)),
        model("a", id="org/other", upstream="u0", reserve=True, pricing=Pricing(output=15.0)),
    ]
    assert upstreams([model("a"), *others], Policy(max_price=1.0)) == [None]


def test_required_parameters_drop_who_cannot_take_them_and_unknown_is_not_no():
    models = [model("a", options=["seed"]), model("b", options=["top_p"]), model("c")]
    asked = wish(policy=Policy(require_parameters=True), options=Options(seed=1))
    assert order(models, asked) == ["a", "c"]
    assert reasons(models, asked) == {"b": "it does not take seed"}


def test_a_model_that_cannot_call_tools_is_dropped_only_when_that_is_known():
    models = [model("no", capabilities={"tools": False}), model("unknown")]
    assert order(models, wish(options=Options(tools=[{}]))) == ["unknown"]


def test_a_model_that_cannot_see_is_dropped_when_images_come():
    models = [model("blind", capabilities={"vision": False}), model("sees", capabilities={"vision": True})]
    assert order(models, wish(has_images=True)) == ["sees"]


def test_a_model_of_another_task_is_dropped_with_the_reason():
    said = reasons([model("a", tasks=["text-to-image"])], wish())
    assert said == {"a": "it does text-to-image, not conversational"}


def test_chat_and_text_generation_stand_in_for_each_other():
    assert order([model("a", tasks=["text-generation"])]) == ["a"]


def test_a_context_known_to_be_too_small_is_dropped():
    models = [model("small", context_length=100), model("large", context_length=1000), model("unknown")]
    assert order(models, wish(needs_context=500)) == ["large", "unknown"]


def test_one_upstream_is_reached_by_one_road_only():
    models = [model("a", upstream="together"), model("b", upstream="together")]
    route = candidates(models, wish())
    assert [c.model.provider for c in route.candidates] == ["a"]
    assert route.dropped[0].reason == "a reaches the same model at together"


def test_every_candidate_says_why():
    route = candidates([model("a", auth="none"), model("b", asleep=True)], wish())
    assert [c.why for c in route.candidates] == ["needs no credential", "asleep: has to be woken"]


@pytest.mark.parametrize(
    ("tasks", "given", "task"),
    [
        (["text-to-image", "image-to-image"], {}, Task.TEXT_TO_IMAGE),
        (["text-to-image", "image-to-image"], {"has_image": True}, Task.IMAGE_TO_IMAGE),
        (["conversational"], {"has_image": True}, Task.CONVERSATIONAL),
        (["text-to-speech"], {"has_audio": True}, Task.AUTOMATIC_SPEECH_RECOGNITION),
        (["text-to-image"], {"asked": Task.TEXT_TO_VIDEO}, Task.TEXT_TO_VIDEO),
    ],
)
def test_the_task_follows_from_what_is_given(tasks, given, task):
    facts = {"has_audio": False, "has_image": False, "asked": None} | given
    assert task_of([model(tasks=tasks)], **facts) is task
