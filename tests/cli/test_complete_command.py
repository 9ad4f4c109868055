"""`plugmux complete`, as a process against a real server."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_answer_goes_to_standard_output_and_nothing_else_does(acme, run) -> None:
    done = run("complete", "plain", "Hi")
    assert (done.returncode, done.stdout) == (0, "Hello world\n")
    assert done.stderr == ""


def test_what_is_typed_is_what_is_sent(acme, run) -> None:
    run("complete", "short", "What?", "-s", "Be brief.", "-o", "temperature=0.5", "-o", 'stop=["\\n"]')
    assert acme.requests == [
        {
            "model": "plain",
            "temperature": 0.5,
            "stop": ["\n"],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What?"},
            ],
        }
    ]


def test_a_pipe_gives_the_prompt(acme, run) -> None:
    assert run("complete", "acme/parrot", stdin="from a pipe\n").stdout == "from a pipe\n"


def test_piped_text_follows_the_prompt_of_the_arguments(acme, run) -> None:
    assert run("complete", "acme/parrot", "Shorten:", stdin="a text\n").stdout == "Shorten:\n\na text\n"


def test_piped_bytes_that_are_no_utf_8_are_replaced_with_a_note_in_any_locale(acme, environment) -> None:
    for variables in ({}, {"PYTHONUTF8": "0", "LC_ALL": "C"}, {"PYTHONIOENCODING": "utf-8:strict"}):
        done = subprocess.run(
            [sys.executable, "-m", "plugmux.cli", "complete", "-m", "acme/parrot"],
            input=b"- caf\xe9\n+ caf\xc3\xa9\n",
            capture_output=True,
            env=environment | variables,
        )
        assert done.returncode == 0
        assert b"the prompt is not all UTF-8" in done.stderr
        assert acme.requests.pop()["messages"] == [{"role": "user", "content": "- caf\ufffd\n+ café"}]


def test_an_argument_in_another_encoding_is_taken_like_a_pipe_and_instructions_are_refused(acme, run) -> None:
    done = run("complete", "acme/parrot", b"caf\xe9")
    assert (done.returncode, done.stdout) == (0, "caf\ufffd\n")
    done = run("complete", "acme/parrot", "Hi", "-s", b"caf\xe9")
    assert done.returncode == 2
    assert "system: the character" in done.stderr
    assert len(acme.requests) == 1


def test_with_m_a_single_word_is_the_prompt(acme, run) -> None:
    assert run("complete", "-m", "acme/parrot", "polly").stdout == "polly\n"


def test_the_first_wished_model_that_can_be_served_answers(acme, run) -> None:
    assert run("complete", "-m", "down", "-m", "acme/parrot", "polly").stdout == "polly\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["complete", "plain"], 2, "nothing to ask"),
        (["complete", "plain", "two", "prompts"], 2, "quotation marks"),
        (["complete", "plain", "Hi", "-o", "temperature"], 2, "expected key=value, got 'temperature'"),
        (["complete", "plain", "Hi", "-o", "temprature=1"], 2, "did you mean temperature?"),
        (["complete", "plain", "Hi", "-o", "temperature=hot"], 2, "must be a number, not 'hot'"),
        (["complete", "plain", "Hi", "-o", "conversation=5"], 2, "conversation: not a conversation"),
        (["complete", "plain", "Hi", "-o", "model=x"], 2, "it is an argument"),
        (["complete", "plain", "Hi", "-a", "missing.png"], 2, "cannot read 'missing.png'"),
        (["complete", "plain", "Hi", "--policy", "speed=3"], 2, "policy.speed: unknown key"),
        (["complete", "plian", "Hi"], 3, "did you mean: plain?"),
        (["complete", "plain", "Hi", "-p", "nobody"], 3, "there is no provider 'nobody'"),
        (["complete", "down", "Hi"], 1, "out of order"),
        (["complete", "-c", "Hi"], 2, "there is no last chat"),
        (["complete", "plain", "Hi", "--nonsense"], 2, "--nonsense"),
    ],
)
def test_what_goes_wrong_is_said_in_words_with_its_exit_code(acme, run, words, code, said) -> None:
    done = run(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_where_every_provider_is_blocked_the_error_says_so(acme, environment, run) -> None:
    every = f"{environment['PLUGMUX_DISABLE']},acme"
    done = run("complete", "plain", "Hi", PLUGMUX_DISABLE=every)
    assert done.returncode == 3
    assert "PLUGMUX_DISABLE blocks every provider that is installed: acme, " in done.stderr


def test_a_cut_answer_in_a_pipe_is_an_error_and_not_a_second_beginning(acme, run) -> None:
    done = run("complete", "-m", "cut", "-m", "plain", "Hi")
    assert done.returncode == 1
    assert done.stdout == "Half an ans\n"
    assert "cut" in done.stderr


def test_a_cut_answer_that_was_held_back_is_replaced_by_a_whole_one(acme, run) -> None:
    done = run("complete", "-m", "cut", "-m", "plain", "Hi", "--no-stream")
    assert (done.returncode, done.stdout) == (0, "Hello world\n")


def test_text_that_a_service_replaces_is_void_in_a_pipe_and_the_error_says_what_helps(acme, run) -> None:
    done = run("complete", "fickle", "Hi")
    assert (done.returncode, done.stdout) == (1, "Thinking...\n")
    assert "what was printed so far is void: the app replaced its text" in done.stderr
    assert "--no-stream" in done.stderr


def test_text_that_is_held_back_is_replaced(acme, run) -> None:
    done = run("complete", "fickle", "Hi", "--no-stream")
    assert (done.returncode, done.stdout) == (0, "Done.\n")


def test_the_policy_of_the_configuration_file_holds_in_a_pipe_too(acme, run, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[policy]\nignore = ["acme"]\n')
    done = run("complete", "plain", "Hi")
    assert done.returncode == 3
    assert "among `ignore`" in done.stderr


def test_a_filtered_answer_is_not_reported_as_whole(acme, run) -> None:
    done = run("complete", "filtered", "Hi")
    assert done.returncode == 1
    assert "content filter" in done.stderr


def test_reasoning_and_sources_go_to_standard_error_in_plain_text(acme, run) -> None:
    done = run("complete", "thinker", "Hi")
    assert done.stdout == "Seen.\n"
    assert done.stderr == "Let me see.\nsource: http://s/1\n"


def test_quiet_leaves_the_answer_alone(acme, run) -> None:
    done = run("complete", "thinker", "Hi", "-q")
    assert (done.stdout, done.stderr) == ("Seen.\n", "")


def test_tool_calls_are_an_answer(acme, run) -> None:
    done = run("complete", "caller", "Hi")
    assert objects(done.stdout) == [{"name": "add", "arguments": '{"a": 1}', "id": "c1"}]


def test_a_pipe_gets_the_bytes_of_the_answer_as_they_came(acme, run) -> None:
    assert run("complete", "escape", "Hi").stdout == "\x1b[31mred\x1b[0m\x07\n"


def test_a_screen_gets_no_escape_sequences_of_the_model(acme, screen) -> None:
    shown = screen("complete", "escape", "Hi", NO_COLOR="1")
    assert shown.end() == 0
    assert "\x1b" not in shown.shown
    assert "[31mred[0m" in shown.shown


def test_on_a_screen_a_broken_answer_is_marked_void_and_starts_over(acme, screen) -> None:
    shown = screen("complete", "-m", "cut", "-m", "plain", "Hi", NO_COLOR="1")
    assert shown.end() == 0
    lines = shown.shown.splitlines()
    assert lines[0] == "Half an ans"
    assert "the text above is void; the answer starts over" in lines[1]
    assert lines[-1] == "Hello world"


def test_json_gives_events_and_then_what_they_came_to(acme, run) -> None:
    done = run("complete", "thinker", "Hi", "--json")
    *events, last = objects(done.stdout)
    assert [event["event"] for event in events] == [
        "attempt",
        "reasoning",
        "text",
        "sources",
        "usage",
        "finish",
    ]
    assert events[2] == {"event": "text", "text": "Seen."}
    assert last["event"] == "completion"
    assert last["text"] == "Seen."
    assert last["provider"] == "acme"
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert [attempt["outcome"] for attempt in last["trace"]] == ["served"]


def test_json_ends_with_the_error_where_there_is_one(acme, run) -> None:
    done = run("complete", "plian", "Hi", "--json")
    assert done.returncode == 3
    last = objects(done.stdout)[-1]
    assert (last["event"], last["kind"], last["near"]) == ("error", "NoRouteError", ["plain"])
    assert "plian" in done.stderr


def test_c_goes_on_with_the_last_chat(acme, run, home: Path) -> None:
    run("complete", "plain", "First.", "-s", "Be kind.")
    assert run("complete", "-c", "Second.").stdout == "Hello world\n"
    assert [m["content"] for m in acme.requests[-1]["messages"]] == [
        "Be kind.",
        "First.",
        "Hello world",
        "Second.",
    ]
    assert stat.S_IMODE((home / "last-chat.json").stat().st_mode) == 0o600


def test_a_damaged_last_chat_is_set_aside_with_a_word_and_a_new_one_begins(acme, run, home: Path) -> None:
    home.mkdir()
    (home / "last-chat.json").write_text("{half a")
    done = run("complete", "-c", "-m", "plain", "Second.")
    assert (done.returncode, done.stdout) == (0, "Hello world\n")
    assert f"set aside as {home / 'last-chat.json.damaged'}" in done.stderr
    assert (home / "last-chat.json.damaged").read_text() == "{half a"


def test_an_attached_picture_goes_with_the_prompt(acme, run, work: Path) -> None:
    (work / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n0000")
    run("complete", "plain", "What is it?", "-a", "dot.png", "-a", "https://example.org/cat.jpg")
    assert acme.requests[0]["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgowMDAw"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.jpg"}},
        {"type": "text", "text": "What is it?"},
    ]


def test_continue_asks_to_go_on_with_the_text(acme, run) -> None:
    run("complete", "plain", "Once upon", "--continue")
    assert acme.requests[0]["action"] == "continue"


def test_a_pinned_provider_takes_a_model_that_nobody_lists(acme, run) -> None:
    done = run("complete", "/some/path", "Hi", "-p", "acme")
    assert done.stdout == "Hello world\n"
    assert acme.requests[0]["model"] == "/some/path"


def begun(environment: dict[str, str], *before: str) -> subprocess.Popen[bytes]:
    """The command, at an answer that has begun and does not end."""
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "plugmux.cli", "complete", "slow", "Hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.read(13) == b"The beginning"
    return process


IN_THE_BACKGROUND = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
"""As a script's `&` does it: Ctrl-C is ignored."""


