import json

from plugmux import Auth, Model, Pricing
from plugmux.modellist import model_from_plain, model_to_plain
from plugmux.modelmap import ModelMap

LLAMA = Model(id="meta-llama/Llama-3.3-70B-Instruct", provider="a", aliases=("llama",))
LLAMA_ELSEWHERE = Model(id="meta-llama/Llama-3.3-70B-Instruct", provider="b")
GEMMA = Model(id="google/gemma-2-27b-it", provider="a")
FORK = Model(id="someone/gemma-2-27b", provider="b")


def test_an_exact_id_wins_over_everything():
    models = ModelMap([LLAMA, Model(id="llama", provider="b")])
    assert models.resolve("llama").id == "llama"


def test_an_alias_leads_to_its_model():
    assert ModelMap([LLAMA]).resolve("llama").id == LLAMA.id


def test_the_users_alias_wins_over_a_plugins():
    assert ModelMap([LLAMA, GEMMA], {"llama": GEMMA.id}).resolve("llama").id == GEMMA.id


def test_a_short_name_leads_to_the_one_model_that_has_it():
    assert ModelMap([LLAMA, GEMMA]).resolve("Llama-3.3-70b").id == LLAMA.id


def test_what_is_ambiguous_is_listed_and_not_guessed():
    resolved = ModelMap([GEMMA, FORK]).resolve("gemma-2-27b")
    assert resolved.id is None
    assert resolved.ambiguous == (GEMMA.id, FORK.id)


def test_two_models_with_one_alias_never_fall_together():
    other = Model(id="other/llama", provider="b", aliases=("llama",))
    assert ModelMap([LLAMA, other]).resolve("llama").ambiguous == (LLAMA.id, other.id)


def test_a_name_with_a_slash_is_never_an_alias_of_the_users():
    assert ModelMap([LLAMA], {"my/alias": LLAMA.id}).resolve("my/alias").id is None


def test_an_id_in_other_case_is_the_same_model():
    assert ModelMap([LLAMA]).resolve("META-LLAMA/llama-3.3-70b-instruct").id == LLAMA.id


def test_every_providers_entry_of_an_id_is_given():
    assert ModelMap([LLAMA, LLAMA_ELSEWHERE, GEMMA]).of(LLAMA.id) == [LLAMA, LLAMA_ELSEWHERE]


def test_what_is_gone_is_no_meaning_of_a_name():
    left = ModelMap([LLAMA, GEMMA, FORK]).without(FORK)
    assert left.models == (LLAMA, GEMMA)
    assert left.of(FORK.id) == []
    assert left.resolve("gemma-2-27b").id == GEMMA.id


def test_what_is_gone_at_one_provider_is_there_at_the_others():
    models = ModelMap([LLAMA, LLAMA_ELSEWHERE])
    left = models.without(LLAMA)
    assert left.of(LLAMA.id) == [LLAMA_ELSEWHERE]
    assert left.resolve("llama-3.3-70b").id == LLAMA.id
    assert models.of(LLAMA.id) == [LLAMA, LLAMA_ELSEWHERE]


def test_what_was_never_there_takes_nothing_along():
    assert ModelMap([LLAMA]).without(GEMMA).models == (LLAMA,)


def test_near_names_are_full_ids():
    assert ModelMap([LLAMA, GEMMA]).near("lama-3.3-70b")[0] == LLAMA.id


def test_nothing_is_near_to_nonsense():
    assert ModelMap([LLAMA, GEMMA]).near("qqqqqqqq") == []


def test_a_near_name_is_found_among_many():
    others = [Model(id=f"org/model-{number}.{number % 7}-12b-it") for number in range(500)]
    models = ModelMap([*others, LLAMA, *others])
    assert models.near("lama-3.3-70b")[0] == LLAMA.id
    assert models.near("modle-499.2-12b")[0] == "org/model-499.2-12b-it"


def test_an_upstream_in_the_map_is_a_suffix():
    assert "cloud-7" in ModelMap([Model(id="a/b", upstream="cloud-7")]).upstreams
    assert "cloud-7" not in ModelMap([LLAMA]).upstreams


def test_a_model_survives_json():
    model = Model(
        id="a/b",
        provider="p",
        remote_id="b:fast",
        upstream="together",
        tasks=["text-to-image", "image-to-image"],
        inputs=["image"],
        options=["seed"],
        capabilities={"tools": True, "vision": False},
        context_length=8192,
        pricing=Pricing(input=0.1, output=0.2),
        auth="none",
        aliases=["b"],
        selectors=["fastest"],
        extra={"route": "/x"},
    )
    assert model_from_plain(json.loads(json.dumps(model_to_plain(model)))) == model


def test_defaults_are_not_written():
    assert model_to_plain(Model(id="a/b", provider="p", auth=Auth.REQUIRED)) == {"id": "a/b", "provider": "p"}


def test_a_space_is_not_the_model_that_its_name_recalls():
    space = Model(id="spaces/someone/llama-3.3-70b", provider="s")
    assert ModelMap([LLAMA, space]).resolve("llama-3.3-70b").id == LLAMA.id
    assert ModelMap([space]).resolve("spaces/someone/llama-3.3-70b").id == space.id
