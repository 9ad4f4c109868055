import json
import logging

import pytest

from plugmux import Model
from plugmux.modellist import ModelList
from plugmux.modelmap import ModelMap

LLAMA = Model(id="org/llama", provider="a", upstream="fast", aliases=("llama",), default=True)
SLOW = Model(id="org/llama", provider="a", upstream="slow", aliases=("llama",))
GEMMA = Model(id="org/gemma", provider="a", aliases=("gemma",))


def kept(*models):
    """What another process reads of these models."""
    return ModelList.from_plain(json.loads(json.dumps(ModelList.of(models).to_plain())))


def test_a_kept_list_gives_the_same_models():
    assert list(kept(LLAMA, SLOW, GEMMA)) == [LLAMA, SLOW, GEMMA]


def test_a_kept_list_knows_names_before_any_model_is_read():
    found = kept(LLAMA, GEMMA)
    assert found.ids == ("org/llama", "org/gemma")
    assert found.aliases == (("llama", "org/llama"), ("gemma", "org/gemma"))
    assert found.upstreams == {"fast"}


def test_a_kept_list_is_kept_again_unread():
    plain = kept(LLAMA, GEMMA).to_plain()
    assert ModelList.from_plain(plain).to_plain() == plain


def test_the_default_models_are_found_in_a_kept_list():
    assert kept(LLAMA, SLOW, GEMMA).default_models() == [LLAMA]


def test_what_is_gone_takes_its_alias_along():
    left = kept(LLAMA, GEMMA).without(LLAMA)
    assert list(left) == [GEMMA]
    assert ModelMap(lists=[left]).resolve("llama").id is None


def test_what_is_gone_leaves_the_same_model_at_another_upstream():
    left = kept(LLAMA, SLOW).without(LLAMA)
    assert list(left) == [SLOW]
    assert ModelMap(lists=[left]).resolve("llama").id == SLOW.id


def test_a_model_of_another_key_is_not_missed():
    found = kept(LLAMA)
    assert found.without(SLOW) is found


def test_the_map_of_a_kept_list_reads_only_what_is_asked_for():
    plain = ModelList.of([LLAMA, GEMMA]).to_plain()
    plain["models"][1] = "{"
    assert ModelMap(lists=[ModelList.from_plain(plain)]).of(LLAMA.id) == [LLAMA]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '{"id":7}', '{"id":"org/other"}', '{"id":"x","auth":9}', "[" * 99_999],
)
def test_a_damaged_model_is_left_out_with_a_word(text, caplog):
    plain = ModelList.of([LLAMA, GEMMA]).to_plain()
    plain["models"][0] = text
    with caplog.at_level(logging.WARNING, "plugmux"):
        models = ModelMap(lists=[ModelList.from_plain(plain)])
        assert models.models == (GEMMA,)
        assert models.of(LLAMA.id) == []
    assert "org/llama" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": ["a"]},
        {"ids": None},
        {"ids": [1, 2]},
        {"models": [{}, {}]},
        {"models": []},
        {"aliases": [["a"]]},
        {"aliases": [["a", 1]]},
        {"aliases": 7},
        {"upstreams": [[]]},
        {"upstreams": [1]},
        {"defaults": [None]},
    ],
)
def test_what_is_no_list_is_refused(wrong):
    with pytest.raises((ValueError, TypeError, KeyError)):
        ModelList.from_plain(ModelList.of([LLAMA, GEMMA]).to_plain() | wrong)