@pytest.mark.parametrize(
    ("before", "sent"),
    [((), signal.SIGINT), ((), signal.SIGTERM), (IN_THE_BACKGROUND, signal.SIGTERM)],
    ids=["SIGINT", "SIGTERM", "SIGTERM in the background"],
)
def test_ctrl_c_closes_the_connection_and_exits_with_130(acme, environment, before, sent) -> None:
    with begun(environment, *before) as process:
        process.send_signal(sent)
        assert acme.gone.wait(5)
        rest, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert rest == b"\n"
    assert b"Traceback" not in said


def test_a_reader_that_goes_away_ends_it_in_silence(acme, environment) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "plugmux.cli", "complete", "plain", "Hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        process.wait(10)
    assert process.returncode == 141
    assert said == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, where every disk is full")
@pytest.mark.parametrize("words", [("complete", "plain", "Hi"), ("models", "--json"), ("--help",)])
def test_a_full_disk_is_said_and_nothing_else(acme, environment, words) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "plugmux.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (4, "plugmux: No space left on device\n")


@pytest.mark.parametrize("variable", ["PLUGMUX_HOME", "PLUGMUX_CONFIG"])
def test_the_folder_of_a_user_that_is_not_there_is_said(acme, run, variable) -> None:
    done = run("complete", "plain", "Hi", **{variable: "~no-such-user/plugmux"})
    assert done.returncode == 2
    assert done.stderr.startswith(f"plugmux: {variable}: '~no-such-user/plugmux': there is no such user")


