"""Names, addresses, settings."""

from __future__ import annotations

from typing import Any

import pytest

from plugmux.errors import ConfigurationError
from plugmux_hf_space._places import Place, place_of, space_address, space_of
from plugmux_hf_space._settings import Override, SpaceSettings

PLACES = [
    ("spaces/owner/name", Place(space="owner/name")),
    ("spaces/owner/name#infer", Place(space="owner/name", endpoint="infer")),
    ("spaces/owner/name#/infer", Place(space="owner/name", endpoint="infer")),
    ("https://huggingface.co/spaces/owner/name", Place(space="owner/name")),
    ("https://owner-name.hf.space", Place(url="https://owner-name.hf.space")),
    ("https://owner-name.hf.space/", Place(url="https://owner-name.hf.space")),
    ("owner-name.hf.space", Place(url="https://owner-name.hf.space")),
    ("http://127.0.0.1:7860", Place(url="http://127.0.0.1:7860")),
    ("http://127.0.0.1:7860/path/#chat", Place(url="http://127.0.0.1:7860/path", endpoint="chat")),
    ("owner/name", None),
    ("flux-dev", None),
    ("spaces/owner", None),
    ("spaces/owner/name/more", None),
    ("https://huggingface.co/owner/name", None),
    ("https://user:secret@host/", None),
    ("http://[broken", None),
    ("http://host:99999", None),
    ("ftp://host/", None),
    ("", None),
]


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_a_name_means_a_place_or_nothing(name: str, place: Place | None) -> None:
    assert place_of(name) == place


def test_an_address_by_the_rule() -> None:
    assert space_address("black-forest-labs/FLUX.1-dev") == "https://black-forest-labs-flux-1-dev.hf.space"


def test_a_space_has_an_owner_and_a_name() -> None:
    assert space_of("owner/na_me.1") == "owner/na_me.1"
    assert space_of("owner/../etc") is None
    assert space_of("owner") is None


def test_settings_come_as_text_or_as_lists() -> None:
    text = SpaceSettings.load(
        {"spaces": "a/b, http://127.0.0.1:1  c/d", "trusted": "a/B", "queue_limit": "5"}
    )
    assert text.places == (Place(space="a/b"), Place(url="http://127.0.0.1:1"), Place(space="c/d"))
    assert text.trusts("A/b")
    assert not text.trusts("c/d")
    assert not text.trusts(None)
    assert text.queue_limit == 5.0
    listed = SpaceSettings.load({"spaces": ["a/b"], "run_limit": 7})
    assert listed.places == (Place(space="a/b"),)
    assert listed.run_limit == 7.0


def test_which_model_a_space_stands_for_is_a_table_or_pairs() -> None:
    expected = {"a/b": "x/y"}
    assert SpaceSettings.load({"serves": "A/b=x/y"}).serves == expected
    assert SpaceSettings.load({"serves": {"a/b": "x/y"}}).serves == expected


def test_overrides_are_tables_by_space() -> None:
    entry = {"endpoint": "/go", "task": "text-to-image", "parameters": {"txt": "prompt"}, "values": {"k": 1}}
    settings = SpaceSettings.load({"overrides": {"Owner/Name": entry}})
    override = settings.override_of(Place(space="owner/name", url="https://x"))
    assert override == Override(
        endpoint="/go", task="text-to-image", parameters={"txt": "prompt"}, values={"k": 1}
    )
    assert settings.override_of(Place(space="other/name")) == Override()


WRONG: list[tuple[str, Any]] = [
    ("spaces", "just-a-word"),
    ("spaces", 5),
    ("spaces", [5]),
    ("trusted", "http://127.0.0.1:1"),
    ("serves", "a/b"),
    ("overrides", "x"),
    ("overrides", {"a/b": 5}),
    ("overrides", {"a/b": {"endpunkt": "/x"}}),
    ("overrides", {"a/b": {"parameters": "x"}}),
    ("overrides", {"no": {}}),
    ("overrides", {"a/b": {"task": "bogus"}}),
    ("overrides", {"a/b": {"parameters": {"txt": "promt"}}}),
    ("overrides", {"a/b": {"parameters": {"txt": ["prompt"]}}}),
    ("queue_limit", "soon"),
    ("queue_limit", -5),
    ("run_limit", "nan"),
    ("run_limit", [5]),
    ("poll_gap", -0.1),
    ("preview_gap", "nan"),
    ("base_url", "ftp://x"),
]


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_a_wrong_setting_is_named(setting: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"hf-space: .*(setting {setting}|override of)"):
        SpaceSettings.load({setting: value})


def test_a_limit_may_be_none_at_all_and_previews_may_be_off() -> None:
    settings = SpaceSettings.load({"run_limit": "inf", "queue_limit": 0, "preview_gap": -1})
    assert (settings.run_limit, settings.queue_limit, settings.preview_gap) == (float("inf"), 0.0, -1.0)
