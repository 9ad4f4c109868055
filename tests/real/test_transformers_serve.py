"""The command line against `transformers serve`: its `/v1/models` fails without a network, its chat works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
PROMPT = "Say anything."
LENGTH = "max_tokens=24"
Plugmux = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


@pytest.fixture
def plugmux(chat_server, tmp_path) -> Plugmux:
    """Run the command line with the server as the provider `tiny`, and show the run."""
    env = {**os.environ, "PLUGMUX_INSTANCES": f"tiny=hf-inference@{chat_server.address}"}
    env |= {"PLUGMUX_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}

    def run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "plugmux"), *arguments]
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        print(f"$ plugmux {' '.join(arguments)}\n{done.stdout}{done.stderr}[exit {done.returncode}]")
        return done

    return run


def test_a_streamed_completion_comes_through_piece_by_piece(plugmux, chat_server):
    done = plugmux(["complete", "--json", f"tiny::{chat_server.model}", PROMPT, "-o", LENGTH])
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    texts = [event["text"] for event in events if event["event"] == "text"]
    assert len(texts) > 5
    assert "".join(texts) == _asked_directly(chat_server)


def test_a_completion_that_is_not_streamed_says_the_same(plugmux, chat_server):
    unstreamed = ["-o", LENGTH, "-o", "extra_body.stream=false"]
    done = plugmux(["complete", f"tiny::{chat_server.model}", PROMPT, *unstreamed])
    assert done.returncode == 0
    assert done.stdout.strip() == _asked_directly(chat_server).strip()


def test_a_server_whose_model_list_fails_is_not_said_to_serve_what_it_does_not(plugmux, chat_server):
    assert _status_of(f"{chat_server.address}/models") == 500
    done = plugmux(["models", "-p", "tiny", "--json"])
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def _asked_directly(chat_server) -> str:
    """What the server says to the same question without plugmux: the weights are fixed, so it is the same."""
    body = {
        "model": chat_server.model,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 24,
        "stream": False,
    }
    request = urllib.request.Request(
        f"{chat_server.address}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def _status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
