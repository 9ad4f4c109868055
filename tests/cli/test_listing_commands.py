"""`plugmux models`, `route`, `providers` and `status`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

MISBEHAVIOUR = {
    "sad": "raise RuntimeError('no luck')",
    "gone": "import a_module_that_is_not_there",
    "over": "raise SystemExit(3)",
    "dead": "import os; os._exit(7)",
    "bare": "x = 1",
}


def objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_models_are_listed_in_plain_columns(acme, run) -> None:
    lines = run("models").stdout.splitlines()
    assert lines[0].startswith("MODEL ")
    parrot = next(line for line in lines if line.startswith("acme/parrot "))
    assert parrot.split() == ["acme/parrot", "acme", "conversational", "8,192"]
    assert "\x1b" not in "".join(lines)


def test_models_can_be_asked_for_by_task(acme, run) -> None:
    found = objects(run("models", "--task", "text-to-image", "--json").stdout)
    assert [model["id"] for model in found] == ["painter", "moody"]


def test_models_can_be_asked_for_by_words_of_their_names(acme, run) -> None:
    assert [model["id"] for model in objects(run("models", "SHORT", "--json").stdout)] == ["plain"]


@pytest.fixture
def chatty(acme, install) -> None:
    source = (Path(__file__).parent / "installed" / "acme.py").read_text()
    source = source.replace("    answer = await", '    print("at work")\n    answer = await')
    install("chatty", f"{source}\nprint('at import')\n", "[plugmux]\nchatty = chatty\n")


@pytest.mark.parametrize(
    "words",
    [
        ("models", "--json"),
        ("providers", "--json"),
        ("auth", "status", "--json"),
        ("complete", "chatty::plain", "Hi", "--json"),
    ],
)
def test_what_a_plugin_prints_is_no_part_of_the_output(chatty, server, run, words) -> None:
    done = run(*words, PLUGMUX_CHATTY_BASE_URL=server.url)
    assert done.returncode == 0
    assert objects(done.stdout)


def test_what_a_plugin_prints_goes_to_standard_error(chatty, server, run) -> None:
    said = run("models", PLUGMUX_CHATTY_BASE_URL=server.url).stderr.splitlines()
    assert said == ["at import", "at work"]


def test_no_model_is_said_and_not_shown_as_an_empty_table(acme, run) -> None:
    done = run("models", "nothing-like-it")
    assert done.stdout == ""
    assert "none of 17 models fits" in done.stderr


def test_an_unknown_task_is_a_usage_error(acme, run) -> None:
    assert run("models", "--task", "cooking").returncode == 2


def test_a_list_on_a_screen_fits_it(acme, screen) -> None:
    shown = screen("models", "--task", "text-to-image", NO_COLOR="1")
    assert shown.end() == 0
    assert "painter" in shown.shown
    assert "PROVIDER" in shown.shown
    assert "UPSTREAM" not in shown.shown  # nothing would stand under it
    assert "\x1b[3" not in shown.shown


def test_a_route_names_each_candidate_in_order_with_its_reason(acme, run) -> None:
    done = run("route", "plain", "acme/parrot")
    lines = done.stdout.splitlines()
    assert lines[0] == "plain, acme/parrot: 2 candidates"
    assert lines[1].startswith("  1. acme (plain): ")
    assert lines[2].startswith("  2. acme (acme/parrot): ")


def test_a_route_names_each_dropped_one_with_its_reason(acme, run) -> None:
    done = run("route", "plain", "--task", "text-to-image")
    assert done.returncode == 3
    assert "acme (plain): it does conversational, not text-to-image" in done.stdout


def test_a_route_asks_no_model(acme, run) -> None:
    run("route", "plain")
    assert acme.requests == []


def test_a_route_as_json_is_one_object_a_candidate(acme, run) -> None:
    (only,) = objects(run("route", "plain", "--json").stdout)
    assert (only["verdict"], only["provider"], only["order"]) == ("candidate", "acme", 1)


def test_an_unknown_model_has_no_route_but_near_names(acme, run) -> None:
    done = run("route", "plian")
    assert done.returncode == 3
    assert "did you mean: plain?" in done.stderr


def test_providers_are_listed_without_loading_any(install, run) -> None:
    install("dead", MISBEHAVIOUR["dead"], "[plugmux]\ndead = dead\n")
    done = run("providers")
    assert done.returncode == 0
    assert "not loaded yet" in done.stdout


def test_settings_that_nobody_reads_are_named(acme, run, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[providers.team]\nbase_url = "http://127.0.0.1/"\n')
    for words in (("providers",), ("status",), ("providers", "--json")):
        done = run(*words, PLUGMUX_DISABLE="acne", PLUGMUX_ACM_BASE_URL="x")
        assert done.returncode == 0
        said = set(done.stderr.splitlines())
        assert said >= {
            "PLUGMUX_DISABLE: there is no provider 'acne'; did you mean acme?",
            '[providers.team]: there is no such provider; a new one needs plugin = "…"',
            "PLUGMUX_ACM_BASE_URL: no provider that is installed has this name",
        }


def test_a_check_knows_the_settings_of_each_provider(acme, run) -> None:
    assert "ACME" not in run("providers", "--check").stderr
    said = run("providers", "--check", PLUGMUX_ACME_BASE_ULR="x").stderr.splitlines()
    assert "PLUGMUX_ACME_BASE_ULR: acme has no setting base_ulr; did you mean base_url?" in said


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_a_broken_plugin_is_named_by_a_check_and_harms_no_other(acme, install, run, name) -> None:
    install(name, MISBEHAVIOUR[name], f"[plugmux]\n{name} = {name}\n")
    done = run("providers", "--check")
    assert done.returncode == 0
    states = {line.split()[0]: line.split()[3] for line in done.stdout.splitlines()[1:]}
    assert states["acme"] == "ok"
    assert states[name] == "broken"
    assert f"{name}:" in done.stderr


def test_a_broken_plugin_keeps_nobody_from_an_answer(acme, install, run) -> None:
    install("sad", MISBEHAVIOUR["sad"], "[plugmux]\nsad = sad\n")
    assert run("complete", "plain", "Hi").stdout == "Hello world\n"


def test_a_plugins_thread_that_never_ends_keeps_no_command_from_ending(acme, install, run) -> None:
    source = (
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\nraise RuntimeError('no')"
    )
    install("stay", source, "[plugmux]\nstay = stay\n")
    assert run("complete", "plain", "Hi").stdout == "Hello world\n"


def test_providers_as_json_say_the_whole_verdict(acme, install, run) -> None:
    install("sad", MISBEHAVIOUR["sad"], "[plugmux]\nsad = sad\n")
    found = {one["name"]: one for one in objects(run("providers", "--check", "--json").stdout)}
    assert found["acme"]["verdict"] == "ok"
    assert "no luck" in found["sad"]["verdict"]


def test_where_every_provider_is_blocked_the_list_says_so(run) -> None:
    done = run("providers", PLUGMUX_ACME_BASE_URL="")
    assert done.stdout == ""
    blocked = "cohere-chat, hf-chat, hf-inference, hf-media, hf-space"
    assert done.stderr == f"PLUGMUX_DISABLE blocks every provider that is installed: {blocked}\n"


def test_a_check_needs_no_cache(acme, install, run, tmp_path: Path) -> None:
    install("sad", MISBEHAVIOUR["sad"], "[plugmux]\nsad = sad\n")
    (tmp_path / "file").touch()
    home = str(tmp_path / "file" / "home")  # a folder that can be neither made nor written
    done = run("providers", "--check", "--json", PLUGMUX_HOME=home, PLUGMUX_ACME_BASE_ULR="x")
    found = {one["name"]: one["verdict"] for one in objects(done.stdout)}
    assert found["acme"] == "ok"
    assert "no luck" in found["sad"]
    assert "acme has no setting base_ulr" in done.stderr


def test_what_a_plugin_prints_is_no_part_of_its_verdict(chatty, run) -> None:
    found = {one["name"]: one for one in objects(run("providers", "--check", "--json").stdout)}
    assert found["chatty"]["verdict"] == "ok"


def test_an_instance_whose_plugin_is_not_there_names_the_plugin(acme, run) -> None:
    said = run("providers", PLUGMUX_INSTANCES="mine=nowhere").stderr
    assert "mine: plugin 'nowhere' is not installed" in said


def test_models_of_a_provider_that_is_not_there_are_said_to_be_none(acme, run) -> None:
    assert run("models", "-p", "nobody").stderr.startswith("no models of 'nobody': `plugmux providers` lists")


def test_a_window_too_narrow_for_columns_gets_whole_lines(acme, screen) -> None:
    shown = screen("providers", COLUMNS="40", NO_COLOR="1", PLUGMUX_ACME_BASE_ULR="")
    assert shown.end() == 0
    lines = shown.shown.splitlines()
    assert lines[0].split() == ["PROVIDER", "PLUGIN", "VERSION", "STATE"]
    assert lines[1].split() == ["acme", "acme", "1.0", "not", "loaded", "yet"]


def test_status_remembers_who_served_and_who_failed(acme, run) -> None:
    run("complete", "-m", "down", "-m", "plain", "Hi")
    found = {one["remote_id"]: one for one in objects(run("status", "--json").stdout)}
    assert (found["plain"]["served"], found["plain"]["failed"]) == (1, 0)
    assert (found["down"]["served"], found["down"]["resting"]) == (0, found["down"]["failed"] >= 3)
    assert "out of order" in found["down"]["last_error"]
    assert "acme" in run("status").stdout


def test_status_without_any_use_says_so(acme, run) -> None:
    done = run("status")
    assert done.returncode == 0
    assert (done.stdout, done.stderr) == ("", "nothing was tried yet\n")