def test_a_question_imports_nothing_that_it_does_not_use(acme, environment) -> None:
    """What a cold start costs is what it imports; 300 ms to the wire is the budget."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "plugmux.cli", "complete", "plain", "Hi"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"click", "httpx", "plugmux.client"} <= imported
    others = {"rich", "pygments", "rich.console", "PIL", "readline", "plugmux.blocking", "plugmux.cli.media"}
    assert not imported & others


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("complete plain Hi >&-", 0, ""),
        ("complete plain Hi 2>&-", 0, "Hello world\n"),
        ("complete plain Hi <&- >&- 2>&-", 0, ""),
        ("complete plain Hi <&-", 0, "Hello world\n"),
        ("complete plain <&-", 2, "plugmux: PROMPT: nothing to ask: give a prompt, or pipe it in\n"),
        ("providers >&-", 0, ""),
        ("chat -m plain <&-", 0, ""),
        ("auth login acme <&-", 2, "plugmux: token: no token was given\n"),
        ("--help >&-", 0, ""),
    ],
)
def test_a_closed_stream_is_like_the_null_device(acme, environment, command, code, said) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m plugmux.cli {command}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert (done.returncode, done.stdout) == (code, said)


def test_what_an_encoding_cannot_say_is_no_crash(acme, run) -> None:
    done = run("complete", "acme/parrot", "näh", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stdout) == (0, "n?h\n")


def test_a_missing_extra_is_named(environment) -> None:
    code = "import sys, plugmux.cli\nplugmux.cli.find_spec = lambda name: None\nsys.exit(plugmux.cli.main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "pip install 'plugmux[cli]'" in done.stderr
