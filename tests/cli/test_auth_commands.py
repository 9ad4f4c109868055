"""`plugmux auth`: where credentials come from, and logging in and out."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

TOKEN = "a-token-for-tests"
WITH_LOGIN = """
from plugmux import Credential, hookimpl

@hookimpl
async def create_stream(request, session):
    yield

async def login(session, echo):
    echo("a window opens")
    (session.home / "own-login").write_text("kept")
    return Credential.bearer("secret-of-its-own", origins=["http://127.0.0.1"], source="the window")

async def logout(session, echo):
    kept = session.home / "own-login"
    was = kept.exists()
    kept.unlink(missing_ok=True)
    return was
"""


def test_a_token_is_kept_for_its_owner_only_and_used(acme, run, home: Path) -> None:
    done = run("auth", "login", "acme", stdin=f"{TOKEN}\n")
    assert done.returncode == 0
    kept = home / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    run("complete", "plain", "Hi")
    assert acme.tokens[-1] == f"Bearer {TOKEN}"


def test_no_output_shows_the_token(acme, run) -> None:
    said = [
        run("auth", "login", "acme", stdin=f"{TOKEN}\n"),
        run("auth", "status"),
        run("complete", "plain", "Hi"),
    ]
    assert not [done for done in said if TOKEN in done.stdout + done.stderr]


def test_a_typed_token_is_not_shown(acme, screen, run) -> None:
    shown = screen("auth", "login", "acme")
    shown.until("Token for acme:")
    shown.type(f"{TOKEN}\n")
    assert shown.end() == 0
    assert TOKEN not in shown.shown
    run("complete", "plain", "Hi")
    assert acme.tokens[-1] == f"Bearer {TOKEN}"


def test_the_environment_wins_over_the_kept_token(acme, run) -> None:
    run("auth", "login", "acme", stdin=f"{TOKEN}\n")
    run("complete", "plain", "Hi", PLUGMUX_ACME_TOKEN="from-the-environment")
    assert acme.tokens[-1] == "Bearer from-the-environment"


def test_status_says_where_a_credential_comes_from(acme, run) -> None:
    run("auth", "login", "acme", stdin=f"{TOKEN}\n")
    (only,) = [json.loads(line) for line in run("auth", "status", "--json").stdout.splitlines()]
    assert only == {"provider": "acme", "source": "the setting token"}


def test_status_names_a_broken_plugin_and_shows_the_others(acme, install, run) -> None:
    install("sad", "raise RuntimeError('no luck')", "[plugmux]\nsad = sad\n")
    done = run("auth", "status")
    assert done.returncode == 0
    assert "no luck" in done.stderr
    assert "acme" in done.stdout


def test_logging_out_forgets_the_token(acme, run) -> None:
    run("auth", "login", "acme", stdin=f"{TOKEN}\n")
    assert "logged out of acme" in run("auth", "logout", "acme").stderr
    run("complete", "plain", "Hi")
    assert acme.tokens[-1] is None
    assert "nothing was kept for acme" in run("auth", "logout", "acme").stderr


def test_an_empty_token_is_refused(acme, run) -> None:
    done = run("auth", "login", "acme", stdin="\n")
    assert done.returncode == 2
    assert "no token was given" in done.stderr


def test_a_plugin_may_bring_its_own_login(install, run, home: Path) -> None:
    home.mkdir()
    install("own", WITH_LOGIN, "[plugmux]\nown = own\n")
    done = run("auth", "login", "own")
    assert done.returncode == 0
    assert "a window opens" in done.stderr
    assert "the window is kept" in done.stderr
    assert "secret-of-its-own" not in done.stdout + done.stderr
    assert (home / "own-login").exists()
    assert "logged out of own" in run("auth", "logout", "own").stderr
    assert not (home / "own-login").exists()


def test_a_provider_that_is_not_installed_is_named_with_the_remedy(run) -> None:
    done = run("auth", "login", "nobody")
    assert done.returncode == 4
    assert "pip install plugmux-nobody" in done.stderr


def test_the_status_of_a_provider_that_is_not_installed_is_an_error(run) -> None:
    done = run("auth", "status", "moon")
    assert (done.returncode, done.stdout) == (4, "")
    assert "pip install plugmux-moon" in done.stderr


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_a_question_that_is_not_answered_is_an_interruption(screen, key) -> None:
    asked = screen("auth", "login", PLUGMUX_DISABLE="")
    asked.until("Token for hf-inference: ")
    asked.type(key)
    assert asked.end() == 130
    assert "Abort" not in asked.shown


def test_damaged_tokens_are_set_aside_with_a_word(acme, run, home: Path) -> None:
    home.mkdir()
    (home / "credentials.json").write_text("[1, 2]")
    done = run("complete", "plain", "Hi")
    assert done.stdout == "Hello world\n"
    assert f"set aside as {home / 'credentials.json.damaged'}" in done.stderr
