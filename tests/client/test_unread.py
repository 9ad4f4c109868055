"""Settings without an effect are named with their place; whatever may be right is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugmux.settings import Settings
from plugmux.unread import unread_settings

MEANT = "; did you mean base_url?"
NO_TEAM = '[providers.team]: there is no such provider; a new one needs plugin = "…"'
DECLARED = {"acme": ("base_url", "limit"), "acme-two": ("models",), "quiet": None}


def unread(home: Path, file: str = "", **environ: str) -> list[str]:
    (home / "config.toml").write_text(file)
    return unread_settings(Settings.load({"PLUGMUX_HOME": str(home), **environ}), DECLARED, ["tracer"])


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("PLUGMUX_ACME_BASE_ULR", ["acme has no setting base_ulr; did you mean base_url?"]),
        ("PLUGMUX_ACME_TWO_MODEL", ["acme-two has no setting model; did you mean models?"]),
        ("PLUGMUX_ACME_COLOUR", ["acme has no setting colour"]),
        ("PLUGMUX_NOBODY_URL", ["no provider that is installed has this name"]),
        ("PLUGMUX_ACME_BASE_URL", []),
        ("PLUGMUX_ACME_TWO_MODELS", []),
        ("PLUGMUX_ACME_TOKEN", []),
        ("PLUGMUX_QUIET_ANYTHING", []),
        ("PLUGMUX_MODEL", []),
        ("ACME_BASE_ULR", []),
    ],
)
def test_a_variable_that_nobody_reads_is_named(tmp_path: Path, variable: str, said: list[str]) -> None:
    assert unread(tmp_path, **{variable: "x"}) == [f"{variable}: {words}" for words in said]


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert unread(tmp_path, PLUGMUX_ACME_BASE_ULR="") == []


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("[providers.acme]\nbase_ur = 1", ["[providers.acme] base_ur: acme has no such setting" + MEANT]),
        ("[providers.team]\nlimit = 1", [NO_TEAM]),
        ('[providers.acme]\nlimit = 1\nplugin = "acme"', []),
        ("[providers.quiet]\nanything = 1", []),
        ('[providers.elsewhere]\ntoken = "a-token-for-tests"', []),
    ],
)
def test_a_key_of_the_file_that_nobody_reads_is_named(tmp_path: Path, file: str, said: list[str]) -> None:
    assert unread(tmp_path, file) == said


def test_blocking_somebody_who_is_not_there_is_named(tmp_path: Path) -> None:
    said = unread(tmp_path, PLUGMUX_DISABLE="acme,tracer,quite")
    assert said == ["PLUGMUX_DISABLE: there is no provider 'quite'; did you mean quiet?"]
