import pytest

from plugmux.names import parse_name, short_name


@pytest.mark.parametrize(
    ("text", "provider", "id", "suffix"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", None, "meta-llama/Llama-3.3-70B-Instruct", None),
        ("meta-llama/Llama-3.3-70B-Instruct:groq", None, "meta-llama/Llama-3.3-70B-Instruct", "groq"),
        ("openai/gpt-oss-120b:cheapest", None, "openai/gpt-oss-120b", "cheapest"),
        ("llama3.1:8b", None, "llama3.1:8b", None),
        ("local::llama3.1:8b", "local", "llama3.1:8b", None),
        ("local::org/model:together", "local", "org/model", "together"),
        ("/models/mine", None, "/models/mine", None),
        ("http://127.0.0.1:7860", None, "http://127.0.0.1:7860", None),
        ("http://[::1]:7860", None, "http://[::1]:7860", None),
        ("local::http://[::1]:7860", "local", "http://[::1]:7860", None),
        (":groq", None, ":groq", None),
        ("::model", None, "model", None),
    ],
)
def test_a_name_has_these_parts(text, provider, id, suffix):
    name = parse_name(text)
    assert (name.provider, name.id, name.suffix) == (provider, id, suffix)
    assert name.text == text


def test_an_upstream_that_only_the_map_knows_counts_as_a_suffix():
    assert parse_name("org/model:newcomer").suffix is None
    assert parse_name("org/model:newcomer", {"newcomer"}).suffix == "newcomer"


@pytest.mark.parametrize(
    ("id", "short"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b"),
        ("google/gemma-2-27b-it", "gemma-2-27b"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct-HF", "llama-3.1-nemotron-70b-instruct"),
        ("gpt2", "gpt2"),
    ],
)
def test_the_short_name_is_the_last_part_without_one_final_tag(id, short):
    assert short_name(id) == short
