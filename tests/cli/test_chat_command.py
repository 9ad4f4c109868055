"""`plugmux chat`, on a pseudo-terminal and from a pipe, against a real server."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from plugmux.cli.chat_input import joined_lines


def sent(acme) -> list[str]:
    """The contents of the messages of the last request."""
    return [message["content"] for message in acme.requests[-1]["messages"]]


def test_a_chat_remembers_what_was_said(acme, screen) -> None:
    chat = screen("chat", "-m", "plain", NO_COLOR="1")
    chat.until("> ")
    chat.type("First.\n")
    chat.until("Hello world\r\n")
    chat.until("> ")
    chat.type("Second.\n")
    chat.until("Hello world\r\n")
    chat.until("> ")
    chat.type("/quit\n")
    assert chat.end() == 0
    assert sent(acme) == ["First.", "Hello world", "Second."]


def test_an_entry_that_is_no_utf_8_is_said_as_far_as_it_is(acme, environment) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plugmux.cli", "chat", "-m", "acme/parrot"],
        input=b"caf\xe9\nHi\n",
        capture_output=True,
        env=environment | {"PYTHONIOENCODING": "utf-8:strict"},
    )
    assert (done.returncode, done.stdout.decode()) == (0, "caf\ufffd\nHi\n")
    assert b"what you said is not all UTF-8" in done.stderr


def test_ctrl_c_stops_the_answer_and_not_the_chat(acme, screen) -> None:
    chat = screen("chat", "-m", "slow", NO_COLOR="1")
    chat.until("> ")
    chat.type("Tell me.\n")
    chat.until("The beginning")
    chat.ctrl_c()
    chat.until("(stopped)")
    assert acme.gone.wait(5)
    chat.until("> ")
    chat.type("/model plain\n")
    chat.until("plain: acme (plain)\r\n")
    chat.until("> ")
    chat.type("Go on.\n")
    chat.until("Hello world\r\n")
    chat.until("> ")
    chat.type("\x04")
    assert chat.end() == 0
    assert sent(acme) == ["Tell me.", "The beginning", "Go on."]


def test_ctrl_c_at_the_prompt_says_how_to_leave(acme, screen) -> None:
    chat = screen("chat", "-m", "plain", NO_COLOR="1")
    chat.until("> ")
    chat.type("half a line")
    chat.until("half a line")
    chat.ctrl_c_until("ends the chat)\r\n")
    chat.until("> ")
    chat.type("/quit\n")
    assert chat.end() == 0
    assert acme.requests == []


def test_a_failed_answer_is_forgotten_and_the_chat_goes_on(acme, run) -> None:
    done = run("chat", "-m", "down", stdin="One.\n/model acme/parrot\nTwo.\n")
    assert done.returncode == 0
    assert done.stdout == "Two.\n"
    assert "out of order" in done.stderr
    assert sent(acme) == ["Two."]


def test_several_lines_are_one_entry(acme, run) -> None:
    done = run("chat", "-m", "acme/parrot", stdin='one\\\ntwo\n"""\nthree\n\nfour\n"""\n')
    assert done.stdout == "one\ntwo\nthree\n\nfour\n"
    assert sent(acme) == ["one\ntwo", "one\ntwo", "three\n\nfour"]


def test_what_is_pasted_is_one_entry(acme, screen) -> None:
    chat = screen("chat", "-m", "acme/parrot", NO_COLOR="1")
    chat.until("> ")
    chat.type("\x1b[200~one\rtwo\x1b[201~")
    chat.until("two")
    chat.type("\r")
    chat.until("one\r\ntwo\r\n")
    chat.until("> ")
    chat.type("/quit\r")
    assert chat.end() == 0
    assert sent(acme) == ["one\ntwo"]


def test_two_slashes_say_what_begins_with_one(acme, run) -> None:
    assert run("chat", "-m", "acme/parrot", stdin="//etc/hosts\n").stdout == "/etc/hosts\n"


def test_why_shows_who_was_asked_and_what_came_of_it(acme, run) -> None:
    said = run("chat", "-m", "down", "-m", "plain", stdin="/why\nHi\n/why\n").stderr
    assert "nothing was asked yet" in said
    assert "1. acme (down)" in said
    assert "2. acme (plain)" in said
    assert "(down): failed" in said
    assert "(plain): served" in said


def test_why_explains_a_failure_too(acme, run) -> None:
    assert "(down): failed" in run("chat", "-m", "down", stdin="Hi\n/why\n").stderr


def test_why_explains_that_nobody_could_be_asked(acme, run) -> None:
    assert run("chat", "-m", "plian", stdin="Hi\n/why\n").stderr.count("did you mean: plain?") == 2


def test_a_damaged_chat_is_set_aside_and_a_new_one_begins(acme, run, home: Path) -> None:
    home.mkdir()
    (home / "last-chat.json").write_text("[]")
    done = run("chat", "-c", "-m", "plain", stdin="Hi\n")
    assert done.stdout == "Hello world\n"
    assert "set aside" in done.stderr


def test_an_unknown_model_is_refused_and_the_old_one_stays(acme, run) -> None:
    done = run("chat", "-m", "acme/parrot", stdin="/model plian\n/model\nHi\n")
    assert done.stdout == "Hi\n"
    assert "did you mean: plain?" in done.stderr
    assert "\nacme/parrot\n" in done.stderr


@pytest.mark.parametrize("word", ["/model", "/why", "/system", "/attach", "/new", "/help", "/quit"])
def test_help_lists_every_command(acme, run, word) -> None:
    assert word in run("chat", stdin="/help\n").stderr


def test_an_unknown_command_is_said_and_not_sent(acme, run) -> None:
    assert "there is no /modle" in run("chat", "-m", "plain", stdin="/modle x\n").stderr
    assert acme.requests == []


def test_the_system_message_can_be_set_changed_and_removed(acme, run) -> None:
    entries = "One.\n/system Be wild.\nTwo.\n/system\nThree.\n"
    run("chat", "-m", "acme/parrot", "-s", "Be kind.", stdin=entries)
    heads = [request["messages"][0] for request in acme.requests]
    assert heads[0] == {"role": "system", "content": "Be kind."}
    assert heads[1] == {"role": "system", "content": "Be wild."}
    assert heads[2] == {"role": "user", "content": "One."}


def test_new_forgets_the_conversation(acme, run) -> None:
    run("chat", "-m", "acme/parrot", stdin="One.\n/new\nTwo.\n")
    assert sent(acme) == ["Two."]


def test_an_attachment_goes_with_the_next_message_only(acme, run, work: Path) -> None:
    (work / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n0000")
    done = run("chat", "-m", "plain", stdin="/attach gone.png\n/attach dot.png\nLook.\nAnd?\n")
    assert "cannot read 'gone.png'" in done.stderr
    first, _, last = sent(acme)
    assert [part["type"] for part in first] == ["image_url", "text"]
    assert last == "And?"


def test_a_chat_can_be_gone_on_with(acme, run, home: Path) -> None:
    run("chat", "-m", "acme/parrot", stdin="One.\n")
    assert run("chat", "-c", stdin="Two.\n").stdout == "Two.\n"
    assert sent(acme) == ["One.", "One.", "Two."]
    kept = json.loads((home / "last-chat.json").read_text())
    assert kept["models"] == ["acme/parrot"]


def test_a_chat_that_cannot_be_kept_goes_on_with_a_word(acme, run, home: Path) -> None:
    (home / "last-chat.json").mkdir(parents=True)
    done = run("chat", "-m", "plain", stdin="One.\nTwo.\n")
    assert done.stdout == "Hello world\nHello world\n"
    assert "not kept" in done.stderr


def test_entries_are_remembered_for_their_owner_only(acme, screen, home: Path) -> None:
    chat = screen("chat", "-m", "plain", NO_COLOR="1")
    chat.until("> ")
    chat.type("Remember me.\n")
    chat.until("Hello world\r\n")
    chat.until("> ")
    chat.type("/quit\n")
    chat.end()
    kept = home / "chat-entries"
    assert "Remember me." in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def lines_of(*lines: str):
    left = list(lines)

    def read(prompt: str) -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    return read


@pytest.mark.parametrize(
    ("typed", "entry"),
    [
        (["one"], "one"),
        (["one\\", "two"], "one\ntwo"),
        (["one\\"], "one\n"[:-1]),
        (['"""', "one", "two", '"""'], "one\ntwo"),
        (['"""', "one"], "one"),
        (['"""', '"""'], ""),
    ],
)
def test_an_entry_may_take_several_lines(typed, entry) -> None:
    assert joined_lines(lines_of(*typed)) == entry


def test_the_end_of_the_input_is_no_entry() -> None:
    with pytest.raises(EOFError):
        joined_lines(lines_of())


@pytest.mark.parametrize(
    ("entries", "code"), [("/model nowhere\nHi\n", 0), ("Hi\n/model nowhere", 3), ("Hi\n/attach gone.png", 2)]
)
def test_piped_entries_end_with_the_code_of_the_last_one(acme, run, entries, code) -> None:
    done = run("chat", "-m", "plain", stdin=entries)
    assert (done.returncode, done.stdout) == (code, "Hello world\n")
