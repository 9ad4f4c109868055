"""Broken plugins spoil nothing: every command works, good providers serve, each bad one is named."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from kinds import AT_IMPORT, AT_WORK, ENDLESS, GOOD, HEAD, METADATA, MODELS, STREAM

COMMANDS = {
    "help": ("--help",),
    "complete": ("complete", "good/model", "say it"),
    "models": ("models",),
    "models as JSON": ("models", "--json"),
    "route": ("route", "good/model"),
    "providers": ("providers", "--check"),
    "status": ("status",),
    "auth": ("auth", "status"),
    "help on uninstalling": ("uninstall", "--help"),
}
FEWER = {name: COMMANDS[name] for name in ("complete", "models")}
FINE = HEAD + STREAM + MODELS

INNOCENT = ("output at import", "a requirement that is none", "entry points that cannot be read")
"""Kinds that are strange, and need not be called broken."""

CHOSEN = [kind for kind in AT_WORK if kind.startswith(("create_stream", "authenticate"))]
"""Kinds that are only met when the bad provider is chosen."""


def slug(kind: str) -> str:
    return "bad-" + re.sub(r"[^a-z0-9]+", "-", kind.lower())


def target_of(source: str) -> str:
    """What the entry point names behind the module: an object that is missing there, or the module."""
    return ":plugin" if "plugin_" in source else ""


def demand_unharmed(ran: dict[str, Any]) -> None:
    for name, one in ran.items():
        assert one.code == 0, f"{name}: exit code {one.code}\n{one.out}\n{one.err}"
        assert "Traceback" not in one.err + one.out, f"{name}:\n{one.err}"
    assert ran["complete"].out.endswith("hello\n")
    assert "good/model" in ran["models"].out


@pytest.fixture(scope="module")
def broken(new_place: Any) -> dict[str, Any]:
    """Every command, with every plugin installed that fails before or while it is imported."""
    place = new_place()
    place.install("good", GOOD)
    for kind, source in AT_IMPORT.items():
        place.install(slug(kind), source, target=target_of(source))
    for kind, facts in METADATA.items():
        given = dict(facts)
        twin = given.pop("twin", False)
        place.install(slug(kind), FINE, **({"target": ""} | given))
        if twin:
            place.install(slug(kind), FINE, distribution="plugmux-its-twin", target="")
    return place.run_all(COMMANDS)  # type: ignore[no-any-return]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_with_all_of_them_installed(broken: dict[str, Any], command: str) -> None:
    one = broken[command]
    assert one.code == 0, f"{one.out}\n{one.err}"
    assert "Traceback" not in one.err + one.out


def test_the_good_provider_serves_beside_all_of_them(broken: dict[str, Any]) -> None:
    demand_unharmed(broken)


NAMED = [kind for kind in (*AT_IMPORT, *METADATA) if kind not in INNOCENT]


@pytest.mark.parametrize("kind", NAMED)
def test_each_is_named_with_what_is_wrong(broken: dict[str, Any], kind: str) -> None:
    said = [line for line in broken["providers"].err.splitlines() if line.startswith(f"{slug(kind)}:")]
    assert said, broken["providers"].err
    if kind in AT_IMPORT:
        assert said[0].endswith(")"), f"no remedy in: {said}"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ImportError", "half of me is missing"),
        ("SystemExit", "SystemExit: 7"),
        ("a missing dependency", "pip install"),
        ("a misspelt hook", "get_modles"),
        ("a hook with arguments nobody gives", "mood"),
        ("a newer core demanded", "wants plugmux>=99"),
        ("two distributions with one name", "plugmux-its-twin"),
    ],
)
def test_the_reason_is_the_real_one(broken: dict[str, Any], kind: str, said: str) -> None:
    lines = [line for line in broken["providers"].err.splitlines() if line.startswith(f"{slug(kind)}:")]
    assert said in " ".join(lines)


def test_an_endless_import_harms_nobody_and_is_named(new_place: Any, ended: Any) -> None:
    place = new_place()
    place.install("good", GOOD)
    place.install("bad", ENDLESS)
    started = {name: place.start(*COMMANDS[name]) for name in ("complete", "models", "providers")}
    ran = {name: ended(process) for name, process in started.items()}
    demand_unharmed(ran)
    assert "bad: plugin 'bad': its import did not end within" in ran["providers"].err
    assert "PLUGMUX_DISABLE=bad" in ran["providers"].err


def test_what_fails_at_work_harms_nobody(new_place: Any) -> None:
    place = new_place()
    place.install("good", GOOD)
    for kind, source in AT_WORK.items():
        place.install(slug(kind), source, target="")
    demand_unharmed(place.run_all(FEWER))


CHOOSE = """
import json, sys, plugmux
for name in sys.argv[1:]:
    done = plugmux.complete([f"{name}::bad/model", "good::good/model"], "say it")
    tries = [(one.provider, one.outcome, str(one.error or "")) for one in done.trace.attempts]
    print(json.dumps([done.text, tries]))
"""


@pytest.fixture(scope="module")
def chosen(new_place: Any, ended: Any) -> dict[str, Any]:
    """The answer and the attempts, where each bad provider was asked first."""
    place = new_place()
    kinds = CHOSEN
    place.install("good", GOOD)
    for kind in kinds:
        place.install(slug(kind), AT_WORK[kind], target="")
    ran = ended(place.start(*map(slug, kinds), code=CHOOSE))
    assert ran.code == 0, ran.err
    return dict(zip(kinds, map(json.loads, ran.out.splitlines()), strict=True))


@pytest.mark.parametrize("kind", CHOSEN)
def test_the_next_provider_serves_and_the_trace_names_the_bad_one(chosen: dict[str, Any], kind: str) -> None:
    text, tries = chosen[kind]
    assert text == "hello"
    assert tries[0][:2] == [slug(kind), "failed"]
    assert tries[0][2]
    assert tries[-1] == ["good", "served", ""]


def test_a_disabled_plugin_is_not_even_imported(new_place: Any) -> None:
    place = new_place()
    place.install("good", GOOD)
    place.install("bad", "import os; os.write(2, b'imported!')")
    ran = place.run_all(COMMANDS, PLUGMUX_DISABLE=f"bad,{place.ours}")
    demand_unharmed(ran)
    assert "imported!" not in place.noise


def test_with_a_fresh_map_nothing_is_imported_but_what_serves(
    new_place: Any, ended: Any, tmp_path: Any
) -> None:
    place = new_place()
    place.install("good", GOOD)
    place.install("bad", f"import os; os.write(2, b'imported!')\n{FINE}", target="")
    first = ended(place.start("models", PLUGMUX_HOME=str(tmp_path)))
    second = ended(place.start("complete", "good::good/model", "say it", PLUGMUX_HOME=str(tmp_path)))
    assert "imported!" in first.err
    assert "imported!" not in second.err
    assert second.out == "hello\n"


def test_a_hostile_sandbox_or_extension_harms_nobody(new_place: Any) -> None:
    place = new_place()
    place.install("good", GOOD)
    place.install("bad", "raise SystemExit(7)", group="plugmux.extensions")
    place.install("worse", "raise SystemExit(7)", group="plugmux.sandbox")
    demand_unharmed(place.run_all(FEWER))
